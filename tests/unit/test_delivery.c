/* SPDX-License-Identifier: Apache-2.0 */
/* One message to one destination: the order of addresses, and the end of an attempt. */
#include "delivery_ground.h"

static const struct delivery_options by_mx = {.hostname = BYTES("mx.example.net"),
                                              .domain = BYTES("example.org"),
                                              .random = 1,
                                              .port = 25,
                                              .tls = CLIENT_TLS_OPPORTUNISTIC};

/* From the greeting to both recipients accepted and the content asked for. */
static void talk(struct delivery *delivery)
{
    delivery_connected(delivery);
    hear(delivery, "220 mx\r\n");
    expect_send(delivery, "EHLO mx.example.net\r\n");
    hear(delivery, "250-mx\r\n250 PIPELINING\r\n");
}

static void transact(struct delivery *delivery)
{
    expect_send(
        delivery,
        "MAIL FROM:<bob@example.net>\r\nRCPT TO:<ada@example.org>\r\nRCPT TO:<carl@example.org>\r\nDATA\r\n");
    hear(delivery, "250 ok\r\n250 ok\r\n550 5.1.1 nobody\r\n354 go\r\n");
    expect(delivery, DELIVERY_WANT_CONTENT);
    delivery_content(delivery, BYTES("Hello\r\n"), true);
    expect_send(delivery, "Hello\r\n.\r\n");
    hear(delivery, "250 2.0.0 ok\r\n");
    expect_results(delivery, OUTCOME_DELIVERED, OUTCOME_FAILED, "5.1.1");
}

static void a_message_is_delivered_and_another_follows(void **state)
{
    struct delivery delivery;
    struct buffer peer = {0};
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    talk(&delivery);
    transact(&delivery);
    delivery_peer(&delivery, &peer);
    assert_text(buffer_bytes(&peer), "a.example.org[192.0.2.1]:25");
    buffer_free(&peer);
    assert_true(delivery_is_open(&delivery));
    delivery_next(&delivery, &letter);
    transact(&delivery);
    delivery_quit(&delivery);
    expect_send(&delivery, "QUIT\r\n");
    hear(&delivery, "221 bye\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    end(&delivery);
}

static void the_next_address_follows_one_that_does_not_answer(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("connection refused"));
    expect(&delivery, DELIVERY_CLOSE);
    resolve(&delivery, 2);
    expect_connect(&delivery, 2, 25, false);
    talk(&delivery);
    transact(&delivery);
    delivery_free(&delivery);
}

static void the_next_host_follows_one_that_refuses_to_talk(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    delivery_connected(&delivery);
    hear(&delivery, "554 5.7.1 not you\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    resolve(&delivery, 2);
    expect_connect(&delivery, 2, 25, false);
    delivery_connected(&delivery);
    hear(&delivery, "421 4.3.2 later\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.3.2"); /* nobody's fault: wait */
    end(&delivery);
}

/* The reason is from the server that replied, and names it. */
static void a_server_that_cannot_be_reached_hides_nothing_that_another_said(void **state)
{
    static const char *const said[] = {"554 5.7.1 not you\r\n", "421 5.7.1 later\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(said); i++) {
        struct delivery delivery;
        struct buffer peer = {0};
        start(&delivery, &by_mx);
        resolve(&delivery, 1);
        expect_connect(&delivery, 1, 25, false);
        delivery_connected(&delivery);
        hear(&delivery, said[i]);
        expect(&delivery, DELIVERY_CLOSE);
        resolve(&delivery, 2);
        expect_connect(&delivery, 2, 25, false);
        delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("connection refused"));
        expect(&delivery, DELIVERY_CLOSE);
        expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "5.7.1");
        delivery_peer(&delivery, &peer);
        assert_non_null(strstr(buffer_text(&peer), "[192.0.2.1]:25"));
        buffer_free(&peer);
        delivery_free(&delivery);
    }
}

static void what_a_server_says_of_the_message_is_not_asked_twice(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    talk(&delivery);
    expect(&delivery, DELIVERY_SEND);
    hear(&delivery, "451 4.7.1 greylisted\r\n503 no\r\n503 no\r\n503 no\r\n");
    expect_send(&delivery, "RSET\r\n");
    hear(&delivery, "250 ok\r\n");
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.7.1");
    struct delivery_action action;
    assert_false(delivery_action(&delivery, &action)); /* this one waits */
    assert_true(delivery_is_open(&delivery));          /* for another */
    delivery_free(&delivery);
}

static void a_connection_lost_in_the_message_defers_it(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    talk(&delivery);
    expect(&delivery, DELIVERY_SEND);
    hear(&delivery, "250 ok\r\n250 ok\r\n");
    delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("the connection was reset"));
    expect(&delivery, DELIVERY_CLOSE);
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.4.2");
    end(&delivery);
}

static void a_kept_connection_that_had_ended_says_nothing_of_the_message(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    talk(&delivery);
    transact(&delivery);
    delivery_next(&delivery, &letter);
    expect(&delivery, DELIVERY_SEND);
    delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("the connection was reset"));
    expect(&delivery, DELIVERY_CLOSE);
    expect_connect(&delivery, 1, 25, false); /* a fresh one, to the same */
    talk(&delivery);
    transact(&delivery);
    delivery_free(&delivery);
}

static const struct delivery_options by_smarthost = {.hostname = BYTES("mx.example.net"),
                                                     .domain = BYTES("[192.0.2.9]"),
                                                     .smarthost = true,
                                                     .verify = true,
                                                     .user = BYTES("u"),
                                                     .password = BYTES("p"),
                                                     .port = 587,
                                                     .tls = CLIENT_TLS_REQUIRED};

static void a_smarthost_is_never_spoken_with_in_clear(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_smarthost);
    expect_connect(&delivery, 9, 587, false);
    delivery_connected(&delivery);
    hear(&delivery, "220 mx\r\n");
    expect(&delivery, DELIVERY_SEND);
    hear(&delivery, "250 no TLS here\r\n"); /* stripped */
    expect(&delivery, DELIVERY_CLOSE);
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.7.4");
    end(&delivery);
}

static void a_refused_password_is_not_tried_elsewhere(void **state)
{
    struct delivery delivery;
    struct delivery_options options = by_smarthost;
    options.port = 465;
    options.tls = CLIENT_TLS_IMPLICIT;
    start(&delivery, &options);
    expect_connect(&delivery, 9, 465, true);
    delivery_connected(&delivery);
    hear(&delivery, "220 mx\r\n");
    expect(&delivery, DELIVERY_SEND);
    hear(&delivery, "250-mx\r\n250 AUTH PLAIN\r\n");
    expect_send(&delivery, "AUTH PLAIN AHUAcA==\r\n");
    hear(&delivery, "535 5.7.8 wrong\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    /* our settings are wrong, not the recipients */
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "5.7.8");
    end(&delivery);
}

static void a_domain_that_is_not_there_fails_at_once(void **state)
{
    struct delivery delivery;
    delivery_start(&delivery, &by_mx, &letter);
    expect(&delivery, DELIVERY_RESOLVE);
    assert_int_equal(delivery_step(&delivery), STEP_DNS);
    delivery_resolved(&delivery, DNS_MX, DNS_NXDOMAIN, NULL, 0);
    expect_results(&delivery, OUTCOME_FAILED, OUTCOME_FAILED, "5.1.2");
    end(&delivery);
}

static void a_connection_carries_so_many_messages(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    talk(&delivery);
    transact(&delivery);
    for (int i = 1; i < DELIVERY_MESSAGES_MAX; i++) {
        assert_true(delivery_is_open(&delivery));
        delivery_next(&delivery, &letter);
        transact(&delivery);
    }
    assert_false(delivery_is_open(&delivery)); /* nor does it stay until somebody's patience ends */
    expect_send(&delivery, "QUIT\r\n");
    hear(&delivery, "221 bye\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    delivery_free(&delivery);
}

/* ---- how hosts must be secured ---- */

static const struct delivery_options as_published = {.hostname = BYTES("mx.example.net"),
                                                     .domain = BYTES("example.org"),
                                                     .random = 1,
                                                     .port = 25,
                                                     .tls = CLIENT_TLS_OPPORTUNISTIC,
                                                     .wish = WISH_AUTO};
static const char digest[32];
static const struct dns_record fits = {
    .usage = 3, .selector = 1, .matching = 1, .data = {digest, sizeof digest}};

static void learn(struct delivery *delivery, enum dns_type type, const char *name, enum dns_status status,
                  bool secure, const struct dns_record *records, size_t count)
{
    struct delivery_action action = expect(delivery, DELIVERY_RESOLVE);
    struct dns_answer facts = {.status = status, .secure = secure, .records = records, .count = count};
    assert_int_equal(action.type, type);
    assert_text(action.name, name);
    delivery_learned(delivery, type, &facts);
}

/* Two hosts that DNSSEC vouches for, up to the TLSA records of the first. */
static void start_secure(struct delivery *delivery, const struct envelope *envelope)
{
    static const struct dns_record hosts[] = {{.preference = 1, .name = BYTES("a.example.org")},
                                              {.preference = 2, .name = BYTES("b.example.org")}};
    delivery_start(delivery, &as_published, envelope);
    learn(delivery, DNS_MX, "example.org", DNS_FOUND, true, hosts, 2);
}

static void address(struct delivery *delivery, const char *host, uint8_t last)
{
    const struct dns_record four = {.address = {192, 0, 2, last}};
    learn(delivery, DNS_AAAA, host, DNS_NO_DATA, true, NULL, 0);
    learn(delivery, DNS_A, host, DNS_FOUND, true, &four, 1);
}

static void talk_up_to_starttls(struct delivery *delivery, const char *more)
{
    delivery_connected(delivery);
    hear(delivery, "220 mx\r\n");
    expect_send(delivery, "EHLO mx.example.net\r\n");
    hear(delivery, more);
}

static void dane_is_asked_for_and_demanded(void **state)
{
    struct delivery delivery;
    start_secure(&delivery, &letter);
    address(&delivery, "a.example.org", 1);
    learn(&delivery, DNS_TLSA, "_25._tcp.a.example.org", DNS_FOUND, true, &fits, 1);
    expect_connect(&delivery, 1, 25, false);
    talk_up_to_starttls(&delivery, "250-mx\r\n250 STARTTLS\r\n");
    expect_send(&delivery, "STARTTLS\r\n");
    hear(&delivery, "220 go\r\n");
    struct delivery_action action = expect(&delivery, DELIVERY_STARTTLS);
    assert_int_equal(action.tlsa_count, 1);
    assert_text(action.name, "a.example.org");
    assert_text(action.names[0], "example.org");
    assert_int_equal(delivery_tls_result(&delivery).level, TLS_LEVEL_DANE);
    /* The certificate is invalid: no plain text, the next host. */
    delivery_lost(&delivery, true, TLS_LOSS_ENDED, BYTES("the certificate does not fit"));
    expect(&delivery, DELIVERY_CLOSE);
    address(&delivery, "b.example.org", 2);
    /* and that one is not tried at all */
    learn(&delivery, DNS_TLSA, "_25._tcp.b.example.org", DNS_SERVER_FAILURE, false, NULL, 0);
    struct delivery_action done = expect(&delivery, DELIVERY_DONE);
    assert_int_equal(done.results[0].outcome, OUTCOME_DEFERRED);
    assert_int_equal(done.results[0].step, STEP_TLS);
    assert_text(done.results[0].text, "b.example.org: temporary DNS failure for the host's TLSA records");
    end(&delivery);
}

/* RFC 7672 2.2.2: the alias itself is signed, where it leads is not. */
static void an_alias_out_of_dnssec_is_asked_for(void **state)
{
    struct delivery delivery;
    struct dns_record record = {.address = {192, 0, 2, 1}}, name = {.name = BYTES("real.example.net")};
    start_secure(&delivery, &letter);
    learn(&delivery, DNS_AAAA, "a.example.org", DNS_NO_DATA, false, NULL, 0);
    expect(&delivery, DELIVERY_RESOLVE);
    delivery_learned(
        &delivery, DNS_A,
        &(struct dns_answer){
            .status = DNS_FOUND, .canonical = BYTES("real.example.net"), .records = &record, .count = 1});
    learn(&delivery, DNS_CNAME, "a.example.org", DNS_FOUND, true, &name, 1);
    learn(&delivery, DNS_TLSA, "_25._tcp.a.example.org", DNS_FOUND, true, &fits, 1);
    expect_connect(&delivery, 1, 25, false);
    assert_int_equal(delivery_tls_result(&delivery).level, TLS_LEVEL_DANE);
    delivery_free(&delivery);
}

static void stripped_starttls_is_not_taken_for_none(void **state)
{
    struct delivery delivery;
    start_secure(&delivery, &letter);
    address(&delivery, "a.example.org", 1);
    learn(&delivery, DNS_TLSA, "_25._tcp.a.example.org", DNS_FOUND, true, &fits, 1);
    expect_connect(&delivery, 1, 25, false);
    talk_up_to_starttls(&delivery, "250 mx\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    assert_text(delivery.last.enhanced, "4.7.4");
    delivery_free(&delivery);
}

static void mta_sts_is_asked_for_once_a_domain(void **state)
{
    static const struct sts_policy policy = {
        .mode = STS_ENFORCE, .patterns = {BYTES("b.example.org")}, .pattern_count = 1};
    struct delivery delivery;
    start_secure(&delivery, &letter);
    address(&delivery, "a.example.org", 1);
    learn(&delivery, DNS_TLSA, "_25._tcp.a.example.org", DNS_NXDOMAIN, true, NULL, 0);
    assert_text(expect(&delivery, DELIVERY_ASK_STS).name, "example.org");
    delivery_sts(&delivery, &policy); /* it does not list the first host */
    address(&delivery, "b.example.org", 2);
    learn(&delivery, DNS_TLSA, "_25._tcp.b.example.org", DNS_NO_DATA, true, NULL, 0);
    expect_connect(&delivery, 2, 25, false);
    assert_int_equal(delivery_tls_result(&delivery).level, TLS_LEVEL_STS);
    talk_up_to_starttls(&delivery, "250-mx\r\n250 STARTTLS\r\n");
    expect_send(&delivery, "STARTTLS\r\n");
    hear(&delivery, "220 go\r\n");
    assert_true(expect(&delivery, DELIVERY_STARTTLS).verify);
    delivery_free(&delivery);
}

static void requiretls_fails_where_nobody_can(void **state)
{
    struct envelope required = letter;
    struct delivery delivery;
    required.requiretls = true;
    /* Both lack STARTTLS: for good. */
    start_secure(&delivery, &required);
    for (uint8_t i = 1; i <= 2; i++) {
        char host[] = "a.example.org", tlsa[] = "_25._tcp.a.example.org";
        host[0] = tlsa[9] = (char)('a' + i - 1);
        address(&delivery, host, i);
        learn(&delivery, DNS_TLSA, tlsa, DNS_FOUND, true, &fits, 1);
        expect_connect(&delivery, i, 25, false);
        talk_up_to_starttls(&delivery, "250 mx\r\n");
        expect(&delivery, DELIVERY_CLOSE);
    }
    expect_results(&delivery, OUTCOME_FAILED, OUTCOME_FAILED, "5.7.30");
    end(&delivery);
    /* One could not be reached: its capabilities are unknown. */
    start_secure(&delivery, &required);
    address(&delivery, "a.example.org", 1);
    learn(&delivery, DNS_TLSA, "_25._tcp.a.example.org", DNS_FOUND, true, &fits, 1);
    expect_connect(&delivery, 1, 25, false);
    delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("refused"));
    expect(&delivery, DELIVERY_CLOSE);
    address(&delivery, "b.example.org", 2);
    learn(&delivery, DNS_TLSA, "_25._tcp.b.example.org", DNS_FOUND, true, &fits, 1);
    expect_connect(&delivery, 2, 25, false);
    talk_up_to_starttls(&delivery, "250 mx\r\n");
    expect(&delivery, DELIVERY_CLOSE);
    struct delivery_action done = expect(&delivery, DELIVERY_DONE);
    assert_int_equal(done.results[0].outcome, OUTCOME_DEFERRED);
    end(&delivery);
}

static void a_message_that_requires_tls_does_not_take_any_connection(void **state)
{
    struct envelope required = letter;
    struct delivery delivery;
    required.requiretls = true;
    start(&delivery, &by_mx);
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    talk(&delivery);
    transact(&delivery);
    assert_true(delivery_is_open(&delivery));
    assert_true(delivery_suits(&delivery, &letter));
    assert_false(delivery_suits(&delivery, &required));
    delivery_free(&delivery);
}

/* Unusable records do not displace the matching one. */
static void of_many_tlsa_records_those_that_can_be_used_count(void **state)
{
    static struct dns_record records[TLSA_RECORDS_MAX * 2 + 1];
    static const size_t usable[] = {1, TLSA_RECORDS_MAX, TLSA_RECORDS_MAX + 1};
    for (size_t i = 0; i < ARRAY_LENGTH(usable); i++) {
        struct delivery delivery;
        for (size_t k = 0; k < ARRAY_LENGTH(records); k++) {
            records[k] = fits;
            records[k].usage = k < ARRAY_LENGTH(records) - usable[i] ? 1 : 3; /* PKIX-EE is not for mail */
        }
        start_secure(&delivery, &letter);
        address(&delivery, "a.example.org", 1);
        learn(&delivery, DNS_TLSA, "_25._tcp.a.example.org", DNS_FOUND, true, records, ARRAY_LENGTH(records));
        struct delivery_action action = expect(&delivery, DELIVERY_CONNECT);
        assert_int_equal(action.tlsa_count, usable[i] < TLSA_RECORDS_MAX ? usable[i] : TLSA_RECORDS_MAX);
        assert_int_equal(action.tlsa[0].usage, 3);
        delivery_free(&delivery);
    }
}

/* A forged MX that is an address must not bypass the domain's policy. */
static void an_mx_that_is_an_address_is_not_free_of_the_policy(void **state)
{
    static const struct sts_policy policy = {
        .mode = STS_ENFORCE, .patterns = {BYTES("b.example.org")}, .pattern_count = 1};
    const struct dns_record host = {.preference = 1, .name = BYTES("192.0.2.1")};
    struct delivery delivery;
    delivery_start(&delivery, &as_published, &letter);
    learn(&delivery, DNS_MX, "example.org", DNS_FOUND, false, &host, 1);
    assert_text(expect(&delivery, DELIVERY_ASK_STS).name, "example.org");
    delivery_sts(&delivery, &policy);
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.7.5");
    end(&delivery);
}

static void mail_that_would_come_back_fails(void **state)
{
    const struct route_address ours = {.octets = {192, 0, 2, 1}};
    const struct own_addresses own = {&ours, 1};
    struct delivery_options options = by_mx;
    struct delivery delivery;
    options.own = &own;
    start(&delivery, &options);
    resolve(&delivery, 1);
    resolve(&delivery, 2);
    expect_connect(&delivery, 2, 25, false); /* the next host is another machine */
    delivery_free(&delivery);
    const struct dns_record host = {.preference = 1, .name = BYTES("a.example.org")};
    delivery_start(&delivery, &options, &letter);
    learn(&delivery, DNS_MX, "example.org", DNS_FOUND, false, &host, 1);
    address(&delivery, "a.example.org", 1);
    struct delivery_action done = expect(&delivery, DELIVERY_DONE);
    assert_int_equal(done.results[0].outcome, OUTCOME_FAILED);
    assert_text(done.results[0].enhanced, "5.4.6");
    assert_int_equal(bytes_search(done.results[0].text, BYTES("mail loops back to this server")), 0);
    end(&delivery);
}

static void an_attempt_that_takes_too_long_waits(void **state)
{
    struct delivery delivery;
    start(&delivery, &by_mx); /* before anybody was called */
    expect(&delivery, DELIVERY_RESOLVE);
    delivery_out_of_time(&delivery);
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.4.1");
    end(&delivery);
    start(&delivery, &by_mx); /* with what the last one said */
    resolve(&delivery, 1);
    expect_connect(&delivery, 1, 25, false);
    delivery_lost(&delivery, false, TLS_LOSS_SILENT, BYTES("timed out"));
    expect(&delivery, DELIVERY_CLOSE);
    expect(&delivery, DELIVERY_RESOLVE);
    delivery_out_of_time(&delivery);
    struct delivery_action done = expect(&delivery, DELIVERY_DONE);
    assert_text(done.results[0].text, "timed out");
    end(&delivery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_delivered_and_another_follows),
        cmocka_unit_test(the_next_address_follows_one_that_does_not_answer),
        cmocka_unit_test(the_next_host_follows_one_that_refuses_to_talk),
        cmocka_unit_test(a_server_that_cannot_be_reached_hides_nothing_that_another_said),
        cmocka_unit_test(what_a_server_says_of_the_message_is_not_asked_twice),
        cmocka_unit_test(a_connection_lost_in_the_message_defers_it),
        cmocka_unit_test(a_kept_connection_that_had_ended_says_nothing_of_the_message),
        cmocka_unit_test(a_smarthost_is_never_spoken_with_in_clear),
        cmocka_unit_test(a_refused_password_is_not_tried_elsewhere),
        cmocka_unit_test(a_domain_that_is_not_there_fails_at_once),
        cmocka_unit_test(a_connection_carries_so_many_messages),
        cmocka_unit_test(dane_is_asked_for_and_demanded),
        cmocka_unit_test(an_alias_out_of_dnssec_is_asked_for),
        cmocka_unit_test(stripped_starttls_is_not_taken_for_none),
        cmocka_unit_test(mta_sts_is_asked_for_once_a_domain),
        cmocka_unit_test(requiretls_fails_where_nobody_can),
        cmocka_unit_test(a_message_that_requires_tls_does_not_take_any_connection),
        cmocka_unit_test(of_many_tlsa_records_those_that_can_be_used_count),
        cmocka_unit_test(an_mx_that_is_an_address_is_not_free_of_the_policy),
        cmocka_unit_test(mail_that_would_come_back_fails),
        cmocka_unit_test(an_attempt_that_takes_too_long_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
