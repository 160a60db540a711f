/* SPDX-License-Identifier: Apache-2.0 */
/* conn_ground: pairs of ends in TLS, what they send, and what they have received. */
#ifndef MAILBOAT_TEST_CONN_GROUND_H
#define MAILBOAT_TEST_CONN_GROUND_H

#include "ends.h"

static struct tls_context server_tls, client_tls;
static inline int contexts_setup(void **state)
{
    return ends_setup(state) == 0 && ends_tls(&server_tls, &client_tls) ? 0 : -1;
}

static inline int contexts_teardown(void **state)
{
    tls_close(&server_tls);
    tls_close(&client_tls);
    return ends_teardown(state);
}

static inline void in_tls(struct unit_end *client, struct unit_end *server)
{
    conn_start_tls_server(&server->conn, &server_tls);
    conn_start_tls_client(&client->conn, &client_tls, "mx.example.org", true);
    TURN_UNTIL(client->tls == 1 && server->tls == 1);
}

/* Octets that tell where they stand. */
static inline struct bytes pattern(size_t size)
{
    static char *room;
    static size_t room_size;
    if (size > room_size) {
        room = memory_resize(room, size);
        for (size_t i = 0; i < size; i++)
            room[i] = (char)(i * 2654435761u >> 16);
        room_size = size;
    }
    return bytes_of(room, size);
}

static inline void assert_heard(const struct unit_end *end, struct bytes expected)
{
    assert_int_equal(end->heard.length, expected.length);
    assert_true(bytes_equal(buffer_bytes(&end->heard), expected));
}

#endif
