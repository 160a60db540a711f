/* SPDX-License-Identifier: Apache-2.0 */
/* Key records of DKIM: tags, base64, and how keys are measured. */
#include "core/smtp/base64.h"
#include "core/trust/dkim_key.h"
#include "unit.h"

#define ED25519 "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static struct arena arena;
static struct dkim_key key;

static int clear(void **state)
{
    arena_clear(&arena);
    return 0;
}

static enum dkim_key_fault ed25519(const char *record)
{
    return dkim_key_parse(&key, bytes_of_text(record), DKIM_ED25519_SHA256, &arena);
}

/* An RSAPublicKey, or with `info` a SubjectPublicKeyInfo, of this size; a record with it. */
static enum dkim_key_fault rsa(unsigned bits, const char *exponent, size_t exponent_octets, bool info)
{
    struct buffer numbers = {0}, der = {0}, record = {0};
    size_t octets = (bits + 7) / 8;
    buffer_add(&numbers, bytes_of("\x02\x82", 2));
    buffer_add_octet(&numbers, (char)((octets + 1) >> 8));
    buffer_add_octet(&numbers, (char)(octets + 1));
    buffer_add_octet(&numbers, '\0');
    buffer_add_octet(&numbers, (char)(1u << (bits - 1) % 8));
    for (size_t i = 1; i < octets; i++)
        buffer_add_octet(&numbers, '\x55');
    buffer_add_octet(&numbers, '\x02');
    buffer_add_octet(&numbers, (char)exponent_octets);
    buffer_add(&numbers, bytes_of(exponent, exponent_octets));
    size_t inner = numbers.length;
    if (info) {
        size_t whole = 15 + 5 + 4 + inner;
        char head[] = "\x30\x82..\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82..";
        head[2] = (char)(whole >> 8);
        head[3] = (char)whole;
        head[21] = (char)((inner + 5) >> 8);
        head[22] = (char)(inner + 5);
        buffer_add(&der, bytes_of(head, sizeof(head) - 1));
        buffer_add_octet(&der, '\0');
    }
    buffer_add(&der, bytes_of("\x30\x82", 2));
    buffer_add_octet(&der, (char)(inner >> 8));
    buffer_add_octet(&der, (char)inner);
    buffer_add(&der, buffer_bytes(&numbers));
    buffer_add_text(&record, "v=DKIM1; k=rsa; p=");
    base64_encode(&record, buffer_bytes(&der));
    enum dkim_key_fault fault = dkim_key_parse(&key, buffer_bytes(&record), DKIM_RSA_SHA256, &arena);
    buffer_free(&numbers);
    buffer_free(&der);
    buffer_free(&record);
    return fault;
}

static void test_a_key_of_ed25519(void **state)
{
    assert_int_equal(ed25519("v=DKIM1; k=ed25519; " ED25519), DKIM_KEY_FINE);
    assert_int_equal(key.bits, 256);
    assert_int_equal(key.octets.length, DKIM_ED25519_OCTETS);
    assert_false(key.testing || key.strict);
    assert_int_equal(ed25519("k=ed25519; t = y : s; p=11qYAYKxCrfVS/7TyWQHOg7\r\n hcvPapiMlrwIaaPcHURo"),
                     DKIM_KEY_FINE);
    assert_true(key.testing && key.strict);
    assert_int_equal(ed25519("k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcH"), DKIM_KEY_NOT_A_KEY);
    assert_int_equal(ed25519("k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
                     DKIM_KEY_NOT_A_KEY);
}

struct record_row {
    const char *record;
    enum dkim_key_fault fault;
};

static const struct record_row rows[] = {
    {"v=DKIM1; k=ed25519; h=sha1:sha256; s=web : email; n=note; g=*; " ED25519, DKIM_KEY_FINE},
    {"v=DKIM1; k=ed25519; s=*; t=x; " ED25519, DKIM_KEY_FINE},
    {"v=DKIM1; " ED25519, DKIM_KEY_ALGORITHM},
    {"v=DKIM1; k=rsa; " ED25519, DKIM_KEY_ALGORITHM},
    {"v=DKIM1; k=; " ED25519, DKIM_KEY_ALGORITHM},
    {"v=DKIM2; k=ed25519; " ED25519, DKIM_KEY_VERSION},
    {"v=dkim1; k=ed25519; " ED25519, DKIM_KEY_VERSION},
    {"v=; k=ed25519; " ED25519, DKIM_KEY_VERSION},
    {"k=ed25519; v=DKIM1; " ED25519, DKIM_KEY_VERSION},
    {"v=DKIM1; k=ed25519; h=sha1; " ED25519, DKIM_KEY_HASH},
    {"v=DKIM1; k=ed25519; h=; " ED25519, DKIM_KEY_HASH},
    {"v=DKIM1; k=ed25519; s=web; " ED25519, DKIM_KEY_SERVICE},
    {"v=DKIM1; k=ed25519; p=", DKIM_KEY_REVOKED},
    {"v=DKIM1; k=ed25519; p= \r\n ", DKIM_KEY_REVOKED},
    {"v=DKIM1; k=ed25519", DKIM_KEY_MALFORMED},
    {"v=DKIM1; k=ed25519; p=abc!", DKIM_KEY_NOT_BASE64},
    {"v=DKIM1; k=ed25519; p=a", DKIM_KEY_NOT_BASE64},
    {"v=DKIM1; k=ed25519; p=a===", DKIM_KEY_NOT_BASE64},
    {"v=DKIM1; k=ed25519; " ED25519 "; p=", DKIM_KEY_MALFORMED},
    {"v=DKIM1; k=ed25519; junk; " ED25519, DKIM_KEY_MALFORMED},
    {"", DKIM_KEY_MALFORMED},
};

static void test_records(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(ed25519(rows[i].record), rows[i].fault);
        assert_non_null(dkim_key_fault_reason(rows[i].fault));
    }
}

static void test_rsa_keys_are_measured_in_both_forms(void **state)
{
    static const char e[] = "\x01\x00\x01";
    for (int info = 0; info < 2; info++) {
        assert_int_equal(rsa(1024, e, 3, info), DKIM_KEY_FINE);
        assert_int_equal(key.bits, 1024);
        assert_int_equal((unsigned char)key.octets.at[0], 0x30);
        assert_int_equal(rsa(1023, e, 3, info), DKIM_KEY_TOO_SHORT);
        assert_int_equal(key.bits, 1023);
        assert_int_equal(rsa(8192, e, 3, info), DKIM_KEY_FINE);
        assert_int_equal(key.bits, 8192);
        assert_int_equal(rsa(8193, e, 3, info), DKIM_KEY_TOO_LONG);
    }
}

static void test_an_exponent_has_a_limit(void **state)
{
    assert_int_equal(rsa(2048, "\0\xff\xff\xff\xff\xff\xff\xff\xff", 9, false), DKIM_KEY_FINE);
    assert_int_equal(rsa(2048, "\x01\xff\xff\xff\xff\xff\xff\xff\xff", 9, false), DKIM_KEY_TOO_LONG);
    assert_int_equal(rsa(2048, "\x80", 1, false), DKIM_KEY_NOT_A_KEY); /* negative */
    assert_int_equal(rsa(2048, "\0", 1, false), DKIM_KEY_NOT_A_KEY);
    assert_int_equal(rsa(2048, "", 0, false), DKIM_KEY_NOT_A_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_of_ed25519),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_rsa_keys_are_measured_in_both_forms),
        cmocka_unit_test(test_an_exponent_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
