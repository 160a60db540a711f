/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_answer.h"

#include <assert.h>

#include "core/http/http_target.h"
#include "core/message/date.h"

static void add_allow(struct buffer *out, unsigned allow)
{
    static const struct {
        enum http_method method;
        const char *name;
    } methods[] = {{HTTP_METHOD_GET, "GET"}, {HTTP_METHOD_HEAD, "HEAD"}, {HTTP_METHOD_POST, "POST"}};
    const char *between = "Allow: ";
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if ((allow & methods[i].method) == 0)
            continue;
        buffer_add_format(out, "%s%s", between, methods[i].name);
        between = ", ";
    }
    buffer_add(out, BYTES("\r\n"));
}

void http_answer_write(struct buffer *out, const struct http_answer *answer, bool is_for_head,
                       enum http_persistence persistence, uint64_t now_ms)
{
    assert(!bytes_has_control(answer->type));
    assert(answer->fields.length == 0 || bytes_ends_nocase(answer->fields, "\r\n"));
    assert(bytes_search(answer->fields, BYTES("\r\n\r\n")) == SIZE_MAX);
    buffer_add_format(out, "HTTP/1.1 %u %s\r\nDate: ", (unsigned)answer->status,
                      http_status_reason(answer->status));
    date_add_http(out, now_ms);
    buffer_add_format(out, "\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n", BYTES_ARG(answer->type),
                      answer->body.length);
    buffer_add(out, BYTES("X-Content-Type-Options: nosniff\r\n"));
    if (answer->allow != 0)
        add_allow(out, answer->allow);
    buffer_add(out, answer->fields);
    if (persistence == HTTP_KEEPS)
        buffer_add_format(out, "Connection: keep-alive\r\nKeep-Alive: timeout=%d\r\n\r\n", HTTP_KEPT_S);
    else
        buffer_add(out, BYTES("Connection: close\r\n\r\n"));
    if (!is_for_head)
        buffer_add(out, answer->body);
}
