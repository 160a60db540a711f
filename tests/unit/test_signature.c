/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cryptography of DKIM: the signed messages of RFC 6376 A.2 and RFC 8463 A.3 verify, and altered they do
 * not; keys are read, made, written, published; what is signed verifies.
 */
#include "core/smtp/base64.h"
#include "io/public_keys.h"
#include "io/signature.h"
#include "unit.h"

/* RFC 6376 A.2, with the body and the folds that were signed. */
static const char RFC6376[] = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
                              "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
                              "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
                              "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                              "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
                              "      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
                              "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
                              "      4bmp/YzhwvcubU4=;\r\n"
                              "Received: from client1.football.example.com  [192.0.2.1]\r\n"
                              "      by submitserver.example.com with SUBMISSION;\r\n"
                              "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
                              "From: Joe SixPack <joe@football.example.com>\r\n"
                              "To: Suzie Q <suzie@shopping.example.net>\r\n"
                              "Subject: Is dinner ready?\r\n"
                              "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
                              "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
                              "\r\n"
                              "Hi.\r\n"
                              "\r\n"
                              "We lost the game. Are you hungry yet?\r\n"
                              "\r\n"
                              "Joe.\r\n";
static const char RFC6376_KEY[] =
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zY"
    "tIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4Ou"
    "KhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

/* RFC 8463 A.3. */
static const char RFC8463[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                              " d=football.example.com; i=@football.example.com;\r\n"
                              " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                              " subject : date : message-id : from : subject : date;\r\n"
                              " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                              " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
                              " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
                              "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                              " d=football.example.com; i=@football.example.com;\r\n"
                              " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
                              " date : message-id : from : subject : date;\r\n"
                              " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                              " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
                              " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
                              " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
                              "From: Joe SixPack <joe@football.example.com>\r\n"
                              "To: Suzie Q <suzie@shopping.example.net>\r\n"
                              "Subject: Is dinner ready?\r\n"
                              "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
                              "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
                              "\r\n"
                              "Hi.\r\n"
                              "\r\n"
                              "We lost the game.  Are you hungry yet?\r\n"
                              "\r\n"
                              "Joe.\r\n";
static const char RFC8463_ED25519[] = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const char RFC8463_RSA[] =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qh"
    "dR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hst"
    "T5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
/* RFC 8463 A.1: the private key of the first signature, in PKCS #8. */
static const char ED25519_PEM[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                                  "-----END PRIVATE KEY-----\n";

static struct arena arena;
static struct dns_facts dns;
static struct signature_facts signatures;
static struct dkim dkim;

static int clear(void **state)
{
    arena_clear(&arena);
    return 0;
}

static void add_key(const char *name, const char *record)
{
    struct dns_record txt = {.data = bytes_of_text(record)};
    struct dns_answer answer = {.status = DNS_FOUND, .records = &txt, .count = 1};
    dns_facts_add(&dns, (struct dns_fact_key){.type = DNS_TXT, .name = bytes_of_text(name)}, &answer);
}

/* Judges a message: its results are in dkim.signatures. */
static void judge(const char *message, size_t piece)
{
    struct dkim_facts facts;
    struct body_hashes hashes;
    const char *body = strstr(message, "\r\n\r\n") + 4;
    dns_facts_start(&dns, &arena);
    add_key("brisbane._domainkey.example.com", RFC6376_KEY);
    add_key("brisbane._domainkey.football.example.com", RFC8463_ED25519);
    add_key("test._domainkey.football.example.com", RFC8463_RSA);
    signature_facts_start(&signatures, &arena);
    dkim_facts_start(&facts, &dns, &signatures);
    dkim_begin(&dkim, bytes_of(message, (size_t)(body - message)), &arena);
    signature_hash_start(&hashes, dkim.bodies, dkim.body_count);
    for (struct bytes rest = bytes_of_text(body); rest.length > 0;) {
        struct bytes some = bytes_first(rest, piece);
        signature_hash_add(&hashes, some);
        rest = bytes_from(rest, some.length);
    }
    signature_hash_finish(&hashes, facts.bodies);
    facts.bodies_are_known = true;
    while (!dkim_judge(&dkim, &facts, 1528637909))
        assert_true(signature_answer(&signatures));
}

static void test_the_vectors_of_the_standards_verify(void **state)
{
    for (size_t piece = 1; piece < 60; piece += 7) {
        judge(RFC6376, piece);
        assert_int_equal(dkim.count, 1);
        assert_int_equal(dkim.signatures[0].result, DKIM_PASS);
        assert_int_equal(dkim.signatures[0].key_bits, 1024);
        judge(RFC8463, piece);
        assert_int_equal(dkim.count, 2);
        assert_int_equal(dkim.body_count, 1);
        assert_int_equal(dkim.signatures[0].result, DKIM_PASS);
        assert_int_equal(dkim.signatures[1].result, DKIM_PASS);
    }
}

static void alter(const char *from, char to, const char *reason)
{
    char message[sizeof(RFC8463)];
    memcpy(message, RFC8463, sizeof(message));
    *strstr(message, from) = to;
    judge(message, 100);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(dkim.signatures[i].result, DKIM_FAIL);
        assert_string_equal(dkim.signatures[i].reason, reason);
    }
}

static void test_altered_messages_fail(void **state)
{
    alter("lost", 'c', "body hash did not verify");
    alter("Is dinner", 'i', "signature did not verify");
    alter("Suzie Q", 's', "signature did not verify");
}

static void test_a_key_that_is_none_is_not_taken(void **state)
{
    struct signature_check check = {.algorithm = DKIM_RSA_SHA256, .key = BYTES("\x30\x03\x02\x01\x01")};
    check.input = BYTES("x");
    check.signature = BYTES("y");
    assert_false(signature_verify(&check));
    check.algorithm = DKIM_ED25519_SHA256;
    assert_false(signature_verify(&check));
    check.key = BYTES("01234567890123456789012345678901");
    assert_false(signature_verify(&check));
    check.signature = check.key = check.input = bytes_none();
    assert_false(signature_verify(&check));
}

/* Signs with the key, and verifies with what it publishes. */
static void sign_and_verify(const struct signing_key *key)
{
    struct buffer record = {0}, made = {0};
    struct dkim_key public;
    buffer_add_text(&record, key->algorithm == DKIM_RSA_SHA256 ? "v=DKIM1; k=rsa; p=" : "k=ed25519; p=");
    signature_key_publish(key, &record);
    assert_int_equal(dkim_key_parse(&public, buffer_bytes(&record), key->algorithm, &arena), DKIM_KEY_FINE);
    assert_int_equal(public.bits, key->bits);
    signature_sign(key, BYTES("input"), &made);
    struct signature_check check = {.algorithm = key->algorithm, .key = public.octets};
    check.input = BYTES("input");
    check.signature = buffer_bytes(&made);
    assert_true(signature_verify(&check));
    check.input = BYTES("other");
    assert_false(signature_verify(&check));
    buffer_free(&record);
    buffer_free(&made);
}

/* Signs `input`, and verifies that as a signature of "input" by the public key. */
static bool verify_with(const struct signing_key *key, const unsigned char *raw, const char *input)
{
    struct buffer made = {0};
    signature_sign(key, bytes_of_text(input), &made);
    struct signature_check check = {.algorithm = DKIM_ED25519_SHA256,
                                    .key = bytes_of(raw, DKIM_ED25519_OCTETS),
                                    .input = BYTES("input"),
                                    .signature = buffer_bytes(&made)};
    bool good = signature_verify(&check);
    buffer_free(&made);
    return good;
}

static void publish_raw(const struct signing_key *key, unsigned char raw[DKIM_ED25519_OCTETS])
{
    struct buffer text = {0}, octets = {0};
    signature_key_publish(key, &text);
    assert_true(base64_decode(&octets, buffer_bytes(&text)));
    memcpy(raw, buffer_text(&octets), DKIM_ED25519_OCTETS);
    buffer_free(&text);
    buffer_free(&octets);
}

/* Far more keys than are kept, then all again: each verifies its own signatures and no other's. */
static void test_keys_are_kept_within_bounds(void **state)
{
    enum { KEYS = 2 * PUBLIC_KEYS_MAX };
    static struct signing_key keys[KEYS];
    static unsigned char raw[KEYS][DKIM_ED25519_OCTETS];
    struct error error;
    public_keys_clear();
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(signature_key_make(&keys[i], DKIM_ED25519_SHA256, 0, &error));
        publish_raw(&keys[i], raw[i]);
        assert_true(verify_with(&keys[i], raw[i], "input"));
        assert_int_equal(public_keys_count() <= PUBLIC_KEYS_MAX, true);
    }
    /* rows of PUBLIC_KEYS_ASIDE, of which each of these keys chooses one at random */
    assert_true(public_keys_count() > PUBLIC_KEYS_MAX / 2);
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(verify_with(&keys[i], raw[i], "input"));
        assert_false(verify_with(&keys[i], raw[i], "other"));
        assert_false(verify_with(&keys[i], raw[(i + 1) % KEYS], "input"));
        signature_key_free(&keys[i]);
    }
    public_keys_clear();
    assert_int_equal(public_keys_count(), 0);
}

/* A key that OpenSSL does not take takes no place; the same octets are no key of another algorithm. */
static void test_only_keys_are_kept(void **state)
{
    static char octets[PUBLIC_KEY_OCTETS_MAX + 1];
    static const unsigned char digest[DKIM_DIGEST];
    unsigned char raw[DKIM_ED25519_OCTETS];
    struct signing_key key;
    struct error error;
    public_keys_clear();
    for (size_t less = 0; less < 2; less++)
        assert_false(public_keys_verify(DKIM_RSA_SHA256, bytes_of(octets, sizeof octets - less), digest,
                                        BYTES("signature")));
    assert_int_equal(public_keys_count(), 0);
    assert_true(signature_key_make(&key, DKIM_ED25519_SHA256, 0, &error));
    publish_raw(&key, raw);
    assert_true(verify_with(&key, raw, "input") && verify_with(&key, raw, "input"));
    assert_int_equal(public_keys_count(), 1);
    assert_false(public_keys_verify(DKIM_RSA_SHA256, bytes_of(raw, sizeof raw), digest, BYTES("signature")));
    assert_int_equal(public_keys_count(), 1);
    signature_key_free(&key);
    public_keys_clear();
}

static void test_keys_are_made_written_and_read(void **state)
{
    static const unsigned bits[] = {1024, 2048, 0};
    struct error error;
    for (size_t i = 0; i < ARRAY_LENGTH(bits); i++) {
        enum dkim_algorithm algorithm = bits[i] > 0 ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
        struct signing_key key, again;
        struct buffer pem = {0};
        assert_true(signature_key_make(&key, algorithm, bits[i], &error));
        assert_int_equal(key.bits, bits[i] > 0 ? bits[i] : 256);
        signature_key_write(&key, &pem);
        assert_true(signature_key_read(&again, buffer_bytes(&pem), "key", &error));
        sign_and_verify(&again);
        signature_key_free(&key);
        signature_key_free(&again);
        buffer_wipe(&pem);
    }
}

static void test_the_key_of_rfc_8463_signs_as_there(void **state)
{
    struct signing_key key;
    struct buffer out = {0};
    struct error error;
    assert_true(signature_key_read(&key, bytes_of_text(ED25519_PEM), "key", &error));
    signature_key_publish(&key, &out);
    assert_text(buffer_bytes(&out), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    judge(RFC8463, 1000);
    buffer_clear(&out);
    struct buffer input = {0};
    dkim_field_input(&dkim.signatures[0].field, &dkim.index, &input);
    signature_sign(&key, buffer_bytes(&input), &out);
    assert_true(bytes_equal(buffer_bytes(&out), dkim.signatures[0].field.signature));
    signature_key_free(&key);
    buffer_free(&input);
    buffer_free(&out);
}

static void test_files_that_are_no_key(void **state)
{
    static const char ec[] = "-----BEGIN PRIVATE KEY-----\n"
                             "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n"
                             "-----END PRIVATE KEY-----\n";
    struct signing_key key;
    struct error error;
    assert_false(signature_key_read(&key, BYTES(""), "a.pem", &error));
    assert_string_equal(error.text, "a.pem is not an unencrypted private key in PEM form");
    assert_false(signature_key_read(&key, bytes_of_text(ec), "a.pem", &error));
    assert_null(key.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_of_the_standards_verify),
        cmocka_unit_test(test_altered_messages_fail),
        cmocka_unit_test(test_a_key_that_is_none_is_not_taken),
        cmocka_unit_test(test_keys_are_kept_within_bounds),
        cmocka_unit_test(test_only_keys_are_kept),
        cmocka_unit_test(test_keys_are_made_written_and_read),
        cmocka_unit_test(test_the_key_of_rfc_8463_signs_as_there),
        cmocka_unit_test(test_files_that_are_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
