/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_look: a look at a web port of a host, for a diagnosis: is it there, how
 * far away, and on 443 whose certificate is it? No octet of HTTP is sent.
 *
 * web_look_start(), then on_done() once, from the loop; then `fact` has what
 * was seen. web_look_end() in any case.
 */
#ifndef MAILBOAT_DIAL_WEB_LOOK_H
#define MAILBOAT_DIAL_WEB_LOOK_H

#include "core/diagnosis/attempt_facts.h"
#include "io/conn.h"

enum web_look_limit { WEB_LOOK_CONNECT_MS = 2500, WEB_LOOK_TLS_MS = 2000 };
enum { WEB_LOOK_TLS_PORT = 443, WEB_LOOK_CLEAR_PORT = 80 };

struct web_look {
    const char *host; /* asked for in TLS; lives as long as the look */
    struct conn conn;
    struct timer timer;
    struct tls_context *tls;
    uint64_t started_ms;
    struct attempt_line line;
    struct fact_attempt fact;
    bool started, done;
    void (*on_done)(void *owner);
    void *owner;
};

void web_look_start(struct web_look *look, struct loop *loop, struct tls_context *tls, const char *host,
                    const struct route_address *address, uint16_t port, void (*on_done)(void *owner),
                    void *owner);
void web_look_end(struct web_look *look);

#endif
