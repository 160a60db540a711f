/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to name a server. */
#include <stdio.h>
#include <sysexits.h>

#include "core/text/target.h"
#include "unit.h"

static void each_way_names_a_host_and_perhaps_a_port(void **state)
{
    static const struct {
        const char *typed, *host, *ports, *address;
    } cases[] = {
        {"mail.example.org", "mail.example.org", "", ""},
        {" mail.example.org. ", "mail.example.org", "", ""},
        {"mail.example.org:2525", "mail.example.org", "2525", ""},
        {"mail.example.org:465:tls", "mail.example.org:465", "", NULL}, /* suffixes are those of --ports */
        {"smtp://mail.example.org", "mail.example.org", "", ""},
        {"SMTPS://mail.example.org", "mail.example.org", "465", ""},
        {"submission://mail.example.org/inbox", "mail.example.org", "587", ""},
        {"submissions://mail.example.org:10465", "mail.example.org", "10465:tls", ""},
        {"smtps://ada@example.org@mail.example.org", "mail.example.org", "465", ""},
        {"https://mail.example.org/path@x", "mail.example.org", "", ""},
        {"192.0.2.1:25", "192.0.2.1", "25", ""},
        {"2001:db8::1", "2001:db8::1", "", ""},
        {"[2001:db8::1]", "2001:db8::1", "", ""},
        {"[2001:db8::1]:587", "2001:db8::1", "587", ""},
        {"ada@example.org", "example.org", "", "ada@example.org"},
        {"\"a@b\"@example.org", "example.org", "", "\"a@b\"@example.org"},
        {"b\u00fccher.example", "b\u00fccher.example", "", ""}, /* in U-labels still */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct target target;
        struct error error = {0};
        bool fine = target_read(&target, cases[i].typed, &error);
        if (fine != (cases[i].address != NULL))
            fail_msg("%s: %s", cases[i].typed, error.text);
        if (!fine)
            continue;
        assert_string_equal(target.host, cases[i].host);
        assert_string_equal(target.ports, cases[i].ports);
        assert_string_equal(target.address, cases[i].address);
    }
}

static void what_names_no_server_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"", "does not name a host"},
        {":587", "does not name a host"},
        {"@example.org", "is not a mail address"},
        {"ada@", "does not name a host"},
        {"ftp://example.org", "is not a mail target"},
        {"smtp://", "does not name a host"},
        {"example.org:0", "is not a port"},
        {"example.org:65536", "is not a port"},
        {"example.org:", "is not a port"},
        {"example.org:x", "is not a port"},
        {"222.501.285.45", "501 is greater than 255"},
        {"no host", "is not a host name"},
        {"a\033[2Jb", "is not a host name"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct target target;
        struct error error = {0};
        assert_false(target_read(&target, cases[i][0], &error));
        assert_int_equal(error.exit_code, EX_DATAERR);
        assert_false(bytes_has_control(bytes_of_text(error.text)));
        if (strstr(error.text, cases[i][1]) == NULL)
            fail_msg("%s: %s", cases[i][0], error.text);
    }
}

/* A host of 253 octets, and the longest address, port and suffix. */
static void the_longest_fit(void **state)
{
    char typed[1200], host[254];
    struct target target;
    struct error error = {0};
    for (size_t i = 0; i < 253; i++)
        host[i] = i % 50 == 49 ? '.' : 'a';
    host[253] = '\0';
    assert_true(target_read(&target, host, &error));
    assert_string_equal(target.host, host);
    snprintf(typed, sizeof typed, "a%s", host);
    assert_false(target_read(&target, typed, &error));
    snprintf(typed, sizeof typed, "submission://%s:00000000000000065535", host); /* 20 digits */
    assert_true(target_read(&target, typed, &error));
    assert_string_equal(target.ports, "00000000000000065535:starttls");
    for (size_t local = 257; local <= 258; local++) {
        memset(typed, 'l', local);
        snprintf(typed + local, sizeof typed - local, "@%s", host);
        assert_int_equal(target_read(&target, typed, &error), local + 1 + 253 < sizeof target.address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_names_a_host_and_perhaps_a_port),
        cmocka_unit_test(what_names_no_server_is_refused),
        cmocka_unit_test(the_longest_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
