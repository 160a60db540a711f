/* SPDX-License-Identifier: Apache-2.0 */
/* The record of mail authentication: its code, the cut of a story, and its limits between processes. */
#include "core/trust/trust_record.h"
#include "ipc/ipc_message.h"
#include "unit.h"

/* These are on disk: a number that changes here misreads stored messages. */
static void numbers_on_disk_stay(void **state)
{
    assert_int_equal(DISPOSITION_DELIVER, 0);
    assert_int_equal(DISPOSITION_JUNK, 1);
    assert_int_equal(DISPOSITION_DEFER, 2);
    assert_int_equal(DISPOSITION_REJECT, 3);
    assert_int_equal(FINDING_NOT_CHECKED, 0);
    assert_int_equal(FINDING_PASS, 2);
    assert_int_equal(FINDING_FAIL_QUARANTINE, 7);
    assert_int_equal(FINDING_FAIL_REJECT, 11);
    assert_int_equal(FINDING_TEMPERROR_ACCEPTED, 17);
    assert_int_equal(OVERRIDE_MAILING_LIST, 1);
    assert_int_equal(OVERRIDE_LOCAL_POLICY, 4);
    assert_int_equal(ARC_PENDING, 0);
    assert_int_equal(ARC_NONE, 1);
    assert_int_equal(ARC_TEMPERROR, 4);
}

/* Of a record without texts; the octets between its members are of any value. */
static bool is_same(const struct trust_record *a, const struct trust_record *b)
{
    return a->chain == b->chain && a->disposition == b->disposition && a->proposed == b->proposed &&
           a->finding == b->finding && a->override == b->override && a->author.length == b->author.length &&
           a->story.length == b->story.length && a->evidence.length == b->evidence.length;
}

static void each_record_has_its_code(void **state)
{
    struct trust_record record = {0}, again;
    assert_int_equal(trust_record_code(&record), 0);
    for (int finding = 0; finding < VERDICT_FINDINGS; finding++)
        for (int disposition = 0; disposition <= DISPOSITION_REJECT; disposition++)
            for (int override = 0; override <= OVERRIDE_LOCAL_POLICY; override++) {
                record = (struct trust_record){
                    .chain = (enum arc_result)((finding + disposition + override) % ARC_RESULTS),
                    .disposition = (enum disposition)disposition,
                    .proposed = (enum disposition)(DISPOSITION_REJECT - disposition),
                    .finding = (enum verdict_finding)finding,
                    .override = (enum verdict_override) override};
                assert_true(trust_record_code(&record) <= TRUST_CODE_MAX);
                assert_true(trust_record_decode(trust_record_code(&record), &again));
                assert_true(is_same(&again, &record));
            }
    assert_false(trust_record_decode(VERDICT_FINDINGS << 8, &again));
    assert_int_equal(again.finding, FINDING_NOT_CHECKED);
    assert_false(trust_record_decode((OVERRIDE_LOCAL_POLICY + 1) << 4, &again));
    assert_false(trust_record_decode(UINT32_MAX, &again));
    assert_true(trust_record_decode(ARC_TEMPERROR << 13, &again));
    assert_int_equal(again.chain, ARC_TEMPERROR);
    assert_false(trust_record_decode(ARC_RESULTS << 13, &again));
    assert_int_equal(again.chain, ARC_PENDING);
    assert_false(trust_record_decode(TRUST_CODE_MAX + 1, &again));
}

static void a_story_is_cut_between_characters(void **state)
{
    char text[TRUST_STORY_MAX + 4];
    memset(text, 's', sizeof text);
    assert_int_equal(trust_record_story(bytes_of(text, TRUST_STORY_MAX)).length, TRUST_STORY_MAX);
    assert_int_equal(trust_record_story(bytes_of(text, TRUST_STORY_MAX + 1)).length, TRUST_STORY_MAX);
    memcpy(text + TRUST_STORY_MAX - 2, "\xe2\x82\xac", 3); /* the limit is within it */
    assert_int_equal(trust_record_story(bytes_of(text, TRUST_STORY_MAX + 4)).length, TRUST_STORY_MAX - 2);
    memset(text, '\x80', sizeof text);
    assert_int_equal(trust_record_story(bytes_of(text, sizeof text)).length, 0);
}

/* A longer story, or a number that does not exist, is not read. */
static void a_record_has_its_limits_between_processes(void **state)
{
    char text[TRUST_STORY_MAX + 1];
    struct recipient room[1] = {{.address = BYTES("ada@example.org")}};
    struct arena arena = {0};
    enum ipc_kind kind;
    union ipc_message heard;
    memset(text, 's', sizeof text);
    struct ipc_submit said = {.id = 7,
                              .envelope = {.recipients = room, .recipient_count = 1},
                              .trust = {.finding = FINDING_PASS,
                                        .author = bytes_of(text, TRUST_AUTHOR_MAX),
                                        .story = bytes_of(text, TRUST_STORY_MAX),
                                        .evidence = bytes_of(text, TRUST_EVIDENCE_MAX)}};
    for (int wrong = 0; wrong < 4; wrong++) {
        struct buffer out = {0};
        ipc_encode(&out, IPC_SUBMIT, &said);
        size_t evidence_at = out.length - TRUST_EVIDENCE_MAX - sizeof(uint32_t);
        size_t story_at = evidence_at - TRUST_STORY_MAX - sizeof(uint32_t);
        size_t code_at = story_at - TRUST_AUTHOR_MAX - 2 * sizeof(uint32_t);
        uint32_t code = VERDICT_FINDINGS << 8, length = TRUST_STORY_MAX + 1;
        if (wrong == 1)
            memcpy(out.at + code_at, &code, sizeof code);
        if (wrong == 2) { /* one octet more, before the evidence */
            memcpy(out.at + story_at, &length, sizeof length);
            buffer_add_octet(&out, 's');
            memmove(out.at + evidence_at + 1, out.at + evidence_at, out.length - evidence_at - 1);
        }
        length = TRUST_EVIDENCE_MAX + 1;
        if (wrong == 3) {
            memcpy(out.at + evidence_at, &length, sizeof length);
            buffer_add_octet(&out, 's');
        }
        assert_int_equal(ipc_decode(buffer_bytes(&out), &arena, &kind, &heard), wrong == 0);
        buffer_free(&out);
    }
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_on_disk_stay),
        cmocka_unit_test(each_record_has_its_code),
        cmocka_unit_test(a_story_is_cut_between_characters),
        cmocka_unit_test(a_record_has_its_limits_between_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
