/* SPDX-License-Identifier: Apache-2.0 */
/* conn_tls: functions of a TLS connection shared by conn.c, conn_peer.c and conn_evidence.c, and included
 * only there. */
#ifndef MAILBOAT_IO_CONN_TLS_H
#define MAILBOAT_IO_CONN_TLS_H

#include "io/conn.h"

/* ---- conn.c ---- */

/* Records how the conn ended; on_end follows from the loop. */
void conn_end_with(struct conn *conn, enum conn_end end, const char *why);
void conn_end_with_errno(struct conn *conn, int number);
/* Comes back from the loop, as if the socket were ready. */
void conn_wake(struct conn *conn, bool read, bool write);
/* Resumes reading after a pause. */
void conn_read_on(struct conn *conn);
/* Notifies the owner, unless it has no such callback. False when the owner closed the conn. */
bool conn_tell(struct conn *conn, void (*event)(void *owner));
/* Returns octets sent, 0 if the socket is full, -1 if the conn ended; so do the two below. */
ssize_t conn_write_clear(struct conn *conn, struct bytes b);

/* ---- conn_tls.c ---- */

ssize_t conn_read_tls(struct conn *conn, char *room, size_t size);
ssize_t conn_write_tls(struct conn *conn, struct bytes b);
/* Input may have arrived for the handshake; it is done at once, or in its turn. */
void conn_handshake_ready(struct conn *conn, bool woken);
/* Creates the SSL of a conn, whose handshake the loop drives from the next turn on; the caller sets the
 * side, client or server. Out of memory, conn->ssl is NULL and the conn ends. */
void conn_begin_tls(struct conn *conn, struct tls_context *context);
/* Continues the handshake with the octets available. */
void conn_handshake(struct conn *conn);
/* True if a client hung up before its ClientHello was processed: the handshake is then not started,
 * because that costs more CPU than the client spent. */
bool conn_client_is_gone(const struct conn *conn);
/* True if the certificate names the host (RFC 9525 6); nothing else is checked. */
bool conn_certificate_names(X509 *certificate, const char *host);
/* Returns why a certificate is not valid. */
const char *conn_certificate_sentence(enum tls_certificate verdict);

#endif
