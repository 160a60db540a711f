/* SPDX-License-Identifier: Apache-2.0 */
/* A message's submission to queue: questions, refunds, and lost peers. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "service/submission/submission.h"
#include "store/queue/store.h"
#include "unit.h"

enum { SAID_MAX = 32, LARGE = INLINE_CONTENT_MAX + 1 };

/* The peers, and the messages sent to them. */
struct peers {
    enum question_peer_state auth, queue;
    struct said {
        enum ipc_kind kind;
        uint64_t request, number; /* of a spool, of a limit's end: was it sent */
        uint64_t prefix, content, envelope_size;
        bool received;
    } said[SAID_MAX];
    size_t count;
};

/* Events of the owner. */
struct owner {
    enum ipc_kind told;
    uint32_t verdict;
    uint64_t id;
    size_t targets, times, runs;
};

static struct peers peers;
static struct owner owner;
static struct loop loop;
static struct submissions all;
static struct submission submission;
static struct envelope envelope;
static const struct origin origin = {.client_address = BYTES("192.0.2.1"), .protocol = BYTES("ESMTP")};
static struct accounts_version accounts_version;

static enum question_peer_state state_of(void *context, enum process_role role)
{
    return role == PROCESS_AUTH ? peers.auth : peers.queue;
}

static bool hear(void *context, enum process_role role, enum ipc_kind kind, const void *message)
{
    struct said *said = &peers.said[peers.count];
    if (state_of(context, role) == QUESTION_PEER_GONE)
        return false;
    assert_true(peers.count < SAID_MAX);
    *said = (struct said){.kind = kind};
    if (kind == IPC_SPOOL_DROP)
        said->number = ((const struct ipc_spool_drop *)message)->spool;
    else
        memcpy(&said->request, message, sizeof said->request);
    if (kind == IPC_LIMIT_END)
        said->number = ((const struct ipc_limit_end *)message)->sent;
    if (kind == IPC_SUBMIT) {
        const struct ipc_submit *submit = message;
        said->number = submit->spool;
        said->content = submit->content.length;
        said->envelope_size = submit->envelope.size;
        said->prefix = submit->prefix.length;
        said->received = bytes_starts_nocase(submit->prefix, "Received: ");
    }
    peers.count++;
    return true;
}

static const struct question_peers test_peers = {.state = state_of, .send = hear};

static void answer(enum ipc_kind kind, uint32_t verdict)
{
    owner.told = kind;
    owner.verdict = verdict;
    owner.times++;
}

static void on_sender(void *context, enum sender_verdict verdict)
{
    answer(IPC_SENDER, verdict);
}

static void on_limit(void *context, enum limit_verdict verdict, uint32_t number)
{
    answer(IPC_LIMIT, verdict);
}

static void on_recipient(void *context, enum recipient_verdict verdict, const struct recipient *targets,
                         size_t count)
{
    answer(IPC_RECIPIENT, verdict);
    owner.targets = count;
}

static void on_ended(void *context, uint64_t id, enum store_verdict verdict)
{
    answer(IPC_SUBMIT, verdict);
    owner.id = id;
}

static void on_go_on(void *context)
{
    owner.runs++;
}

static const struct submission_events events = {
    .sender = on_sender, .limit = on_limit, .recipient = on_recipient, .ended = on_ended, .go_on = on_go_on};

static int set_up_patient(uint32_t patience_ms)
{
    struct error error;
    peers = (struct peers){.auth = QUESTION_PEER_READY, .queue = QUESTION_PEER_READY};
    owner = (struct owner){.told = IPC_KINDS};
    envelope = (struct envelope){.sender = BYTES("ada@example.org")};
    if (!loop_start(&loop, &error))
        return -1;
    submissions_start(&all, &test_peers, &peers, &loop, patience_ms, 1);
    all.hostname = BYTES("mail.example.org");
    submission_start(&submission, &all, &events, &owner);
    return 0;
}

static int set_up(void **state)
{
    return set_up_patient(QUESTION_PATIENCE_MS);
}

static int set_up_impatient(void **state)
{
    return set_up_patient(0);
}

static int tear_down(void **state)
{
    submission_drop(&submission);
    submissions_free(&all);
    loop_free(&loop);
    return 0;
}

static const struct said *last(void)
{
    assert_true(peers.count > 0);
    return &peers.said[peers.count - 1];
}

static void assert_said(enum ipc_kind kind, size_t count)
{
    assert_int_equal(peers.count, count);
    assert_string_equal(ipc_kind_name(last()->kind), ipc_kind_name(kind));
}

static void assert_told(enum ipc_kind kind, uint32_t verdict, size_t times)
{
    assert_int_equal(owner.times, times);
    assert_int_equal(owner.told, kind);
    assert_int_equal(owner.verdict, verdict);
}

static void answer_store(enum store_verdict verdict)
{
    submissions_answered(&all, IPC_SUBMIT_ANSWER,
                         &(union ipc_message){.submit_answer = {last()->request, verdict}}, -1);
}

static int memory_file(void)
{
    int file = memfd_create("content", MFD_CLOEXEC);
    assert_true(file >= 0);
    return file;
}

static void answer_spool(enum store_verdict verdict, uint64_t spool, int file)
{
    submissions_answered(&all, IPC_SPOOL_ANSWER,
                         &(union ipc_message){.spool_answer = {last()->request, verdict, spool}}, file);
}

static void begin_large(void)
{
    static char octets[LARGE];
    memset(octets, 'x', sizeof octets);
    submission_begin(&submission, &envelope, &origin);
    submission_write(&submission, bytes_of(octets, sizeof octets));
}

/* ---- questions to auth ---- */

static void a_recipient_is_asked_about(void **state)
{
    struct recipient target = {.address = BYTES("bob@example.org"), .local = true};
    submission_ask_recipient(&submission, bytes_none(), BYTES("bob@example.org"), bytes_none());
    assert_said(IPC_RECIPIENT, 1);
    assert_true(submission_waits(&submission));
    submissions_answered(
        &all, IPC_RECIPIENT_ANSWER,
        &(union ipc_message){.recipient_answer = {last()->request, RECIPIENT_KNOWN, &target, 1}}, -1);
    assert_told(IPC_RECIPIENT, RECIPIENT_KNOWN, 1);
    assert_int_equal(owner.targets, 1);
    assert_int_equal(owner.runs, 1);
    assert_false(submission_waits(&submission));
    submission_ask_recipient(&submission, bytes_none(), BYTES("bob@example.org"), bytes_none());
    assert_said(IPC_RECIPIENT, 2); /* this process cannot see the accounts change */
    submissions_answered(
        &all, IPC_RECIPIENT_ANSWER,
        &(union ipc_message){.recipient_answer = {last()->request, RECIPIENT_KNOWN, NULL, 0}}, -1);
    assert_told(IPC_RECIPIENT, RECIPIENT_UNAVAILABLE, 2); /* known, and nowhere to go */
    submission_ask_recipient(&submission, bytes_none(), BYTES("bob@example.org"), bytes_none());
    submissions_answered(&all, IPC_RECIPIENT_ANSWER,
                         &(union ipc_message){.recipient_answer = {last()->request, 99, NULL, 0}}, -1);
    assert_told(IPC_RECIPIENT, RECIPIENT_UNAVAILABLE, 3);
}

static void what_was_told_needs_no_question(void **state)
{
    all.accounts_version = &accounts_version;
    submission_ask_sender(&submission, BYTES("ada"), BYTES("ada@example.org"));
    submissions_answered(&all, IPC_SENDER_ANSWER,
                         &(union ipc_message){.sender_answer = {last()->request, SENDER_ALLOWED}}, -1);
    assert_int_equal(owner.runs, 1);
    submission_ask_sender(&submission, BYTES("ada"), BYTES("ada@example.org"));
    assert_told(IPC_SENDER, SENDER_ALLOWED, 2);
    assert_int_equal(owner.runs, 1); /* it came at once */
    assert_said(IPC_SENDER, 1);
    submission_ask_sender(&submission, BYTES("eve"), BYTES("ada@example.org"));
    assert_said(IPC_SENDER, 2);
    submissions_answered(&all, IPC_SENDER_ANSWER,
                         &(union ipc_message){.sender_answer = {last()->request, SENDER_FORBIDDEN}}, -1);
    submission_ask_sender(&submission, BYTES("eve"), BYTES("ada@example.org"));
    assert_said(IPC_SENDER, 3); /* bad news is not kept */
    question_forget(&submission.question);
    submissions_close_cache(&all);
    submission_ask_sender(&submission, BYTES("ada"), BYTES("ada@example.org"));
    assert_said(IPC_SENDER, 4);
}

static void ask_limit(uint32_t recipients)
{
    submission_ask_limit(&submission, BYTES("ada"), recipients);
    submissions_answered(&all, IPC_LIMIT_ANSWER,
                         &(union ipc_message){.limit_answer = {last()->request, LIMIT_FINE, 0}}, -1);
}

static void what_was_counted_is_settled_once(void **state)
{
    ask_limit(0); /* a look */
    submission_settle(&submission, true);
    assert_said(IPC_LIMIT, 1);
    ask_limit(3);
    submission_settle(&submission, true);
    assert_said(IPC_LIMIT_END, 3);
    assert_int_equal(last()->number, 1);
    submission_drop(&submission);
    assert_int_equal(peers.count, 3);
    ask_limit(3);
    submission_drop(&submission);
    assert_said(IPC_LIMIT_END, 5);
    assert_int_equal(last()->number, 0);
}

static void an_answer_that_finds_no_one_is_given_back(void **state)
{
    submission_ask_limit(&submission, BYTES("ada"), 3);
    uint64_t request = last()->request;
    submission_drop(&submission);
    submissions_answered(&all, IPC_LIMIT_ANSWER,
                         &(union ipc_message){.limit_answer = {request, LIMIT_FINE, 0}}, -1);
    assert_said(IPC_LIMIT_END, 2);
    assert_true(last()->request == request && last()->number == 0);
    begin_large();
    request = last()->request;
    submission_drop(&submission);
    int file = memory_file();
    submissions_answered(&all, IPC_SPOOL_ANSWER,
                         &(union ipc_message){.spool_answer = {request, STORE_DONE, 77}}, file);
    assert_said(IPC_SPOOL_DROP, 4);
    assert_int_equal(last()->number, 77);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    assert_int_equal(owner.times, 0);
}

/* ---- the content ---- */

static void a_small_message_travels_inline(void **state)
{
    submission_begin(&submission, &envelope, &origin);
    uint64_t id = submission.id;
    submission_add_received(&submission);
    uint64_t received = submission.size;
    submission_write(&submission, BYTES("Subject: x\r\n\r\n"));
    submission_write(&submission, BYTES("Hello\r\n"));
    assert_int_equal(peers.count, 0);
    envelope.size = 21;
    submission_submit(&submission);
    assert_said(IPC_SUBMIT, 1);
    assert_true(last()->received && received > 0);
    assert_int_equal(last()->prefix, received);
    assert_int_equal(last()->content, 21);
    assert_int_equal(last()->envelope_size, 21);
    assert_int_equal(last()->number, 0);
    answer_store(STORE_DONE);
    assert_told(IPC_SUBMIT, STORE_DONE, 1);
    assert_true(owner.id == id && owner.runs == 1);
    assert_false(submission_has_begun(&submission));
    submission_begin(&submission, &envelope, &origin); /* the next one */
    assert_true(submission.id != id);
}

static void a_large_message_goes_into_a_file(void **state)
{
    char octets[64];
    begin_large();
    assert_said(IPC_SPOOL, 1);
    submission_write(&submission, BYTES("on its way already"));
    int file = memory_file(), copy = dup(file);
    answer_spool(STORE_DONE, 5, file);
    assert_int_equal(owner.runs, 1);
    assert_int_equal(lseek(copy, 0, SEEK_END), 0); /* the owner looks at what is in memory first */
    assert_int_equal(submission_gathered(&submission).length, LARGE + 18);
    submission_write(&submission, BYTES("the end"));
    submission_submit(&submission);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    assert_said(IPC_SUBMIT, 2);
    assert_int_equal(last()->number, 5);
    assert_int_equal(last()->content, 0);
    assert_int_equal(lseek(copy, 0, SEEK_END), LARGE + 18 + 7);
    assert_int_equal(pread(copy, octets, sizeof octets, LARGE), 25);
    assert_memory_equal(octets, "on its way alreadythe end", 25);
    close(copy);
    answer_store(STORE_DONE);
    submission_drop(&submission);
    assert_int_equal(peers.count, 2); /* the file is queue's */
}

/* Fields known only at the end of the content still precede the content in the file. */
static void a_prefix_grows_until_the_end(void **state)
{
    begin_large();
    submission_add_received(&submission);
    uint64_t received = submission.size - LARGE;
    answer_spool(STORE_DONE, 5, memory_file());
    submission_add_prefix(&submission, BYTES("X-Seen: all\r\n"));
    assert_true(bytes_starts_nocase(buffer_bytes(&submission.prefix), "X-Seen: all\r\nReceived: "));
    assert_int_equal(submission.size, LARGE + received + 13);
    submission_submit(&submission);
    assert_int_equal(last()->prefix, received + 13);
    assert_int_equal(last()->content, 0);
    answer_store(STORE_DONE);
    submission_begin(&submission, &envelope, &origin);
    assert_int_equal(submission.prefix.length, 0); /* it was that one's */
}

static void a_prefix_may_be_so_long_and_no_longer(void **state)
{
    static char octets[STORE_PREFIX_MAX];
    submission_begin(&submission, &envelope, &origin);
    submission_add_prefix(&submission, bytes_of(octets, sizeof octets));
    submission_submit(&submission);
    assert_said(IPC_SUBMIT, 1);
    assert_int_equal(last()->prefix, STORE_PREFIX_MAX);
    answer_store(STORE_DONE);
    submission_begin(&submission, &envelope, &origin);
    submission_add_prefix(&submission, bytes_of(octets, sizeof octets));
    submission_add_prefix(&submission, BYTES("x"));
    submission_submit(&submission);
    assert_told(IPC_SUBMIT, STORE_FAILED, 2);
    assert_int_equal(peers.count, 1);
}

static void at_the_bound_it_is_small(void **state)
{
    static char octets[INLINE_CONTENT_MAX];
    submission_begin(&submission, &envelope, &origin);
    submission_write(&submission, bytes_of(octets, sizeof octets));
    assert_int_equal(peers.count, 0);
    submission_write(&submission, BYTES("x"));
    assert_said(IPC_SPOOL, 1);
}

static void a_file_that_cannot_be_had_fails_the_message(void **state)
{
    begin_large();
    answer_spool(STORE_FULL, 0, -1);
    submission_write(&submission, BYTES("swallowed"));
    assert_int_equal(owner.times, 0);
    submission_submit(&submission);
    assert_told(IPC_SUBMIT, STORE_FULL, 1);
    assert_int_equal(peers.count, 1);
    begin_large();
    answer_spool(STORE_DONE, 6, -1); /* its descriptor got lost */
    assert_said(IPC_SPOOL_DROP, 3);
    submission_submit(&submission);
    assert_told(IPC_SUBMIT, STORE_FAILED, 2);
}

static void a_file_that_cannot_be_written_fails_the_message(void **state)
{
    begin_large();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    answer_spool(STORE_DONE, 6, full);
    submission_submit(&submission);
    assert_said(IPC_SPOOL_DROP, 2);
    assert_told(IPC_SUBMIT, STORE_FULL, 1);
}

static void what_is_dropped_is_given_back(void **state)
{
    begin_large();
    answer_spool(STORE_DONE, 6, memory_file());
    submission_abandon(&submission);
    assert_said(IPC_SPOOL_DROP, 2);
    assert_int_equal(last()->number, 6);
    submission_begin(&submission, &envelope, &origin);
    submission_submit(&submission);
    submission_drop(&submission);
    assert_said(IPC_SUBMIT, 3);
    answer_store(STORE_DONE);
    assert_int_equal(owner.times, 0);
}

/* ---- peers that come and go ---- */

static void what_is_asked_meanwhile_waits(void **state)
{
    peers.auth = QUESTION_PEER_FULL;
    submission_ask_sender(&submission, BYTES("ada"), BYTES("ada@example.org"));
    assert_int_equal(peers.count, 0);
    questions_retry(&all.questions);
    peers.auth = QUESTION_PEER_GONE;
    questions_retry(&all.questions);
    assert_int_equal(owner.times, 0);
    peers.auth = QUESTION_PEER_READY;
    questions_retry(&all.questions);
    assert_said(IPC_SENDER, 1);
    questions_peer_lost(&all.questions, PROCESS_QUEUE); /* it was not asked */
    assert_true(submission_waits(&submission) && submission.question.request != 0);
    questions_peer_lost(&all.questions, PROCESS_AUTH);
    assert_int_equal(submission.question.request, 0);
    questions_retry(&all.questions); /* its successor */
    assert_said(IPC_SENDER, 2);
    assert_int_equal(owner.times, 0);
}

/* Its copy leaves with a sender that is made for this message. */
static void where_forwarded_mail_goes_is_asked_again(void **state)
{
    struct recipient targets[] = {
        {.address = BYTES("bob@example.org"), .local = true, .via = BYTES("team@example.org")},
        {.address = BYTES("bob@far.net"), .via = BYTES("team@example.org"), .sent_as = BYTES("SRS0=a@b")}};
    all.accounts_version = &accounts_version;
    for (size_t count = 1; count <= 2; count++) {
        submission_ask_recipient(&submission, bytes_none(), BYTES("team@example.org"), BYTES("eve@x.net"));
        assert_said(IPC_RECIPIENT, 1); /* that of the first round is for local mailboxes alone */
        submissions_answered(
            &all, IPC_RECIPIENT_ANSWER,
            &(union ipc_message){.recipient_answer = {last()->request, RECIPIENT_KNOWN, targets, count}}, -1);
        assert_int_equal(owner.targets, count);
        submission_ask_recipient(&submission, bytes_none(), BYTES("team@example.org"), BYTES("sam@x.net"));
        assert_said(IPC_RECIPIENT, count);
        question_forget(&submission.question);
        accounts_version_bump(&accounts_version);
        peers.count = 0;
    }
}

static void patience_ends(void **state)
{
    peers.auth = QUESTION_PEER_GONE;
    submission_ask_sender(&submission, BYTES("ada"), BYTES("ada@example.org"));
    submission.question.since_ms -= QUESTION_PATIENCE_MS;
    peers.auth = QUESTION_PEER_FULL; /* it is there */
    questions_retry(&all.questions);
    assert_int_equal(owner.times, 0);
    peers.auth = QUESTION_PEER_GONE;
    questions_retry(&all.questions);
    assert_told(IPC_SENDER, SENDER_UNAVAILABLE, 1);
    assert_int_equal(owner.runs, 1);
}

static void many_wait_in_line_and_some_leave(void **state)
{
    struct submission more[3];
    peers.auth = QUESTION_PEER_GONE;
    for (size_t i = 0; i < 3; i++) {
        submission_start(&more[i], &all, &events, &owner);
        submission_ask_recipient(&more[i], bytes_none(), BYTES("bob@example.org"), bytes_none());
    }
    submission_drop(&more[2]); /* the last, then one in the middle */
    submission_ask_recipient(&submission, bytes_none(), BYTES("bob@example.org"), bytes_none());
    submission_drop(&more[1]);
    peers.auth = QUESTION_PEER_READY;
    questions_retry(&all.questions);
    assert_said(IPC_RECIPIENT, 2);
    assert_true(more[0].question.request < submission.question.request);
    submission_drop(&more[0]);
    peers.auth = QUESTION_PEER_GONE;
    questions_peer_lost(&all.questions, PROCESS_AUTH);
    submission_ask_recipient(&more[1], bytes_none(), BYTES("bob@example.org"), bytes_none());
    submission_drop(&submission);
    peers.auth = QUESTION_PEER_READY;
    questions_retry(&all.questions);
    assert_said(IPC_RECIPIENT, 3);
    submission_drop(&more[1]);
}

static void without_patience_nothing_waits(void **state)
{
    peers.auth = QUESTION_PEER_GONE;
    submission_ask_recipient(&submission, bytes_none(), BYTES("bob@example.org"), bytes_none());
    assert_told(IPC_RECIPIENT, RECIPIENT_UNAVAILABLE, 1);
    assert_int_equal(owner.runs, 0);
    peers.auth = QUESTION_PEER_READY;
    submission_ask_recipient(&submission, bytes_none(), BYTES("bob@example.org"), bytes_none());
    questions_peer_lost(&all.questions, PROCESS_AUTH);
    assert_told(IPC_RECIPIENT, RECIPIENT_UNAVAILABLE, 2);
    peers.queue = QUESTION_PEER_GONE;
    begin_large();
    submission_submit(&submission);
    assert_told(IPC_SUBMIT, STORE_FAILED, 3);
    submission_begin(&submission, &envelope, &origin);
    submission_submit(&submission);
    assert_told(IPC_SUBMIT, STORE_FAILED, 4);
}

/* Whether it was stored is unknown: the question is not repeated. */
static void a_lost_queue_ends_what_was_given(void **state)
{
    submission_begin(&submission, &envelope, &origin);
    submission_submit(&submission);
    submission_queue_lost(&submission);
    questions_peer_lost(&all.questions, PROCESS_QUEUE);
    assert_told(IPC_SUBMIT, STORE_FAILED, 1);
    assert_int_equal(owner.runs, 1);
    assert_int_equal(peers.count, 1);
}

static void a_lost_queue_takes_its_files_along(void **state)
{
    begin_large();
    questions_peer_lost(&all.questions, PROCESS_QUEUE); /* no file yet: its successor is asked */
    questions_retry(&all.questions);
    assert_said(IPC_SPOOL, 2);
    answer_spool(STORE_DONE, 6, memory_file());
    submission_queue_lost(&submission);
    assert_int_equal(owner.times, 0);
    submission_submit(&submission);
    assert_told(IPC_SUBMIT, STORE_FAILED, 1);
    assert_int_equal(peers.count, 2);
    begin_large();
    answer_spool(STORE_DONE, 7, memory_file());
    peers.queue = QUESTION_PEER_FULL;
    submission_submit(&submission); /* waits in line, with its file */
    submission_queue_lost(&submission);
    assert_told(IPC_SUBMIT, STORE_FAILED, 2);
    assert_int_equal(peers.count, 3);
}

#define ON(set_up, test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(set_up, a_recipient_is_asked_about),
        ON(set_up, what_was_told_needs_no_question),
        ON(set_up, where_forwarded_mail_goes_is_asked_again),
        ON(set_up, what_was_counted_is_settled_once),
        ON(set_up, an_answer_that_finds_no_one_is_given_back),
        ON(set_up, a_small_message_travels_inline),
        ON(set_up, a_large_message_goes_into_a_file),
        ON(set_up, a_prefix_grows_until_the_end),
        ON(set_up, a_prefix_may_be_so_long_and_no_longer),
        ON(set_up, at_the_bound_it_is_small),
        ON(set_up, a_file_that_cannot_be_had_fails_the_message),
        ON(set_up, a_file_that_cannot_be_written_fails_the_message),
        ON(set_up, what_is_dropped_is_given_back),
        ON(set_up, what_is_asked_meanwhile_waits),
        ON(set_up, patience_ends),
        ON(set_up, many_wait_in_line_and_some_leave),
        ON(set_up_impatient, without_patience_nothing_waits),
        ON(set_up, a_lost_queue_ends_what_was_given),
        ON(set_up, a_lost_queue_takes_its_files_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
