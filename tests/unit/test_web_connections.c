/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the web process's connections, met and passed by one; a flood of one network gives way first. */
#include <arpa/inet.h>

#include "service/web/web_connections.h"
#include "unit.h"

enum { EACH = 20 };

static struct web_connections all;
static struct web_connection made[WEB_CONNECTIONS_MAX];

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage from = {0};
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&from)->sin_addr) == 1) {
        from.ss_family = AF_INET;
    } else {
        from.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)(void *)&from)->sin6_addr), 1);
    }
    return from;
}

static bool admitted(const char *text)
{
    struct sockaddr_storage from = address(text);
    return !web_connections_are_too_many(&all, &from, EACH);
}

static void add(const char *text, size_t times)
{
    struct sockaddr_storage from = address(text);
    for (size_t i = 0; i < times; i++) {
        assert_true(all.count < WEB_CONNECTIONS_MAX);
        web_connections_add(&all, &made[all.count], &from);
    }
}

static int empty(void **state)
{
    all = (struct web_connections){0};
    return 0;
}

static void test_an_address(void **state)
{
    add("192.0.2.1", EACH - 1);
    assert_true(admitted("192.0.2.1"));
    add("192.0.2.1", 1);
    assert_false(admitted("192.0.2.1"));
    assert_false(admitted("::ffff:192.0.2.1"));
    assert_true(admitted("192.0.2.2"));
    add("2001:db8:0:1::1", EACH);
    assert_false(admitted("2001:db8:0:1::2"));
    assert_true(admitted("2001:db8:0:2::1"));
    web_connections_remove(&all, all.oldest);
    assert_true(admitted("192.0.2.1"));
}

static void test_a_network(void **state)
{
    static const char *const fours[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
    static const char *const sixes[] = {
        "2001:db8:0:1::", "2001:db8:0:2::", "2001:db8:0:3::", "2001:db8:0:4::"};
    for (size_t i = 0; i < WEB_CONNECTIONS_WIDE_TIMES; i++) {
        assert_true(admitted("192.0.2.200"));
        assert_true(admitted("2001:db8:0:ff::"));
        add(fours[i], EACH);
        add(sixes[i], EACH);
    }
    assert_false(admitted("192.0.2.200"));
    assert_false(admitted("2001:db8:0:ff::"));
    assert_true(admitted("192.0.3.200"));
    assert_true(admitted("2001:db8:1:ff::"));
}

static void test_this_machine(void **state)
{
    add("127.0.0.1", 100);
    add("::1", 100);
    assert_true(admitted("127.0.0.1") && admitted("::1") && admitted("::ffff:127.0.0.1"));
}

static void test_all_places(void **state)
{
    add("198.51.100.1", 1); /* the oldest, alone in its network */
    add("192.0.2.1", WEB_CONNECTIONS_MAX - 2);
    assert_null(web_connections_to_close(&all));
    add("203.0.113.1", 1);
    assert_ptr_equal(web_connections_to_close(&all), &made[1]);
    web_connections_remove(&all, &made[1]);
    assert_null(web_connections_to_close(&all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_address, empty),
        cmocka_unit_test_setup(test_a_network, empty),
        cmocka_unit_test_setup(test_this_machine, empty),
        cmocka_unit_test_setup(test_all_places, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
