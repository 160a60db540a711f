/* SPDX-License-Identifier: Apache-2.0 */
/* http_status: the status codes that this server sends (RFC 9110 15), and why a request is refused. */
#ifndef MAILBOAT_CORE_HTTP_HTTP_STATUS_H
#define MAILBOAT_CORE_HTTP_HTTP_STATUS_H

enum http_status {
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_NOT_FOUND = 404,
    HTTP_METHOD_NOT_ALLOWED = 405,
    HTTP_REQUEST_TIMEOUT = 408,
    HTTP_CONTENT_TOO_LARGE = 413,
    HTTP_URI_TOO_LONG = 414,
    HTTP_EXPECTATION_FAILED = 417,
    HTTP_FIELDS_TOO_LARGE = 431,
    HTTP_NOT_IMPLEMENTED = 501,
    HTTP_VERSION_NOT_SUPPORTED = 505,
};

/* Returns the reason phrase, "Not Found"; the status is one of the above. */
const char *http_status_reason(enum http_status status);

/* The reason why a request is answered by the parser itself; the connection ends with that answer. `text` is
 * one sentence for the body: it never contains text of the request. All zero: nothing is wrong. */
struct http_refusal {
    enum http_status status;
    const char *text;
};
#define HTTP_REFUSAL(status, text) ((struct http_refusal){(status), (text)})
#define HTTP_FINE ((struct http_refusal){0})

static inline struct http_refusal http_bad(const char *text)
{
    return HTTP_REFUSAL(HTTP_BAD_REQUEST, text);
}

#endif
