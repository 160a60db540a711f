/* SPDX-License-Identifier: Apache-2.0 */
/* What one process says, the other hears: whole, in order, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "channel.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct channel smtpd, queue;

static int open_pair(void **state)
{
    int ends[2];
    assert_true(channel_pair(ends, NULL));
    channel_start(&smtpd, ends[0], PROCESS_SMTPD, PROCESS_QUEUE, 0);
    channel_start(&queue, ends[1], PROCESS_QUEUE, PROCESS_SMTPD, 3);
    return 0;
}

static int close_pair(void **state)
{
    channel_close(&smtpd);
    channel_close(&queue);
    return 0;
}

static struct ipc_submit submission(size_t recipients, struct recipient *room, struct bytes content)
{
    for (size_t i = 0; i < recipients; i++)
        room[i] = (struct recipient){.address = BYTES("ada@example.org"), .notify = NOTIFY_FAILURE | NOTIFY_DELAY, .local = i % 2 == 0};
    return (struct ipc_submit){
        .request = 5, .id = 77, .content = content,
        .envelope = {.sender = BYTES("bob@example.net"), .body = BODY_8BITMIME, .ret = RET_HEADERS, .smtputf8 = true,
                     .size = content.length, .recipients = room, .recipient_count = recipients},
        .origin = {.client_address = BYTES("192.0.2.1"), .port = 587, .protocol = BYTES("ESMTPSA")},
    };
}

static void a_submission_arrives_whole(void **state)
{
    struct recipient room[3];
    struct ipc_submit said = submission(3, room, BYTES("Subject: hi\r\n\r\nhi\r\n"));
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_true(channel_send(&smtpd, IPC_SUBMIT, &said, pipes[1]));
    close(pipes[1]);

    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_MESSAGE);
    assert_int_equal(kind, IPC_SUBMIT);
    assert_int_equal(heard.submit.id, 77);
    assert_int_equal(heard.submit.envelope.recipient_count, 3);
    assert_true(bytes_is(heard.submit.envelope.recipients[2].address, "ada@example.org"));
    assert_true(heard.submit.envelope.recipients[2].local);
    assert_int_equal(heard.submit.origin.port, 587);
    assert_true(bytes_is(heard.submit.content, "Subject: hi\r\n\r\nhi\r\n"));
    assert_int_equal(write(attached, "x", 1), 1);
    char octet;
    assert_int_equal(read(pipes[0], &octet, 1), 1);
    close(attached);
    close(pipes[0]);
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_EMPTY);
}

static void large_messages_travel_in_fragments_and_wait_for_room(void **state)
{
    static struct recipient room[5000];
    char *text = malloc(INLINE_CONTENT_MAX);
    memset(text, 'm', INLINE_CONTENT_MAX);
    enum { MESSAGES = 20 };
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct ipc_submit said = submission(5000, room, bytes_of(text, INLINE_CONTENT_MAX));
        said.request = i;
        assert_true(channel_send(&smtpd, IPC_SUBMIT, &said, -1));
    }
    assert_true(channel_wants_write(&smtpd));
    uint64_t heard_count = 0;
    while (heard_count < MESSAGES) {
        enum ipc_kind kind;
        union ipc_message heard;
        int attached;
        enum channel_news news = channel_receive(&queue, &kind, &heard, &attached);
        assert_int_not_equal(news, CHANNEL_CLOSED);
        if (news == CHANNEL_EMPTY) {
            assert_true(channel_flush(&smtpd));
            continue;
        }
        assert_int_equal(heard.submit.request, heard_count);
        assert_int_equal(heard.submit.envelope.recipient_count, 5000);
        assert_int_equal(heard.submit.content.length, INLINE_CONTENT_MAX);
        heard_count++;
    }
    assert_false(channel_wants_write(&smtpd));
    free(text);
}

static void the_forbidden_and_the_malformed_close_the_channel(void **state)
{
    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    struct buffer raw = {0};
    buffer_add_octet(&raw, 0);
    ipc_encode(&raw, IPC_PASSWORD, &(struct ipc_password){.request = 1}); /* for auth, not for queue */
    assert_true(send(smtpd.descriptor, raw.at, raw.length, 0) > 0);
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_CLOSED);

    buffer_clear(&raw);
    buffer_add_octet(&raw, 0);
    ipc_encode(&raw, IPC_SPOOL, &(struct ipc_spool){.request = 1});
    buffer_add_octet(&raw, 'x'); /* one octet too many */
    assert_true(send(smtpd.descriptor, raw.at, raw.length, 0) > 0);
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_CLOSED);
    buffer_free(&raw);
}

static bool travels(enum ipc_kind kind, const void *said, struct arena *arena, union ipc_message *heard)
{
    static struct buffer octets;
    enum ipc_kind kind_heard;
    buffer_clear(&octets);
    ipc_encode(&octets, kind, said);
    bool whole = ipc_decode(buffer_bytes(&octets), arena, &kind_heard, heard) && kind_heard == kind;
    union ipc_message nothing;
    for (size_t length = 0; length < octets.length; length++) /* and nothing shorter does */
        whole = whole && !ipc_decode(bytes_first(buffer_bytes(&octets), length), arena, &kind_heard, &nothing);
    return whole;
}

static void what_people_ask_and_are_told_arrives_whole(void **state)
{
    struct arena arena = {0};
    union ipc_message heard;
    struct chosen chosen[] = {{7, 0}, {7, 3}, {UINT64_MAX, UINT32_MAX}};
    struct destination_status destinations[] = {{.name = BYTES("there.net"), .deliveries = 2, .limit = 5, .has_due = 1},
                                                {.name = BYTES("dead.net"), .failures = 9, .until_ms = 77, .deferred_ms = 66, .reason = BYTES("nobody answers")}};
    const struct ipc_choose choose = {.request = 4, .verb = CONTROL_HOLD, .chosen = chosen, .chosen_count = 3};
    assert_true(travels(IPC_CHOOSE, &choose, &arena, &heard));
    assert_true(heard.choose.verb == CONTROL_HOLD && heard.choose.chosen_count == 3);
    assert_true(heard.choose.chosen[2].id == UINT64_MAX && heard.choose.chosen[1].number == 3);
    const struct ipc_status_answer answer = {.request = 5, .accepted = 10, .delivered = 20, .deferred = 30, .failed = 40, .deliveries = 2, .is_held = 1,
                                             .destinations = destinations, .destination_count = 2, .under_way = chosen, .under_way_count = 1};
    assert_true(travels(IPC_STATUS_ANSWER, &answer, &arena, &heard));
    assert_true(heard.status_answer.delivered == 20 && heard.status_answer.is_held && !heard.status_answer.is_full && heard.status_answer.under_way_count == 1);
    assert_true(heard.status_answer.destination_count == 2 && heard.status_answer.destinations[0].has_due && heard.status_answer.destinations[1].until_ms == 77);
    assert_true(bytes_is(heard.status_answer.destinations[1].reason, "nobody answers"));
    assert_true(ipc_allowed(IPC_CHOOSE, PROCESS_CLI, PROCESS_QUEUE) && !ipc_allowed(IPC_CHOOSE, PROCESS_SMTPD, PROCESS_QUEUE));
    assert_true(ipc_allowed(IPC_STATUS_ANSWER, PROCESS_QUEUE, PROCESS_CLI) && !ipc_allowed(IPC_STATUS_ANSWER, PROCESS_QUEUE, PROCESS_SMTPD));
    arena_clear(&arena);
}

static void a_dead_peer_is_noticed(void **state)
{
    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    channel_close(&smtpd);
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_CLOSED);
    assert_false(channel_send(&queue, IPC_SUBMIT_ANSWER, &(struct ipc_submit_answer){.request = 1}, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_submission_arrives_whole, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(large_messages_travel_in_fragments_and_wait_for_room, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_forbidden_and_the_malformed_close_the_channel, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_dead_peer_is_noticed, open_pair, close_pair),
        cmocka_unit_test(what_people_ask_and_are_told_arrives_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
