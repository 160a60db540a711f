/* SPDX-License-Identifier: Apache-2.0 */
#include "io/https.h"

#include <sysexits.h>

#include "io/https_library.h"

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

static CURL *begin(const struct https_library *library, const char *url, uint32_t timeout_ms,
                   struct https_download *download)
{
    CURL *curl = library->easy_init();
    if (curl == NULL)
        return NULL;
    library->easy_setopt(curl, CURLOPT_URL, url);
    library->easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    library->easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPS_CONNECT_MS);
    library->easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    library->easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    library->easy_setopt(curl, CURLOPT_USERAGENT, "mailboat/" MAILBOAT_VERSION);
    library->easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    library->easy_setopt(curl, CURLOPT_WRITEDATA, download);
    return curl;
}

bool https_fetch(const char *url, const char *ca_file, size_t size_max, uint32_t timeout_ms,
                 struct buffer *body, struct error *error)
{
    struct https_download download = {.body = body, .size_max = size_max};
    long status = 0;
    const struct https_library *library = https_library(error);
    if (library == NULL)
        return false;
    CURL *curl = begin(library, url, timeout_ms, &download);
    if (curl == NULL)
        return error_set(error, EX_OSERR, "out of memory for HTTPS");
    library->easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    library->easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    library->easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTPS_REDIRECTS_MAX);
    if (ca_file != NULL)
        library->easy_setopt(curl, CURLOPT_CAINFO, ca_file);
    CURLcode outcome = library->easy_perform(curl);
    library->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    library->easy_cleanup(curl);
    if (outcome != CURLE_OK)
        return error_set(error, EX_TEMPFAIL, "%s: %s", url, library->easy_strerror(outcome));
    return status == 200 || error_set(error, EX_UNAVAILABLE, "%s: the server answers %ld", url, status);
}

bool https_prepare(struct error *error)
{
    return https_library(error) != NULL;
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
    const struct https_library *library = https_library(error);
    if (library == NULL)
        return false;
    CURL *curl = begin(library, wanted->url, wanted->timeout_ms, &download);
    struct curl_slist *resolved = curl == NULL ? NULL : library->slist_append(NULL, wanted->resolved);
    if (resolved == NULL) {
        library->easy_cleanup(curl);
        return error_set(error, EX_OSERR, "out of memory for HTTPS");
    }
    library->easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)wanted->timeout_ms);
    library->easy_setopt(curl, CURLOPT_RESOLVE, resolved);
    library->easy_setopt(curl, CURLOPT_PROXY, "");
    library->easy_setopt(curl, CURLOPT_CAPATH, NULL);
    library->easy_setopt(curl, CURLOPT_CAINFO, NULL);
    library->easy_setopt(curl, CURLOPT_CAINFO_BLOB, &authorities);
    CURLcode outcome = library->easy_perform(curl);
    library->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    library->easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    bool plain = is_plain(type);
    library->slist_free_all(resolved);
    library->easy_cleanup(curl);
    if (outcome != CURLE_OK)
        return error_set(error, outcome == CURLE_PEER_FAILED_VERIFICATION ? EX_PROTOCOL : EX_TEMPFAIL,
                         "%s: %s", wanted->url,
                         outcome == CURLE_WRITE_ERROR ? "the file is too large"
                                                      : library->easy_strerror(outcome));
    if (status != 200)
        return error_set(error, EX_UNAVAILABLE, "%s: the server answers %ld", wanted->url, status);
    return plain || error_set(error, EX_UNAVAILABLE, "%s: it is not text/plain", wanted->url);
}
