/* SPDX-License-Identifier: Apache-2.0 */
/* The next hop: of a new recipient, and of a stored destination name. */
#include "core/route/plan.h"
#include "unit.h"

static const struct route_rule list[] = {
    {.domain = "hidden.example", .via = RELAY_HOST, .host = "inside.example", .connections = 3, .rate = 60},
    {.domain = "*.auto.example", .via = RELAY_AUTO, .connections = 2},
    {.domain = "smart.example", .via = RELAY_SMARTHOST, .connections = 1}};
static const struct route_rules by_mx = {.via = RELAY_MX,
                                         .rules = list,
                                         .count = ARRAY_LENGTH(list),
                                         .smarthost_connections = 7,
                                         .smarthost_rate = 100},
                                by_smarthost = {.via = RELAY_SMARTHOST, .smarthost_connections = 7},
                                by_auto = {.via = RELAY_AUTO};

static void a_recipient_has_one_next_hop(void **state)
{
    static const struct {
        const struct route_rules *rules;
        const char *address;
        enum next_hop hop;
        const char *name;
        uint32_t connections, rate;
    } cases[] = {
        {&by_mx, "a@There.NET", NEXT_HOP_MX, "there.net", 0, 0},
        {&by_mx, "a@hidden.example", NEXT_HOP_HOST, "hidden.example", 3, 60},
        {&by_mx, "a@b.Auto.example", NEXT_HOP_AUTO, "b.auto.example", 2, 0},
        {&by_mx, "a@smart.example", NEXT_HOP_SMARTHOST, "@smarthost", 7, 100},
        {&by_mx, "a@[192.0.2.1]", NEXT_HOP_MX, "[192.0.2.1]", 0, 0},
        {&by_mx, "nobody", NEXT_HOP_MX, "@nowhere", 0, 0},
        {&by_smarthost, "a@there.net", NEXT_HOP_SMARTHOST, "@smarthost", 7, 0},
        {&by_smarthost, "nobody", NEXT_HOP_SMARTHOST, "@smarthost", 7, 0},
        {&by_auto, "a@there.net", NEXT_HOP_AUTO, "there.net", 0, 0},
    };
    char buffer[PLAN_NAME_MAX];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct recipient recipient = {.address = bytes_of_text(cases[i].address)};
        struct plan plan = plan_recipient(cases[i].rules, &recipient, buffer);
        assert_int_equal(plan.hop, cases[i].hop);
        assert_true(bytes_is(plan.name, cases[i].name));
        assert_true(plan.connections == cases[i].connections && plan.rate == cases[i].rate);
        struct plan again = plan_destination(cases[i].rules, plan.name); /* as the store kept it */
        assert_int_equal(again.hop, cases[i].hop);
        assert_true(bytes_is(again.name, cases[i].name) && again.connections == plan.connections &&
                    again.rate == plan.rate);
        recipient.local = true;
        assert_int_equal(plan_recipient(cases[i].rules, &recipient, buffer).hop, NEXT_HOP_LOCAL);
        recipient.reports = true;
        assert_int_equal(plan_recipient(cases[i].rules, &recipient, buffer).hop, NEXT_HOP_REPORTS);
        recipient.expands = EXPANDS_ALIAS;
        assert_int_equal(plan_recipient(cases[i].rules, &recipient, buffer).hop, NEXT_HOP_LOOKUP);
    }
}

static void names_of_our_own_keep_their_meaning(void **state)
{
    assert_int_equal(plan_destination(&by_smarthost, DESTINATION_LOCAL).hop, NEXT_HOP_LOCAL);
    assert_int_equal(plan_destination(&by_smarthost, DESTINATION_REPORTS).hop, NEXT_HOP_REPORTS);
    assert_int_equal(plan_destination(&by_smarthost, DESTINATION_LOOKUP).hop, NEXT_HOP_LOOKUP);
    assert_int_equal(plan_destination(&by_mx, DESTINATION_SMARTHOST).hop, NEXT_HOP_SMARTHOST);
    /* kept under its domain before the configuration sent it to the smarthost */
    assert_int_equal(plan_destination(&by_smarthost, BYTES("there.net")).hop, NEXT_HOP_SMARTHOST);
}

static void a_domain_is_cut_at_the_longest_name(void **state)
{
    static char address[2 + PLAN_NAME_MAX + 1];
    char buffer[PLAN_NAME_MAX];
    memset(address, 'x', sizeof address);
    address[1] = '@';
    for (size_t length = PLAN_NAME_MAX; length <= PLAN_NAME_MAX + 1; length++) {
        struct recipient recipient = {.address = bytes_of(address, 2 + length)};
        assert_int_equal(plan_recipient(&by_mx, &recipient, buffer).name.length, PLAN_NAME_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recipient_has_one_next_hop),
        cmocka_unit_test(names_of_our_own_keep_their_meaning),
        cmocka_unit_test(a_domain_is_cut_at_the_longest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
