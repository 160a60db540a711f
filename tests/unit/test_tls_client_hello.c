/* SPDX-License-Identifier: Apache-2.0 */
/* The protocols offered in a ClientHello, for all splits into records and pieces. */
#include "core/port/tls_client_hello.h"
#include "unit.h"

/* A hello under construction. */
struct maker {
    struct buffer body, extensions, out;
};

static struct maker m;

static void add_number(struct buffer *to, size_t value, int octets)
{
    for (int i = octets - 1; i >= 0; i--)
        buffer_add_octet(to, (char)(value >> (8 * i)));
}

static void add_extension(unsigned kind, struct bytes value)
{
    add_number(&m.extensions, kind, 2);
    add_number(&m.extensions, value.length, 2);
    buffer_add(&m.extensions, value);
}

/* "smtp,h2" as ALPN's list. */
static void add_alpn(const char *names)
{
    struct buffer list = {0}, value = {0};
    for (struct bytes rest = bytes_of_text(names); rest.length > 0;) {
        struct bytes one = bytes_split(&rest, ',');
        add_number(&list, one.length, 1);
        buffer_add(&list, one);
    }
    add_number(&value, list.length, 2);
    buffer_add(&value, buffer_bytes(&list));
    add_extension(16, buffer_bytes(&value));
    buffer_free(&list);
    buffer_free(&value);
}

/* Ends the hello; records of at most `record` octets. */
static struct bytes finish(size_t record, size_t session_id, bool with_extensions)
{
    static const char zeroes[256];
    struct buffer message = {0};
    add_number(&m.body, 0x0303, 2);
    buffer_add(&m.body, bytes_of(zeroes, 32));
    add_number(&m.body, session_id, 1);
    buffer_add(&m.body, bytes_of(zeroes, session_id));
    add_number(&m.body, 4, 2);
    add_number(&m.body, 0x13011302, 4);
    add_number(&m.body, 1, 1);
    add_number(&m.body, 0, 1);
    if (with_extensions) {
        add_number(&m.body, m.extensions.length, 2);
        buffer_add(&m.body, buffer_bytes(&m.extensions));
    }
    add_number(&message, 1, 1);
    add_number(&message, m.body.length, 3);
    buffer_add(&message, buffer_bytes(&m.body));
    for (struct bytes left = buffer_bytes(&message); left.length > 0;) {
        struct bytes piece = bytes_first(left, record);
        add_number(&m.out, 0x160301, 3);
        add_number(&m.out, piece.length, 2);
        buffer_add(&m.out, piece);
        left = bytes_from(left, piece.length);
    }
    buffer_free(&message);
    return buffer_bytes(&m.out);
}

static int clear(void **state)
{
    buffer_free(&m.body);
    buffer_free(&m.extensions);
    buffer_free(&m.out);
    return 0;
}

static enum tls_client_hello_verdict judge(struct bytes octets)
{
    return tls_client_hello_check(octets, BYTES("smtp"));
}

static void what_is_offered_is_found(void **state)
{
    static const struct {
        const char *names;
        enum tls_client_hello_verdict verdict;
    } cases[] = {{"smtp", TLS_CLIENT_HELLO_OFFERS},    {"h2,http/1.1", TLS_CLIENT_HELLO_LACKS},
                 {"h2,smtp", TLS_CLIENT_HELLO_OFFERS}, {"smtp,h2", TLS_CLIENT_HELLO_OFFERS},
                 {"SMTP", TLS_CLIENT_HELLO_LACKS},     {"smtps", TLS_CLIENT_HELLO_LACKS},
                 {"smt", TLS_CLIENT_HELLO_LACKS}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        add_extension(0, BYTES("\0\x0e\0\0\x0bmx.test.org"));
        add_alpn(cases[i].names);
        add_extension(43, BYTES("\x02\x03\x04"));
        assert_int_equal(judge(finish(16384, 32, true)), cases[i].verdict);
        clear(NULL);
    }
    add_extension(0, BYTES("\0\x07\0\0\x04smtp")); /* as a name it is no offer */
    assert_int_equal(judge(finish(16384, 0, true)), TLS_CLIENT_HELLO_LACKS);
    clear(NULL);
    assert_int_equal(judge(finish(16384, 0, false)), TLS_CLIENT_HELLO_LACKS); /* of old, without extensions */
}

static void each_beginning_waits_for_more(void **state)
{
    for (size_t record = 1; record < 80; record += 13) {
        add_alpn("h2,smtp");
        struct bytes hello = finish(record, 32, true);
        for (size_t i = 0; i < hello.length; i++)
            assert_int_equal(judge(bytes_first(hello, i)), TLS_CLIENT_HELLO_MORE);
        assert_int_equal(judge(hello), TLS_CLIENT_HELLO_OFFERS);
        clear(NULL);
    }
}

static void what_is_no_hello_is_said_at_once(void **state)
{
    assert_int_equal(judge(BYTES("G")), TLS_CLIENT_HELLO_NO_HELLO);
    assert_int_equal(judge(BYTES("EHLO me.example\r\n")), TLS_CLIENT_HELLO_NO_HELLO);
    assert_int_equal(judge(BYTES("\x16\x02")), TLS_CLIENT_HELLO_NO_HELLO);
    assert_int_equal(judge(BYTES("\x16\x03\x01\0\0")), TLS_CLIENT_HELLO_NO_HELLO); /* an empty record */
    /* one that is too long */
    assert_int_equal(judge(BYTES("\x16\x03\x01\x40\x01")), TLS_CLIENT_HELLO_NO_HELLO);
    assert_int_equal(judge(BYTES("\x16\x03\x01\0\x05\x02")), TLS_CLIENT_HELLO_NO_HELLO); /* a ServerHello */
    assert_int_equal(judge(BYTES("\x15\x03\x01\0\x02\x02\x28")), TLS_CLIENT_HELLO_NO_HELLO);
    assert_int_equal(judge(bytes_none()), TLS_CLIENT_HELLO_MORE);
}

/* Lengths that do not fit into what holds them. */
static void lengths_that_lie_are_no_hello(void **state)
{
    static const struct {
        size_t from_end;
        char octet;
    } lies[] = {{7, 1}, {6, 6}, {5, 3}, {5, 0}, {9, 8}, {12, 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(lies); i++) {
        add_alpn("smtp"); /* ends: type 2, size 2, list 2, name 1, "smtp" */
        struct bytes hello = finish(16384, 0, true);
        m.out.at[m.out.start + hello.length - lies[i].from_end] = lies[i].octet;
        assert_true(judge(buffer_bytes(&m.out)) == TLS_CLIENT_HELLO_NO_HELLO);
        clear(NULL);
    }
}

static void a_hello_has_a_largest_size(void **state)
{
    static char filler[TLS_CLIENT_HELLO_MAX];
    struct bytes hello;
    size_t around = 5 + 4 + 34 + 1 + 6 + 2 + 2 + 4 + 11; /* one record, and an extension of 11 octets: ALPN */
    for (int past = 0; past < 2; past++) {
        add_extension(21, bytes_of(filler, TLS_CLIENT_HELLO_MAX - around + (size_t)past));
        add_alpn("smtp");
        hello = finish(16384, 0, true);
        assert_int_equal(hello.length, TLS_CLIENT_HELLO_MAX + past);
        assert_int_equal(judge(hello), past == 0 ? TLS_CLIENT_HELLO_OFFERS : TLS_CLIENT_HELLO_NO_HELLO);
        clear(NULL);
    }
}

/* ---- as it comes ---- */

/* A record of the first octets of a message that says how long it will be. */
static void add_beginning(unsigned kind, unsigned message, size_t length, size_t record)
{
    struct buffer beginning = {0};
    add_number(&beginning, message, 1);
    add_number(&beginning, length, 3);
    for (struct bytes left = buffer_bytes(&beginning); left.length > 0;) {
        add_number(&m.out, kind << 16 | 0x0303, 3);
        add_number(&m.out, bytes_first(left, record).length, 2);
        buffer_add(&m.out, bytes_first(left, record));
        left = bytes_from(left, bytes_first(left, record).length);
    }
    buffer_free(&beginning);
}

static bool goes_on(bool before_1_3)
{
    struct tls_client_hello_flow at_once = {0}, in_pieces = {0};
    struct bytes all = buffer_bytes(&m.out);
    bool whole = tls_client_hello_goes_on(&at_once, all, before_1_3), still = true;
    for (size_t i = 0; i < all.length && still; i++)
        still = tls_client_hello_goes_on(&in_pieces, bytes_first(bytes_from(all, i), 1), before_1_3);
    assert_int_equal(whole, still);
    return whole;
}

static void a_hello_that_says_it_is_long_is_known_by_its_first_octets(void **state)
{
    for (size_t record = 1; record <= 4; record++) {
        for (int past = 0; past < 2; past++) {
            add_beginning(0x16, 1, TLS_CLIENT_HELLO_MAX + (size_t)past, record);
            assert_int_equal(goes_on(false), past == 0);
            clear(NULL);
        }
    }
}

static void a_second_hello_is_one_too(void **state)
{
    finish(16384, 32, true);
    assert_true(goes_on(false));
    add_number(&m.out, 0x140303000101, 6); /* ChangeCipherSpec, for the sake of middleboxes */
    assert_true(goes_on(false));
    add_beginning(0x16, 1, 0x1ffff, 4);
    assert_false(goes_on(false));
    assert_true(goes_on(true)); /* in TLS 1.2 it is a Finished, encrypted */
}

static void what_is_none_is_not_judged(void **state)
{
    finish(16384, 32, true);
    size_t hello = m.out.length;
    add_beginning(0x16, 16, 0x1ffff, 4); /* ClientKeyExchange: OpenSSL knows how long that may be */
    add_beginning(0x16, 1, 0x1ffff, 4);
    assert_true(goes_on(true));
    m.out.length = hello;
    add_beginning(0x17, 1, 0x1ffff, 4); /* encrypted, TLS 1.3 */
    add_beginning(0x16, 1, 0x1ffff, 4);
    assert_true(goes_on(false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_offered_is_found, clear),
        cmocka_unit_test_teardown(each_beginning_waits_for_more, clear),
        cmocka_unit_test_teardown(what_is_no_hello_is_said_at_once, clear),
        cmocka_unit_test_teardown(lengths_that_lie_are_no_hello, clear),
        cmocka_unit_test_teardown(a_hello_has_a_largest_size, clear),
        cmocka_unit_test_teardown(a_hello_that_says_it_is_long_is_known_by_its_first_octets, clear),
        cmocka_unit_test_teardown(a_second_hello_is_one_too, clear),
        cmocka_unit_test_teardown(what_is_none_is_not_judged, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
