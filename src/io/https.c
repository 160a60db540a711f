/* SPDX-License-Identifier: Apache-2.0 */
#include "io/https.h"

#include <curl/curl.h>
#include <sysexits.h>

struct https_download {
    struct buffer *body;
    size_t size_max;
};

/* A return value below the offered size aborts the transfer. */
static size_t receive(char *octets, size_t one, size_t count, void *owner)
{
    struct https_download *download = owner;
    if (download->body->length + count > download->size_max)
        return 0;
    buffer_add(download->body, bytes_of(octets, count));
    return one * count;
}

static CURL *begin(const char *url, uint32_t timeout_ms, struct https_download *download)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return NULL;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPS_CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mailboat/" MAILBOAT_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
    return curl;
}

bool https_fetch(const char *url, const char *ca_file, size_t size_max, uint32_t timeout_ms,
                 struct buffer *body, struct error *error)
{
    struct https_download download = {.body = body, .size_max = size_max};
    long status = 0;
    CURL *curl = begin(url, timeout_ms, &download);
    if (curl == NULL)
        return error_set(error, EX_OSERR, "out of memory for HTTPS");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTPS_REDIRECTS_MAX);
    if (ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
    CURLcode outcome = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (outcome != CURLE_OK)
        return error_set(error, EX_TEMPFAIL, "%s: %s", url, curl_easy_strerror(outcome));
    return status == 200 || error_set(error, EX_UNAVAILABLE, "%s: the server answers %ld", url, status);
}

bool https_prepare(struct error *error)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ||
           error_set(error, EX_OSERR, "cannot start HTTPS");
}

/* True for "text/plain", with or without parameters (RFC 8461 3.2). */
static bool is_plain(const char *type)
{
    struct bytes rest = bytes_of_text(type);
    return bytes_is_nocase(bytes_trim(bytes_split(&rest, ';')), "text/plain");
}

bool https_fetch_plain(const struct https_wanted *wanted, struct buffer *body, struct error *error)
{
    struct https_download download = {.body = body, .size_max = wanted->size_max};
    struct curl_blob authorities = {.data = (void *)(uintptr_t)wanted->authorities.at,
                                    .len = wanted->authorities.length,
                                    .flags = CURL_BLOB_NOCOPY};
    char *type = NULL;
    long status = 0;
    CURL *curl = begin(wanted->url, wanted->timeout_ms, &download);
    struct curl_slist *resolved = curl == NULL ? NULL : curl_slist_append(NULL, wanted->resolved);
    if (resolved == NULL) {
        curl_easy_cleanup(curl);
        return error_set(error, EX_OSERR, "out of memory for HTTPS");
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)wanted->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &authorities);
    CURLcode outcome = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    bool plain = is_plain(type);
    curl_slist_free_all(resolved);
    curl_easy_cleanup(curl);
    if (outcome != CURLE_OK)
        return error_set(error, outcome == CURLE_PEER_FAILED_VERIFICATION ? EX_PROTOCOL : EX_TEMPFAIL,
                         "%s: %s", wanted->url,
                         outcome == CURLE_WRITE_ERROR ? "the file is too large"
                                                      : curl_easy_strerror(outcome));
    if (status != 200)
        return error_set(error, EX_UNAVAILABLE, "%s: the server answers %ld", wanted->url, status);
    return plain || error_set(error, EX_UNAVAILABLE, "%s: it is not text/plain", wanted->url);
}
