/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/web_look.h"

#include <netinet/in.h>
#include <stdio.h>

#include "io/clock.h"
#include "io/conn_evidence.h"

static uint32_t since_start_ms(const struct web_look *look)
{
    return (uint32_t)(clock_now_ms() - look->started_ms);
}

/* Copies the evidence of TLS and ends the look. */
static void finish(struct web_look *look)
{
    if (look->done)
        return;
    look->done = true;
    conn_evidence_take(&look->conn, look->host, &look->line);
    look->fact.took_ms = since_start_ms(look);
    look->fact.tls = look->line.tls;
    look->fact.tls_sent = look->line.tls_sent;
    look->fact.tls_received = look->line.tls_received;
    look->fact.certificate = look->line.certificate;
    memcpy(look->fact.tls_version, look->line.tls_version, sizeof look->fact.tls_version);
    if (look->fact.tls == FACT_TLS_DONE)
        look->fact.voice = VOICE_TLS;
    snprintf(look->fact.said, sizeof look->fact.said, "%s", look->conn.why);
    timer_cancel(&look->timer);
    conn_close(&look->conn);
    look->on_done(look->owner);
}

static void on_connected(void *owner)
{
    struct web_look *look = owner;
    look->fact.reach = REACH_CONNECTED;
    look->fact.connect_ms = since_start_ms(look);
    if (!look->fact.implicit_tls) {
        finish(look);
        return;
    }
    timer_set(&look->timer, WEB_LOOK_TLS_MS);
    conn_start_tls_client(&look->conn, look->tls, look->host, false);
}

static void on_tls(void *owner)
{
    finish(owner);
}

static void on_end(void *owner, enum conn_end end)
{
    struct web_look *look = owner;
    if (look->fact.reach == REACH_UNKNOWN) {
        conn_evidence_take(&look->conn, look->host, &look->line);
        look->fact.reach = end == CONN_END_REFUSED || end == CONN_END_RESET ? REACH_REFUSED
                           : end == CONN_END_TIMEOUT                        ? REACH_SILENT
                                                                            : REACH_UNREACHABLE;
        if (look->fact.reach == REACH_UNREACHABLE)
            look->fact.unreachable = look->line.unreachable;
        look->fact.connect_ms = look->fact.reach == REACH_SILENT ? 0 : since_start_ms(look);
    }
    finish(look);
}

static void on_time(void *owner)
{
    struct web_look *look = owner;
    if (look->fact.reach == REACH_UNKNOWN)
        look->fact.reach = REACH_SILENT;
    finish(look);
}

void web_look_start(struct web_look *look, struct loop *loop, struct tls_context *tls, const char *host,
                    const struct route_address *address, uint16_t port, void (*on_done)(void *owner),
                    void *owner)
{
    static const struct conn_events events = {
        .on_connected = on_connected, .on_tls = on_tls, .on_end = on_end};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct buffer text = {0};
    *look = (struct web_look){
        .host = host,
        .tls = tls,
        .started_ms = clock_now_ms(),
        .fact = {.six = address->six, .port = port, .implicit_tls = port == WEB_LOOK_TLS_PORT},
        .started = true,
        .on_done = on_done,
        .owner = owner};
    route_address_text(&text, address);
    client_record_text(look->fact.address, sizeof look->fact.address, buffer_bytes(&text), false);
    buffer_free(&text);
    memcpy(&six.sin6_addr, address->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, address->octets, sizeof four.sin_addr);
    timer_start(&look->timer, loop, on_time, look);
    timer_set(&look->timer, WEB_LOOK_CONNECT_MS);
    conn_connect(&look->conn, loop, address->six ? (const void *)&six : (const void *)&four,
                 address->six ? sizeof six : sizeof four, &events, look);
}

void web_look_end(struct web_look *look)
{
    if (!look->started || look->done)
        return;
    look->done = true;
    timer_cancel(&look->timer);
    conn_close(&look->conn);
}
