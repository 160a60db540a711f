/* SPDX-License-Identifier: Apache-2.0 */
/* DKIM-Signature fields that we write: their text, their lines, and that they verify by our own verifier. */
#include "core/trust/dkim_sign.h"
#include "io/signature.h"
#include "unit.h"

static const char MESSAGE[] = "Received: from a\r\n"
                              "From: Ada <ada@example.org>\r\n"
                              "To: ben@example.net,\r\n cy@example.net\r\n"
                              "Subject:  A  boat \r\n"
                              "List-Unsubscribe: <https://example.org/u>\r\n"
                              "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
                              "X-Other: x\r\n"
                              "\r\n"
                              "Hello  Ben \r\n"
                              "\r\n";

static struct arena arena;
static struct signing_key keys[2];
static struct buffer out, names;

static int prepare(void **state)
{
    struct error error;
    return signature_key_make(&keys[0], DKIM_RSA_SHA256, 2048, &error) &&
                   signature_key_make(&keys[1], DKIM_ED25519_SHA256, 0, &error)
               ? 0
               : 1;
}

static int finish(void **state)
{
    signature_key_free(&keys[0]);
    signature_key_free(&keys[1]);
    arena_clear(&arena);
    buffer_free(&out);
    buffer_free(&names);
    return 0;
}

/* Signs: `out` is the message with its signature on top. */
static void sign(const struct signing_key *key, const char *domain, const char *message)
{
    struct field_index index;
    struct body_hashes hashes;
    struct dkim_body_fact fact;
    struct buffer input = {0}, made = {0};
    const char *body = strstr(message, "\r\n\r\n") + 4;
    field_index_start(&index, bytes_of(message, (size_t)(body - message)));
    signature_hash_start(&hashes, &(struct dkim_body){CANON_RELAXED, CANON_WHOLE}, 1);
    signature_hash_add(&hashes, bytes_of_text(body));
    signature_hash_finish(&hashes, &fact);
    buffer_clear(&names);
    assert_true(dkim_sign_names(&index, &names));
    struct dkim_sign_request request = {.algorithm = key->algorithm,
                                        .domain = bytes_of_text(domain),
                                        .selector = BYTES("s2026"),
                                        .time_s = 1796000000,
                                        .names = buffer_bytes(&names),
                                        .body_digest = bytes_of(fact.digest, DKIM_DIGEST)};
    dkim_sign_input(&request, &index, &input);
    signature_sign(key, buffer_bytes(&input), &made);
    buffer_clear(&out);
    dkim_sign_field(&request, buffer_bytes(&made), &out);
    buffer_add_text(&out, message);
    buffer_free(&input);
    buffer_free(&made);
}

/* Verifies the message in `out`. */
static enum dkim_result verify(const struct signing_key *key, const char *domain)
{
    static struct dkim dkim;
    static struct dns_facts dns;
    static struct signature_facts signatures;
    struct dkim_facts facts;
    struct body_hashes hashes;
    struct buffer record = {0}, name = {0};
    buffer_add_text(&record, key->algorithm == DKIM_RSA_SHA256 ? "k=rsa; p=" : "k=ed25519; p=");
    signature_key_publish(key, &record);
    buffer_add_format(&name, "s2026._domainkey.%s", domain);
    dns_facts_start(&dns, &arena);
    dns_facts_add(&dns, (struct dns_fact_key){.type = DNS_TXT, .name = buffer_bytes(&name)},
                  &(struct dns_answer){.status = DNS_FOUND,
                                       .records = &(struct dns_record){.data = buffer_bytes(&record)},
                                       .count = 1});
    signature_facts_start(&signatures, &arena);
    dkim_facts_start(&facts, &dns, &signatures);
    size_t end = bytes_search(buffer_bytes(&out), BYTES("\r\n\r\n")) + 4;
    dkim_begin(&dkim, bytes_first(buffer_bytes(&out), end), &arena);
    signature_hash_start(&hashes, dkim.bodies, dkim.body_count);
    signature_hash_add(&hashes, bytes_from(buffer_bytes(&out), end));
    signature_hash_finish(&hashes, facts.bodies);
    facts.bodies_are_known = true;
    while (!dkim_judge(&dkim, &facts, 1796000000))
        assert_true(signature_answer(&signatures));
    buffer_free(&record);
    buffer_free(&name);
    assert_int_equal(dkim.count, 1);
    return dkim.signatures[0].result;
}

static void test_signed_messages_verify_and_altered_ones_do_not(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        sign(&keys[i], "example.org", MESSAGE);
        assert_int_equal(verify(&keys[i], "example.org"), DKIM_PASS);
        *strstr(out.at, "ben@") = 'B';
        assert_int_equal(verify(&keys[i], "example.org"), DKIM_FAIL);
        sign(&keys[i], "example.org", MESSAGE);
        struct buffer more = {0};
        buffer_add_text(&more, "From: forged@example.org\r\n");
        buffer_add(&more, buffer_bytes(&out));
        buffer_free(&out);
        out = more;
        assert_int_equal(verify(&keys[i], "example.org"), DKIM_FAIL); /* From is over-signed */
    }
}

static void test_the_names_that_are_signed(void **state)
{
    struct field_index index;
    buffer_clear(&names);
    field_index_start(&index, bytes_of_text(MESSAGE));
    assert_true(dkim_sign_names(&index, &names));
    assert_text(buffer_bytes(&names), "from:to:subject:list-unsubscribe:list-unsubscribe-post:from");
    buffer_clear(&names);
    field_index_start(&index, BYTES("To: a\r\nFROM: b\r\nto: c\r\n"));
    assert_true(dkim_sign_names(&index, &names));
    assert_text(buffer_bytes(&names), "from:to:to:from");
    buffer_clear(&names);
    field_index_start(&index, BYTES("To: a\r\n\r\nFrom: b\r\n"));
    assert_false(dkim_sign_names(&index, &names));
    assert_int_equal(names.length, 0);
}

/* Of fields with one name, the lowest eight are signed. */
static void test_so_many_fields_of_a_name_are_signed(void **state)
{
    for (size_t fields = 8; fields <= 9; fields++) {
        struct field_index index;
        struct buffer text = {0};
        size_t count = 0;
        buffer_add_text(&text, "From: a\r\n");
        for (size_t i = 0; i < fields; i++)
            buffer_add_text(&text, "To: b\r\n");
        buffer_clear(&names);
        field_index_start(&index, buffer_bytes(&text));
        assert_true(dkim_sign_names(&index, &names));
        for (struct bytes rest = buffer_bytes(&names); rest.length > 0;)
            count += bytes_is(bytes_split(&rest, ':'), "to");
        assert_int_equal(count, 8);
        buffer_free(&text);
    }
}

static void assert_short_lines(const char *domain)
{
    size_t end = bytes_search(buffer_bytes(&out), BYTES("Received")), line = 0;
    for (size_t i = 0; i < end; i++) {
        if (out.at[i] != '\n')
            continue;
        struct bytes text = bytes_of(out.at + line, i - 1 - line);
        bool long_word = bytes_search(text, bytes_of_text(domain)) != SIZE_MAX && strlen(domain) > 60;
        assert_true(text.length <= 77 || long_word);
        assert_true(text.length <= 998);
        line = i + 1;
    }
    assert_int_equal(line, end);
}

static void test_lines_are_below_78_columns(void **state)
{
    struct buffer domain = {0};
    for (size_t length = 1; length < 230; length++) {
        buffer_clear(&domain);
        for (size_t i = 0; i < length; i++)
            buffer_add_octet(&domain, i % 60 == 59 && i + 1 < length ? '.' : 'a');
        sign(&keys[1], buffer_text(&domain), MESSAGE);
        assert_short_lines(buffer_text(&domain));
        assert_int_equal(verify(&keys[1], buffer_text(&domain)), DKIM_PASS);
    }
    sign(&keys[0], "example.org", MESSAGE);
    assert_short_lines("example.org");
    buffer_free(&domain);
}

static void test_a_field_never_has_a_limit_or_an_expiry(void **state)
{
    sign(&keys[1], "example.org", MESSAGE);
    struct bytes field = bytes_first(buffer_bytes(&out), bytes_search(buffer_bytes(&out), BYTES("Received")));
    assert_true(bytes_starts_nocase(field,
                                    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; "
                                    "d=example.org;\r\n\ts=s2026; t=1796000000;\r\n\th=from:to:subject:"));
    assert_int_equal(bytes_search(field, BYTES(" l=")), SIZE_MAX);
    assert_int_equal(bytes_search(field, BYTES(" x=")), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed_messages_verify_and_altered_ones_do_not),
        cmocka_unit_test(test_so_many_fields_of_a_name_are_signed),
        cmocka_unit_test(test_the_names_that_are_signed),
        cmocka_unit_test(test_lines_are_below_78_columns),
        cmocka_unit_test(test_a_field_never_has_a_limit_or_an_expiry),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
