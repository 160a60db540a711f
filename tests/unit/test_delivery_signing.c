/* SPDX-License-Identifier: Apache-2.0 */
/* A message is signed once its form is known, and before anything of it is sent. */
#include "delivery_ground.h"

static const struct delivery_options signing = {.hostname = BYTES("mx.example.net"),
                                                .domain = BYTES("example.org"),
                                                .random = 1,
                                                .port = 25,
                                                .tls = CLIENT_TLS_OPPORTUNISTIC,
                                                .signs = true};
#define TOP "DKIM-Signature: v=1\r\n"

static void connect_signing(struct delivery *delivery)
{
    start(delivery, &signing);
    resolve(delivery, 1);
    expect_connect(delivery, 1, 25, false);
    delivery_connected(delivery);
    hear(delivery, "220 mx\r\n");
    expect_send(delivery, "EHLO mx.example.net\r\n");
    hear(delivery, "250-mx\r\n250-SIZE 0\r\n250 PIPELINING\r\n");
}

/* Nothing of the message leaves before it is signed; SIZE counts what is on top. */
static void transact_signed(struct delivery *delivery)
{
    struct delivery_action action = expect(delivery, DELIVERY_SIGN);
    assert_int_equal(content_form_number(action.form), 0);
    assert_false(delivery_action(delivery, &action));
    delivery_signed(delivery, BYTES(TOP));
    expect_send(delivery, "MAIL FROM:<bob@example.net> SIZE=28\r\nRCPT TO:<ada@example.org>\r\n"
                          "RCPT TO:<carl@example.org>\r\nDATA\r\n");
    hear(delivery, "250 ok\r\n250 ok\r\n550 5.1.1 nobody\r\n354 go\r\n");
    expect(delivery, DELIVERY_WANT_CONTENT);
    delivery_content(delivery, BYTES("Hel"), false);
    expect_send(delivery, TOP "Hel");
    expect(delivery, DELIVERY_WANT_CONTENT);
    delivery_content(delivery, BYTES("lo\r\n"), true);
    expect_send(delivery, "lo\r\n.\r\n");
    hear(delivery, "250 2.0.0 ok\r\n");
    expect_results(delivery, OUTCOME_DELIVERED, OUTCOME_FAILED, "5.1.1");
}

static void each_message_is_signed_before_it_is_sent(void **state)
{
    struct delivery delivery;
    connect_signing(&delivery);
    transact_signed(&delivery);
    assert_true(delivery_is_open(&delivery));
    delivery_next(&delivery, &letter);
    transact_signed(&delivery);
    end(&delivery);
}

static void a_message_that_cannot_be_signed_waits_and_the_connection_serves_the_next(void **state)
{
    struct delivery delivery;
    connect_signing(&delivery);
    expect(&delivery, DELIVERY_SIGN);
    delivery_not_signed(&delivery, "4.7.5", BYTES("no key"));
    expect_results(&delivery, OUTCOME_DEFERRED, OUTCOME_DEFERRED, "4.7.5");
    assert_int_equal(delivery.results[0].step, STEP_DATA);
    assert_true(delivery_is_open(&delivery));
    delivery_next(&delivery, &letter);
    transact_signed(&delivery);
    end(&delivery);
}

static void a_reused_connection_that_ends_while_signing_says_nothing_about_the_message(void **state)
{
    struct delivery delivery;
    connect_signing(&delivery);
    transact_signed(&delivery);
    delivery_next(&delivery, &letter);
    expect(&delivery, DELIVERY_SIGN);
    delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("the connection ended"));
    expect(&delivery, DELIVERY_CLOSE);
    expect_connect(&delivery, 1, 25, false); /* the same server again */
    delivery_connected(&delivery);
    hear(&delivery, "220 mx\r\n");
    expect_send(&delivery, "EHLO mx.example.net\r\n");
    hear(&delivery, "250-mx\r\n250-SIZE 0\r\n250 PIPELINING\r\n");
    transact_signed(&delivery);
    end(&delivery);
}

static void a_new_connection_that_ends_while_signing_leads_to_the_next_server(void **state)
{
    struct delivery delivery;
    connect_signing(&delivery);
    expect(&delivery, DELIVERY_SIGN);
    delivery_lost(&delivery, false, TLS_LOSS_ENDED, BYTES("the connection ended"));
    expect(&delivery, DELIVERY_CLOSE);
    resolve(&delivery, 2);
    expect_connect(&delivery, 2, 25, false);
    end(&delivery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_signed_before_it_is_sent),
        cmocka_unit_test(a_message_that_cannot_be_signed_waits_and_the_connection_serves_the_next),
        cmocka_unit_test(a_reused_connection_that_ends_while_signing_says_nothing_about_the_message),
        cmocka_unit_test(a_new_connection_that_ends_while_signing_leads_to_the_next_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
