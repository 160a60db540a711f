/* SPDX-License-Identifier: Apache-2.0 */
/* Connections with and without TLS: all octets arrive in order, and each end is reported. */
#include <arpa/inet.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn_ground.h"
#include "io/conn_unread.h"

static void echo(bool tls)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    server.echo = true;
    if (tls)
        in_tls(&client, &server);
    conn_write(&client.conn, BYTES("EHLO client\r\n")); /* sent by the loop */
    TURN_UNTIL(client.heard.length == 13);
    conn_write(&client.conn, BYTES("QUIT\r\n"));
    conn_flush(&client.conn);
    TURN_UNTIL(client.heard.length == 19);
    assert_heard(&client, BYTES("EHLO client\r\nQUIT\r\n"));
    end_close(&client);
    TURN_UNTIL(server.ended == 1);
    assert_int_equal(server.how, CONN_END_CLOSED);
    end_close(&server);
}

static void what_is_said_comes_back(void **state)
{
    echo(false);
}
static void what_is_said_comes_back_in_tls(void **state)
{
    echo(true);
}

static void tls_tells_version_and_cipher(void **state)
{
    struct unit_end client, server;
    char room[128];
    ends_pair(&client, &server);
    assert_int_equal(conn_tls_text(&client.conn, room, sizeof room).length, 0);
    in_tls(&client, &server);
    assert_true(bytes_starts_nocase(conn_tls_text(&server.conn, room, sizeof room), "TLSv1.3 TLS_"));
    struct tls_result ours = conn_tls_result(&client.conn), theirs = conn_tls_result(&server.conn);
    assert_true(tls_result_is_verified(&ours) && theirs.certificate == TLS_CERTIFICATE_NONE);
    end_close(&client);
    end_close(&server);
}

static void writes_of_one_turn_go_together(void **state)
{
    struct unit_end end;
    char room[64];
    int other = end_and_descriptor(&end, SOCK_SEQPACKET); /* a packet is what one send() said */
    conn_write(&end.conn, BYTES("250 a\r\n"));
    conn_write(&end.conn, BYTES("250 b\r\n"));
    conn_write(&end.conn, BYTES("354 c\r\n"));
    assert_int_equal(recv(other, room, sizeof room, MSG_DONTWAIT), -1);
    TURN_UNTIL(conn_unsent(&end.conn) == 0);
    assert_int_equal(recv(other, room, sizeof room, 0), 21);
    close(other);
    end_close(&end);
}

static void what_waits_is_seen_and_stays(void **state)
{
    struct unit_end end;
    char room[4];
    int other = end_and_descriptor(&end, SOCK_STREAM);
    assert_int_equal(conn_unread_peek(&end.conn, room, sizeof room).length, 0);
    assert_int_equal(send(other, "EHLO a\r\n", 8, 0), 8);
    for (int i = 0; i < 2; i++)
        assert_true(bytes_is(conn_unread_peek(&end.conn, room, sizeof room), "EHLO"));
    TURN_UNTIL(end.heard.length == 8);
    assert_int_equal(conn_unread_peek(&end.conn, room, sizeof room).length, 0);
    assert_int_equal(send(other, "QUIT\r\n", 6, 0), 6);
    conn_unread_discard(&end.conn);
    assert_int_equal(conn_unread_peek(&end.conn, room, sizeof room).length, 0);
    close(other);
    assert_int_equal(conn_unread_peek(&end.conn, room, sizeof room).length, 0); /* the end is no octet */
    end_close(&end);
    assert_int_equal(conn_unread_peek(&end.conn, room, sizeof room).length, 0);
}

static void what_waits_in_tls_is_seen_once_it_is_decrypted(void **state)
{
    struct unit_end client, server;
    char room[4];
    ends_pair(&client, &server);
    in_tls(&client, &server);
    conn_write(&client.conn, BYTES("EHLO a\r\n"));
    conn_flush(&client.conn);
    assert_int_equal(conn_unread_peek(&server.conn, room, sizeof room).length, 0); /* it could be an alert */
    assert_int_equal(SSL_peek(server.conn.ssl, room, 1), 1);
    assert_true(bytes_is(conn_unread_peek(&server.conn, room, sizeof room), "EHLO"));
    conn_write(&client.conn, BYTES("QUIT\r\n")); /* wakes the loop, which did not see what was peeked at */
    TURN_UNTIL(server.heard.length == 14);
    assert_int_equal(conn_unread_peek(&server.conn, room, sizeof room).length, 0);
    end_close(&client);
    end_close(&server);
}

/* Keeps the output filled up to its high mark. */
static size_t to_send, sent_so_far;
static void fill(struct unit_end *end, const char *event)
{
    while (sent_so_far < to_send && !conn_output_is_full(&end->conn)) {
        size_t run = to_send - sent_so_far < 30000 ? to_send - sent_so_far : 30000;
        conn_write(&end->conn, bytes_from(bytes_first(pattern(to_send), sent_so_far + run), sent_so_far));
        sent_so_far += run;
    }
}

static void pass_much(bool tls)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    if (tls)
        in_tls(&client, &server);
    to_send = 8 * 1024 * 1024 + 77;
    sent_so_far = 0;
    client.then = fill;
    conn_pause(&server.conn, true);
    fill(&client, NULL);
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(server.inputs, 0);
    assert_true(sent_so_far < CONN_OUTPUT_HIGH * 4); /* the sender was held back */
    conn_pause(&server.conn, false);
    TURN_UNTIL(server.heard.length == to_send);
    assert_heard(&server, pattern(to_send));
    assert_true(client.drained > 0);
    assert_int_equal(conn_unsent(&client.conn), 0);
    end_close(&client);
    end_close(&server);
}

static void much_passes_a_slow_reader(void **state)
{
    pass_much(false);
}
static void much_passes_a_slow_reader_in_tls(void **state)
{
    pass_much(true);
}

/* OpenSSL reads ahead: epoll does not see what it has buffered. */
static void nothing_is_left_behind_in_tls(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    in_tls(&client, &server);
    for (size_t size = CONN_INPUT_MAX - 2; size <= CONN_INPUT_MAX + 2; size++) {
        conn_write(&client.conn, pattern(size));
        conn_flush(&client.conn);
        conn_write(&client.conn, BYTES(".\r\n")); /* a small record behind the large ones */
        conn_flush(&client.conn);
        TURN_UNTIL(server.heard.length == size + 3);
        buffer_clear(&server.heard);
    }
    end_close(&client);
    end_close(&server);
}

static void a_pause_in_tls_loses_nothing(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    in_tls(&client, &server);
    for (int i = 0; i < 50; i++) {
        conn_write(&client.conn, BYTES("RCPT TO:<a@example.org>\r\n"));
        conn_flush(&client.conn);
        conn_write(&client.conn, BYTES("DATA\r\n"));
        conn_flush(&client.conn);
        conn_pause(&server.conn, true);
        turn();
        conn_pause(&server.conn, false);
        conn_write(&server.conn, BYTES("250 2.1.5 fine\r\n"));
        conn_flush(&server.conn);
        TURN_UNTIL(server.heard.length == 31);
        buffer_clear(&server.heard);
    }
    end_close(&client);
    end_close(&server);
}

static void unread_input_is_bounded(bool tls)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    if (tls)
        in_tls(&client, &server);
    server.keep_unread = true;
    conn_write(&client.conn, pattern(3 * CONN_INPUT_MAX));
    TURN_UNTIL(conn_input(&server.conn).length == CONN_INPUT_MAX);
    for (int i = 0; i < 5; i++)
        turn();
    assert_int_equal(conn_input(&server.conn).length, CONN_INPUT_MAX);
    assert_true(bytes_equal(conn_input(&server.conn), pattern(CONN_INPUT_MAX)));
    server.keep_unread = false; /* used up outside of a callback: reading goes on by itself */
    buffer_add(&server.heard, bytes_first(conn_input(&server.conn), 1));
    conn_consume(&server.conn, 1);
    TURN_UNTIL(server.heard.length == 3 * CONN_INPUT_MAX);
    assert_heard(&server, pattern(3 * CONN_INPUT_MAX));
    end_close(&client);
    end_close(&server);
}

static void unread_input_is_bounded_in_clear(void **state)
{
    unread_input_is_bounded(false);
}
static void unread_input_is_bounded_in_tls(void **state)
{
    unread_input_is_bounded(true);
}

static void a_line_that_waits_holds_little(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    server.keep_unread = true;
    conn_write(&client.conn, pattern(60000));
    TURN_UNTIL(conn_input(&server.conn).length == 60000);
    conn_consume(&server.conn, 59990);
    assert_true(bytes_equal(conn_input(&server.conn), bytes_from(pattern(60000), 59990)));
    assert_true(server.conn.input.capacity <= 4096);
    end_close(&client);
    end_close(&server);
}

/* ---- closing where one stands ---- */

static const char *close_at;
static int closed;
static void close_and_free(struct unit_end *end, const char *event)
{
    if (strcmp(event, close_at) != 0)
        return;
    end_close(end);
    free(end);
    closed++;
}

static struct unit_end *fresh_end(int descriptor)
{
    struct unit_end *end = memory_new(sizeof *end);
    end->then = close_and_free;
    conn_start(&end->conn, &loop, descriptor, &end_events, end);
    return end;
}

static void an_owner_may_free_itself_in_a_callback(void **state)
{
    static const char *const events[] = {"input", "end", "timeout", "drained", "tls"};
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        int descriptors[2];
        struct unit_end other = {0};
        close_at = events[i];
        closed = 0;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors), 0);
        struct unit_end *end = fresh_end(descriptors[0]);
        conn_start(&other.conn, &loop, descriptors[1], &end_events, &other);
        if (strcmp(close_at, "input") == 0)
            conn_write(&other.conn, BYTES("x"));
        else if (strcmp(close_at, "end") == 0)
            conn_close(&other.conn);
        else if (strcmp(close_at, "timeout") == 0)
            conn_set_timeout(&end->conn, 1);
        else if (strcmp(close_at, "drained") == 0)
            conn_write(&end->conn, pattern(2 * 1024 * 1024));
        else {
            conn_start_tls_server(&end->conn, &server_tls);
            conn_start_tls_client(&other.conn, &client_tls, "mx.example.org", true);
        }
        TURN_UNTIL(closed == 1);
        end_close(&other);
    }
}

static void closing_twice_is_closing_once(void **state)
{
    struct unit_end a, b;
    ends_pair(&a, &b);
    conn_close(&a.conn);
    conn_close(&a.conn);
    conn_write(&a.conn, BYTES("nobody hears"));
    conn_flush(&a.conn);
    conn_pause(&a.conn, true);
    conn_pause(&a.conn, false);
    conn_set_timeout(&a.conn, 5);
    assert_int_equal(conn_unsent(&a.conn), 0);
    end_close(&b);
}

/* ---- how it ends ---- */

static int listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(descriptor, (struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(listen(descriptor, 5), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)address, &length), 0);
    return descriptor;
}

static void connecting_works_and_a_reset_is_told(void **state)
{
    struct sockaddr_in address;
    struct unit_end client = {0};
    int listener = listen_on_loopback(&address);
    conn_connect(&client.conn, &loop, (struct sockaddr *)&address, sizeof address, &end_events, &client);
    conn_write(&client.conn, BYTES("early\r\n"));
    assert_int_equal(client.connected, 0);
    TURN_UNTIL(client.connected == 1);
    int server = accept(listener, NULL, NULL);
    char room[16];
    TURN_UNTIL(conn_unsent(&client.conn) == 0);
    assert_int_equal(recv(server, room, sizeof room, 0), 7);
    struct linger at_once = {1, 0};
    setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(server);
    TURN_UNTIL(client.ended == 1);
    assert_int_equal(client.how, CONN_END_RESET);
    assert_string_not_equal(client.conn.why, "");
    end_close(&client);
    close(listener);
}

static void a_refusal_is_told_by_the_loop(void **state)
{
    struct sockaddr_in address;
    struct unit_end client = {0};
    close(listen_on_loopback(&address));
    conn_connect(&client.conn, &loop, (struct sockaddr *)&address, sizeof address, &end_events, &client);
    assert_int_equal(client.ended, 0);
    TURN_UNTIL(client.ended == 1);
    assert_int_equal(client.how, CONN_END_REFUSED);
    assert_int_equal(client.connected, 0);
    end_close(&client);
}

static void the_last_words_are_heard_before_the_end(void **state)
{
    struct unit_end server;
    int client = end_and_descriptor(&server, SOCK_STREAM);
    assert_int_equal(send(client, "QUIT\r\n", 6, 0), 6);
    close(client);
    TURN_UNTIL(server.ended == 1);
    assert_heard(&server, BYTES("QUIT\r\n"));
    assert_int_equal(server.how, CONN_END_CLOSED);
    for (int i = 0; i < 3; i++)
        turn();
    assert_int_equal(server.ended, 1); /* told once */
    end_close(&server);
}

/* close_notify without FIN: the kernel reports no event. */
/* An end that has said its last word still hears: the other is not reset. */
static void an_end_that_is_shut_still_hears(void **state)
{
    for (int secured = 0; secured < 2; secured++) {
        struct unit_end client, server;
        ends_pair(&client, &server);
        if (secured == 1)
            in_tls(&client, &server);
        conn_write(&server.conn, BYTES("bye\r\n"));
        conn_flush(&server.conn);
        conn_shut(&server.conn);
        conn_write(&client.conn, BYTES("and yet\r\n")); /* on its way when the word arrives */
        conn_flush(&client.conn);
        TURN_UNTIL(client.ended == 1 && server.heard.length > 0);
        assert_heard(&client, BYTES("bye\r\n"));
        assert_int_equal(client.how, CONN_END_CLOSED);
        assert_heard(&server, BYTES("and yet\r\n"));
        assert_int_equal(server.ended, 0);
        end_close(&client);
        TURN_UNTIL(server.ended == 1);
        conn_shut(&server.conn); /* of one that has ended: nothing */
        end_close(&server);
    }
}

static void the_end_of_tls_is_told(void **state)
{
    struct unit_end client, server;
    ends_pair(&client, &server);
    in_tls(&client, &server);
    int kept = dup(client.conn.descriptor);
    conn_write(&client.conn, BYTES("QUIT\r\n"));
    conn_flush(&client.conn);
    end_close(&client);
    TURN_UNTIL(server.ended == 1);
    assert_heard(&server, BYTES("QUIT\r\n"));
    assert_int_equal(server.how, CONN_END_CLOSED);
    close(kept);
    end_close(&server);
}

static void silence_is_told_and_input_puts_it_off(void **state)
{
    struct unit_end server;
    int client = end_and_descriptor(&server, SOCK_STREAM);
    uint64_t start = clock_now_ms();
    conn_set_timeout(&server.conn, 150);
    TURN_UNTIL(clock_now_ms() - start >= 100);
    assert_int_equal(server.timed_out, 0);
    assert_int_equal(send(client, "x", 1, 0), 1);
    TURN_UNTIL(server.timed_out == 1);
    assert_true(clock_now_ms() - start >= 250 - 5);
    conn_set_timeout(&server.conn, 20);
    conn_set_timeout(&server.conn, 0);
    start = clock_now_ms();
    TURN_UNTIL(clock_now_ms() - start >= 60);
    assert_int_equal(server.timed_out, 1);
    close(client);
    end_close(&server);
}

/* Trickled octets do not extend a deadline. */
static void octets_do_not_put_off_a_deadline(void **state)
{
    struct unit_end server;
    int client = end_and_descriptor(&server, SOCK_STREAM);
    uint64_t start = clock_now_ms(), last = start;
    conn_set_deadline(&server.conn, 200);
    while (server.timed_out == 0 && clock_now_ms() - start < 20000) {
        turn();
        if (clock_now_ms() - last < 20)
            continue;
        last = clock_now_ms();
        assert_int_equal(send(client, "x", 1, 0), 1);
    }
    assert_int_equal(server.timed_out, 1);
    assert_true(server.heard.length > 0);
    conn_set_timeout(&server.conn, 0);
    close(client);
    end_close(&server);
}

static void addresses_are_written_as_people_write_them(void **state)
{
    char room[INET6_ADDRSTRLEN];
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
    assert_true(bytes_is(conn_address_text((struct sockaddr *)&four, room, sizeof room), "192.0.2.1"));
    inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
    assert_true(bytes_is(conn_address_text((struct sockaddr *)&six, room, sizeof room), "2001:db8::1"));
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &six.sin6_addr);
    assert_true(bytes_is(conn_address_text((struct sockaddr *)&six, room, sizeof room), "192.0.2.7"));
    assert_true(
        bytes_is(conn_address_text(&(struct sockaddr){.sa_family = AF_UNIX}, room, sizeof room), "local"));
}

/* ---- what an idle one costs ---- */

static size_t idle_cost(bool tls)
{
    enum { COUNT = 100 };
    static struct unit_end ends[COUNT][2];
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < COUNT; i++) {
        ends_pair(&ends[i][0], &ends[i][1]);
        if (tls)
            in_tls(&ends[i][0], &ends[i][1]);
        conn_write(&ends[i][0].conn, BYTES("NOOP\r\n"));
        TURN_UNTIL(ends[i][1].heard.length == 6);
        buffer_free(&ends[i][1].heard);
    }
    size_t cost = (mallinfo2().uordblks - before) / (2 * COUNT) + sizeof(struct conn);
    for (int i = 0; i < COUNT; i++) {
        end_close(&ends[i][0]);
        end_close(&ends[i][1]);
    }
    return cost;
}

static void an_idle_connection_is_small(void **state)
{
    size_t clear = idle_cost(false), tls = idle_cost(true);
    print_message("an idle connection: %zu octets in clear, %zu in TLS\n", clear, tls);
    assert_true(clear < 4 * 1024);
    assert_true(tls < 30 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_comes_back),
        cmocka_unit_test(what_is_said_comes_back_in_tls),
        cmocka_unit_test(tls_tells_version_and_cipher),
        cmocka_unit_test(writes_of_one_turn_go_together),
        cmocka_unit_test(what_waits_is_seen_and_stays),
        cmocka_unit_test(what_waits_in_tls_is_seen_once_it_is_decrypted),
        cmocka_unit_test(much_passes_a_slow_reader),
        cmocka_unit_test(much_passes_a_slow_reader_in_tls),
        cmocka_unit_test(nothing_is_left_behind_in_tls),
        cmocka_unit_test(a_pause_in_tls_loses_nothing),
        cmocka_unit_test(unread_input_is_bounded_in_clear),
        cmocka_unit_test(unread_input_is_bounded_in_tls),
        cmocka_unit_test(a_line_that_waits_holds_little),
        cmocka_unit_test(an_owner_may_free_itself_in_a_callback),
        cmocka_unit_test(closing_twice_is_closing_once),
        cmocka_unit_test(connecting_works_and_a_reset_is_told),
        cmocka_unit_test(a_refusal_is_told_by_the_loop),
        cmocka_unit_test(the_last_words_are_heard_before_the_end),
        cmocka_unit_test(an_end_that_is_shut_still_hears),
        cmocka_unit_test(the_end_of_tls_is_told),
        cmocka_unit_test(silence_is_told_and_input_puts_it_off),
        cmocka_unit_test(octets_do_not_put_off_a_deadline),
        cmocka_unit_test(addresses_are_written_as_people_write_them),
        cmocka_unit_test(an_idle_connection_is_small),
    };
    return cmocka_run_group_tests(tests, contexts_setup, contexts_teardown);
}
