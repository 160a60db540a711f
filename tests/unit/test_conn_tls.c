/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection begins: STARTTLS, the first octet, a ClientHello; sessions that are resumed, and DANE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn_ground.h"

/* ---- STARTTLS ---- */

static void start_tls_when_asked(struct unit_end *end, const char *event)
{
    if (strcmp(event, "input") == 0 && end->tls == 0 &&
        bytes_starts_nocase(conn_input(&end->conn), "STARTTLS\r\n")) {
        conn_consume(&end->conn, 10);
        conn_write(&end->conn, BYTES("220 go\r\n"));
        conn_start_tls_server(&end->conn, &server_tls);
    }
}

static void clear_text_behind_starttls_is_dropped(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    server.keep_unread = true;
    server.then = start_tls_when_asked;
    conn_write(&client.conn, BYTES("STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n"));
    TURN_UNTIL(client.heard.length == 8);
    assert_heard(&client, BYTES("220 go\r\n")); /* in clear, though never flushed by its owner */
    assert_int_equal(conn_input(&server.conn).length, 0);
    conn_start_tls_client(&client.conn, &client_tls, "mx.example.org", true);
    TURN_UNTIL(client.tls == 1 && server.tls == 1);
    assert_int_equal(conn_input(&server.conn).length, 0);
    conn_write(&client.conn, BYTES("EHLO"));
    TURN_UNTIL(conn_input(&server.conn).length == 4);
    end_close(&client);
    end_close(&server);
}

static void what_was_said_before_tls_goes_in_clear(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    conn_pause(&client.conn, true);
    conn_write(&server.conn, pattern(2 * 1024 * 1024)); /* more than the socket takes */
    conn_start_tls_server(&server.conn, &server_tls);
    conn_write(&server.conn, BYTES("secret")); /* and this behind the handshake */
    conn_pause(&client.conn, false);
    TURN_UNTIL(client.heard.length == 2 * 1024 * 1024);
    assert_heard(&client, pattern(2 * 1024 * 1024));
    buffer_clear(&client.heard);
    conn_start_tls_client(&client.conn, &client_tls, "mx.example.org", true);
    TURN_UNTIL(client.heard.length == 6);
    assert_heard(&client, BYTES("secret"));
    end_close(&client);
    end_close(&server);
}

/* ---- how a peer begins ---- */

static void go_its_way(struct unit_end *end, const char *event)
{
    if (strcmp(event, "first") == 0 && end->first_is_tls)
        conn_start_tls_server(&end->conn, &server_tls);
}

static void who_begins_with_tls_gets_tls(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    server.then = go_its_way;
    conn_await_first(&server.conn);
    conn_start_tls_client(&client.conn, &client_tls, "mx.example.org", true);
    TURN_UNTIL(client.tls == 1 && server.tls == 1);
    assert_int_equal(server.first, 1);
    assert_int_equal(server.inputs, 0);
    conn_write(&client.conn, BYTES("EHLO"));
    TURN_UNTIL(server.heard.length == 4);
    end_close(&client);
    end_close(&server);
}

static void who_begins_in_clear_loses_nothing(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    server.then = go_its_way;
    conn_await_first(&server.conn);
    conn_write(&client.conn, BYTES("EHLO a\r\n"));
    TURN_UNTIL(server.heard.length == 8);
    assert_int_equal(server.first, 1);
    assert_false(server.first_is_tls);
    conn_write(&client.conn, BYTES("\x16\x03\x01")); /* it has begun already */
    TURN_UNTIL(server.heard.length == 11);
    assert_int_equal(server.first, 1);
    end_close(&client);
    end_close(&server);
}

static void who_waits_is_told_of_and_heard_later(void **state)
{
    struct unit_end server;
    int client = end_and_descriptor(&server, SOCK_STREAM);
    conn_await_first(&server.conn);
    conn_set_timeout(&server.conn, 20);
    TURN_UNTIL(server.timed_out == 1);
    conn_end_await(&server.conn);
    assert_int_equal(send(client, "\x16\x03\x01", 3, 0), 3);
    TURN_UNTIL(server.heard.length == 3);
    assert_int_equal(server.first, 0);
    close(client);
    end_close(&server);
}

static void who_leaves_before_it_begins_is_told_of(void **state)
{
    struct unit_end server;
    int client = end_and_descriptor(&server, SOCK_STREAM);
    conn_await_first(&server.conn);
    close(client);
    TURN_UNTIL(server.ended == 1);
    assert_int_equal(server.first, 0);
    end_close(&server);
}

/* Trickled octets must not keep a handshake open. */
static void octets_do_not_put_off_the_end_of_a_handshake(void **state)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    struct unit_end server;
    size_t sent = 1;
    int client = end_and_descriptor(&server, SOCK_STREAM);
    server.then = go_its_way;
    conn_await_first(&server.conn);
    assert_int_equal(send(client, hello, 1, 0), 1);
    TURN_UNTIL(server.first == 1);
    uint64_t start = clock_now_ms(), next = start + 40;
    conn_set_timeout(&server.conn, 200);
    while (server.timed_out == 0 && clock_now_ms() - start < TURN_LIMIT_MS) {
        if (clock_now_ms() >= next && sent < sizeof hello - 1) {
            assert_int_equal(send(client, hello + sent++, 1, 0), 1);
            next += 40;
        }
        turn();
    }
    assert_int_equal(server.timed_out, 1);
    assert_true(clock_now_ms() - start >= 200 - 5);
    assert_true(sent > 1 && sent < sizeof hello - 1); /* it came between them */
    close(client);
    end_close(&server);
}

static void a_client_hello_is_known(void **state)
{
    static const struct {
        const char *octets;
        size_t length;
        bool tls;
    } cases[] = {{"\x16\x03\x01\x02", 4, true},
                 {"\x16\x03", 2, false},
                 {"EHLO", 4, false},
                 {"\x16\x02\x01", 3, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct unit_end server;
        int client = end_and_descriptor(&server, SOCK_STREAM);
        server.keep_unread = true;
        assert_int_equal(send(client, cases[i].octets, cases[i].length, 0), cases[i].length);
        TURN_UNTIL(server.inputs == 1);
        assert_int_equal(conn_input_is_tls(&server.conn), cases[i].tls);
        close(client);
        end_close(&server);
    }
}

/* ---- DANE and sessions that are resumed ---- */

static void shake_hands(struct unit_end *client, struct unit_end *server, const struct conn_peer *peer)
{
    ends_pair(client, server);
    server->echo = true;
    conn_start_tls_server(&server->conn, &server_tls);
    conn_start_tls_peer(&client->conn, &client_tls, peer);
    TURN_UNTIL((client->tls == 1 && server->tls == 1) || client->ended == 1);
    if (client->tls != 1)
        return;
    conn_write(&client->conn, BYTES("NOOP")); /* what comes back comes behind the tickets */
    TURN_UNTIL(client->heard.length == 4);
}

static void close_both(struct unit_end *client, struct unit_end *server)
{
    end_close(client);
    end_close(server);
}

static void a_session_serves_where_the_same_is_asked(void **state)
{
    static const char nothing[32];
    const struct dns_record wrong = {
        .usage = 3, .selector = 1, .matching = 1, .data = {nothing, sizeof nothing}};
    const struct conn_peer verified = {.name = "mx.example.org", .verify = true},
                           unverified = {.name = "mx.example.org"},
                           other = {.name = "mx.example.net", .verify = true},
                           by_tlsa = {.name = "mx.example.org", .tlsa = &wrong, .tlsa_count = 1};
    struct unit_end client, server;
    tls_client_resume(&client_tls);
    shake_hands(&client, &server, &verified);
    assert_false(conn_tls_resumed(&client.conn));
    close_both(&client, &server);
    shake_hands(&client, &server, &verified);
    assert_true(conn_tls_resumed(&client.conn));
    assert_int_equal(conn_tls_certificate(&client.conn), TLS_CERTIFICATE_VALID);
    close_both(&client, &server);
    shake_hands(&client, &server, &unverified);
    assert_false(conn_tls_resumed(&client.conn));
    close_both(&client, &server);
    shake_hands(&client, &server, &other); /* the certificate is judged for this name, and ends the conn */
    assert_int_equal(client.tls, 0);
    close_both(&client, &server);
    shake_hands(&client, &server, &by_tlsa);
    assert_int_equal(client.tls, 0);
    assert_int_equal(conn_tls_certificate(&client.conn), TLS_CERTIFICATE_NO_TLSA);
    close_both(&client, &server);
}

static void so_many_sessions_are_kept(void **state)
{
    struct unit_end client, server;
    char key[16];
    long verdict = 0;
    shake_hands(&client, &server, &(struct conn_peer){.name = "mx.example.org"});
    SSL_SESSION *one = SSL_get1_session(client.conn.ssl), *taken;
    for (int i = 0; i <= TLS_SESSIONS_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        SSL_SESSION_up_ref(one);
        tls_session_keep(&client_tls, bytes_of_text(key), one, 7);
    }
    assert_null(tls_session_take(&client_tls, BYTES("k0"), &verdict)); /* the oldest went */
    taken = tls_session_take(&client_tls, BYTES("k1"), &verdict);
    assert_non_null(taken);
    assert_int_equal(verdict, 7);
    assert_null(tls_session_take(&client_tls, BYTES("k1"), &verdict)); /* it served once */
    SSL_SESSION_free(taken);
    SSL_SESSION_free(one);
    close_both(&client, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear_text_behind_starttls_is_dropped),
        cmocka_unit_test(what_was_said_before_tls_goes_in_clear),
        cmocka_unit_test(who_begins_with_tls_gets_tls),
        cmocka_unit_test(who_begins_in_clear_loses_nothing),
        cmocka_unit_test(who_waits_is_told_of_and_heard_later),
        cmocka_unit_test(who_leaves_before_it_begins_is_told_of),
        cmocka_unit_test(octets_do_not_put_off_the_end_of_a_handshake),
        cmocka_unit_test(a_client_hello_is_known),
        cmocka_unit_test(a_session_serves_where_the_same_is_asked),
        cmocka_unit_test(so_many_sessions_are_kept),
    };
    return cmocka_run_group_tests(tests, contexts_setup, contexts_teardown);
}
