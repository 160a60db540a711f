/* SPDX-License-Identifier: Apache-2.0 */
/* What mail authentication found stays with its message: the contract of store.h, for every kind of store. */
#include "ground.h"

static const struct bytes destination = BYTES("d");

static bool accept_judged(struct ground *ground, uint64_t id, const struct trust_record *record)
{
    struct recipient recipient = {.address = BYTES("ada@example.org")};
    struct store_message message = {.id = id,
                                    .arrived_ms = 1000,
                                    .expires_ms = 9000,
                                    .content = BYTES("Hello\r\n"),
                                    .trust = *record,
                                    .envelope = {.long_lines = true, /* its flags stand below */
                                                 .recipients = &recipient,
                                                 .recipient_count = 1},
                                    .origin = {.kind = ORIGIN_VACATION}};
    return store_accept(ground->store, &message, &destination, 10, 0);
}

static void assert_record(const struct store_message *message, const struct trust_record *record)
{
    assert_int_equal(trust_record_code(&message->trust), trust_record_code(record));
    assert_int_equal(message->trust.disposition, record->disposition);
    assert_same(message->trust.author, record->author);
    assert_same(message->trust.story, record->story);
    assert_true(message->envelope.long_lines && message->origin.kind == ORIGIN_VACATION);
}

static const struct trust_record junk = {.chain = ARC_TEMPERROR,
                                         .disposition = DISPOSITION_JUNK,
                                         .proposed = DISPOSITION_REJECT,
                                         .finding = (enum verdict_finding)(VERDICT_FINDINGS - 1),
                                         .override = OVERRIDE_LOCAL_POLICY,
                                         .author = BYTES("bank.example"),
                                         .story = BYTES("SPF fail. DMARC fail (b\xc3\xbc).")};

static void a_record_is_read_back_with_and_without_its_content(void **state)
{
    struct ground *ground = *state;
    const struct trust_record none = {.disposition = DISPOSITION_DELIVER};
    struct store_message got;
    assert_true(accept_judged(ground, 5, &junk));
    assert_true(accept_judged(ground, 6, &none));
    commit(ground);
    crash(ground);
    for (int with_content = 0; with_content < 2; with_content++) {
        assert_true(store_read(ground->store, 5, with_content != 0, &ground->arena, &got));
        assert_record(&got, &junk);
        assert_true(store_read(ground->store, 6, with_content != 0, &ground->arena, &got));
        assert_record(&got, &none);
    }
}

static void a_delivery_knows_its_disposition(void **state)
{
    struct ground *ground = *state;
    struct store_page page;
    assert_true(accept_judged(ground, 5, &junk));
    commit(ground);
    for (uint64_t contents_max = 0; contents_max < 1000; contents_max += 999) {
        store_due(ground->store,
                  &(struct store_due_question){.destination = destination,
                                               .now_ms = 100,
                                               .deliveries_max = 1,
                                               .recipients_max = 1,
                                               .contents_max = contents_max},
                  &ground->arena, &page);
        assert_int_equal(page.count, 1);
        assert_record(&page.deliveries[0].message, &junk);
    }
}

static void a_story_may_be_so_long(void **state)
{
    struct ground *ground = *state;
    char octets[TRUST_STORY_MAX];
    struct store_message got;
    memset(octets, 's', sizeof octets);
    struct trust_record record = junk;
    record.story = bytes_of(octets, TRUST_STORY_MAX);
    record.author = bytes_of(octets, TRUST_AUTHOR_MAX);
    assert_true(accept_judged(ground, 5, &record));
    commit(ground);
    crash(ground);
    assert_true(store_read(ground->store, 5, false, &ground->arena, &got));
    assert_record(&got, &record);
}

static void a_lost_batch_loses_its_record(void **state)
{
    struct ground *ground = *state;
    assert_true(accept_judged(ground, 5, &junk));
    crash(ground);
    assert_false(is_there(ground, 5));
}

#define CONTRACT(set_up)                                                                      \
    BOTH(set_up, a_record_is_read_back_with_and_without_its_content),                         \
        BOTH(set_up, a_delivery_knows_its_disposition), BOTH(set_up, a_story_may_be_so_long), \
        BOTH(set_up, a_lost_batch_loses_its_record)

int main(void)
{
    CONTRACT_HOLDS;
}
