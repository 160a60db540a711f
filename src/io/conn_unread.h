/* SPDX-License-Identifier: Apache-2.0 */
/* conn_unread: what a peer has sent and nobody has read yet: has it spoken out of turn? Is anything left that
 * would reset the connection? */
#ifndef MAILBOAT_IO_CONN_UNREAD_H
#define MAILBOAT_IO_CONN_UNREAD_H

#include "io/conn.h"

enum { CONN_UNREAD_DISCARD_MAX = 1024 * 1024 /* octets */ };

/* Returns octets of the peer that wait behind conn_input(), at most `size`, in `room`; they stay there. With
 * TLS only those that are already decrypted: what else is in the socket need not be content. */
struct bytes conn_unread_peek(const struct conn *conn, char *room, size_t size);
/* Discards what the peer has sent so far, up to CONN_UNREAD_DISCARD_MAX: closing a socket with unread octets
 * resets the connection, and the peer can lose the last reply. Only before conn_close(). */
void conn_unread_discard(const struct conn *conn);

#endif
