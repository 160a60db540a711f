/* SPDX-License-Identifier: Apache-2.0 */
/* SCRAM messages and cryptography, by the example of RFC 7677 3. */
#include "core/sasl/scram.h"
#include "core/smtp/base64.h"
#include "io/saslprep.h"
#include "io/verifier.h"
#include "unit.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CLIENT_FIRST_BARE "n=user,r=rOprNGfwEbeRWgbNEkqO"
#define SERVER_FIRST "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define UNPROVED "c=biws,r=" NONCE
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
static const struct bytes auth_message = {CLIENT_FIRST_BARE "," SERVER_FIRST "," UNPROVED,
                                          sizeof(CLIENT_FIRST_BARE "," SERVER_FIRST "," UNPROVED) - 1};

static void the_example_of_the_standard_comes_out(void **state)
{
    struct scram_client_first first;
    struct scram_server_first challenge;
    struct scram_client_final final;
    struct verifier_keys keys;
    uint8_t proof[SCRAM_KEY], signature[SCRAM_KEY], told[SCRAM_KEY];
    assert_true(scram_read_client_first(BYTES("n,," CLIENT_FIRST_BARE), &first));
    assert_true(first.flag == 'n' && bytes_is(first.user, "user") && bytes_is(first.header, "n,,") &&
                bytes_is(first.bare, CLIENT_FIRST_BARE));
    assert_true(scram_read_server_first(BYTES(SERVER_FIRST), &challenge));
    assert_true(challenge.iterations == 4096 && challenge.salt_length == 16 &&
                bytes_is(challenge.nonce, NONCE));
    verifier_derive(&keys, BYTES("pencil"), bytes_of(challenge.salt, challenge.salt_length),
                    challenge.iterations);
    verifier_prove(&keys, auth_message, proof);
    assert_true(scram_read_client_final(BYTES(UNPROVED ",p=" PROOF), &final));
    assert_memory_equal(final.proof, proof, SCRAM_KEY);
    assert_true(bytes_is(final.unproved, UNPROVED) &&
                scram_binding_is(final.binding, first.header, bytes_none()));
    assert_true(verifier_accepts(&keys.verifier, auth_message, proof));
    verifier_sign(&keys.verifier, auth_message, signature);
    assert_true(scram_read_server_final(BYTES("v=" SIGNATURE), told));
    assert_memory_equal(told, signature, SCRAM_KEY);
    proof[31] ^= 1;
    assert_false(verifier_accepts(&keys.verifier, auth_message, proof));
}

static void a_wrong_password_proves_nothing(void **state)
{
    struct verifier_keys right, wrong;
    uint8_t proof[SCRAM_KEY];
    verifier_derive(&right, BYTES("pencil"), BYTES("salt"), 4096);
    verifier_derive(&wrong, BYTES("Pencil"), BYTES("salt"), 4096);
    verifier_prove(&wrong, auth_message, proof);
    assert_false(verifier_accepts(&right.verifier, auth_message, proof));
}

static void what_the_client_says_is_read_strictly(void **state)
{
    static const char *const good[] = {"n,,n=a,r=b", "y,,n=a,r=b", "p=tls-exporter,,n=a,r=b", "n,a=x,n=a,r=b",
                                       "n,,n=a=2Cb=3D,r=b,x=y"};
    static const char *const bad[] = {"",
                                      "n",
                                      "n,",
                                      "n,,",
                                      "n,,n=a",
                                      "n,,r=b,n=a",
                                      "x,,n=a,r=b",
                                      "p=,,n=a,r=b",
                                      "p=a b,,n=a,r=b",
                                      "n,x,n=a,r=b",
                                      "n,a=,n=a,r=b",
                                      "n,,m=1,n=a,r=b",
                                      "n,,n=a,r=b,m=1",
                                      "n,,n=,r=b",
                                      "n,,n=a,r=",
                                      "n,,n=a,r=b\x7f",
                                      "n,,n=a,r=b c",
                                      "n,,n=\xff,r=b"};
    static const char *const bad_final[] = {"",
                                            "c=biws,r=x",
                                            "c=biws,p=x",
                                            "r=x,c=biws,p=" PROOF,
                                            "c=biws,r=x,p=",
                                            "c=biws,r=x,p=AAAA",
                                            "c=biws,r=x,p=" PROOF ",y=z",
                                            "c=biws,,p=" PROOF};
    struct scram_client_first first;
    struct scram_client_final final;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(scram_read_client_first(bytes_of_text(good[i]), &first));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(scram_read_client_first(bytes_of_text(bad[i]), &first));
    for (size_t i = 0; i < ARRAY_LENGTH(bad_final); i++)
        assert_false(scram_read_client_final(bytes_of_text(bad_final[i]), &final));
    assert_false(scram_read_client_first(bytes_of("n,,n=a\0b,r=c", 12), &first));
}

static void iterations_have_their_limits(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"4096", true},
                 {"4095", false},
                 {"1000000", true},
                 {"1000001", false},
                 {"-1", false},
                 {"", false},
                 {"99999999999999999999", false}};
    struct scram_server_first first;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer text = {0};
        buffer_add_format(&text, "r=x,s=AAAA,i=%s", cases[i].text);
        assert_int_equal(scram_read_server_first(buffer_bytes(&text), &first), cases[i].good);
        buffer_free(&text);
    }
}

static void sizes_have_their_limits(void **state)
{
    for (int more = 0; more <= 1; more++) {
        struct buffer first = {0}, name = {0}, read = {0}, salt = {0}, challenge = {0};
        struct scram_client_first got;
        struct scram_server_first got_challenge;
        buffer_add_text(&first, "n,,n=a,r=");
        for (int i = 0; i < SCRAM_NONCE_MAX + more; i++)
            buffer_add_octet(&first, 'r');
        assert_int_equal(scram_read_client_first(buffer_bytes(&first), &got), more == 0);
        for (int i = 0; i < SCRAM_NAME_MAX + more; i++)
            buffer_add_octet(&name, 'n');
        assert_int_equal(scram_name_read(&read, buffer_bytes(&name)), more == 0);
        for (int i = 0; i < SCRAM_SALT_MAX + more; i++)
            buffer_add_octet(&salt, 's');
        scram_write_server_first(&challenge, BYTES("x"), BYTES("yyy"), buffer_bytes(&salt), 4096);
        assert_int_equal(scram_read_server_first(buffer_bytes(&challenge), &got_challenge), more == 0);
        buffer_free(&first);
        buffer_free(&name);
        buffer_free(&read);
        buffer_free(&salt);
        buffer_free(&challenge);
    }
}

static void names_come_back_as_they_were(void **state)
{
    struct buffer written = {0}, read = {0};
    scram_name_write(&written, BYTES("a,b=c@ex\xc3\xa4mple.org"));
    assert_string_equal(buffer_text(&written), "a=2Cb=3Dc@ex\xc3\xa4mple.org");
    assert_true(scram_name_read(&read, buffer_bytes(&written)));
    assert_string_equal(buffer_text(&read), "a,b=c@ex\xc3\xa4mple.org");
    assert_false(scram_name_read(&read, BYTES("a=2cb")));
    assert_false(scram_name_read(&read, BYTES("a=2")));
    assert_false(scram_name_read(&read, BYTES("a=")));
    buffer_free(&written);
    buffer_free(&read);
}

static void the_salt_of_a_name_is_stable_and_its_own(void **state)
{
    uint8_t one[VERIFIER_SALT], again[VERIFIER_SALT], other[VERIFIER_SALT], elsewhere[VERIFIER_SALT];
    verifier_salt(one, BYTES("secret"), BYTES("ada@example.org"));
    verifier_salt(again, BYTES("secret"), BYTES("ada@example.org"));
    verifier_salt(other, BYTES("secret"), BYTES("bob@example.org"));
    verifier_salt(elsewhere, BYTES("Secret"), BYTES("ada@example.org"));
    assert_memory_equal(one, again, VERIFIER_SALT);
    assert_memory_not_equal(one, other, VERIFIER_SALT);
    assert_memory_not_equal(one, elsewhere, VERIFIER_SALT);
}

/* RFC 4013 3, and typical passwords. */
static void each_password_has_one_form(void **state)
{
    static const struct {
        const char *typed, *form;
    } cases[] = {
        {"I\u00adX", "IX"},
        {"user", "user"},
        {"USER", "USER"},
        {"\u00aa", "a"},
        {"\u2168", "IX"},
        {"caf\u00e9", "caf\u00e9"},
        {"cafe\u0301", "caf\u00e9"}, /* composed, and not */
        /* a space is a space */
        {"two\u00a0words", "two words"},
        {"two\u3000words", "two words"},
        {"a b", "a b"},
        /* younger than the tables */
        {"\U0001f511 key", "\U0001f511 key"},
        /* without a form: as they are */
        {"\a", "\a"},
        {"\u0627"
         "1",
         "\u0627"
         "1"},
        {"\xff\xfe", "\xff\xfe"},
        {"\u00ad", "\u00ad"},
        {"", ""},
    };
    char room[SASLPREP_MAX + 1];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes form = saslprep(bytes_of_text(cases[i].typed), room);
        if (!bytes_is(form, cases[i].form))
            fail_msg("%zu: %s became %.*s", i, cases[i].typed, BYTES_ARG(form));
    }
    /* The longest one, and one past it; and one whose form would be longer. */
    char text[SASLPREP_MAX + 2];
    for (size_t length = SASLPREP_MAX; length <= SASLPREP_MAX + 1; length++) {
        memset(text, 'x', length);
        memcpy(text, "e\u0301", 3);
        struct bytes form = saslprep(bytes_of(text, length), room);
        assert_int_equal(form.length, length == SASLPREP_MAX ? length - 1 : length);
    }
    for (size_t i = 0; i + 3 <= SASLPREP_MAX; i += 3)
        memcpy(&text[i], "\uFDFA", 3); /* 18 characters each */
    assert_ptr_equal(saslprep(bytes_of(text, SASLPREP_MAX / 3 * 3), room).at, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard_comes_out),
        cmocka_unit_test(a_wrong_password_proves_nothing),
        cmocka_unit_test(what_the_client_says_is_read_strictly),
        cmocka_unit_test(iterations_have_their_limits),
        cmocka_unit_test(sizes_have_their_limits),
        cmocka_unit_test(names_come_back_as_they_were),
        cmocka_unit_test(the_salt_of_a_name_is_stable_and_its_own),
        cmocka_unit_test(each_password_has_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
