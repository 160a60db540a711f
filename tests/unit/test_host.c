/* SPDX-License-Identifier: Apache-2.0 */
/* Host names and addresses; and base64. */
#include <sysexits.h>

#include "core/dns/host.h"
#include "core/smtp/base64.h"
#include "unit.h"

static const struct {
    const char *text;
    enum host_kind kind;
} hosts[] = {
    {"example.org", HOST_NAME},
    {"a", HOST_NAME},
    {"1a.example", HOST_NAME},
    {"xn--bcher-kva.example", HOST_NAME},
    {"192.0.2.1", HOST_IPV4},
    {"0.0.0.0", HOST_IPV4},
    {"255.255.255.255", HOST_IPV4},
    {"::", HOST_IPV6},
    {"::1", HOST_IPV6},
    {"2001:db8::1", HOST_IPV6},
    {"1:2:3:4:5:6:7:8", HOST_IPV6},
    {"1:2:3:4:5:6:7::", HOST_IPV6},
    {"::2:3:4:5:6:7:8", HOST_IPV6},
    {"::ffff:192.0.2.1", HOST_IPV6},
    {"1:2:3:4:5:6:192.0.2.1", HOST_IPV6},
    {"222.501.285.45", HOST_IMPOSSIBLE_ADDRESS},
    {"1.2.3", HOST_IMPOSSIBLE_ADDRESS},
    {"01.2.3.4", HOST_IMPOSSIBLE_ADDRESS},
    {"1.2.3.4.5", HOST_IMPOSSIBLE_ADDRESS},
    {":::", HOST_IMPOSSIBLE_ADDRESS},
    {"1::2::3", HOST_IMPOSSIBLE_ADDRESS},
    {"1:2:3:4:5:6:7:8:9", HOST_IMPOSSIBLE_ADDRESS},
    {"12345::", HOST_IMPOSSIBLE_ADDRESS},
    {"fe80::1%eth0", HOST_IMPOSSIBLE_ADDRESS},
    {"::192.0.2.256", HOST_IMPOSSIBLE_ADDRESS},
    {"192.0.2.1::", HOST_IMPOSSIBLE_ADDRESS},
    {"1:2:3:4:5:6:7:192.0.2.1", HOST_IMPOSSIBLE_ADDRESS},
    {"", HOST_INVALID},
    {".", HOST_INVALID},
    {"a..b", HOST_INVALID},
    {".a", HOST_INVALID},
    {"a.", HOST_INVALID},
    {"-a.b", HOST_INVALID},
    {"a-.b", HOST_INVALID},
    {"a b", HOST_INVALID},
    {"_dc-mx.0123abcd.example.com", HOST_NAME},
    {"my_project_mail_1", HOST_NAME},
    {"mail_relay", HOST_NAME},
    {"a_b.c", HOST_NAME},
    {"_", HOST_NAME},
    {"a._b_.c_", HOST_NAME},
    {"mail1", HOST_NAME},
    {"web-2", HOST_NAME},
    {"3com.example", HOST_NAME},
    {"a/b", HOST_INVALID},
    {"a\tb", HOST_INVALID},
    {"a\nb", HOST_INVALID},
    {"a@b", HOST_INVALID},
    {"a\\b", HOST_INVALID},
    {"a,b", HOST_INVALID},
    {"*.a", HOST_INVALID},
    {"[a]", HOST_INVALID},
    {" a", HOST_INVALID},
    {"a%25", HOST_INVALID},
    {"b\xc3\xbc"
     "cher.example",
     HOST_INVALID},
};

static void hosts_are_told_apart(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
        if (host_parse(bytes_of_text(hosts[i].text), false) != hosts[i].kind)
            fail_msg("%s is %d", hosts[i].text, host_parse(bytes_of_text(hosts[i].text), false));
    assert_int_equal(host_parse(BYTES("b\xc3\xbc"
                                      "cher.example"),
                                true),
                     HOST_NAME);
    assert_int_equal(host_parse(BYTES("b\xfc"
                                      "cher.example"),
                                true),
                     HOST_INVALID);
}

static void what_is_no_name_is_told_why(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {{"", "empty"},
                 {"a..b", "empty label"},
                 {".a", "empty label"},
                 {"a.", "empty label"},
                 {"a b", "underscores"},
                 {"a/b", "underscores"},
                 {"-a.b", "hyphen"},
                 {"a-.b", "hyphen"},
                 {"b\xc3\xbc"
                  "cher.example",
                  "underscores"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_non_null(strstr(host_fault(bytes_of_text(cases[i].text), false), cases[i].why));
    assert_non_null(host_fault(bytes_of("a\0b", 3), true));
    assert_non_null(strstr(host_fault(BYTES("b\xfc"
                                            "cher.example"),
                                      true),
                           "UTF-8"));
    assert_null(host_fault(BYTES("my_project_mail_1"), false));
}

static void names_have_limits(void **state)
{
    char name[DOMAIN_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    assert_true(host_is_name(bytes_of(name, LABEL_MAX), false));
    assert_false(host_is_name(bytes_of(name, LABEL_MAX + 1), false));
    for (size_t i = LABEL_MAX; i < sizeof name; i += LABEL_MAX + 1)
        name[i] = '.';
    assert_true(host_is_name(bytes_of(name, DOMAIN_NAME_MAX), false));
    assert_false(host_is_name(bytes_of(name, DOMAIN_NAME_MAX + 1), false));
    assert_non_null(strstr(host_fault(bytes_of(name, DOMAIN_NAME_MAX + 1), false), "253"));
}

static void loopback_never_leaves_the_machine(void **state)
{
    static const char *const home[] = {"localhost", "LocalHost", "127.0.0.1", "127.255.255.255", "::1"};
    static const char *const away[] = {
        "",           "localhost.example.org", "127.0.0.1.example.org", "127.example.org", "128.0.0.1", "::2",
        "127.0.0.256"};
    for (size_t i = 0; i < ARRAY_LENGTH(home); i++)
        assert_true(host_is_loopback(bytes_of_text(home[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(away); i++)
        assert_false(host_is_loopback(bytes_of_text(away[i])));
}

static void what_was_typed_as_a_host_is_explained(void **state)
{
    static const char *const fine[] = {"example.org",         "192.0.2.1", "::1",
                                       "b\u00fccher.example", "1a",        "my_host"};
    static const char *const wrong[][2] = {
        {"222.501.285.45", "501 is greater than 255"},
        {"1.2.3", "it has 3 numbers instead of 4"},
        {"1.2.3.4.5", "it has 5 numbers instead of 4"},
        {"587", "587 is greater than 255"},
        {"25", "it has 1 numbers instead of 4"},
        {"1..2.3", "one of its numbers is missing, or begins with 0"},
        {"1.2.3.04", "one of its numbers is missing, or begins with 0"},
        {"::g", "is not an IPv6 address"},
        {"-a.example", "is not a host name"},
        {"", "it is empty"},
    };
    struct error error = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(fine); i++)
        if (!host_check(bytes_of_text(fine[i]), &error))
            fail_msg("%s", error.text);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_false(host_check(bytes_of_text(wrong[i][0]), &error));
        assert_int_equal(error.exit_code, EX_DATAERR);
        if (strstr(error.text, wrong[i][1]) == NULL)
            fail_msg("%s: %s", wrong[i][0], error.text);
    }
}

/* RFC 4648 10 */
static void base64_has_one_text_for_each_octets(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    static const char *const wrong[] = {"Z",      "Zg",   "Zg=",  "Zh==", "Zm9=", "====", "Zg==Zg==",
                                        "Zm9v\n", "Zm 9", "Zm9-", "Zm9_", "=Zg=", "Zg=x"};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer text = {0}, octets = {0};
        base64_encode(&text, bytes_of_text(cases[i][0]));
        assert_text(buffer_bytes(&text), cases[i][1]);
        assert_true(base64_decode(&octets, buffer_bytes(&text)));
        assert_text(buffer_bytes(&octets), cases[i][0]);
        buffer_free(&text);
        buffer_free(&octets);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct buffer octets = {0};
        if (base64_decode(&octets, bytes_of_text(wrong[i])) || octets.length > 0)
            fail_msg("%s", wrong[i]);
        buffer_free(&octets);
    }
}

/* RFC 4648 4: table 1, and nothing else. */
static void base64_has_64_octets(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int octet = 0; octet < 256; octet++) {
        char text[4] = {'A', 'A', 'A', (char)octet};
        const char *at = octet == 0 ? NULL : strchr(alphabet, octet);
        struct buffer octets = {0};
        if (octet == '=')
            continue;
        assert_int_equal(base64_decode(&octets, bytes_of(text, sizeof text)), at != NULL);
        if (at != NULL)
            assert_int_equal(buffer_text(&octets)[2], at - alphabet);
        buffer_free(&octets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts_are_told_apart),
                                       cmocka_unit_test(names_have_limits),
                                       cmocka_unit_test(what_is_no_name_is_told_why),
                                       cmocka_unit_test(what_was_typed_as_a_host_is_explained),
                                       cmocka_unit_test(loopback_never_leaves_the_machine),
                                       cmocka_unit_test(base64_has_one_text_for_each_octets),
                                       cmocka_unit_test(base64_has_64_octets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
