/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http_head.h"

#include <assert.h>

#include "core/http/http_text.h"

static void http_head_check(const struct http_head *head)
{
    assert(head->has_line || (head->fields == 0 && head->octets == 0));
    assert(head->fields <= HTTP_FIELD_COUNT_MAX && head->octets <= HTTP_FIELDS_MAX);
    assert(!head->is_complete || (head->has_line && head->refusal.status == 0));
}

/* ---- the request line ---- */

static enum http_method method_of(struct bytes name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_METHOD_GET},
                   {"HEAD", HTTP_METHOD_HEAD},
                   {"POST", HTTP_METHOD_POST},
                   {"OPTIONS", HTTP_METHOD_OPTIONS},
                   {"CONNECT", HTTP_METHOD_CONNECT}};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (bytes_is(name, methods[i].name)) /* a method has a case (RFC 9110 9.1) */
            return methods[i].method;
    return HTTP_METHOD_OTHER;
}

static struct http_refusal take_version(struct http_request *request, struct bytes version)
{
    bool is_version = version.length == 8 && bytes_equal(bytes_first(version, 5), BYTES("HTTP/")) &&
                      ascii_is_digit(version.at[5]) && version.at[6] == '.' && ascii_is_digit(version.at[7]);
    if (!is_version)
        return http_bad("The request line has no HTTP version.\n");
    if (version.at[5] != '1')
        return HTTP_REFUSAL(HTTP_VERSION_NOT_SUPPORTED, "This server knows HTTP/1.0 and HTTP/1.1.\n");
    request->minor = version.at[7] == '0' ? 0 : 1;
    return HTTP_FINE;
}

static struct http_refusal take_request_line(struct http_head *head, struct bytes line)
{
    struct http_request *request = &head->request;
    struct http_target target;
    struct bytes method = bytes_split(&line, ' '), raw = bytes_split(&line, ' ');
    if (!http_text_is_token(method))
        return http_bad("The request line begins with no method.\n");
    struct http_refusal refusal = take_version(request, line);
    if (refusal.status != 0)
        return refusal;
    if (method.length > HTTP_METHOD_MAX)
        return HTTP_REFUSAL(HTTP_NOT_IMPLEMENTED, "This method is not implemented.\n");
    request->method = method_of(method);
    refusal = http_target_parse(raw, request->method, &head->arena, &target);
    request->path = target.path;
    request->query = target.query;
    request->host = target.host;
    head->host_is_of_target = target.host.length > 0;
    head->has_line = true;
    return refusal;
}

/* ---- fields ---- */

static struct http_refusal take_host(struct http_head *head, struct bytes value)
{
    head->hosts++;
    if (!http_text_is_host(value))
        return http_bad("The field Host is malformed.\n");
    if (!head->host_is_of_target)
        head->request.host = arena_copy(&head->arena, value);
    return HTTP_FINE;
}

static struct http_refusal take_length(struct http_head *head, struct bytes value)
{
    head->lengths++;
    for (size_t i = 0; i < value.length; i++)
        if (!ascii_is_digit(value.at[i]))
            return http_bad("Content-Length is not a number.\n");
    if (value.length == 0 || head->lengths > 1)
        return http_bad("Content-Length must have one value.\n");
    if (value.length > HTTP_LENGTH_DIGITS_MAX)
        return HTTP_REFUSAL(HTTP_CONTENT_TOO_LARGE, "The body is too large.\n");
    bool is_number = bytes_to_u64(value, UINT64_MAX, &head->request.length);
    assert(is_number);
    return HTTP_FINE;
}

static struct http_refusal take_coding(struct http_head *head, struct bytes value)
{
    head->codings++;
    head->is_chunked = bytes_is_nocase(value, "chunked");
    return HTTP_FINE;
}

static struct http_refusal take_connection(struct http_head *head, struct bytes value)
{
    head->closes = head->closes || http_text_lists(value, "close");
    head->keeps_alive = head->keeps_alive || http_text_lists(value, "keep-alive");
    return HTTP_FINE;
}

static struct http_refusal take_expectation(struct http_head *head, struct bytes value)
{
    if (!bytes_is_nocase(value, "100-continue"))
        return HTTP_REFUSAL(HTTP_EXPECTATION_FAILED,
                            "This server knows only the expectation 100-continue.\n");
    head->request.expects_continue = head->request.minor > 0; /* RFC 9110 10.1.1 */
    return HTTP_FINE;
}

static const struct {
    const char *name;
    struct http_refusal (*take)(struct http_head *head, struct bytes value);
} known_fields[] = {{"Host", take_host},
                    {"Content-Length", take_length},
                    {"Transfer-Encoding", take_coding},
                    {"Connection", take_connection},
                    {"Expect", take_expectation}};

static struct http_refusal take_field(struct http_head *head, struct bytes line)
{
    size_t colon = bytes_find(line, ':');
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return http_bad("A field is folded over two lines.\n");
    if (colon == SIZE_MAX || !http_text_is_token(bytes_first(line, colon)))
        return http_bad("A line of the header is not a field, or has a space before its colon.\n");
    struct bytes name = bytes_first(line, colon), value = bytes_trim(bytes_from(line, colon + 1));
    if (!http_text_is_value(value))
        return http_bad("A field contains control characters.\n");
    if (head->fields == HTTP_FIELD_COUNT_MAX)
        return HTTP_REFUSAL(HTTP_FIELDS_TOO_LARGE, "The header has too many fields.\n");
    head->fields++;
    for (size_t i = 0; i < ARRAY_LENGTH(known_fields); i++)
        if (bytes_is_nocase(name, known_fields[i].name))
            return known_fields[i].take(head, value);
    return HTTP_FINE;
}

/* ---- the end of the head ---- */

/* RFC 9112 6.1, 6.3 */
static struct http_refusal find_framing(struct http_head *head)
{
    struct http_request *request = &head->request;
    if (head->codings > 0 && head->lengths > 0)
        return http_bad("Content-Length and Transfer-Encoding must not be used together.\n");
    if (head->codings > 0 && request->minor == 0)
        return http_bad("HTTP/1.0 has no Transfer-Encoding.\n");
    if (head->codings > 1)
        return http_bad("Transfer-Encoding must have one value.\n");
    if (head->codings > 0 && !head->is_chunked)
        return HTTP_REFUSAL(HTTP_NOT_IMPLEMENTED, "The only transfer-coding of this server is chunked.\n");
    request->framing = head->codings > 0      ? HTTP_BODY_IN_CHUNKS
                       : request->length == 0 ? HTTP_NO_BODY
                                              : HTTP_BODY_BY_LENGTH;
    return HTTP_FINE;
}

static struct http_refusal end_head(struct http_head *head)
{
    struct http_request *request = &head->request;
    if (head->hosts > 1 || (head->hosts == 0 && request->minor > 0))
        return http_bad("HTTP/1.1 needs one field Host.\n");
    struct http_refusal refusal = find_framing(head);
    request->persists = !head->closes && (request->minor > 0 || head->keeps_alive);
    head->is_complete = refusal.status == 0;
    return refusal;
}

/* ---- lines ---- */

static struct http_refusal take_line(struct http_head *head, struct bytes line)
{
    if (bytes_find(line, '\r') != SIZE_MAX)
        return http_bad("A line of the header contains a bare CR.\n");
    if (!head->has_line && line.length == 0 && !head->has_empty_line) {
        head->has_empty_line = true;
        return HTTP_FINE;
    }
    if (!head->has_line)
        return take_request_line(head, line);
    if (line.length == 0)
        return end_head(head);
    head->octets += line.length + 2;
    return take_field(head, line);
}

/* A client of another protocol is told at its first octet, not when its line ends. */
static struct http_refusal look_at_first(const struct http_head *head, struct bytes unread)
{
    if (head->has_line || unread.length == 0 || unread.at[0] == '\r' || unread.at[0] == '\n' ||
        http_text_is_token_octet(unread.at[0]))
        return HTTP_FINE;
    return http_bad("This is not an HTTP request.\n");
}

size_t http_head_feed(struct http_head *head, struct bytes unread)
{
    http_head_check(head);
    if (head->is_complete || head->refusal.status != 0)
        return 0;
    /* without CRLF; an empty line fits always */
    size_t line_max = HTTP_LINE_MAX;
    if (head->has_line)
        line_max = HTTP_FIELDS_MAX - head->octets < 2 ? 0 : HTTP_FIELDS_MAX - head->octets - 2;
    struct bytes window = bytes_first(unread, line_max + 2);
    size_t newline = bytes_find(window, '\n');
    head->refusal = look_at_first(head, unread);
    if (head->refusal.status != 0)
        return 0;
    if (newline == SIZE_MAX) {
        if (window.length == line_max + 2)
            head->refusal = head->has_line
                                ? HTTP_REFUSAL(HTTP_FIELDS_TOO_LARGE, "The header is too large.\n")
                                : HTTP_REFUSAL(HTTP_URI_TOO_LONG, "The request line is too long.\n");
        return 0;
    }
    head->refusal = newline == 0 || unread.at[newline - 1] != '\r'
                        ? http_bad("A line of the header ends in a bare LF.\n")
                        : take_line(head, bytes_first(unread, newline - 1));
    http_head_check(head);
    return head->refusal.status == 0 ? newline + 1 : 0;
}

void http_head_clear(struct http_head *head)
{
    arena_clear(&head->arena);
    *head = (struct http_head){0};
}
