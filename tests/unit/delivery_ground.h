/* SPDX-License-Identifier: Apache-2.0 */
/* delivery_ground: one message to two recipients, and a delivery that is driven step by step. */
#ifndef MAILBOAT_TEST_DELIVERY_GROUND_H
#define MAILBOAT_TEST_DELIVERY_GROUND_H

#include "core/client/delivery.h"
#include "unit.h"

static struct recipient two[] = {{.address = BYTES("ada@example.org")},
                                 {.address = BYTES("carl@example.org")}};
static const struct envelope letter = {
    .sender = BYTES("bob@example.net"), .recipients = two, .recipient_count = 2, .size = 7};
static struct delivery_action expect(struct delivery *delivery, enum delivery_action_kind kind)
{
    struct delivery_action action;
    if (!delivery_action(delivery, &action) || action.kind != kind)
        fail_msg("action %d instead of %d", action.kind, kind);
    return action;
}

static void expect_connect(struct delivery *delivery, uint8_t last, uint16_t port, bool tls)
{
    struct delivery_action action = expect(delivery, DELIVERY_CONNECT);
    assert_int_equal(action.address.octets[3], last);
    assert_int_equal(action.port, port);
    assert_int_equal(action.tls, tls);
}

static void expect_send(struct delivery *delivery, const char *text)
{
    assert_text(expect(delivery, DELIVERY_SEND).bytes, text);
}

static void hear(struct delivery *delivery, const char *text)
{
    struct bytes input = bytes_of_text(text);
    while (input.length > 0) {
        size_t used = delivery_feed(delivery, input);
        assert_true(used > 0);
        input = bytes_from(input, used);
    }
}

static void expect_results(struct delivery *delivery, enum client_outcome first, enum client_outcome second,
                           const char *enhanced)
{
    struct delivery_action action = expect(delivery, DELIVERY_DONE);
    assert_int_equal(action.result_count, 2);
    assert_int_equal(action.results[0].outcome, first);
    assert_int_equal(action.results[1].outcome, second);
    assert_text(action.results[1].enhanced, enhanced);
}

/* MX with two hosts of one address each: 192.0.2.1 and 192.0.2.2. */
static void start(struct delivery *delivery, const struct delivery_options *options)
{
    const struct dns_record hosts[] = {{.preference = 1, .name = BYTES("a.example.org")},
                                       {.preference = 2, .name = BYTES("b.example.org")}};
    delivery_start(delivery, options, &letter);
    if (options->smarthost)
        return;
    assert_text(expect(delivery, DELIVERY_RESOLVE).name, "example.org");
    delivery_resolved(delivery, DNS_MX, DNS_FOUND, hosts, 2);
}

static void resolve(struct delivery *delivery, uint8_t last)
{
    const struct dns_record address = {.address = {192, 0, 2, last}};
    assert_int_equal(expect(delivery, DELIVERY_RESOLVE).type, DNS_AAAA);
    delivery_resolved(delivery, DNS_AAAA, DNS_NO_DATA, NULL, 0);
    assert_int_equal(expect(delivery, DELIVERY_RESOLVE).type, DNS_A);
    delivery_resolved(delivery, DNS_A, DNS_FOUND, &address, 1);
}

static void end(struct delivery *delivery)
{
    struct delivery_action action;
    assert_false(delivery_action(delivery, &action));
    delivery_free(delivery);
}

#endif
