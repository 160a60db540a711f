/* SPDX-License-Identifier: Apache-2.0 */
/* The fallback after STARTTLS failed: another try, no TLS where nothing requires it, and the memory of the
 * host. */
#include <stdio.h>

#include "core/client/delivery.h"
#include "unit.h"

static struct recipient one = {.address = BYTES("ada@example.org")};
static const struct envelope letter = {
    .sender = BYTES("bob@example.net"), .recipients = &one, .recipient_count = 1, .size = 7};
static struct tls_fallback fallback;
static struct delivery delivery;

/* A next hop that is an address: no DNS. */
static const struct delivery_options may = {.hostname = BYTES("mx.example.net"),
                                            .domain = BYTES("[192.0.2.9]"),
                                            .smarthost = true,
                                            .port = 25,
                                            .tls = CLIENT_TLS_OPPORTUNISTIC,
                                            .fallback = &fallback};

static int prepare(void **state)
{
    fallback = (struct tls_fallback){.now_ms = 1000 * 1000};
    return 0;
}

static int finish(void **state)
{
    delivery_free(&delivery);
    return 0;
}

static struct delivery_action expect(enum delivery_action_kind kind)
{
    struct delivery_action action;
    if (!delivery_action(&delivery, &action) || action.kind != kind)
        fail_msg("action %d instead of %d", action.kind, kind);
    return action;
}

static void hear(const char *text)
{
    for (struct bytes input = bytes_of_text(text); input.length > 0;) {
        size_t used = delivery_feed(&delivery, input);
        assert_true(used > 0);
        input = bytes_from(input, used);
    }
}

static void expect_send(const char *text)
{
    assert_text(expect(DELIVERY_SEND).bytes, text);
}

/* The connection is made, and it offers STARTTLS. */
static void connect_and_greet(void)
{
    expect(DELIVERY_CONNECT);
    delivery_connected(&delivery);
    hear("220 mx\r\n");
    expect_send("EHLO mx.example.net\r\n");
    hear("250-mx\r\n250 STARTTLS\r\n");
}

static void ask_for_tls(void)
{
    connect_and_greet();
    expect_send("STARTTLS\r\n");
}

static void shake_hands(void)
{
    ask_for_tls();
    assert_int_equal(delivery_timeout_ms(&delivery),
                     delivery.hurried ? HANDSHAKE_AGAIN_MS : STARTTLS_REPLY_MS);
    hear("220 go\r\n");
    expect(DELIVERY_STARTTLS);
    assert_int_equal(delivery_timeout_ms(&delivery), delivery.hurried ? HANDSHAKE_AGAIN_MS : HANDSHAKE_MS);
}

static void begin(const struct delivery_options *options)
{
    delivery_start(&delivery, options, &letter);
}

static void lose(bool in_tls, enum tls_loss how, const char *why)
{
    delivery_lost(&delivery, in_tls, how, bytes_of_text(why));
    expect(DELIVERY_CLOSE);
}

/* STARTTLS is offered, and the message goes without. */
static void goes_in_clear(const char *reason)
{
    connect_and_greet();
    expect_send("MAIL FROM:<bob@example.net>\r\n");
    assert_text(delivery_clear_reason(&delivery), reason);
}

static void waits(const char *text)
{
    struct delivery_action done = expect(DELIVERY_DONE);
    assert_int_equal(done.results[0].outcome, OUTCOME_DEFERRED);
    assert_text(done.results[0].text, text);
}

/* ---- nothing demands TLS ---- */

static void a_handshake_that_fails_is_tried_again_and_then_clear_text(void **state)
{
    begin(&may);
    shake_hands();
    lose(true, TLS_LOSS_ENDED, "the connection was reset");
    assert_text(delivery_clear_reason(&delivery), "");
    shake_hands();
    lose(true, TLS_LOSS_ENDED, "no shared cipher");
    goes_in_clear("TLS failed twice: no shared cipher");
    /* it may work again in a minute */
    assert_false(tls_fallback_has(&fallback, BYTES("192.0.2.9"), 25, NULL));
}

static void one_that_works_the_second_time_is_secured(void **state)
{
    begin(&may);
    shake_hands();
    lose(true, TLS_LOSS_ENDED, "the connection was reset");
    shake_hands();
    delivery_tls_started(&delivery);
    expect_send("EHLO mx.example.net\r\n");
    hear("250 mx\r\n");
    expect_send("MAIL FROM:<bob@example.net>\r\n");
    assert_text(delivery_clear_reason(&delivery), "");
}

static void what_is_lost_at_starttls_or_at_the_ehlo_behind_it_is_lost_for_tls(void **state)
{
    begin(&may);
    ask_for_tls(); /* no 220 came */
    lose(false, TLS_LOSS_ENDED, "the connection was closed");
    shake_hands();
    delivery_tls_started(&delivery);
    expect_send("EHLO mx.example.net\r\n");
    assert_int_equal(delivery_timeout_ms(&delivery), EHLO_AGAIN_MS);
    lose(false, TLS_LOSS_ENDED, "the connection was closed");
    goes_in_clear("TLS failed twice: the connection was closed");
}

static void what_is_lost_before_or_after_is_not(void **state)
{
    begin(&may);
    expect(DELIVERY_CONNECT);
    delivery_connected(&delivery);
    hear("220 mx\r\n");
    expect_send("EHLO mx.example.net\r\n");
    lose(false, TLS_LOSS_SILENT, "timed out");
    waits("timed out");
    delivery_free(&delivery);
    begin(&may);
    shake_hands();
    delivery_tls_started(&delivery);
    expect_send("EHLO mx.example.net\r\n");
    hear("250 mx\r\n");
    expect_send("MAIL FROM:<bob@example.net>\r\n");
    lose(false, TLS_LOSS_SILENT, "timed out");
    waits("timed out");
    assert_false(tls_fallback_has(&fallback, BYTES("192.0.2.9"), 25, NULL));
}

static void silence_is_waited_for_once(void **state)
{
    begin(&may);
    shake_hands();
    lose(true, TLS_LOSS_SILENT, "timed out");
    goes_in_clear("the host did not answer STARTTLS: timed out");
    delivery_free(&delivery);
    fallback.now_ms += 5 * 60 * 1000;
    begin(&may); /* the next message does not wait at all */
    goes_in_clear("the host did not answer STARTTLS 5 min ago");
    delivery_free(&delivery);
    fallback.now_ms += TLS_FALLBACK_KEPT_MS - 5 * 60 * 1000;
    begin(&may);
    shake_hands();
    assert_false(delivery.hurried);
}

static void why_there_is_no_tls_is_known(void **state)
{
    begin(&may);
    expect(DELIVERY_CONNECT);
    delivery_connected(&delivery);
    hear("220 mx\r\n");
    expect_send("EHLO mx.example.net\r\n");
    hear("250 mx\r\n");
    expect_send("MAIL FROM:<bob@example.net>\r\n");
    assert_text(delivery_clear_reason(&delivery), "the server does not offer STARTTLS");
    delivery_free(&delivery);
    begin(&may);
    ask_for_tls();
    hear("454 4.7.0 not now\r\n");
    expect_send("MAIL FROM:<bob@example.net>\r\n");
    assert_text(delivery_clear_reason(&delivery), "the server rejected STARTTLS: 454 4.7.0 not now");
}

/* ---- something demands it, or somebody meddles ---- */

static const enum tls_loss losses[] = {TLS_LOSS_ENDED, TLS_LOSS_SILENT, TLS_LOSS_CLEAR_TEXT};

static void where_tls_is_demanded_nothing_leads_to_clear_text(void **state)
{
    struct delivery_options required = may;
    required.tls = CLIENT_TLS_REQUIRED;
    for (size_t i = 0; i < ARRAY_LENGTH(losses); i++) {
        begin(&required);
        shake_hands();
        lose(true, losses[i], "no TLS");
        waits("no TLS");
        delivery_free(&delivery);
        begin(&required);
        shake_hands();
        /* the silence is remembered: it is waited for less */
        assert_int_equal(delivery.hurried, losses[i] != TLS_LOSS_ENDED);
        delivery_tls_started(&delivery);
        expect_send("EHLO mx.example.net\r\n");
        lose(false, losses[i], "no TLS");
        waits("no TLS");
        delivery_free(&delivery);
    }
}

static void clear_text_in_the_place_of_tls_leads_to_no_clear_text(void **state)
{
    begin(&may);
    shake_hands();
    lose(true, TLS_LOSS_CLEAR_TEXT, CLEAR_TEXT_AFTER_STARTTLS);
    waits(CLEAR_TEXT_AFTER_STARTTLS);
    delivery_free(&delivery);
    begin(&may); /* nor the second time, nor after another loss */
    shake_hands();
    lose(true, TLS_LOSS_ENDED, "reset");
    shake_hands();
    lose(true, TLS_LOSS_CLEAR_TEXT, CLEAR_TEXT_AFTER_STARTTLS);
    waits(CLEAR_TEXT_AFTER_STARTTLS);
}

/* Octets that arrive together: replies before their commands. */
static void an_answer_ahead_of_its_question_ends_it(void **state)
{
    static const struct {
        const char *greeting, *ehlo;
    } table[] = {
        {"220 mx\r\n250 mx\r\n", NULL},                         /* hides what EHLO would say */
        {"220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n220 go\r\n"}, /* a STARTTLS that was not said */
        /* one EHLO reply instead of another */
        {"220 mx\r\n", "250-mx\r\n250 SIZE\r\n250-mx\r\n250 STARTTLS\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        begin(&may);
        expect(DELIVERY_CONNECT);
        delivery_connected(&delivery);
        delivery_feed(&delivery, bytes_of_text(table[i].greeting));
        if (table[i].ehlo != NULL) {
            expect_send("EHLO mx.example.net\r\n");
            delivery_feed(&delivery, bytes_of_text(table[i].ehlo));
        }
        expect(DELIVERY_CLOSE);
        waits("the server sent an unexpected reply");
        delivery_free(&delivery);
    }
}

/* ---- what is remembered ---- */

static void tls_that_works_is_not_trouble_any_more(void **state)
{
    struct delivery_options required = may;
    required.tls = CLIENT_TLS_REQUIRED;
    tls_fallback_note(&fallback, BYTES("192.0.2.9"), 25);
    begin(&required);
    shake_hands();
    assert_true(delivery.hurried);
    delivery_tls_started(&delivery);
    assert_true(tls_fallback_has(&fallback, BYTES("192.0.2.9"), 25, NULL)); /* it may fall silent yet */
    expect_send("EHLO mx.example.net\r\n");
    hear("250 mx\r\n");
    expect_send("MAIL FROM:<bob@example.net>\r\n");
    assert_false(tls_fallback_has(&fallback, BYTES("192.0.2.9"), 25, NULL));
}

static void a_host_is_remembered_for_so_long(void **state)
{
    uint64_t ago_ms;
    tls_fallback_note(&fallback, BYTES("MX.example.org"), 25);
    fallback.now_ms += TLS_FALLBACK_KEPT_MS - 1;
    assert_true(tls_fallback_has(&fallback, BYTES("mx.example.ORG"), 25, &ago_ms));
    assert_int_equal(ago_ms, TLS_FALLBACK_KEPT_MS - 1);
    assert_false(tls_fallback_has(&fallback, BYTES("mx.example.org"), 587, NULL));
    assert_false(tls_fallback_has(&fallback, BYTES("mx2.example.org"), 25, NULL));
    tls_fallback_note(&fallback, BYTES("mx.example.org"), 25); /* does not prolong it */
    fallback.now_ms++;
    assert_false(tls_fallback_has(&fallback, BYTES("mx.example.org"), 25, NULL));
    tls_fallback_note(&fallback, BYTES("mx.example.org"), 25);
    assert_true(tls_fallback_has(&fallback, BYTES("mx.example.org"), 25, NULL));
}

static void so_many_are_remembered_and_the_oldest_goes(void **state)
{
    char name[32], first[] = "host0.example.org";
    for (int i = 0; i < TLS_FALLBACK_HOSTS_MAX; i++, fallback.now_ms++) {
        snprintf(name, sizeof name, "host%d.example.org", i);
        tls_fallback_note(&fallback, bytes_of_text(name), 25);
    }
    assert_true(tls_fallback_has(&fallback, bytes_of_text(first), 25, NULL));
    tls_fallback_note(&fallback, BYTES("one.more"), 25);
    assert_false(tls_fallback_has(&fallback, bytes_of_text(first), 25, NULL));
    assert_true(tls_fallback_has(&fallback, BYTES("one.more"), 25, NULL) &&
                tls_fallback_has(&fallback, BYTES("host1.example.org"), 25, NULL));
}

static void a_name_that_is_none_is_not_remembered(void **state)
{
    char name[DOMAIN_MAX + 1];
    memset(name, 'a', sizeof name);
    tls_fallback_note(&fallback, bytes_of(name, DOMAIN_MAX), 25);
    assert_true(tls_fallback_has(&fallback, bytes_of(name, DOMAIN_MAX), 25, NULL));
    tls_fallback_note(&fallback, bytes_of(name, DOMAIN_MAX + 1), 25);
    tls_fallback_note(&fallback, bytes_none(), 25);
    assert_false(tls_fallback_has(&fallback, bytes_of(name, DOMAIN_MAX + 1), 25, NULL) ||
                 tls_fallback_has(&fallback, bytes_none(), 25, NULL));
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, finish)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(a_handshake_that_fails_is_tried_again_and_then_clear_text),
        TESTED(one_that_works_the_second_time_is_secured),
        TESTED(what_is_lost_at_starttls_or_at_the_ehlo_behind_it_is_lost_for_tls),
        TESTED(what_is_lost_before_or_after_is_not),
        TESTED(silence_is_waited_for_once),
        TESTED(why_there_is_no_tls_is_known),
        TESTED(where_tls_is_demanded_nothing_leads_to_clear_text),
        TESTED(clear_text_in_the_place_of_tls_leads_to_no_clear_text),
        TESTED(an_answer_ahead_of_its_question_ends_it),
        TESTED(tls_that_works_is_not_trouble_any_more),
        cmocka_unit_test_setup(a_host_is_remembered_for_so_long, prepare),
        cmocka_unit_test_setup(so_many_are_remembered_and_the_oldest_goes, prepare),
        cmocka_unit_test_setup(a_name_that_is_none_is_not_remembered, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
