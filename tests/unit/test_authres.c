/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication-Results: what is written reads back; forged fields leave a header in any spelling. */
#include <stdio.h>

#include "core/trust/authres_filter.h"
#include "core/trust/authres_write.h"
#include "unit.h"

static struct arena arena;
static struct authres_writer writer;
static struct authres authres;
static struct buffer out;

static int clear(void **state)
{
    arena_clear(&arena);
    buffer_free(&out);
    return 0;
}

static void end(void)
{
    buffer_clear(&out);
    authres_write_end(&writer, "A: ", &out);
    struct bytes value = bytes_from(buffer_bytes(&out), 3);
    assert_true(authres_parse(&authres, value, &arena));
}

static void test_a_field_is_written(void **state)
{
    authres_write_start(&writer, BYTES("mx.example.org"));
    end();
    assert_text(buffer_bytes(&out), "A: mx.example.org; none\r\n");
    authres_write_start(&writer, BYTES("mx.example.org"));
    authres_write_result(&writer, "spf", "pass", NULL);
    authres_write_property(&writer, "smtp", "mailfrom", BYTES("ada@example.org"));
    authres_write_result(&writer, "dkim", "fail", "body hash did not verify");
    authres_write_property(&writer, "header", "d", BYTES("example.org"));
    end();
    assert_text(buffer_bytes(&out),
                "A: mx.example.org;\r\n\tspf=pass smtp.mailfrom=ada@example.org;\r\n"
                "\tdkim=fail reason=\"body hash did not verify\" header.d=example.org\r\n");
}

static void test_hostile_values_stay_values(void **state)
{
    static const char *const values[] = {"a; dkim=pass header.d=bank.example",
                                         "a\" b",
                                         "\\",
                                         "a\\\"; spf=pass",
                                         "(",
                                         ")",
                                         "a (b",
                                         "\"quoted\"@example.org",
                                         "2001:db8::1",
                                         "",
                                         "a/b+c=",
                                         "@",
                                         "ada@example.org",
                                         "@example.org",
                                         "ada@",
                                         "a@b@c",
                                         "\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        authres_write_start(&writer, BYTES("mx.example.org"));
        authres_write_result(&writer, "spf", "fail", values[i]);
        authres_write_property(&writer, "smtp", "mailfrom", bytes_of_text(values[i]));
        end();
        assert_int_equal(authres.result_count, 1);
        assert_int_equal(authres.property_count, 1);
        assert_text(authres.properties[0].value, values[i]);
        assert_text(authres.results[0].reason, values[i]);
    }
    authres_write_start(&writer, BYTES("mx.example.org"));
    authres_write_result(&writer, "spf", "fail", NULL);
    authres_write_property(&writer, "smtp", "mailfrom", BYTES("a\r\nX: y\xff"));
    end();
    assert_text(authres.properties[0].value, "a??X: y?");
}

/* RFC 8601 2.2: a reason is a token or in quotes; a property may also be an address. */
static void test_an_address_is_in_quotes_in_a_reason(void **state)
{
    authres_write_start(&writer, BYTES("mx.example.org"));
    authres_write_result(&writer, "spf", "fail", "ada@example.org");
    authres_write_property(&writer, "smtp", "mailfrom", BYTES("ada@example.org"));
    authres_write_property(&writer, "smtp", "rcptto", BYTES("a@b@c"));
    end();
    assert_text(
        buffer_bytes(&out),
        "A: mx.example.org;\r\n\tspf=fail reason=\"ada@example.org\" smtp.mailfrom=ada@example.org\r\n"
        "\tsmtp.rcptto=\"a@b@c\"\r\n");
}

static void test_a_field_has_a_limit(void **state)
{
    char name[64];
    authres_write_start(&writer, BYTES("mx.example.org"));
    for (size_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "s%zu.example.org", i);
        authres_write_result(&writer, "dkim", "pass", NULL);
        authres_write_property(&writer, "header", "d", bytes_of_text(name));
    }
    buffer_clear(&out);
    authres_write_end(&writer, "Authentication-Results: ", &out);
    assert_true(out.length <= AUTHRES_FIELD_MAX && out.length > AUTHRES_WRITE_MAX - 100);
    assert_true(bytes_ends_nocase(buffer_bytes(&out), ".example.org\r\n"));
}

/* Longer values are cut; versions are at most 1000. */
static void test_the_limits_of_a_value(void **state)
{
    char value[321], text[64];
    memset(value, 'x', sizeof value);
    for (size_t length = 320; length <= 321; length++) {
        authres_write_start(&writer, BYTES("mx.example.org"));
        authres_write_result(&writer, "spf", "pass", NULL);
        authres_write_property(&writer, "smtp", "helo", bytes_of(value, length));
        end();
        assert_int_equal(authres.properties[0].value.length, 320);
    }
    for (unsigned version = 1000; version <= 1001; version++) {
        snprintf(text, sizeof text, "a %u; none", version);
        assert_int_equal(authres_parse(&authres, bytes_of_text(text), &arena), version == 1000);
        snprintf(text, sizeof text, "a; spf/%u=pass", version);
        assert_int_equal(authres_parse(&authres, bytes_of_text(text), &arena), version == 1000);
    }
}

static void test_the_limits_of_reading(void **state)
{
    struct buffer text = {0};
    for (size_t over = 0; over < 2; over++) {
        buffer_clear(&text);
        buffer_add_text(&text, "a");
        for (size_t i = 0; i < AUTHRES_RESULTS_MAX + over; i++)
            buffer_add_text(&text, "; spf=pass");
        assert_int_equal(authres_parse(&authres, buffer_bytes(&text), &arena), over == 0);
        buffer_clear(&text);
        buffer_add_text(&text, "a; spf=pass");
        for (size_t i = 0; i < AUTHRES_PROPERTIES_MAX + over; i++)
            buffer_add_text(&text, " a.b=c");
        assert_int_equal(authres_parse(&authres, buffer_bytes(&text), &arena), over == 0);
        buffer_clear(&text);
        buffer_add_text(&text, "a; none");
        while (text.length < AUTHRES_OCTETS_MAX + over)
            buffer_add_octet(&text, ' ');
        assert_int_equal(authres_parse(&authres, buffer_bytes(&text), &arena), over == 0);
    }
    buffer_free(&text);
}

struct claim_row {
    const char *value;
    bool claims;
};

static const struct claim_row claims[] = {
    {"mx.example.org; none", true},
    {" \r\n\tMX.EXAMPLE.ORG. 1; none", true},
    {"\"mx.example.org\"; none", true},
    {"\"mx\\.example.org\"; none", true},
    {"\"mx.example.org.\"(a); none", true},
    {"(a)(b (c) \\) d) mx.example.org; none", true},
    {"mx.example.org", true},
    {"mx.example.org=pass", true},
    {"mx.example.org/1; none", true},
    {"mx.example.org(", true},
    {"mx(a).example.org; spf=pass", true},
    {"mx .example.org; spf=pass", true},
    {"mx.\r\n example.org; none", true},
    {"(a mx.example.org; dkim=pass", true},
    {"\"mx.example.org; dkim=pass", true},
    {"mx.example.orgspf=pass", true},
    {"mx.example.organization; spf=pass", false},
    {"amx.example.org; none", false},
    {"example.org; none", false},
    {"mail.example.net; spf=pass (mx.example.org)", false},
    {"mail.example.net; dkim=pass header.d=mx.example.org", false},
    {"", false},
    {"; spf=pass", false},
};

static void test_what_claims_to_be_ours(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(claims); i++)
        if (authres_claims(bytes_of_text(claims[i].value), BYTES("mx.example.org")) != claims[i].claims) {
            print_error("row %zu\n", i);
            fail();
        }
}

/* The header after the filter, in pieces of so many octets. */
static struct bytes filtered(const char *header, size_t piece, size_t *removed)
{
    struct authres_filter filter;
    struct bytes rest = bytes_of_text(header);
    buffer_clear(&out);
    authres_filter_start(&filter, BYTES("mx.example.org"));
    while (rest.length > 0) {
        struct bytes some = bytes_first(rest, piece);
        authres_filter_add(&filter, some, &out);
        rest = bytes_from(rest, some.length);
    }
    *removed = filter.removed;
    authres_filter_finish(&filter, &out);
    return buffer_bytes(&out);
}

static void test_the_filter_in_any_pieces(void **state)
{
    static const char header[] = "authentication-results: mx.example.org; spf=pass\r\n"
                                 "\tsmtp.mailfrom=x\r\n \r\n"
                                 "From: a\r\n b\r\n"
                                 "Authentication-Results \t: MX.example.org;\r\n none\r\n"
                                 "Authentication-Results: other.example; none\r\n"
                                 "X-Authentication-Results: mx.example.org; none\r\n"
                                 "not a field\r\n"
                                 "AUTHENTICATION-RESULTS:mx.example.org;none\r\n"
                                 "\r\n"
                                 "Authentication-Results: mx.example.org; none\r\n";
    static const char wanted[] = "From: a\r\n b\r\n"
                                 "Authentication-Results: other.example; none\r\n"
                                 "X-Authentication-Results: mx.example.org; none\r\n"
                                 "not a field\r\n"
                                 "\r\n"
                                 "Authentication-Results: mx.example.org; none\r\n";
    size_t removed;
    for (size_t piece = 1; piece < sizeof(header); piece++) {
        assert_text(filtered(header, piece, &removed), wanted);
        assert_int_equal(removed, 3);
    }
    assert_text(filtered("From: a\r\nAuthentication-Results: mx.example.org", 7, &removed), "From: a\r\n");
    assert_text(filtered("Authentication-Res", 3, &removed), "Authentication-Res");
    assert_text(filtered("", 1, &removed), "");
}

static void test_the_filter_holds_no_more_than_its_limit(void **state)
{
    struct authres_filter filter;
    static const char *const starts[] = {"mx.example.org; spf=pass (", "other.example; spf=pass ("};
    for (size_t i = 0; i < 2; i++) {
        size_t in = 0;
        buffer_clear(&out);
        authres_filter_start(&filter, BYTES("mx.example.org"));
        authres_filter_add(&filter, BYTES("Authentication-Results: "), &out);
        authres_filter_add(&filter, bytes_of_text(starts[i]), &out);
        for (; in < 10 * 1024 * 1024; in += 1000) {
            char line[1000];
            memset(line, 'x', sizeof(line));
            memcpy(line + 996, "\r\n\t", 3);
            authres_filter_add(&filter, bytes_of(line, sizeof(line)), &out);
            assert_true(filter.held.length <= AUTHRES_FILTER_FIELD_MAX + sizeof(line));
        }
        authres_filter_finish(&filter, &out);
        assert_int_equal(out.length > 0, i == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_field_is_written),
        cmocka_unit_test(test_hostile_values_stay_values),
        cmocka_unit_test(test_an_address_is_in_quotes_in_a_reason),
        cmocka_unit_test(test_a_field_has_a_limit),
        cmocka_unit_test(test_the_limits_of_a_value),
        cmocka_unit_test(test_the_limits_of_reading),
        cmocka_unit_test(test_what_claims_to_be_ours),
        cmocka_unit_test(test_the_filter_in_any_pieces),
        cmocka_unit_test(test_the_filter_holds_no_more_than_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
