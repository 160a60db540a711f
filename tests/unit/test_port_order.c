/* SPDX-License-Identifier: Apache-2.0 */
/* The order of submission ports, and that all tables of ports agree with it. */
#include "core/port/network.h"
#include "core/port/port_facts.h"
#include "core/port/port_order.h"
#include "unit.h"

static void the_order_is_587_2525_465_and_443_last(void **state)
{
    static const struct {
        uint16_t port;
        enum client_tls tls;
    } table[PORT_ORDER_ALL] = {
        {587, CLIENT_TLS_REQUIRED},
        {2525, CLIENT_TLS_REQUIRED},
        {465, CLIENT_TLS_IMPLICIT},
        {443, CLIENT_TLS_IMPLICIT},
    };
    uint16_t usual[PORT_ORDER_USUAL];
    port_order_usual(usual);
    for (size_t i = 0; i < PORT_ORDER_ALL; i++) {
        const struct submission_port *port = &port_order[i];
        assert_int_equal(port->port, table[i].port);
        assert_int_equal(port->tls, table[i].tls);
        assert_true(port->meaning[0] != '\0' && port->note[0] != '\0');
        assert_ptr_equal(port_order_of(port->port), port);
        assert_int_equal(port_tls(port->port), port->tls); /* as the facts of each port have it */
        if (i < PORT_ORDER_USUAL)
            assert_int_equal(usual[i], table[i].port);
    }
    assert_int_equal(port_order[PORT_ORDER_ALL - 1].port, PORT_LAST_RESORT);
}

static void port_25_is_not_for_submission(void **state)
{
    assert_null(port_order_of(25));
    assert_null(port_order_of(0));
    assert_int_equal(port_order_listeners[0], 25);
}

static bool is_usual(uint16_t port)
{
    return port != PORT_LAST_RESORT && port_order_of(port) != NULL;
}

static void every_list_has_the_same_ports(void **state)
{
    for (size_t i = 0; i < PORT_ORDER_USUAL; i++)
        assert_true(is_usual(port_order_rfc8314[i]));
    assert_int_equal(port_tls(port_order_rfc8314[0]), CLIENT_TLS_IMPLICIT);
    for (size_t i = 0; i < PORT_LISTENERS; i++) {
        uint16_t port = port_order_listeners[i];
        assert_true((i == 0) != is_usual(port));
        assert_non_null(port_facts_of(port));
        assert_true(port_facts_of(port)->probe_host[0] != '\0');
        assert_true(network_bit(port) != 0);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(port_order_listeners[k], port);
    }
    for (size_t i = 1; i < ARRAY_LENGTH(port_facts); i++)
        assert_int_equal(port_facts[i].port, port_order[i - 1].port);
    for (size_t i = 1; i < NETWORK_PORTS; i++)
        assert_true(network_ports[i - 1] < network_ports[i]);
    assert_int_equal(provider_unknown.starttls[0], port_order[0].port);
    assert_int_equal(provider_unknown.starttls[1], port_order[1].port);
    assert_int_equal(provider_unknown.implicit[0], port_order[2].port);
}

static void services_have_their_ports(void **state)
{
    assert_int_equal(port_order_named(BYTES("smtp")), 25);
    assert_int_equal(port_order_named(BYTES("Submission")), 587);
    assert_int_equal(port_order_named(BYTES("submissions")), 465);
    assert_int_equal(port_order_named(BYTES("smtps")), 465);
    assert_int_equal(port_order_named(BYTES("https")), 0);
    assert_int_equal(port_order_named(BYTES("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_587_2525_465_and_443_last),
        cmocka_unit_test(port_25_is_not_for_submission),
        cmocka_unit_test(every_list_has_the_same_ports),
        cmocka_unit_test(services_have_their_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
