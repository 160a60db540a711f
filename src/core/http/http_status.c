/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_status.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

const char *http_status_reason(enum http_status status)
{
    switch (status) {
    case HTTP_OK: return "OK";
    case HTTP_BAD_REQUEST: return "Bad Request";
    case HTTP_NOT_FOUND: return "Not Found";
    case HTTP_METHOD_NOT_ALLOWED: return "Method Not Allowed";
    case HTTP_REQUEST_TIMEOUT: return "Request Timeout";
    case HTTP_CONTENT_TOO_LARGE: return "Content Too Large";
    case HTTP_URI_TOO_LONG: return "URI Too Long";
    case HTTP_EXPECTATION_FAILED: return "Expectation Failed";
    case HTTP_FIELDS_TOO_LARGE: return "Request Header Fields Too Large";
    case HTTP_NOT_IMPLEMENTED: return "Not Implemented";
    case HTTP_VERSION_NOT_SUPPORTED: return "HTTP Version Not Supported";
    }
    assert(false);
    return NULL;
}
