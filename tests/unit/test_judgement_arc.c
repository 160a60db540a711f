/* SPDX-License-Identifier: Apache-2.0 */
/* ARC in the judgement of a message: a seal spares what fails DMARC only where its domain is trusted, and
 * found that DMARC passed. */
#include <stdio.h>
#include <stdlib.h>

#include "core/trust/arc_seal.h"
#include "core/trust/judgement.h"
#include "io/signature.h"
#include "unit.h"

#define LETTER "From: ada@bank.example\r\nSubject: [list] hello\r\n"
#define BODY "hello\r\n"
enum { NOW_S = 1796000000, KEY_BITS = 1024 };

static struct signing_key key;
static struct buffer record; /* of every sealer's key */
static struct arena arena;
static struct judgement *judgement;

static int start(void **state)
{
    struct error error;
    judgement = memory_new(sizeof *judgement);
    buffer_add_text(&record, "v=DKIM1; p=");
    assert_true(signature_key_make(&key, DKIM_RSA_SHA256, KEY_BITS, &error));
    signature_key_publish(&key, &record);
    return 0;
}

static int finish(void **state)
{
    signature_key_free(&key);
    buffer_free(&record);
    judgement_end(judgement);
    arena_clear(&arena);
    free(judgement);
    return 0;
}

static void answer(struct dns_fact_key asked)
{
    struct dns_record found = {0};
    struct dns_answer said = {.status = DNS_NXDOMAIN};
    if (asked.type == DNS_TXT && bytes_is(asked.name, "_dmarc.bank.example"))
        found.data = BYTES("v=DMARC1; p=reject");
    else if (asked.type == DNS_TXT && bytes_search(asked.name, BYTES("._domainkey.")) != SIZE_MAX)
        found.data = buffer_bytes(&record);
    if (found.data.length > 0)
        said = (struct dns_answer){.status = DNS_FOUND, .records = &found, .count = 1};
    judgement_answer(judgement, asked, &said);
}

static void judge(struct bytes header, struct bytes body, const char *trusted)
{
    struct bytes domains[] = {bytes_of_text(trusted)};
    const struct judgement_question question = {.client = route_literal(BYTES("192.0.2.9")),
                                                .helo = BYTES("lists.example"),
                                                .mail_from = BYTES("bounces@lists.example"),
                                                .hostname = BYTES("mx.example.org"),
                                                .arc_trusted = domains,
                                                .arc_trusted_count = trusted == NULL ? 0 : 1};
    struct body_hashes hashes;
    struct dkim_body_fact digests[JUDGEMENT_BODIES_MAX];
    struct dns_fact_key keys[JUDGEMENT_LACKED_MAX];
    judgement_end(judgement);
    judgement_begin(judgement, &question, header, &arena);
    signature_hash_start(&hashes, judgement->bodies, judgement->body_count);
    signature_hash_add(&hashes, body);
    signature_hash_finish(&hashes, digests);
    judgement_give_bodies(judgement, digests);
    while (!judgement_run(judgement, NOW_S)) {
        signature_answer(&judgement->signatures);
        signature_answer(&judgement->arc_signatures);
        size_t count = judgement_lacked(judgement, keys);
        for (size_t i = 0; i < count; i++)
            answer(keys[i]);
    }
}

/* Puts a set of `domain` above the message, whose server found `results`. */
static void seal(struct buffer *message, const char *domain, const char *results)
{
    struct buffer input = {0}, made = {0}, out = {0};
    struct body_hashes hashes;
    struct dkim_body_fact body;
    struct arc_seal set;
    judge(buffer_bytes(message), BYTES(BODY), NULL); /* the chain as it came */
    signature_hash_start(&hashes, &(struct dkim_body){CANON_RELAXED, CANON_WHOLE}, 1);
    signature_hash_add(&hashes, BYTES(BODY));
    signature_hash_finish(&hashes, &body);
    const struct arc_seal_request request = {.algorithm = key.algorithm,
                                             .domain = bytes_of_text(domain),
                                             .selector = BYTES("s1"),
                                             .time_s = NOW_S,
                                             .names = BYTES("from:subject"),
                                             .results = bytes_of_text(results),
                                             .body_digest = bytes_of(body.digest, DKIM_DIGEST)};
    assert_true(arc_seal_start(&set, &judgement->arc, &request));
    arc_seal_message_input(&set, &input);
    signature_sign(&key, buffer_bytes(&input), &made);
    arc_seal_message(&set, buffer_bytes(&made));
    buffer_clear(&input);
    buffer_clear(&made);
    arc_seal_chain_input(&set, &input);
    signature_sign(&key, buffer_bytes(&input), &made);
    arc_seal_finish(&set, buffer_bytes(&made), &out);
    buffer_add(&out, buffer_bytes(message));
    arc_seal_free(&set);
    buffer_free(&input);
    buffer_free(&made);
    buffer_free(message);
    *message = out;
}

struct chain_case {
    const char *first, *first_found;   /* the sealer nearest to the author; NULL: none */
    const char *second, *second_found; /* the one after it */
    const char *trusted, *body;
    enum arc_result arc;
    unsigned believed;
};

#define PASSED "lists.example; dmarc=pass header.from=bank.example"
#define FAILED "lists.example; dmarc=fail header.from=bank.example"

static const struct chain_case cases[] = {
    {NULL, NULL, NULL, NULL, "lists.example", BODY, ARC_NONE, 0},
    {"lists.example", PASSED, NULL, NULL, "lists.example", BODY, ARC_PASS, 1},
    {"lists.example", PASSED, NULL, NULL, "LISTS.example", BODY, ARC_PASS, 1},
    {"lists.example", PASSED, NULL, NULL, NULL, BODY, ARC_PASS, 0},
    {"lists.example", PASSED, NULL, NULL, "example", BODY, ARC_PASS, 0},
    {"lists.example", FAILED, NULL, NULL, "lists.example", BODY, ARC_PASS, 0},
    {"lists.example", "lists.example; none", NULL, NULL, "lists.example", BODY, ARC_PASS, 0},
    {"lists.example", PASSED, NULL, NULL, "lists.example", "changed\r\n", ARC_FAIL, 0},
    /* the newest sealer is the one whose word counts: behind an unknown one nobody is believed */
    {"lists.example", PASSED, "evil.example", PASSED, "lists.example", BODY, ARC_PASS, 0},
    {"evil.example", PASSED, "lists.example", FAILED, "lists.example", BODY, ARC_PASS, 0},
    {"lists.example", PASSED, "lists.example", FAILED, "lists.example", BODY, ARC_PASS, 1},
};

static void test_only_a_trusted_seal_that_says_so_spares_a_message(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct chain_case *c = &cases[i];
        struct buffer message = {0};
        buffer_add_text(&message, LETTER);
        if (c->first != NULL)
            seal(&message, c->first, c->first_found);
        if (c->second != NULL)
            seal(&message, c->second, c->second_found);
        judge(buffer_bytes(&message), bytes_of_text(c->body), c->trusted);
        if (judgement->arc.result != c->arc || judgement->arc_believed != c->believed)
            fail_msg("case %zu: %s, set %u", i, arc_result_word(judgement->arc.result),
                     judgement->arc_believed);
        assert_int_equal(judgement->dmarc.result, DMARC_FAIL);
        assert_int_equal(judgement->verdict.finding,
                         c->believed > 0 ? FINDING_FAIL_REJECT_ARC : FINDING_FAIL_REJECT);
        buffer_free(&message);
        arena_clear(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_trusted_seal_that_says_so_spares_a_message),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
