/* SPDX-License-Identifier: Apache-2.0 */
/* conn_tls: functions of a TLS connection shared by conn.c and conn_peer.c, and included only there. */
#ifndef MAILBOAT_IO_CONN_TLS_H
#define MAILBOAT_IO_CONN_TLS_H

#include "io/conn.h"

/* Creates the SSL of a conn, whose handshake the loop drives from the next turn on; the caller sets the
 * side, client or server. Out of memory, conn->ssl is NULL and the conn ends. */
void conn_begin_tls(struct conn *conn, struct tls_context *context);
/* Continues the handshake with the octets available. */
void conn_handshake(struct conn *conn);
/* True if a client hung up before its ClientHello was processed: the handshake is then not started,
 * because that costs more CPU than the client spent. */
bool conn_client_is_gone(const struct conn *conn);
/* Returns why a certificate is not valid. */
const char *conn_certificate_sentence(enum tls_certificate verdict);

#endif
