/* SPDX-License-Identifier: Apache-2.0 */
/* Records as they come off the wire, and how names of DNS are written and compared. */
#include "core/dns/dns_name.h"
#include "core/dns/dns_record.h"
#include "unit.h"

static struct arena arena;

static int forget(void **state)
{
    arena_clear(&arena);
    return 0;
}

static bool reads(enum dns_type type, struct bytes wire, struct dns_record *record)
{
    return dns_record_read(record, type, wire, &arena);
}

static void a_host_stands_behind_its_numbers(void **state)
{
    struct dns_record record;
    assert_true(reads(DNS_MX, BYTES("\0\12\2mx\7example\3org\0"), &record));
    assert_int_equal(record.preference, 10);
    assert_text(record.name, "mx.example.org");
    assert_true(reads(DNS_SRV, BYTES("\0\1\0\2\2\113\2mx\0"), &record));
    assert_int_equal(record.preference, 1);
    assert_int_equal(record.weight, 2);
    assert_int_equal(record.port, 587);
    assert_text(record.name, "mx");
    assert_true(reads(DNS_PTR, BYTES("\2mx\0"), &record));
    assert_text(record.name, "mx");
    assert_true(reads(DNS_CNAME, BYTES("\2mx\0"), &record));
    assert_text(record.name, "mx");
    assert_true(reads(DNS_MX, BYTES("\0\0\0"), &record)); /* the null MX (RFC 7505) */
    assert_text(record.name, "");
}

static void no_label_looks_like_two(void **state)
{
    struct dns_record record;
    assert_true(reads(DNS_PTR, BYTES("\3a.b\4\\ \t\177\0"), &record));
    assert_text(record.name, "a\\046b.\\092\\032\\009\\127");
}

static void a_label_has_63_octets(void **state)
{
    struct dns_record record;
    char wire[66] = {63};
    memset(wire + 1, 'a', 64);
    wire[64] = '\0';
    assert_true(reads(DNS_PTR, bytes_of(wire, 65), &record));
    assert_int_equal(record.name.length, 63);
    wire[0] = 64;
    wire[64] = 'a';
    assert_false(reads(DNS_PTR, bytes_of(wire, 66), &record));
}

static void strings_are_one_text(void **state)
{
    struct dns_record record;
    assert_true(reads(DNS_TXT, BYTES("\3v=s\0\2pf"), &record));
    assert_text(record.data, "v=spf");
}

static void addresses_and_tlsa_are_as_they_came(void **state)
{
    struct dns_record record;
    assert_true(reads(DNS_A, BYTES("\300\0\2\1"), &record));
    assert_memory_equal(record.address, "\300\0\2\1", 4);
    assert_true(reads(DNS_AAAA, BYTES("0123456789abcdef"), &record));
    assert_memory_equal(record.address, "0123456789abcdef", 16);
    assert_true(reads(DNS_TLSA, BYTES("\3\1\1digest"), &record));
    assert_int_equal(record.usage, 3);
    assert_int_equal(record.selector, 1);
    assert_int_equal(record.matching, 1);
    assert_text(record.data, "digest");
}

static void what_is_cut_off_or_too_long_is_refused(void **state)
{
    static const struct {
        enum dns_type type;
        struct bytes wire;
    } table[] = {
        {DNS_A, {"123", 3}},       {DNS_A, {"12345", 5}},        {DNS_AAAA, {"0123456789abcde", 15}},
        {DNS_MX, {"\0\12", 2}},    {DNS_MX, {"\0\12\2mx", 5}},   {DNS_MX, {"\0\12\3mx", 5}},
        {DNS_SRV, {"\0\1\0", 3}},  {DNS_SRV, {"\0\1\0\2\0", 5}}, {DNS_SRV, {"\0\1\0\2\2\113", 6}},
        {DNS_PTR, {"", 0}},        {DNS_TXT, {"", 0}},           {DNS_TXT, {"\4abc", 4}},
        {DNS_TLSA, {"\3\1\1", 3}},
    };
    struct dns_record record;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (reads(table[i].type, table[i].wire, &record))
            fail_msg("%s, row %zu", dns_type_name(table[i].type), i);
}

static void add(struct dns_record_list *list, const char *prefix, const char *text)
{
    char wire[256];
    size_t length = strlen(text);
    wire[0] = (char)length;
    memcpy(wire + 1, text, length);
    dns_record_list_add(list, DNS_TXT, prefix, bytes_of(wire, length + 1), &arena);
}

static void an_answer_has_so_many_records_or_says_that_it_was_cut(void **state)
{
    struct dns_record_list list;
    dns_record_list_start(&list, DNS_RECORDS_MAX + 1, &arena);
    for (int i = 0; i < DNS_RECORDS_MAX; i++)
        add(&list, NULL, "some text");
    assert_int_equal(list.count, DNS_RECORDS_MAX);
    assert_false(list.cut);
    add(&list, NULL, "one more");
    assert_int_equal(list.count, DNS_RECORDS_MAX);
    assert_true(list.cut);
}

static void an_answer_has_64_kib_or_says_that_it_was_cut(void **state)
{
    struct dns_record_list list;
    char text[129];
    memset(text, 'x', 128);
    text[128] = '\0';
    dns_record_list_start(&list, DNS_RECORDS_MAX + 1, &arena);
    for (int i = 0; i < DNS_RECORDS_OCTETS_MAX / 128 - 1; i++)
        add(&list, NULL, text);
    add(&list, NULL, text); /* the last that fits */
    assert_int_equal(list.octets, DNS_RECORDS_OCTETS_MAX);
    assert_false(list.cut);
    dns_record_list_start(&list, 4, &arena);
    list.octets = DNS_RECORDS_OCTETS_MAX - 127;
    add(&list, NULL, text);
    assert_int_equal(list.count, 0);
    assert_true(list.cut);
    add(&list, NULL, "v=spf1"); /* a smaller one still fits */
    assert_int_equal(list.count, 1);
}

static void other_text_pushes_no_record_out(void **state)
{
    struct dns_record_list list;
    dns_record_list_start(&list, 5000, &arena);
    for (int i = 0; i < 4000; i++)
        add(&list, "v=spf1", "google-site-verification=something");
    add(&list, "v=spf1", "v=spf1 -all");
    assert_int_equal(list.count, 1);
    assert_text(list.records[0].data, "v=spf1 -all");
    assert_false(list.cut);
    dns_record_list_add(&list, DNS_TXT, "v=spf1", BYTES("\3v=s\0\13pf1 +all x="), &arena); /* in strings */
    assert_int_equal(list.count, 2);
    dns_record_list_add(&list, DNS_PTR, "v=spf1", BYTES("\2mx\0"), &arena); /* no text */
    assert_int_equal(list.count, 3);
}

static void a_prefix_is_wider_than_the_standards(void **state)
{
    static const char *const begin[] = {"v=DMARC1; p=none", "V = dmarc1 ;p=none", " v=\tDMARC1", "v=DMARC10"};
    static const char *const differ[] = {"", "v", "v=", "v=DMARC", "x v=DMARC1", "w=DMARC1", "DMARC1=v"};
    for (size_t i = 0; i < ARRAY_LENGTH(begin); i++)
        assert_true(dns_text_begins(bytes_of_text(begin[i]), "v=DMARC1"));
    for (size_t i = 0; i < ARRAY_LENGTH(differ); i++)
        assert_false(dns_text_begins(bytes_of_text(differ[i]), "v=DMARC1"));
    assert_true(dns_text_begins(BYTES("Prefix and more"), "prefix"));
}

static void names_are_compared_without_case(void **state)
{
    assert_true(dns_name_equal(BYTES("MX.Example.Org"), BYTES("mx.example.org")));
    assert_false(dns_name_equal(BYTES("mx.example.org"), BYTES("mx.example.org.")));
    assert_text(dns_name_without_dot(BYTES("example.org.")), "example.org");
    assert_text(dns_name_without_dot(BYTES("example.org")), "example.org");
    assert_text(dns_name_without_dot(BYTES(".")), ".");
}

static void a_star_stands_for_one_label(void **state)
{
    assert_true(dns_name_matches(BYTES("*.example.org"), BYTES("MX.example.org")));
    assert_false(dns_name_matches(BYTES("*.example.org"), BYTES("a.mx.example.org")));
    assert_false(dns_name_matches(BYTES("*.example.org"), BYTES("example.org")));
    assert_false(dns_name_matches(BYTES("*.example.org"), BYTES(".example.org")));
    assert_true(dns_name_matches(BYTES("mx.example.org"), BYTES("mx.Example.org")));
    assert_false(dns_name_matches(BYTES("mx*.example.org"), BYTES("mx1.example.org")));
}

static void only_some_answers_tell_what_is_there(void **state)
{
    assert_true(dns_status_is_told(DNS_FOUND) && dns_status_is_told(DNS_NO_DATA) &&
                dns_status_is_told(DNS_NXDOMAIN));
    assert_false(dns_status_is_told(DNS_UNKNOWN) || dns_status_is_told(DNS_SERVER_FAILURE) ||
                 dns_status_is_told(DNS_BOGUS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_host_stands_behind_its_numbers, forget),
        cmocka_unit_test_teardown(no_label_looks_like_two, forget),
        cmocka_unit_test_teardown(a_label_has_63_octets, forget),
        cmocka_unit_test_teardown(strings_are_one_text, forget),
        cmocka_unit_test_teardown(addresses_and_tlsa_are_as_they_came, forget),
        cmocka_unit_test_teardown(what_is_cut_off_or_too_long_is_refused, forget),
        cmocka_unit_test_teardown(an_answer_has_so_many_records_or_says_that_it_was_cut, forget),
        cmocka_unit_test_teardown(an_answer_has_64_kib_or_says_that_it_was_cut, forget),
        cmocka_unit_test_teardown(other_text_pushes_no_record_out, forget),
        cmocka_unit_test_teardown(a_prefix_is_wider_than_the_standards, forget),
        cmocka_unit_test(names_are_compared_without_case),
        cmocka_unit_test(a_star_stands_for_one_label),
        cmocka_unit_test(only_some_answers_tell_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
