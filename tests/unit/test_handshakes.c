/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of TLS handshakes: other events come first, networks take turns, each step is reported and
 * charged. */
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ends.h"

static struct tls_context server_tls;
static struct handshakes handshakes;

/* Calls of the rules. */
static uint64_t steps_of[4], failures_of[4], wait_for[4];
static size_t asked_begun;

static uint64_t wait_ms(void *owner, const struct handshake_network *network, bool begun)
{
    asked_begun += begun;
    return begun ? 0 : wait_for[network->key[0]];
}

static void spent(void *owner, const struct handshake_network *network, uint64_t cpu_us)
{
    steps_of[network->key[0]]++;
}

static void failed(void *owner, const struct handshake_network *network, uint64_t cpu_us)
{
    failures_of[network->key[0]]++;
}

static const struct handshake_rules rules = {.wait_ms = wait_ms, .spent = spent, .failed = failed};

static int group_setup(void **state)
{
    return ends_setup(state) == 0 && ends_tls(&server_tls, NULL) ? 0 : -1;
}

static int group_teardown(void **state)
{
    tls_close(&server_tls);
    return ends_teardown(state);
}

static int queue_setup(void **state)
{
    memset(steps_of, 0, sizeof steps_of);
    memset(failures_of, 0, sizeof failures_of);
    memset(wait_for, 0, sizeof wait_for);
    asked_begun = 0;
    handshakes_start(&handshakes, &loop, &rules, NULL);
    return 0;
}

static int queue_teardown(void **state)
{
    handshakes_free(&handshakes);
    return 0;
}

/* ---- clients ---- */

/* A client controlled by hand: the test routes its octets. */
struct handshake_client {
    struct unit_end server; /* ours */
    int descriptor;         /* theirs */
    SSL *ssl;
};

static SSL_CTX *client_context;

static void client_start(struct handshake_client *client, uint64_t network)
{
    if (client_context == NULL)
        client_context = SSL_CTX_new(TLS_client_method());
    client->descriptor = end_and_descriptor(&client->server, SOCK_STREAM);
    assert_int_equal(evutil_make_socket_nonblocking(client->descriptor), 0);
    client->ssl = SSL_new(client_context);
    SSL_set_fd(client->ssl, client->descriptor);
    SSL_set_connect_state(client->ssl);
    conn_queue_handshakes(&client->server.conn, &handshakes, &(struct handshake_network){.key = {network}});
    conn_start_tls_server(&client->server.conn, &server_tls);
}

/* Continues the client as far as its input allows: its ClientHello, then its Finished. */
static bool client_goes_on(struct handshake_client *client)
{
    return SSL_do_handshake(client->ssl) == 1;
}

static void client_end(struct handshake_client *client)
{
    SSL_free(client->ssl);
    if (client->descriptor >= 0)
        close(client->descriptor);
    end_close(&client->server);
}

static void say_hello(struct handshake_client *clients, size_t count, uint64_t network)
{
    for (size_t i = 0; i < count; i++) {
        client_start(&clients[i], network);
        assert_false(client_goes_on(&clients[i]));
    }
}

static void end_all(struct handshake_client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        client_end(&clients[i]);
    assert_int_equal(handshakes.queued, 0);
    SSL_CTX_free(client_context);
    client_context = NULL;
}

/* ---- turns ---- */

static void a_turn_has_one_step_and_all_others_come_before(void **state)
{
    enum { CROWD = 30 };
    struct handshake_client clients[CROWD];
    struct unit_end near, far;
    say_hello(clients, CROWD, 1);
    ends_pair(&near, &far);
    far.echo = true;
    int turns = 0;
    while (handshakes.steps < CROWD) {
        uint64_t steps = handshakes.steps;
        size_t heard = near.heard.length;
        assert_true(turns++ < 10 * CROWD);
        conn_write(&near.conn, BYTES("x"));
        conn_flush(&near.conn);
        turn(); /* `far` answers */
        assert_true(handshakes.steps <= steps + 1);
        turn();
        assert_true(handshakes.steps <= steps + 2);
        assert_true(near.heard.length > heard); /* two turns, two steps: nobody waits for the crowd */
    }
    assert_int_equal(steps_of[1], CROWD);
    end_close(&near);
    end_close(&far);
    end_all(clients, CROWD);
}

static void a_queue_that_waits_does_not_spin(void **state)
{
    struct handshake_client client;
    wait_for[1] = 60 * 1000;
    say_hello(&client, 1, 1);
    for (int i = 0; i < 10; i++)
        turn();
    uint64_t before_us = clock_cpu_us();
    for (int i = 0; i < 5; i++)
        turn(); /* 50 ms each */
    assert_true(clock_cpu_us() - before_us < 100 * 1000);
    assert_int_equal(handshakes.steps, 0);
    assert_int_equal(handshakes.queued, 1);
    end_all(&client, 1);
}

static void networks_alternate(void **state)
{
    struct handshake_client many[10], one;
    say_hello(many, 10, 1);
    say_hello(&one, 1, 2);
    TURN_UNTIL(steps_of[2] == 1);
    assert_true(steps_of[1] <= 2);
    TURN_UNTIL(steps_of[1] == 10);
    client_end(&one);
    end_all(many, 10);
}

static void of_one_network_first_comes_first(void **state)
{
    struct handshake_client clients[3];
    say_hello(clients, 3, 1);
    TURN_UNTIL(handshakes.steps == 1);
    assert_true(clients[0].server.conn.handshake.begun);
    assert_false(clients[2].server.conn.handshake.begun);
    TURN_UNTIL(handshakes.steps == 3);
    end_all(clients, 3);
}

static void who_has_begun_goes_first_and_gets_through(void **state)
{
    struct handshake_client clients[6];
    say_hello(clients, 1, 1);
    TURN_UNTIL(handshakes.steps == 1);
    say_hello(clients + 1, 5, 1);
    assert_true(client_goes_on(&clients[0]));
    TURN_UNTIL(clients[0].server.tls == 1);
    assert_true(handshakes.steps <= 3);
    assert_true(asked_begun >= 1);
    assert_true(clients[0].server.conn.handshake.cpu_us > 0);
    end_all(clients, 6);
    assert_int_equal(failures_of[1], (int)(handshakes.steps - 2)); /* those that had a step and no more */
}

static void who_has_to_wait_holds_up_no_other(void **state)
{
    struct handshake_client waits, goes;
    wait_for[1] = 30;
    say_hello(&waits, 1, 1);
    say_hello(&goes, 1, 2);
    TURN_UNTIL(steps_of[2] == 1);
    assert_int_equal(steps_of[1], 0);
    wait_for[1] = 0;
    TURN_UNTIL(steps_of[1] == 1);
    client_end(&goes);
    end_all(&waits, 1);
}

/* ---- ends ---- */

static void a_handshake_that_fails_is_told_once(void **state)
{
    struct handshake_client done, left, silent;
    say_hello(&done, 1, 1);
    say_hello(&left, 1, 2);
    client_start(&silent, 3);
    TURN_UNTIL(steps_of[1] == 1 && steps_of[2] == 1);
    assert_true(client_goes_on(&done));
    TURN_UNTIL(done.server.tls == 1);
    close(left.descriptor); /* with its ClientHello answered */
    left.descriptor = -1;
    TURN_UNTIL(left.server.ended == 1);
    client_end(&done);
    client_end(&left);
    end_all(&silent, 1);
    assert_int_equal(failures_of[1], 0);
    assert_int_equal(failures_of[2], 1);
    assert_int_equal(failures_of[3], 0); /* it has cost nothing */
}

/* Its ClientHello is complete; answering it would cost a signature for a closed connection. */
static void who_hung_up_has_no_handshake(void **state)
{
    struct handshake_client clients[2];
    say_hello(clients, 2, 1);
    shutdown(clients[0].descriptor, SHUT_WR);
    TURN_UNTIL(clients[0].server.ended == 1);
    assert_true(clients[0].server.conn.tls.heard == 0);
    TURN_UNTIL(client_goes_on(&clients[1]));
    TURN_UNTIL(clients[1].server.tls == 1);
    end_all(clients, 2);
}

/* They do not pile up before active clients. */
static void many_who_hung_up_are_done_in_one_turn(void **state)
{
    struct handshake_client clients[20];
    say_hello(clients, 20, 1);
    for (size_t i = 0; i < 19; i++)
        shutdown(clients[i].descriptor, SHUT_WR);
    TURN_UNTIL(handshakes.steps > 0);
    assert_int_equal(handshakes.steps, 20);
    end_all(clients, 20);
}

static void close_when_done(struct unit_end *end, const char *event)
{
    if (strcmp(event, "tls") == 0)
        conn_close(&end->conn);
}

static void a_conn_may_be_closed_while_it_waits_and_when_it_is_done(void **state)
{
    struct handshake_client clients[5], done;
    say_hello(&done, 1, 2);
    done.server.then = close_when_done;
    TURN_UNTIL(handshakes.steps == 1);
    wait_for[1] = 60 * 1000;
    say_hello(clients, 5, 1);
    assert_true(client_goes_on(&done));
    TURN_UNTIL(done.server.tls == 1 && handshakes.queued == 5);
    assert_int_equal(steps_of[2], 2); /* told also where the conn is gone */
    client_end(&clients[2]);
    client_end(&clients[0]);
    client_end(&clients[4]);
    assert_int_equal(handshakes.queued, 2);
    client_end(&clients[1]);
    client_end(&clients[3]);
    end_all(&done, 1);
}

/* ---- what a client may send ---- */

/* Sends an endless ClientHello, in records of so many octets. */
static void a_hello_without_end(size_t record)
{
    struct handshake_client client;
    /* 16 KiB are announced */
    char octets[5 + 16384] = {0x16, 3, 1, (char)(record >> 8), (char)record, 1, 0, 0x40, 0};
    client_start(&client, 1);
    size_t sent = 0;
    while (client.server.ended == 0 && sent < 4 * CONN_HELLO_MAX) {
        ssize_t more = send(client.descriptor, octets, 5 + record, MSG_NOSIGNAL);
        sent += more > 0 ? (size_t)more : 0;
        memset(octets + 5, 0, 4);
        turn();
    }
    assert_int_equal(client.server.ended, 1);
    assert_int_equal(client.server.how, CONN_END_TLS);
    assert_true(client.server.conn.tls.heard <= CONN_HELLO_MAX);
    end_all(&client, 1);
}

static void a_hello_has_an_end(void **state)
{
    a_hello_without_end(4096);
    a_hello_without_end(8);
}

/* OpenSSL allocates the announced length: nine octets suffice to reject it. */
static void a_hello_that_is_to_be_long_is_refused_before_it_comes(void **state)
{
    struct handshake_client client;
    client_start(&client, 1);
    assert_int_equal(send(client.descriptor, "\x16\3\1\x20\0\1\1\xff\xff", 9, 0), 9);
    TURN_UNTIL(client.server.ended == 1);
    assert_int_equal(client.server.how, CONN_END_TLS);
    assert_int_equal(client.server.conn.tls.heard, 9);
    end_all(&client, 1);
}

/* Only so much of large input is read before others have their turn. */
static void a_turn_takes_in_so_much(void **state)
{
    struct handshake_client client;
    static char octets[4 * CONN_INPUT_MAX];
    say_hello(&client, 1, 1);
    TURN_UNTIL(client_goes_on(&client) && client.server.tls == 1);
    SSL_write(client.ssl, octets, 4096);
    TURN_UNTIL(client.server.heard.length == 4096);
    SSL_write(client.ssl, octets, 2048);
    client.server.conn.tls.capacity = 100;
    uint64_t heard = client.server.conn.tls.heard;
    assert_int_equal(SSL_read(client.server.conn.ssl, octets, 1), -1);
    assert_int_equal(SSL_get_error(client.server.conn.ssl, -1), SSL_ERROR_WANT_READ);
    assert_int_equal(client.server.conn.tls.heard - heard, 100);
    TURN_UNTIL(client.server.heard.length == 4096 + 2048); /* the loop goes on by itself */
    end_all(&client, 1);
}

/* The same with other records in between: keys, data, keys, data. */
static void a_turn_has_so_many_records(void **state)
{
    enum { WORDS = 1500, AHEAD = TLS_SMALL_AHEAD / 23 };
    struct handshake_client client;
    unsigned most = 0;
    say_hello(&client, 1, 1);
    TURN_UNTIL(client_goes_on(&client) && client.server.tls == 1);
    BIO *records = BIO_new(BIO_s_mem()); /* so that all of them come at once */
    SSL_set0_wbio(client.ssl, records);
    for (int i = 0; i < WORDS; i++)
        assert_int_equal(SSL_write(client.ssl, "x", 1), 1);
    char *octets;
    long size = BIO_get_mem_data(records, &octets);
    assert_int_equal(send(client.descriptor, octets, (size_t)size, 0), size);
    while (client.server.heard.length < WORDS) {
        turn();
        most = client.server.conn.tls.records > most ? client.server.conn.tls.records : most;
    }
    assert_true(most >= TLS_TURN_RECORDS_MAX);
    assert_true(most <= TLS_TURN_RECORDS_MAX + AHEAD + 1);
    end_all(&client, 1);
}

/* RFC 8446 4.6.3: each costs new keys. */
static void update_keys(struct handshake_client *client, int times)
{
    for (int i = 0; i < times; i++) {
        SSL_key_update(client->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        if (SSL_do_handshake(client->ssl) != 1)
            break;
    }
}

static void keys_are_updated_so_often_and_no_more(void **state)
{
    struct handshake_client client;
    say_hello(&client, 1, 1);
    TURN_UNTIL(client_goes_on(&client) && client.server.tls == 1);
    for (size_t i = 1; i <= 3; i++) { /* something between them begins the count anew */
        update_keys(&client, TLS_VAIN_RECORDS_MAX);
        SSL_write(client.ssl, "x", 1);
        TURN_UNTIL(client.server.heard.length == i);
    }
    assert_int_equal(client.server.ended, 0);
    update_keys(&client, TLS_VAIN_RECORDS_MAX + 1);
    TURN_UNTIL(client.server.ended == 1);
    assert_int_equal(client.server.how, CONN_END_TLS);
    end_all(&client, 1);
}

/* ---- records by hand, in TLS 1.2 with AES-128-GCM (RFC 5246 6.3, RFC 5288) ---- */

struct writer {
    unsigned char key[16], salt[4];
    uint64_t sequence;
};

static void writer_start(struct writer *writer, SSL *ssl)
{
    unsigned char master[48], seed[13 + 64], block[2 * 16 + 2 * 4];
    memcpy(seed, "key expansion", 13);
    SSL_get_server_random(ssl, seed + 13, 32);
    SSL_get_client_random(ssl, seed + 45, 32);
    assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master), sizeof master);
    OSSL_PARAM about[] = {OSSL_PARAM_construct_utf8_string("digest", (char *)"sha256", 0),
                          OSSL_PARAM_construct_octet_string("secret", master, sizeof master),
                          OSSL_PARAM_construct_octet_string("seed", seed, sizeof seed),
                          OSSL_PARAM_construct_end()};
    EVP_KDF *kind = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(kind);
    assert_int_equal(EVP_KDF_derive(kdf, block, sizeof block, about), 1);
    EVP_KDF_CTX_free(kdf);
    EVP_KDF_free(kind);
    memcpy(writer->key, block, 16);
    memcpy(writer->salt, block + 32, 4);
    writer->sequence = 1; /* behind Finished */
}

static void be64(unsigned char *at, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        at[i] = (unsigned char)number;
}

static void write_record(struct writer *writer, int descriptor, unsigned char kind, struct bytes content)
{
    unsigned char record[5 + 8 + 256 + 16], nonce[12], about[13];
    int length;
    assert_true(content.length <= 256);
    memcpy(nonce, writer->salt, 4);
    be64(nonce + 4, writer->sequence);
    be64(about, writer->sequence++);
    memcpy(about + 8,
           (unsigned char[]){kind, 3, 3, (unsigned char)(content.length >> 8), (unsigned char)content.length},
           5);
    size_t size = 8 + content.length + 16;
    memcpy(record, (unsigned char[]){kind, 3, 3, (unsigned char)(size >> 8), (unsigned char)size}, 5);
    memcpy(record + 5, nonce + 4, 8);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, writer->key, nonce);
    EVP_EncryptUpdate(cipher, NULL, &length, about, sizeof about);
    EVP_EncryptUpdate(cipher, record + 13, &length, (const unsigned char *)content.at, (int)content.length);
    EVP_EncryptFinal_ex(cipher, record + 13 + content.length, &length);
    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, record + 13 + content.length);
    EVP_CIPHER_CTX_free(cipher);
    (void)!send(descriptor, record, 5 + size, MSG_NOSIGNAL);
}

enum { ALERT = 21, HANDSHAKE = 22, DATA = 23 };

static void in_tls_12(struct handshake_client *client, struct writer *writer)
{
    client_start(client, 1);
    SSL_set_max_proto_version(client->ssl, TLS1_2_VERSION);
    SSL_set_cipher_list(client->ssl, "ECDHE-ECDSA-AES128-GCM-SHA256");
    TURN_UNTIL(client_goes_on(client) && client->server.tls == 1);
    writer_start(writer, client->ssl);
    write_record(writer, client->descriptor, DATA, BYTES("heard"));
    TURN_UNTIL(client->server.heard.length == 5);
}

/* Sends the limit of one kind of record, and one more. */
static void records_in_vain(unsigned char kind, struct bytes content, unsigned char other_kind,
                            struct bytes other)
{
    struct handshake_client client;
    struct writer writer;
    in_tls_12(&client, &writer);
    int sent = 0;
    for (; client.server.ended == 0 && sent < 10 * TLS_VAIN_RECORDS_MAX; sent++) {
        write_record(&writer, client.descriptor, sent % 2 == 0 ? kind : other_kind,
                     sent % 2 == 0 ? content : other);
        turn();
    }
    turn();
    assert_int_equal(client.server.ended, 1);
    assert_int_equal(client.server.how, CONN_END_TLS);
    assert_true(sent <= TLS_VAIN_RECORDS_MAX + 3);
    end_all(&client, 1);
}

static void renegotiation_is_not_asked_for_ever(void **state)
{
    /* a ClientHello */
    static const char hello[] = "\1\0\0\51\3\3rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\0\0\2\xc0\x2b\1\0";
    records_in_vain(HANDSHAKE, bytes_of(hello, sizeof hello - 1), HANDSHAKE,
                    bytes_of(hello, sizeof hello - 1));
}

static void alerts_and_empty_records_have_an_end(void **state)
{
    struct bytes warning = bytes_of("\1\x5a", 2); /* user_canceled */
    records_in_vain(ALERT, warning, ALERT, warning);
    records_in_vain(DATA, bytes_none(), DATA, bytes_none());
    /* OpenSSL counts each kind, as long as no other comes between */
    records_in_vain(DATA, bytes_none(), ALERT, warning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_has_one_step_and_all_others_come_before, queue_setup,
                                        queue_teardown),
        cmocka_unit_test_setup_teardown(a_queue_that_waits_does_not_spin, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(networks_alternate, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(of_one_network_first_comes_first, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(who_has_begun_goes_first_and_gets_through, queue_setup,
                                        queue_teardown),
        cmocka_unit_test_setup_teardown(who_has_to_wait_holds_up_no_other, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(many_who_hung_up_are_done_in_one_turn, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(who_hung_up_has_no_handshake, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(a_handshake_that_fails_is_told_once, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(a_conn_may_be_closed_while_it_waits_and_when_it_is_done, queue_setup,
                                        queue_teardown),
        cmocka_unit_test_setup_teardown(a_hello_has_an_end, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(a_hello_that_is_to_be_long_is_refused_before_it_comes, queue_setup,
                                        queue_teardown),
        cmocka_unit_test_setup_teardown(a_turn_takes_in_so_much, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(a_turn_has_so_many_records, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(keys_are_updated_so_often_and_no_more, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(renegotiation_is_not_asked_for_ever, queue_setup, queue_teardown),
        cmocka_unit_test_setup_teardown(alerts_and_empty_records_have_an_end, queue_setup, queue_teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
