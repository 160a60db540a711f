/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ends: connections for tests. An end is a conn that records its events; TURN_UNTIL runs the loop until a
 * condition holds, and fails after some seconds.
 */
#ifndef MAILBOAT_TEST_ENDS_H
#define MAILBOAT_TEST_ENDS_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "io/clock.h"
#include "io/conn.h"
#include "io/folder.h"
#include "io/timer.h"
#include "io/tls.h"
#include "unit.h"

enum { TURN_LIMIT_MS = 10 * 1000 };

struct unit_end {
    struct conn conn;
    struct buffer heard;
    bool keep_unread; /* input stays in the conn */
    bool echo;
    int connected, tls, drained, timed_out, inputs, ended, first;
    bool first_is_tls;
    enum conn_end how;
    void (*then)(struct unit_end *end, const char *event); /* after each event; may close and free */
};

static struct loop loop;
static struct timer end_tick;

static void end_tick_rang(void *owner) {}

/* One turn of the loop, never longer than a moment. */
static inline void turn(void)
{
    timer_set(&end_tick, 50);
    event_base_loop(loop.base, EVLOOP_ONCE);
}

#define TURN_UNTIL(condition)                               \
    do {                                                    \
        uint64_t limit_ms = clock_now_ms() + TURN_LIMIT_MS; \
        while (!(condition)) {                              \
            assert_true(clock_now_ms() < limit_ms);         \
            turn();                                         \
        }                                                   \
    } while (0)

static int ends_setup(void **state)
{
    if (!loop_start(&loop, NULL))
        return -1;
    timer_start(&end_tick, &loop, end_tick_rang, NULL);
    return 0;
}

static int ends_teardown(void **state)
{
    timer_cancel(&end_tick);
    loop_free(&loop);
    return 0;
}

/* Makes a server's context with a fresh certificate, and on request a client's that trusts it. */
static inline bool ends_tls(struct tls_context *server, struct tls_context *client)
{
    char path[] = "/tmp/mailboat-ends-XXXXXX", certificate[64], key[64];
    struct folder own;
    if (mkdtemp(path) == NULL)
        return false;
    snprintf(certificate, sizeof certificate, "%s/c.pem", path);
    snprintf(key, sizeof key, "%s/k.pem", path);
    bool fine = folder_open(&own, path, 0, FOLDER_TRUSTED, NULL) &&
                tls_make_self_signed("mx.example.org", &own, "c.pem", "k.pem", NULL) &&
                tls_server_open(server, certificate, key, NULL) &&
                (client == NULL || tls_client_open(client, certificate, NULL));
    folder_close(&own);
    unlink(certificate);
    unlink(key);
    rmdir(path);
    return fine;
}

static inline void end_then(struct unit_end *end, const char *event)
{
    if (end->then != NULL)
        end->then(end, event);
}

static void end_connected(void *owner)
{
    struct unit_end *end = owner;
    end->connected++;
    end_then(end, "connected");
}

static void end_input(void *owner)
{
    struct unit_end *end = owner;
    end->inputs++;
    if (!end->keep_unread) {
        struct bytes input = conn_input(&end->conn);
        if (end->echo)
            conn_write(&end->conn, input);
        else
            buffer_add(&end->heard, input);
        conn_consume(&end->conn, input.length);
    }
    end_then(end, "input");
}

static void end_drained(void *owner)
{
    struct unit_end *end = owner;
    end->drained++;
    end_then(end, "drained");
}

static void end_tls(void *owner)
{
    struct unit_end *end = owner;
    end->tls++;
    end_then(end, "tls");
}

static void end_ended(void *owner, enum conn_end how)
{
    struct unit_end *end = owner;
    end->ended++;
    end->how = how;
    end_then(end, "end");
}

static void end_timeout(void *owner)
{
    struct unit_end *end = owner;
    end->timed_out++;
    end_then(end, "timeout");
}

static void end_first(void *owner, bool tls)
{
    struct unit_end *end = owner;
    end->first++;
    end->first_is_tls = tls;
    end_then(end, "first");
}

static const struct conn_events end_events = {.on_connected = end_connected,
                                              .on_input = end_input,
                                              .on_drained = end_drained,
                                              .on_tls = end_tls,
                                              .on_end = end_ended,
                                              .on_timeout = end_timeout,
                                              .on_first = end_first};

static inline void end_close(struct unit_end *end)
{
    conn_close(&end->conn);
    buffer_free(&end->heard);
}

/* Two ends of one stream. */
static inline void ends_pair(struct unit_end *a, struct unit_end *b)
{
    int descriptors[2];
    *a = *b = (struct unit_end){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors), 0);
    conn_start(&a->conn, &loop, descriptors[0], &end_events, a);
    conn_start(&b->conn, &loop, descriptors[1], &end_events, b);
}

/* An end, and the other one as a bare descriptor. */
static inline int end_and_descriptor(struct unit_end *end, int type)
{
    int descriptors[2];
    *end = (struct unit_end){0};
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, descriptors), 0);
    assert_int_equal(evutil_make_socket_nonblocking(descriptors[0]), 0);
    conn_start(&end->conn, &loop, descriptors[0], &end_events, end);
    return descriptors[1];
}

#endif
