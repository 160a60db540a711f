/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and paths, and the test addresses of isemail. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "core/smtp/address.h"
#include "unit.h"

static void the_parts_are_told_apart(void **state)
{
    struct address a;
    assert_true(address_parse(BYTES("\"a@b\"@[IPv6:2001:db8::1]"), false, &a));
    assert_text(a.local, "\"a@b\"");
    assert_text(a.domain, "[IPv6:2001:db8::1]");
    assert_true(a.quoted && a.literal && !a.smtputf8);
    assert_false(address_parse(BYTES("b\xc3\xa4r@example.org"), false, &a));
    assert_true(address_parse(BYTES("b\xc3\xa4r@b\xc3\xbc"
                                    "cher.example"),
                              true, &a));
    assert_true(a.smtputf8 && !a.quoted && !a.literal);
    assert_false(address_parse(BYTES("b\xe4r@example.org"), true, &a)); /* not UTF-8 */
    struct bytes inside;
    assert_true(address_literal_parse(BYTES("[IPv6:::1]"), &inside));
    assert_text(inside, "::1");
    assert_false(address_literal_parse(BYTES("[x400:foo]"), NULL));
}

/* At each limit, and one past it. */
static void lengths_have_limits(void **state)
{
    static const struct {
        size_t local, label, labels, last;
        bool valid;
    } cases[] = {
        {LOCAL_PART_MAX, 3, 1, 3, true}, {LOCAL_PART_MAX + 1, 3, 1, 3, false},
        {1, LABEL_MAX, 1, 3, true},      {1, LABEL_MAX + 1, 1, 3, false},
        {1, LABEL_MAX, 3, 61, true}, /* 3 * 64 + 61: DOMAIN_NAME_MAX */
        {1, LABEL_MAX, 3, 62, false},    {LOCAL_PART_MAX, LABEL_MAX, 3, 61, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer text = {0};
        struct address a;
        memset(buffer_reserve(&text, cases[i].local), 'l', cases[i].local);
        buffer_written(&text, cases[i].local);
        buffer_add_octet(&text, '@');
        for (size_t k = 0; k < cases[i].labels; k++) {
            memset(buffer_reserve(&text, cases[i].label), 'd', cases[i].label);
            buffer_written(&text, cases[i].label);
            buffer_add_octet(&text, '.');
        }
        memset(buffer_reserve(&text, cases[i].last), 'e', cases[i].last);
        buffer_written(&text, cases[i].last);
        assert_int_equal(address_parse(buffer_bytes(&text), false, &a), cases[i].valid);
        buffer_free(&text);
    }
}

static void one_address_has_one_canonical_text(void **state)
{
    static const char *const cases[][2] = {
        {"Ada@EXAMPLE.Org", "Ada@example.org"},
        {"\"ada\"@example.org", "ada@example.org"},
        {"\"a.b\"@example.org", "a.b@example.org"},
        {"\"a b\"@example.org", "\"a b\"@example.org"},
        {"\"a\\ b\"@example.org", "\"a b\"@example.org"},
        {"\"a\\\"b\"@example.org", "\"a\\\"b\"@example.org"},
        {"\"\\a\"@example.org", "a@example.org"},
        {"\"\"@example.org", "\"\"@example.org"},
        {"\".a\"@example.org", "\".a\"@example.org"},
        {".a@example.org", "\".a\"@example.org"},
        {"a..b@example.org", "\"a..b\"@example.org"},
        {"..@example.org", "\"..\"@example.org"},
        {"a.@[192.0.2.1]", "\"a.\"@[192.0.2.1]"},
        {"a@[IPv6:2001:DB8::1]", "a@[IPv6:2001:DB8::1]"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer out = {0};
        struct address a;
        assert_true(address_parse(bytes_of_text(cases[i][0]), false, &a));
        address_canonical(&out, &a);
        assert_text(buffer_bytes(&out), cases[i][1]);
        buffer_free(&out);
    }
}

/* Like Postfix: underscores are harmless. */
static void domains_may_have_underscores(void **state)
{
    static const char *const taken[] = {"user@my_domain.example", "user@_dmarc.example.org",
                                        "user@my_project_mail_1", "user@a_.b"};
    static const char *const refused[] = {"user@my domain.example", "user@my/domain.example",
                                          "user@my_domain..example", "user@_domain.example.",
                                          "user@-my_domain.example"};
    struct address address;
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++)
        if (!address_parse(bytes_of_text(taken[i]), false, &address))
            fail_msg("%s", taken[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
        if (address_parse(bytes_of_text(refused[i]), true, &address))
            fail_msg("%s", refused[i]);
}

static void paths_can_have_a_local_part_alone(void **state)
{
    static const struct {
        const char *text;
        enum path_kind kind;
        const char *address;
        size_t used;
    } cases[] = {
        {"<root>", PATH_LOCAL, "root", 6},       {"< cron >", PATH_LOCAL, "cron", 8},
        {"<<root>>", PATH_LOCAL, "root", 8},     {"root BODY=8BITMIME", PATH_LOCAL, "root", 4},
        {"<\"a b\">", PATH_LOCAL, "\"a b\"", 7}, {"<a b>", PATH_MALFORMED, NULL, 0},
        {"<a@>", PATH_MALFORMED, NULL, 0},       {"<.a>", PATH_MALFORMED, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes address;
        size_t used;
        assert_int_equal(address_parse_path(bytes_of_text(cases[i].text), false, &address, &used),
                         cases[i].kind);
        if (cases[i].kind == PATH_MALFORMED)
            continue;
        assert_text(address, cases[i].address);
        assert_int_equal(used, cases[i].used);
    }
}

static void paths_drop_their_source_route(void **state)
{
    static const struct {
        const char *text;
        enum path_kind kind;
        const char *address;
        size_t used;
    } cases[] = {
        {"<>", PATH_NULL, "", 2},
        {"<> SIZE=1", PATH_NULL, "", 2},
        {"<postmaster>", PATH_POSTMASTER, "postmaster", 12},
        {"<POSTMASTER>", PATH_POSTMASTER, "POSTMASTER", 12},
        {"<a@b>x", PATH_ADDRESS, "a@b", 5},
        {"<@a.b,@c:d@e>", PATH_ADDRESS, "d@e", 13},
        {"<\"a>b\"@c>", PATH_ADDRESS, "\"a>b\"@c", 9},
        {"<a@b.> SIZE=1", PATH_ADDRESS, "a@b", 6},
        {"<a.@b.>", PATH_ADDRESS, "a.@b", 7},
        {"<a@b..>", PATH_MALFORMED, NULL, 0},
        {"<a@.>", PATH_MALFORMED, NULL, 0},
        {"<a@.b>", PATH_MALFORMED, NULL, 0},
        {"<.>", PATH_MALFORMED, NULL, 0},
        {"<postmaster.>", PATH_MALFORMED, NULL, 0},
        {"<a@[192.0.2.1].>", PATH_ADDRESS, "a@[192.0.2.1]", 16},
        {"<@a.b:d>", PATH_MALFORMED, NULL, 0},
        {"<@a.b d@e>", PATH_MALFORMED, NULL, 0},
        {"<@:d@e>", PATH_MALFORMED, NULL, 0},
        {"a@b", PATH_ADDRESS, "a@b", 3},
        {"a@b. SIZE=1", PATH_ADDRESS, "a@b", 4},
        {"\"a b\"@c SIZE=1", PATH_ADDRESS, "\"a b\"@c", 7},
        {"Postmaster NOTIFY=NEVER", PATH_POSTMASTER, "Postmaster", 10},
        {"a@b>", PATH_MALFORMED, NULL, 0},
        {"a@b,c@d", PATH_MALFORMED, NULL, 0},
        {" a@b", PATH_MALFORMED, NULL, 0},
        {"SIZE=1", PATH_MALFORMED, NULL, 0},
        {"< a@b >", PATH_ADDRESS, "a@b", 7},
        {"< >", PATH_NULL, "", 3},
        {"<a@b", PATH_MALFORMED, NULL, 0},
        {"", PATH_MALFORMED, NULL, 0},
        {"<a@b>", PATH_ADDRESS, "a@b", 5},
        {"< a@b> SIZE=1", PATH_ADDRESS, "a@b", 6},
        {"<a @b>", PATH_MALFORMED, NULL, 0},
        {"<<a@b>>", PATH_ADDRESS, "a@b", 7},
        {"<<a@b>> SIZE=1", PATH_ADDRESS, "a@b", 7},
        {"<<@x.y:a@b.>>", PATH_ADDRESS, "a@b", 13},
        {"<<a@b>", PATH_MALFORMED, NULL, 0},
        {"<a@b>>", PATH_ADDRESS, "a@b", 5},
        {"<<<a@b>>>", PATH_MALFORMED, NULL, 0},
        {"<<>>", PATH_MALFORMED, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes address;
        size_t used = 0;
        assert_int_equal(address_parse_path(bytes_of_text(cases[i].text), false, &address, &used),
                         cases[i].kind);
        if (cases[i].kind == PATH_MALFORMED)
            continue;
        assert_text(address, cases[i].address);
        assert_int_equal(used, cases[i].used);
    }
}

/* ---- isemail ---- */

/* Cases where RFC 5321 and this parser differ from the category. */
static const struct {
    unsigned id;
    bool valid;
    const char *why;
} otherwise[] = {
    {26, true, "a local part of 65 octets: senders of SRS and VERP are longer"},
    {39, true, "255 octets in all: the parts alone are limited"},
    {59, true, "the same, quoted"},
    {16, true, "a dot at the end of the local part: such mailboxes exist, and are passed on"},
    {71, true, "\"::\" for one group alone: RFC 4291 2.2 allows what RFC 5321 4.1.3 advises against"},
};

static struct bytes element(struct bytes test, const char *name)
{
    struct buffer open = {0}, close = {0};
    buffer_add_format(&open, "<%s>", name);
    buffer_add_format(&close, "</%s>", name);
    size_t from = bytes_search(test, buffer_bytes(&open)), to = bytes_search(test, buffer_bytes(&close));
    struct bytes found = from == SIZE_MAX ? bytes_none()
                                          : bytes_of(test.at + from + open.length, to - from - open.length);
    buffer_free(&open);
    buffer_free(&close);
    return found;
}

/* Decodes XML references, and the symbols of control octets (U+2400 and up). */
static void add_plain(struct buffer *out, struct bytes xml)
{
    static const struct {
        const char *name;
        char octet;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    while (xml.length > 0) {
        size_t used = 1;
        char octet = xml.at[0];
        for (size_t i = 0; octet == '&' && used == 1 && i < ARRAY_LENGTH(entities); i++)
            if (bytes_starts_nocase(xml, entities[i].name)) {
                octet = entities[i].octet;
                used = strlen(entities[i].name);
            }
        if (bytes_starts_nocase(xml, "&#") && used == 1) {
            octet = (char)strtol(xml.at + (xml.at[2] == 'x' ? 3 : 2), NULL, xml.at[2] == 'x' ? 16 : 10);
            used = bytes_find(xml, ';') + 1;
        } else if (bytes_starts_nocase(xml, "\xe2\x90")) {
            octet = (char)((unsigned char)xml.at[2] - 0x80);
            used = 3;
        }
        buffer_add_octet(out, octet);
        xml = bytes_from(xml, used);
    }
}

static bool is_expected(unsigned id, struct bytes category)
{
    for (size_t i = 0; i < ARRAY_LENGTH(otherwise); i++)
        if (otherwise[i].id == id)
            return otherwise[i].valid;
    /* The rest belongs to header fields (CFWS, RFC 5322), is obsolete or wrong. */
    return bytes_is(category, "ISEMAIL_VALID_CATEGORY") || bytes_is(category, "ISEMAIL_RFC5321") ||
           bytes_is(category, "ISEMAIL_DNSWARN");
}

static unsigned judge(struct bytes test)
{
    struct bytes id_text = bytes_from(test, bytes_search(test, BYTES("\"")) + 1);
    uint64_t id = 0;
    struct buffer address = {0};
    struct address parsed;
    assert_true(bytes_to_u64(bytes_first(id_text, bytes_find(id_text, '"')), 1000, &id));
    add_plain(&address, element(test, "address"));
    bool valid = address_parse(buffer_bytes(&address), false, &parsed),
         wanted = is_expected((unsigned)id, element(test, "category"));
    if (valid != wanted)
        print_error("test %u: %s is taken as %s\n", (unsigned)id, buffer_text(&address),
                    valid ? "valid" : "invalid");
    buffer_free(&address);
    return valid != wanted;
}

static void the_collected_addresses_are_judged_by_rfc_5321(void **state)
{
    struct buffer file = {0};
    FILE *stream = fopen(ISEMAIL_TESTS, "rb");
    if (stream == NULL) {
        print_message("%s is not there: its addresses are not judged\n", ISEMAIL_TESTS);
        skip();
    }
    size_t length, tests = 0;
    unsigned wrong = 0;
    while ((length = fread(buffer_reserve(&file, 65536), 1, 65536, stream)) > 0)
        buffer_written(&file, length);
    fclose(stream);
    struct bytes rest = buffer_bytes(&file);
    for (size_t at; (at = bytes_search(rest, BYTES("<test id="))) != SIZE_MAX; tests++) {
        rest = bytes_from(rest, at);
        size_t end = bytes_search(rest, BYTES("</test>"));
        wrong += judge(bytes_first(rest, end));
        rest = bytes_from(rest, end);
    }
    buffer_free(&file);
    assert_int_equal(tests, 98);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_are_told_apart),
        cmocka_unit_test(lengths_have_limits),
        cmocka_unit_test(one_address_has_one_canonical_text),
        cmocka_unit_test(paths_can_have_a_local_part_alone),
        cmocka_unit_test(paths_drop_their_source_route),
        cmocka_unit_test(domains_may_have_underscores),
        cmocka_unit_test(the_collected_addresses_are_judged_by_rfc_5321),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
