/* SPDX-License-Identifier: Apache-2.0 */
#include "io/conn_unread.h"

enum { DISCARDED_AT_ONCE = 16 * 1024 };

struct bytes conn_unread_peek(const struct conn *conn, char *room, size_t size)
{
    ssize_t got = 0;
    if (conn->loop == NULL || conn->ended || conn->connecting || conn->handshaking)
        return bytes_none();
    if (conn->ssl == NULL)
        got = recv(conn->descriptor, room, size, MSG_PEEK | MSG_DONTWAIT);
    else if (SSL_pending(conn->ssl) > 0)
        got = SSL_peek(conn->ssl, room, (int)size);
    return got > 0 ? bytes_of(room, (size_t)got) : bytes_none();
}

void conn_unread_discard(const struct conn *conn)
{
    char room[DISCARDED_AT_ONCE];
    size_t total = 0;
    ssize_t got = 1;
    if (conn->loop == NULL)
        return;
    while (total < CONN_UNREAD_DISCARD_MAX && got > 0) {
        got = recv(conn->descriptor, room, sizeof room, MSG_DONTWAIT);
        total += got > 0 ? (size_t)got : 0;
    }
}
