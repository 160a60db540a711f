/* SPDX-License-Identifier: Apache-2.0 */
#include "https.h"

#include <curl/curl.h>
#include <sysexits.h>

struct reception {
    struct buffer *body;
    size_t size_max;
};

/* Less than was offered ends the transfer. */
static size_t receive(char *octets, size_t one, size_t count, void *owner)
{
    struct reception *reception = owner;
    if (reception->body->length + count > reception->size_max)
        return 0;
    buffer_add(reception->body, bytes_of(octets, count));
    return one * count;
}

bool https_fetch(const char *url, const char *ca_file, size_t size_max, uint32_t timeout_ms, struct buffer *body, struct error *error)
{
    struct reception reception = {.body = body, .size_max = size_max};
    long status = 0;
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return error_set(error, EX_OSERR, "there is no memory for HTTPS");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTPS_REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPS_CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mailboat/" MAILBOAT_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reception);
    if (ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
    CURLcode outcome = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (outcome != CURLE_OK)
        return error_set(error, EX_TEMPFAIL, "%s: %s", url, curl_easy_strerror(outcome));
    return status == 200 || error_set(error, EX_UNAVAILABLE, "%s: the server answers %ld", url, status);
}
