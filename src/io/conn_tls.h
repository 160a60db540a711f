/* SPDX-License-Identifier: Apache-2.0 */
/* conn_tls: what conn.c and conn_peer.c share of a TLS connection; nobody else includes it. */
#ifndef MAILBOAT_IO_CONN_TLS_H
#define MAILBOAT_IO_CONN_TLS_H

#include "io/conn.h"

/* Makes the SSL of a conn, whose handshake the loop drives from the next turn
 * on; whose side it takes is the caller's to say. conn->ssl is NULL, and the
 * conn ends, where there is no memory. */
void conn_begin_tls(struct conn *conn, struct tls_context *context);
/* Takes the handshake as far as the socket has octets for it. */
void conn_handshake(struct conn *conn);
/* A client that has hung up before its ClientHello was looked at: no handshake can come
 * of it, and none is begun, for that costs more than to connect and to hang up. */
bool conn_client_is_gone(const struct conn *conn);
/* Why a certificate that is not valid is not. */
const char *conn_certificate_sentence(enum tls_certificate verdict);

#endif
