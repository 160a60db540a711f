/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <unistd.h>

#include "io/conn_tls.h"

/* Input is read here first; only unread octets cost memory. A process runs one loop, so one buffer is
 * enough. */
static char scratch[CONN_INPUT_MAX];
/* The conn whose callback is running; NULL once it was closed there. */
static struct conn *running;

static void watch_interest(struct conn *conn);
static void on_ready(void *owner, bool readable, bool writable);

static const struct conn_events no_events;

enum { SHRINK_ABOVE = 4096 }; /* octets of capacity */

/* ---- life ---- */

static void timeout_rang(evutil_socket_t descriptor, short what, void *owner)
{
    struct conn *conn = owner;
    if (conn->events->on_timeout != NULL)
        conn->events->on_timeout(conn->owner);
}

static void start(struct conn *conn, struct loop *loop, int descriptor, const struct conn_events *events,
                  void *owner)
{
    *conn = (struct conn){.loop = loop,
                          .events = events == NULL ? &no_events : events,
                          .owner = owner,
                          .descriptor = descriptor};
    event_assign(&conn->timeout, loop->base, -1, 0, timeout_rang, conn);
}

void conn_start(struct conn *conn, struct loop *loop, int descriptor, const struct conn_events *events,
                void *owner)
{
    start(conn, loop, descriptor, events, owner);
    watch_start(&conn->watch, loop, descriptor, true, false, on_ready, conn);
}

void conn_end_with(struct conn *conn, enum conn_end end, const char *why)
{
    if (conn->ended)
        return;
    conn->ended = true;
    conn->end = end;
    if (why != NULL)
        snprintf(conn->why, sizeof conn->why, "%s", why);
    watch_change(&conn->watch, false, false);
    event_active(&conn->watch.event, EV_TIMEOUT, 1);
}

void conn_end_with_errno(struct conn *conn, int number)
{
    if (!conn->ended)
        conn->number = number;
    conn_end_with(conn, conn_end_of(number), strerror(number));
}

void conn_connect(struct conn *conn, struct loop *loop, const struct sockaddr *address, socklen_t length,
                  const struct conn_events *events, void *owner)
{
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int socket_errno = errno, one = 1;
    start(conn, loop, descriptor, events, owner);
    conn->connecting = true;
    watch_start(&conn->watch, loop, descriptor, false, false, on_ready, conn);
    if (descriptor < 0) {
        conn_end_with_errno(conn, socket_errno);
        return;
    }
    if (address->sa_family != AF_UNIX)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn_icmp_expect(&conn->icmp, descriptor, address->sa_family);
    if (connect(descriptor, address, length) != 0 && errno != EINPROGRESS) {
        int number = errno;
        conn_icmp_take(&conn->icmp, descriptor);
        conn_end_with_errno(conn, number);
        return;
    }
    watch_change(&conn->watch, false, true);
}

void conn_close(struct conn *conn)
{
    if (conn->loop == NULL)
        return;
    if (running == conn)
        running = NULL;
    handshakes_leave(conn, conn->handshaking);
    watch_stop(&conn->watch);
    event_del(&conn->timeout);
    if (conn->ssl != NULL) {
        if (!conn->handshaking && !conn->ended)
            SSL_shutdown(conn->ssl); /* close_notify, if the socket accepts it */
        SSL_free(conn->ssl);
        ERR_clear_error();
    }
    if (conn->descriptor >= 0)
        close(conn->descriptor);
    buffer_free(&conn->input);
    buffer_free(&conn->output);
    buffer_free(&conn->session_key);
    buffer_free(&conn->tls.clear);
    conn->ssl = NULL;
    conn->loop = NULL;
    conn->descriptor = -1;
    conn->fresh = bytes_none();
    conn->wake_read = conn->wake_write = false;
}

void conn_shut(struct conn *conn)
{
    if (conn->loop == NULL || conn->ended || conn->handshaking)
        return;
    assert(conn->output.length == 0);
    if (conn->ssl != NULL) {
        SSL_shutdown(conn->ssl);
        ERR_clear_error();
    }
    shutdown(conn->descriptor, SHUT_WR);
}

bool conn_tell(struct conn *conn, void (*event)(void *owner))
{
    running = conn;
    if (event != NULL)
        event(conn->owner);
    if (running != conn)
        return false;
    running = NULL;
    return true;
}

/* ---- reading ---- */

struct bytes conn_input(const struct conn *conn)
{
    return conn->fresh.length > 0 ? conn->fresh : buffer_bytes(&conn->input);
}

/* Releases input capacity: an incomplete line must not keep the memory of all input before it. */
static void input_shrink(struct conn *conn)
{
    struct buffer small = {0};
    if (conn->input.length > 0 &&
        (conn->input.capacity < SHRINK_ABOVE || conn->input.length > conn->input.capacity / 4))
        return;
    if (conn->input.length > 0)
        buffer_add(&small, buffer_bytes(&conn->input));
    buffer_free(&conn->input);
    conn->input = small;
}

void conn_consume(struct conn *conn, size_t count)
{
    if (conn->fresh.length > 0) {
        conn->fresh = bytes_from(conn->fresh, count);
        return;
    }
    bool was_full = conn->input.length >= CONN_INPUT_MAX;
    buffer_consume(&conn->input, count);
    input_shrink(conn);
    if (was_full && running != conn)
        conn_read_on(conn);
}

bool conn_input_is_tls(const struct conn *conn)
{
    struct bytes input = conn_input(conn);
    return input.length >= 3 && input.at[0] == 0x16 && input.at[1] == 0x03;
}

/* Returns octets read, 0 if none are available, -1 if the conn ended. */
static ssize_t read_clear(struct conn *conn, char *room, size_t size)
{
    ssize_t got;
    do
        got = read(conn->descriptor, room, size);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got == 0)
        conn_end_with(conn, CONN_END_CLOSED, "the connection was closed");
    else
        conn_end_with_errno(conn, errno);
    return -1;
}

void conn_read_on(struct conn *conn)
{
    if (conn->loop == NULL || conn->ended)
        return;
    watch_interest(conn);
    if (conn->ssl != NULL && !conn->handshaking && SSL_has_pending(conn->ssl))
        conn_wake(conn, true, false);
}

/* Reads once and notifies the owner. */
static void read_input(struct conn *conn)
{
    size_t room = CONN_INPUT_MAX - conn->input.length;
    if (room == 0)
        return;
    ssize_t got = conn->ssl != NULL ? conn_read_tls(conn, scratch, room) : read_clear(conn, scratch, room);
    if (got <= 0)
        return;
    if (conn->timeout_ms > 0 && !conn->deadline)
        event_add(&conn->timeout, loop_common_timeout(conn->loop, conn->timeout_ms));
    if (conn->input.length == 0)
        conn->fresh = bytes_of(scratch, (size_t)got);
    else
        buffer_add(&conn->input, bytes_of(scratch, (size_t)got));
    if (!conn_tell(conn, conn->events->on_input))
        return;
    struct bytes left = conn->fresh;
    conn->fresh = bytes_none();
    if (left.length > 0)
        buffer_add(&conn->input, left);
    conn_flush(conn);
    watch_interest(conn);
}

void conn_pause(struct conn *conn, bool paused)
{
    if (conn->paused == paused || conn->loop == NULL)
        return;
    conn->paused = paused;
    if (paused)
        return; /* watches the socket again only when it has octets: most pauses end before */
    conn->deaf = false;
    conn_read_on(conn);
}

/* ---- writing ---- */

void conn_write(struct conn *conn, struct bytes b)
{
    if (conn->loop == NULL || conn->ended)
        return;
    buffer_add(&conn->output, b);
    conn->full = conn->full || conn_output_is_full(conn);
    if (running != conn)
        conn_wake(conn, false, true); /* sent in the next turn unless conn_flush() comes first */
}

size_t conn_unsent(const struct conn *conn)
{
    return conn->output.length;
}

ssize_t conn_write_clear(struct conn *conn, struct bytes b)
{
    ssize_t sent;
    do
        sent = send(conn->descriptor, b.at, b.length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN)
        return 0;
    conn_end_with_errno(conn, errno);
    return -1;
}

void conn_flush(struct conn *conn)
{
    if (conn->loop == NULL || conn->ended || conn->connecting || conn->handshaking)
        return;
    while (conn->output.length > 0) {
        struct bytes unsent = buffer_bytes(&conn->output);
        ssize_t sent = conn->ssl != NULL ? conn_write_tls(conn, unsent) : conn_write_clear(conn, unsent);
        if (sent < 0)
            return;
        if (sent == 0)
            break;
        buffer_consume(&conn->output, (size_t)sent);
    }
    if (conn->output.length == 0)
        buffer_free(&conn->output);
    if (conn->output.length == 0 && conn->full) { /* also if the kernel accepted everything immediately */
        conn->full = false;
        conn->drained = true;
        conn_wake(conn, false, true);
    }
    watch_interest(conn);
}

/* ---- events of the loop ---- */

static void watch_interest(struct conn *conn)
{
    if (conn->ended || conn->connecting || conn->handshaking || conn->loop == NULL)
        return;
    watch_change(&conn->watch, !conn->deaf && (conn->input.length < CONN_INPUT_MAX),
                 (conn->output.length > 0));
    if (conn->wake_read || conn->wake_write) /* changing the watch clears pending wake-ups */
        event_active(&conn->watch.event, EV_READ, 1);
}

void conn_wake(struct conn *conn, bool read, bool write)
{
    conn->wake_read |= read;
    conn->wake_write |= write;
    event_active(&conn->watch.event, EV_READ, 1);
}

static void finish_connect(struct conn *conn)
{
    int problem = 0;
    socklen_t length = sizeof problem;
    getsockopt(conn->descriptor, SOL_SOCKET, SO_ERROR, &problem, &length);
    if (problem != 0) {
        conn_icmp_take(&conn->icmp, conn->descriptor);
        conn_end_with_errno(conn, problem);
        return;
    }
    conn_icmp_ignore(&conn->icmp, conn->descriptor);
    conn->connecting = false;
    if (!conn_tell(conn, conn->events->on_connected))
        return;
    conn_flush(conn);
    watch_interest(conn);
}

/* False if the owner closed the conn. */
static bool write_ready(struct conn *conn)
{
    bool waited = conn->output.length > 0;
    conn_flush(conn);
    waited = waited || conn->drained;
    if (!waited || conn->ended || conn->output.length > 0 || conn->events->on_drained == NULL)
        return true;
    conn->drained = false;
    if (!conn_tell(conn, conn->events->on_drained))
        return false;
    conn_flush(conn);
    return true;
}

enum { TLS_HANDSHAKE_RECORD = 0x16 }; /* RFC 8446 5.1; no SMTP command starts with it */

void conn_await_first(struct conn *conn)
{
    conn->awaiting_first = true;
}

void conn_end_await(struct conn *conn)
{
    conn->awaiting_first = false;
}

/* False if the owner closed the conn or started TLS. */
static bool look_at_first(struct conn *conn)
{
    unsigned char first = 0;
    ssize_t got = recv(conn->descriptor, &first, 1, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    conn->awaiting_first = false;
    if (got <= 0)
        return true; /* reading reports the result */
    running = conn;
    conn->events->on_first(conn->owner, first == TLS_HANDSHAKE_RECORD);
    if (running != conn)
        return false;
    running = NULL;
    conn_flush(conn);
    return conn->ssl == NULL;
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct conn *conn = owner;
    if (conn->ended) {
        if (!conn->end_reported) {
            conn->end_reported = true;
            if (conn->events->on_end != NULL)
                conn->events->on_end(conn->owner, conn->end);
        }
        return;
    }
    if (conn->connecting) {
        if (writable)
            finish_connect(conn);
        return;
    }
    bool woken = conn->wake_read || conn->wake_write;
    if (woken) {
        readable = conn->wake_read;
        writable = conn->wake_write || writable;
        conn->wake_read = conn->wake_write = false;
    }
    if (conn->handshaking) {
        conn_handshake_ready(conn, woken);
        return;
    }
    if (writable && !write_ready(conn))
        return;
    if (!readable || conn->ended || (conn->awaiting_first && !look_at_first(conn)))
        return;
    if (!conn->paused) {
        read_input(conn);
        return;
    }
    conn->deaf = true;
    watch_interest(conn);
}

void conn_set_timeout(struct conn *conn, uint32_t timeout_ms)
{
    if (conn->loop == NULL)
        return;
    conn->deadline = false;
    conn->timeout_ms = timeout_ms;
    if (timeout_ms == 0)
        event_del(&conn->timeout);
    else
        event_add(&conn->timeout, loop_common_timeout(conn->loop, timeout_ms));
}

void conn_set_deadline(struct conn *conn, uint32_t timeout_ms)
{
    conn_set_timeout(conn, timeout_ms);
    conn->deadline = true;
}
