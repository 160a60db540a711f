/* SPDX-License-Identifier: Apache-2.0 */
#include "io/conn_tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

enum { TLS_RECORD_MAX = 16 * 1024 }; /* octets of a TLS record (RFC 8446 5.1) */

/* ---- octets ---- */

/* The version that a client offered at most, where it is older than those that are accepted. */
static const char *offered_version(const SSL *ssl)
{
    switch (SSL_client_version(ssl)) {
    case SSL3_VERSION: return "SSL 3.0";
    case TLS1_VERSION: return "TLS 1.0";
    case TLS1_1_VERSION: return "TLS 1.1";
    default: return "an old TLS version";
    }
}

static void end_with_old_tls(struct conn *conn)
{
    char why[sizeof conn->why];
    snprintf(why, sizeof why, "the client offers %s at most; TLS 1.2 or 1.3 is required",
             offered_version(conn->ssl));
    conn_end_with(conn, CONN_END_TLS, why);
    conn->hint = "update the mail program or its system; a device that cannot be updated can send through "
                 "a relay in its network that knows TLS 1.2";
}

static void end_with_tls(struct conn *conn)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    conn->tls_problem = code;
    if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER || ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)
        conn_end_with(conn, CONN_END_TLS, "the peer sent plain text where TLS was expected");
    else if (ERR_GET_REASON(code) == SSL_R_UNSUPPORTED_PROTOCOL && SSL_is_server(conn->ssl))
        end_with_old_tls(conn);
    else if (code == 0)
        conn_end_with(conn, conn->handshaking ? CONN_END_TLS : CONN_END_CLOSED,
                      "the connection was closed during TLS");
    else
        conn_end_with(conn, CONN_END_TLS, reason == NULL ? "TLS failed" : reason);
    ERR_clear_error();
}

ssize_t conn_read_tls(struct conn *conn, char *room, size_t size)
{
    size_t total = 0;
    tls_socket_turn(&conn->tls, CONN_TLS_TURN_MAX);
    while (total < size) {
        ERR_clear_error();
        int got = SSL_read(conn->ssl, room + total, (int)(size - total));
        if (got > 0) {
            total += (size_t)got;
            conn->tls.vain = 0;
            if (got < TLS_RECORD_MAX && !SSL_has_pending(conn->ssl))
                return (ssize_t)total; /* interactive: the next input wakes the loop, no need to poll */
            continue;
        }
        int problem = SSL_get_error(conn->ssl, got);
        if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE)
            return (ssize_t)total;
        if (total > 0)
            break; /* the end is found again after this is consumed */
        if (conn->tls.vain > TLS_VAIN_RECORDS_MAX)
            conn_end_with(conn, CONN_END_TLS, "too many TLS records without content");
        else if (problem == SSL_ERROR_ZERO_RETURN)
            conn_end_with(conn, CONN_END_CLOSED, "the connection was closed");
        else if (problem == SSL_ERROR_SYSCALL && errno != 0)
            conn_end_with_errno(conn, errno);
        else
            end_with_tls(conn);
        return -1;
    }
    conn_wake(conn, true, false); /* octets buffered in OpenSSL do not make the socket readable */
    return (ssize_t)total;
}

ssize_t conn_write_tls(struct conn *conn, struct bytes b)
{
    ERR_clear_error();
    int sent = SSL_write(conn->ssl, b.at, (int)(b.length < INT32_MAX ? b.length : INT32_MAX));
    if (sent > 0)
        return sent;
    int problem = SSL_get_error(conn->ssl, sent);
    if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE)
        return 0;
    if (problem == SSL_ERROR_SYSCALL && errno != 0)
        conn_end_with_errno(conn, errno);
    else
        end_with_tls(conn);
    return -1;
}

/* ---- the handshake ---- */

void conn_begin_tls(struct conn *conn, struct tls_context *context)
{
    assert(conn->ssl == NULL);
    conn->fresh = bytes_none();
    conn_flush(conn);
    buffer_free(&conn->input); /* RFC 3207 4.2: plain text after STARTTLS is discarded */
    conn->ssl = SSL_new(context->ssl);
    if (conn->ssl == NULL || !tls_socket_start(&conn->tls, conn->descriptor, conn->ssl)) {
        SSL_free(conn->ssl);
        conn->ssl = NULL;
        conn_end_with(conn, CONN_END_TLS, "out of memory for TLS");
        return;
    }
    SSL_set_app_data(conn->ssl, conn);
    conn->handshaking = true;
    conn->clear_left = conn->output.length;
    conn_wake(conn, true, true);
}

void conn_start_tls_server(struct conn *conn, struct tls_context *context)
{
    conn_begin_tls(conn, context);
    if (conn->ssl != NULL)
        SSL_set_accept_state(conn->ssl);
}

/* True once all output before STARTTLS has been sent. */
static bool clear_is_sent(struct conn *conn)
{
    while (conn->clear_left > 0) {
        ssize_t sent = conn_write_clear(conn, bytes_first(buffer_bytes(&conn->output), conn->clear_left));
        if (sent < 0)
            return false;
        if (sent == 0) {
            watch_change(&conn->watch, false, true);
            return false;
        }
        buffer_consume(&conn->output, (size_t)sent);
        conn->clear_left -= (size_t)sent;
    }
    return true;
}

static void finish_handshake(struct conn *conn)
{
    conn->handshaking = false;
    conn->tls.counts = true;
    if (conn->context != NULL && SSL_session_reused(conn->ssl) == 1)
        /* resumed without a certificate: the session's result applies */
        conn->verify_error = conn->resumed_error;
    if (conn->verify && conn_tls_certificate(conn) != TLS_CERTIFICATE_VALID) {
        conn_end_with(conn, CONN_END_TLS, conn_certificate_sentence(conn_tls_certificate(conn)));
        return;
    }
    if (!conn_tell(conn, conn->events->on_tls))
        return;
    conn_flush(conn);
    conn_read_on(conn);
}

void conn_handshake(struct conn *conn)
{
    if (conn_client_is_gone(conn))
        conn_end_with(conn, CONN_END_TLS, "the connection was closed during TLS");
    if (conn->ended || !clear_is_sent(conn))
        return;
    ERR_clear_error();
    size_t most = SSL_is_server(conn->ssl) ? CONN_HELLO_MAX : CONN_CHAIN_MAX;
    tls_socket_turn(&conn->tls, most - conn->tls.heard);
    int done = SSL_do_handshake(conn->ssl);
    if (!SSL_is_server(conn->ssl) && conn_met_clear_text(conn)) { /* its first octet is enough */
        conn_end_with(conn, CONN_END_TLS, "the peer sent plain text where TLS was expected");
        ERR_clear_error();
        return;
    }
    if (done == 1) {
        finish_handshake(conn);
        return;
    }
    int problem = SSL_get_error(conn->ssl, done);
    if (conn->tls.refused || (problem == SSL_ERROR_WANT_READ && conn->tls.heard >= most))
        conn_end_with(conn, CONN_END_TLS, "the peer's TLS handshake is too long");
    else if (problem == SSL_ERROR_WANT_READ)
        watch_change(&conn->watch, true, false);
    else if (problem == SSL_ERROR_WANT_WRITE)
        watch_change(&conn->watch, false, true);
    else if (problem == SSL_ERROR_SYSCALL && errno != 0 && ERR_peek_last_error() == 0)
        conn_end_with_errno(conn, errno);
    else
        end_with_tls(conn);
}

void conn_queue_handshakes(struct conn *conn, struct handshakes *handshakes,
                           const struct handshake_network *network)
{
    conn->handshake = (struct handshake_place){.handshakes = handshakes, .network = *network};
}

void conn_handshake_ready(struct conn *conn, bool woken)
{
    if (conn->handshake.handshakes == NULL)
        conn_handshake(conn);
    else if (conn->handshake.lane != NULL)
        watch_change(&conn->watch, false, false); /* waits for its turn: stops watching until then */
    else if (!woken)
        handshakes_queue(conn);
    else if (clear_is_sent(conn)) /* waits for the client's octets */
        watch_change(&conn->watch, true, false);
}
