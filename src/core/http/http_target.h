/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_target: what a request is for (RFC 9112 3.2, RFC 3986). The path is decoded once; a path that a proxy
 * in front could read in another way than this server is refused: dot segments, an encoded or a back slash,
 * control characters, a half percent sign. No browser and no library sends one.
 */
#ifndef MAILBOAT_CORE_HTTP_HTTP_TARGET_H
#define MAILBOAT_CORE_HTTP_HTTP_TARGET_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/http/http_status.h"

/* The methods that this server knows, as bits. */
enum http_method {
    HTTP_METHOD_OTHER = 0,
    HTTP_METHOD_GET = 1,
    HTTP_METHOD_HEAD = 2,
    HTTP_METHOD_POST = 4,
    HTTP_METHOD_OPTIONS = 8,
    HTTP_METHOD_CONNECT = 16,
};

struct http_target {
    struct bytes path;  /* decoded, begins with "/"; "*" of OPTIONS; empty of CONNECT */
    struct bytes query; /* as sent, without "?" */
    struct bytes host;  /* of the absolute form, with its port; empty in the others */
};

/* Reads any of the four forms: "/path?query"; "http://host/path", as to a proxy; "host:port" with CONNECT
 * only;
 * "*" with OPTIONS only. Its text is copied into the arena. Refuses with 400. */
struct http_refusal http_target_parse(struct bytes raw, enum http_method method, struct arena *arena,
                                      struct http_target *target);

/* Appends the decoded value of the first field of a query with this name (ASCII case does not count), as HTML
 * forms write it: "+" is a space. False if there is none. The query is one of http_target_parse(). */
bool http_target_query_value(struct bytes query, const char *name, struct buffer *value);

#endif
