/* SPDX-License-Identifier: Apache-2.0 */
/* The process that signs: which key is used, and what it answers, for signatures and for ARC sets. */
#include <stdlib.h>

#include "core/trust/arc.h"
#include "core/trust/dkim_field.h"
#include "io/log.h"
#include "service/sign/sign_question.h"
#include "unit.h"

static struct sign_keys keys;
static struct buffer rsa, other_rsa, ed25519;

static void make(struct buffer *pem, enum dkim_algorithm algorithm)
{
    struct signing_key key;
    struct error error;
    assert_true(signature_key_make(&key, algorithm, 1024, &error));
    signature_key_write(&key, pem);
    signature_key_free(&key);
}

static int prepare(void **state)
{
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR + 1);
    make(&rsa, DKIM_RSA_SHA256);
    make(&other_rsa, DKIM_RSA_SHA256);
    make(&ed25519, DKIM_ED25519_SHA256);
    return 0;
}

static int finish(void **state)
{
    buffer_wipe(&rsa);
    buffer_wipe(&other_rsa);
    buffer_wipe(&ed25519);
    return 0;
}

static int empty(void **state)
{
    sign_keys_start(&keys, 1);
    return 0;
}

static int clear(void **state)
{
    sign_keys_free(&keys);
    return 0;
}

static void add(const char *domain, const char *selector, const struct buffer *pem)
{
    sign_keys_add(&keys, bytes_of_text(domain), bytes_of_text(selector),
                  pem == NULL ? bytes_none() : buffer_bytes(pem), "it belongs to another user");
}

static size_t count(const char *domain)
{
    size_t number = 0;
    for (const struct sign_key *key = sign_keys_find(&keys, bytes_of_text(domain), false); key != NULL;
         key = key->next)
        number++;
    return number;
}

static void a_key_is_of_its_domain_alone(void **state)
{
    add("example.org", "one", &rsa);
    assert_int_equal(count("example.org"), 1);
    assert_null(sign_keys_find(&keys, BYTES("mx.example.org"), false));
    assert_null(sign_keys_find(&keys, BYTES("org"), true));
    assert_null(sign_keys_find(&keys, BYTES("notexample.org"), true));
    assert_null(sign_keys_find(&keys, bytes_none(), true));
    /* this server's reports are signed by the nearest domain above it */
    assert_text(sign_keys_find(&keys, BYTES("a.mx.example.org"), true)->selector, "one");
    add("mx.example.org", "two", &rsa);
    assert_text(sign_keys_find(&keys, BYTES("a.mx.example.org"), true)->selector, "two");
}

static void the_last_key_of_each_algorithm_signs(void **state)
{
    add("example.org", "one", &rsa);
    add("example.org", "two", &ed25519);
    add("example.org", "three", &other_rsa);
    assert_int_equal(count("example.org"), 2);
    bool seen = false;
    for (const struct sign_key *key = sign_keys_find(&keys, BYTES("example.org"), false); key != NULL;
         key = key->next) {
        assert_false(bytes_is(key->selector, "one"));
        seen = seen || bytes_is(key->selector, "three");
    }
    assert_true(seen);
}

static void a_key_that_cannot_be_used_yields_to_one_that_can(void **state)
{
    add("example.org", "broken", NULL);
    assert_int_equal(count("example.org"), 1);
    assert_null(sign_keys_find(&keys, BYTES("example.org"), false)->key.key);
    add("example.org", "one", &rsa);
    add("example.org", "worse", NULL);
    assert_int_equal(count("example.org"), 1);
    assert_text(sign_keys_find(&keys, BYTES("example.org"), false)->selector, "one");
}

static struct sign_question *ask(struct bytes header, struct bytes digest)
{
    const struct ipc_sign asked = {
        .request = 7, .domain = BYTES("example.org"), .header = header, .body_digest = digest};
    struct sign_question *question = sign_question_new(
        &asked, NULL, sign_keys_find(&keys, BYTES("example.org"), false), 1796000000);
    sign_question_answer(question);
    return question;
}

static void expect(struct bytes header, struct bytes digest, enum sign_verdict verdict, size_t fields)
{
    struct sign_question *question = ask(header, digest);
    struct bytes left = buffer_bytes(&question->fields);
    assert_int_equal(question->verdict, verdict);
    assert_int_equal(question->why == NULL, verdict == SIGN_DONE);
    for (size_t at; (at = bytes_search(left, BYTES("DKIM-Signature: "))) != SIZE_MAX; fields--)
        left = bytes_from(left, at + 1);
    assert_int_equal(fields, 0);
    sign_question_free(question);
}

#define HEADER "From: ada@example.org\r\nSubject: hi\r\n"

static void what_is_answered(void **state)
{
    static const char octets[DKIM_DIGEST] = "a digest";
    const struct bytes digest = bytes_of(octets, sizeof octets);
    add("example.org", "broken", NULL);
    expect(BYTES(HEADER), digest, SIGN_FAILED, 0);
    add("example.org", "one", &rsa);
    expect(BYTES(HEADER), digest, SIGN_DONE, 1);
    add("example.org", "two", &ed25519);
    expect(BYTES(HEADER), digest, SIGN_DONE, 2);
    expect(BYTES("Subject: hi\r\n"), digest, SIGN_UNFIT, 0);
    expect(bytes_none(), digest, SIGN_UNFIT, 0);
    expect(BYTES(HEADER), bytes_first(digest, DKIM_DIGEST - 1), SIGN_FAILED, 0);
    expect(BYTES(HEADER), bytes_none(), SIGN_FAILED, 0);
}

static void headers_at_the_limit_and_past_it(void **state)
{
    static const char octets[DKIM_DIGEST];
    const struct bytes digest = bytes_of(octets, sizeof octets);
    struct buffer header = {0};
    add("example.org", "one", &rsa);
    buffer_add_text(&header, "From: ada@example.org\r\n");
    while (header.length < FIELD_INDEX_OCTETS_MAX - 2)
        buffer_add_text(&header, header.length % 2 == 0 ? "X" : ":");
    buffer_add_text(&header, "\r\n");
    assert_int_equal(header.length, FIELD_INDEX_OCTETS_MAX);
    expect(buffer_bytes(&header), digest, SIGN_DONE, 1);
    buffer_add_text(&header, "a");
    expect(buffer_bytes(&header), digest, SIGN_UNFIT, 0);
    buffer_clear(&header);
    buffer_add_text(&header, "From: ada@example.org\r\n");
    for (int i = 1; i < FIELD_INDEX_MAX; i++)
        buffer_add_text(&header, "X: y\r\n");
    expect(buffer_bytes(&header), digest, SIGN_DONE, 1);
    buffer_add_text(&header, "X: y\r\n");
    expect(buffer_bytes(&header), digest, SIGN_UNFIT, 0);
    buffer_free(&header);
}

/* ---- ARC ---- */

#define RESULTS " mx.example.org;\r\n\tdmarc=pass header.from=there.net"

/* Asks for a set; returns the fields, in the arena. */
static struct bytes seal(struct bytes header, enum arc_result chain, const char *results,
                         enum sign_verdict verdict, const char *why, struct arena *arena)
{
    static const char octets[DKIM_DIGEST] = "a digest";
    const struct ipc_sign asked = {.request = 7,
                                   .domain = BYTES("example.org"),
                                   .header = header,
                                   .body_digest = bytes_of(octets, sizeof octets),
                                   .chain = (uint8_t)chain,
                                   .results = bytes_of_text(results)};
    struct sign_question *question = sign_question_new(
        &asked, NULL, sign_keys_find(&keys, BYTES("example.org"), false), 1796000000);
    sign_question_answer(question);
    assert_int_equal(question->verdict, verdict);
    if (verdict != SIGN_DONE)
        assert_non_null(strstr(question->why, why));
    assert_int_equal(question->why == NULL, verdict == SIGN_DONE);
    assert_int_equal(question->instance > 0, verdict == SIGN_DONE);
    struct bytes fields = arena_copy(arena, buffer_bytes(&question->fields));
    sign_question_free(question);
    return fields;
}

static struct bytes join(struct bytes one, struct bytes other, struct arena *arena)
{
    return bytes_of_text(arena_format(arena, "%.*s%.*s", BYTES_ARG(one), BYTES_ARG(other)));
}

static bool has(struct bytes text, const char *part)
{
    return bytes_search(text, bytes_of_text(part)) != SIZE_MAX;
}

/* The judgement of the chain is what decides: the signatures below are of no key that DNS has. */
static void sets_follow_what_was_judged(void **state)
{
    struct arena arena = {0};
    struct bytes header = BYTES("DKIM-Signature: v=1\r\n" HEADER);
    add("example.org", "two", &ed25519);
    add("example.org", "one", &rsa);
    struct bytes first = seal(header, ARC_NONE, RESULTS, SIGN_DONE, "", &arena);
    assert_true(bytes_starts_nocase(first, "ARC-Seal: a=rsa-sha256;"));
    assert_true(has(first, "cv=none;") && has(first, "i=1;") && has(first, "d=example.org;") &&
                has(first, "s=one;") && has(first, ":dkim-signature;"));
    assert_true(has(first, "\r\nARC-Authentication-Results: i=1; mx.example.org;\r\n\tdmarc=pass "));
    assert_true(bytes_ends_nocase(first, "header.from=there.net\r\n"));
    header = join(first, header, &arena);
    struct bytes second = seal(header, ARC_PASS, RESULTS, SIGN_DONE, "", &arena);
    assert_true(has(second, "cv=pass;") && has(second, "i=2;") && !has(second, "i=1"));
    second = seal(header, ARC_FAIL, RESULTS, SIGN_DONE, "", &arena);
    assert_true(has(second, "cv=fail;") && has(second, "i=2;"));
    /* no set is made of what was judged otherwise, or not at all */
    seal(header, ARC_NONE, RESULTS, SIGN_UNFIT, "is not the one that was judged", &arena);
    seal(BYTES(HEADER), ARC_PASS, RESULTS, SIGN_UNFIT, "is not the one that was judged", &arena);
    seal(BYTES("ARC-Seal: i=1\r\n" HEADER), ARC_PASS, RESULTS, SIGN_UNFIT, "is not the one", &arena);
    seal(header, ARC_TEMPERROR, RESULTS, SIGN_UNFIT, "", &arena);
    seal(header, ARC_RESULTS, RESULTS, SIGN_UNFIT, "", &arena);
    seal(header, ARC_PASS, "", SIGN_UNFIT, "no results", &arena);
    seal(join(second, header, &arena), ARC_FAIL, RESULTS, SIGN_UNFIT, "newest ARC seal", &arena);
    seal(BYTES("To: bob@there.net\r\n"), ARC_NONE, RESULTS, SIGN_UNFIT, "no From", &arena);
    arena_clear(&arena);
}

static void chains_at_their_limit_and_past_it(void **state)
{
    struct arena arena = {0};
    struct bytes header = BYTES(HEADER);
    add("example.org", "one", &ed25519);
    for (int i = 1; i <= ARC_INSTANCE_MAX; i++)
        header = join(seal(header, i == 1 ? ARC_NONE : ARC_PASS, RESULTS, SIGN_DONE, "", &arena), header,
                      &arena);
    seal(header, ARC_PASS, RESULTS, SIGN_UNFIT, "50 sets", &arena);
    seal(header, ARC_FAIL, RESULTS, SIGN_UNFIT, "50 sets", &arena);
    arena_clear(&arena);
}

static void a_key_that_cannot_be_used_seals_nothing(void **state)
{
    struct arena arena = {0};
    add("example.org", "broken", NULL);
    seal(BYTES(HEADER), ARC_NONE, RESULTS, SIGN_FAILED, "cannot be used", &arena);
    add("example.org", "one", &ed25519);
    assert_true(has(seal(BYTES(HEADER), ARC_NONE, RESULTS, SIGN_DONE, "", &arena), "a=ed25519-sha256"));
    arena_clear(&arena);
}

#define ON(test) cmocka_unit_test_setup_teardown(test, empty, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {ON(a_key_is_of_its_domain_alone),
                                       ON(the_last_key_of_each_algorithm_signs),
                                       ON(a_key_that_cannot_be_used_yields_to_one_that_can),
                                       ON(what_is_answered),
                                       ON(headers_at_the_limit_and_past_it),
                                       ON(sets_follow_what_was_judged),
                                       ON(chains_at_their_limit_and_past_it),
                                       ON(a_key_that_cannot_be_used_seals_nothing)};
    return cmocka_run_group_tests(tests, prepare, finish);
}
