/* SPDX-License-Identifier: Apache-2.0 */
/* The process that judges mail, at each of its limits and past it: what is too much is not judged, never
 * lost; and no message can make its author's policy too much. */
#include "service/trust_digests.h"
#include "trust_ground.h"

#define LETTER "From: ada@bank.example\r\nSubject: hello\r\n"

/* Each client can be one of many. */
static uint64_t ask_of(unsigned number)
{
    char client[32];
    snprintf(client, sizeof client, "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255, number & 255);
    return ask(client, BYTES(LETTER));
}

/* As many as the limit says wait for DNS; one more is answered at once, and the next one has room again. */
static void open_questions(void **state)
{
    for (unsigned i = 0; i < TRUST_OPEN_MAX; i++)
        ask_of(i);
    assert_int_equal(g.trust->open, TRUST_OPEN_MAX);
    assert_int_equal(g.told[FINDING_TEMPERROR], 0);
    assert_true(g.trust->octets < TRUST_OCTETS_MAX); /* their memory is no tighter limit */
    uint64_t refused = ask_of(TRUST_OPEN_MAX);
    assert_int_equal(g.trust->open, TRUST_OPEN_MAX);
    assert_int_equal(g.told[FINDING_TEMPERROR], 1);
    assert_int_equal(g.last.request, refused);
    assert_int_equal(g.last.disposition, DISPOSITION_DELIVER);
    give_body(refused, bytes_none()); /* smtpd may have sent it before it had the answer */
    assert_int_equal(g.told[FINDING_TEMPERROR], 2);
    drop(1);
    ask_of(TRUST_OPEN_MAX);
    assert_int_equal(g.trust->open, TRUST_OPEN_MAX);
    assert_int_equal(g.told[FINDING_TEMPERROR], 2);
}

static void questions_of_a_client(void **state)
{
    static const struct {
        const char *client, *same, *other;
    } rows[] = {{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
                {"2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1"}};
    for (size_t row = 0; row < ARRAY_LENGTH(rows); row++) {
        size_t before = g.trust->open, told = g.told[FINDING_TEMPERROR];
        uint64_t first = ask(rows[row].client, BYTES(LETTER));
        for (int i = 1; i < TRUST_OPEN_PER_CLIENT_MAX; i++)
            ask(rows[row].same, BYTES(LETTER));
        assert_int_equal(g.trust->open - before, TRUST_OPEN_PER_CLIENT_MAX);
        assert_int_equal(g.told[FINDING_TEMPERROR], told);
        ask(rows[row].same, BYTES(LETTER));
        assert_int_equal(g.told[FINDING_TEMPERROR], told + 1);
        assert_int_equal(g.last.disposition, DISPOSITION_DELIVER);
        ask(rows[row].other, BYTES(LETTER));
        assert_int_equal(g.trust->open - before, TRUST_OPEN_PER_CLIENT_MAX + 1);
        drop(first);
        ask(rows[row].same, BYTES(LETTER));
        assert_int_equal(g.trust->open - before, TRUST_OPEN_PER_CLIENT_MAX + 1);
        assert_int_equal(g.told[FINDING_TEMPERROR], told + 1);
    }
}

/* The memory of others, as if it were theirs. */
static void others_use(size_t octets)
{
    g.trust->octets = g.trust->octets + octets;
}

static void memory_of_all_questions(void **state)
{
    others_use(TRUST_OCTETS_MAX - 1);
    ask_of(1);
    assert_int_equal(g.trust->open, 1);
    drop(g.last_request);
    others_use(1);
    ask_of(1);
    assert_int_equal(g.trust->open, 0);
    assert_int_equal(g.told[FINDING_TEMPERROR], 1);
    assert_int_equal(g.last.disposition, DISPOSITION_DELIVER);
    g.trust->octets = 0;
    ask_of(1);
    assert_int_equal(g.trust->open, 1);
}

/* A question that was begun in time does not grow past it. */
static void memory_that_answers_need(void **state)
{
    static char text[DNS_FACT_SMALL_OCTETS / 2];
    struct dns_record record = {.data = bytes_of(text, sizeof text)};
    const struct dns_answer said = {.status = DNS_FOUND, .records = &record, .count = 1, .ttl_s = 300};
    turn(); /* the process looks whether DNS answers */
    answer(g.asked, &said);
    ask_of(1);
    size_t others = TRUST_OCTETS_MAX - g.trust->octets - sizeof text - 1024;
    others_use(others);
    answer(g.asked, &said);
    turn();
    assert_int_equal(g.trust->open, 1);
    answer(g.asked, &said);
    turn();
    assert_int_equal(g.trust->open, 0);
    assert_null(g.asked);
    assert_int_equal(g.told[FINDING_TEMPERROR], 1);
    assert_int_equal(g.trust->octets, others);
    g.trust->octets = 0;
}

/* ---- a message that needs much ---- */

#define KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define DIGEST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define TAGS "a=ed25519-sha256; d=evil%d.example; s=s; b=AAAA"

/* A header as large as can be, of which each signature and each seal covers nearly all. */
static void write_hostile(struct buffer *header)
{
    buffer_add_text(header, LETTER);
    for (int i = 1; i <= DKIM_LOOKED_AT_MAX; i++)
        buffer_add_format(header, "DKIM-Signature: v=1; h=from:x:x:x:x; bh=" DIGEST "; " TAGS "\r\n", i);
    for (int i = 1; i <= ARC_INSTANCE_MAX; i++)
        buffer_add_format(header,
                          "ARC-Seal: i=%d; cv=%s; " TAGS "\r\n"
                          "ARC-Message-Signature: i=%d; h=from:x:x:x:x; bh=" DIGEST "; " TAGS "\r\n"
                          "ARC-Authentication-Results: i=%d; evil.example; none\r\n",
                          i, i == 1 ? "none" : "pass", i, i, i, i);
    size_t left = FIELD_INDEX_OCTETS_MAX - header->length;
    for (int field = 1; field <= 4; field++) {
        buffer_add_text(header, "X: ");
        for (size_t i = 0; i < left / 4 - 8; i++)
            buffer_add_octet(header, 'x');
        buffer_add_text(header, "\r\n");
    }
    assert_true(header->length <= FIELD_INDEX_OCTETS_MAX);
}

static bool is_of_author(const struct dns_question *question)
{
    return strcmp(question->name, "_dmarc.bank.example") == 0;
}

/* Four keys each, none of which verifies; a policy for the author alone. */
static void answer_as_hostile(struct dns_question *question)
{
    static char filler[2 * DNS_FACT_SMALL_OCTETS];
    struct dns_record records[DKIM_KEYS_MAX + 1] = {{.data = BYTES(KEY)},
                                                    {.data = BYTES(KEY)},
                                                    {.data = BYTES(KEY)},
                                                    {.data = BYTES(KEY)},
                                                    {.data = bytes_of(filler, sizeof filler)}};
    struct dns_answer said = {
        .status = DNS_FOUND, .records = records, .count = ARRAY_LENGTH(records), .ttl_s = 300};
    if (is_of_author(question)) {
        records[0].data = BYTES("v=DMARC1; p=reject");
        said.count = 1;
    }
    answer(question, &said);
}

/* The next question that DNS answers: the policy comes last. */
static struct dns_question *next_asked(void)
{
    struct dns_question *question = g.asked;
    while (question != NULL && is_of_author(question) && question->next != NULL)
        question = question->next;
    return question;
}

/* The input of signatures is freed as soon as they were verified; large answers have a bound of their own,
 * which the policy of the author cannot pass. */
static void a_message_that_needs_much_does_not_hide_the_policy_of_its_author(void **state)
{
    struct buffer header = {0};
    struct buffer digests = {0};
    size_t most = 0, answers = 0;
    write_hostile(&header);
    turn();
    uint64_t request = ask("192.0.2.1", buffer_bytes(&header));
    struct trust_question *question = trust_question_find(g.trust, &g.asker, request);
    const struct dkim_body_fact facts[JUDGEMENT_BODIES_MAX] = {0};
    trust_digests_add(&digests, facts, question->judgement.body_count);
    for (struct dns_question *next; (next = next_asked()) != NULL; answers++) {
        answer_as_hostile(next);
        turn();
        most = g.trust->octets > most ? g.trust->octets : most;
    }
    assert_int_equal(g.trust->open, 1);
    assert_true(answers > ARC_INSTANCE_MAX);
    assert_true(most < sizeof *question + header.length + 2 * DNS_FACTS_LARGE_OCTETS);
    give_body(request, buffer_bytes(&digests));
    assert_int_equal(g.trust->open, 0);
    assert_int_equal(g.told[FINDING_FAIL_REJECT], 1);
    assert_int_equal(g.last.code, 550);
    buffer_free(&header);
    buffer_free(&digests);
}

#define ON_GROUND(test) cmocka_unit_test_setup_teardown(test, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_GROUND(open_questions),
        ON_GROUND(questions_of_a_client),
        ON_GROUND(memory_of_all_questions),
        ON_GROUND(memory_that_answers_need),
        ON_GROUND(a_message_that_needs_much_does_not_hide_the_policy_of_its_author),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
