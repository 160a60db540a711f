/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process is replaced, or dies, within a message: no question is lost in silence, and its successor gets
 * none that it has seen only the end of.
 *
 * Two rows: `asker` (relay) sends, on commands of the test through a FIFO, questions to `answerer` (sign),
 * whole or in parts. The answerer reports a message that it has read in part, and its row follows a file, so
 * that the test can have it replaced.
 */
#define _GNU_SOURCE
#include "io/timer.h"
#include "io/watch.h"
#include "run/child.h"
#include "toy_ground.h"

enum {
    LOOK_MS = 5,
    QUESTION_OCTETS = 150 * 1000, /* of a large one: three fragments, which fit into the socket */
    ANSWER_OCTETS = 2 * 1000 * 1000,
    FIRST = 1, /* first octet of a packet, see ipc/channel.c */
    LAST = 2,
    MIDDLE = 3,
};

#define FOLLOWED "version"
#define WITHHELD "withheld" /* a question that the answerer answers when it is drained, at length */

/* ---- the answerer ---- */

struct answerer {
    struct timer look;
    bool was_partial;
    struct channel *withheld_from;
};

static void look(void *owner)
{
    struct child *child = owner;
    struct answerer *answerer = child->service_data;
    bool is_partial = child_reads_partial(child);
    if (is_partial && !answerer->was_partial)
        log_event(LOG_EVENT_INFO, "toy_partial", LOG_U64("pid", getpid()));
    answerer->was_partial = is_partial;
    timer_set(&answerer->look, LOOK_MS);
}

static bool answerer_start(struct child *child, struct error *error)
{
    static struct answerer answerer;
    child->service_data = &answerer;
    timer_start(&answerer.look, child->loop, look, child);
    timer_set(&answerer.look, LOOK_MS);
    log_event(LOG_EVENT_INFO, "toy_started", LOG_U64("pid", getpid()));
    return true;
}

static void answer(struct child *child, struct channel *to, struct bytes text)
{
    child_send(child, to, IPC_SIGN_ANSWER, &(struct ipc_sign_answer){.fields = text}, -1);
}

static void answerer_message(struct child *child, struct channel *from, enum ipc_kind kind,
                             union ipc_message *message, int attached)
{
    struct answerer *answerer = child->service_data;
    log_event(LOG_EVENT_INFO, "toy_heard", LOG_U64("octets", message->sign.header.length));
    if (bytes_is(message->sign.header, WITHHELD))
        answerer->withheld_from = from;
    else
        answer(child, from, BYTES("short"));
}

static void lost(struct child *child, struct channel *peer)
{
    log_event(LOG_EVENT_INFO, "toy_peer_lost", LOG_TEXT("peer", ipc_role_name(peer->peer)));
}

static void answerer_drain(struct child *child, bool quick)
{
    struct answerer *answerer = child->service_data;
    log_event(LOG_EVENT_INFO, "toy_drained", LOG_FLAG("quick", quick));
    if (answerer->withheld_from != NULL) {
        struct buffer text = {0};
        memset(buffer_reserve(&text, ANSWER_OCTETS), 'x', ANSWER_OCTETS);
        buffer_written(&text, ANSWER_OCTETS);
        answer(child, answerer->withheld_from, buffer_bytes(&text));
        buffer_free(&text);
        answerer->withheld_from = NULL;
    }
    child_deafen(child);
    child_exit(child, 0);
}

static const struct service answerer_row = {
    .role = PROCESS_SIGN,
    .follows = FOLLOWED,
    .stop = STOP_ANSWERERS,
    .start = answerer_start,
    .on_message = answerer_message,
    .on_peer_lost = lost,
    .on_drain = answerer_drain,
};

/* ---- the asker ---- */

struct asker {
    int fifo;
    struct watch watch;
    struct buffer large; /* a question, encoded */
};

static bool asker_open(struct child *child, struct error *error)
{
    static struct asker asker;
    struct buffer header = {0};
    child->service_data = &asker;
    memset(buffer_reserve(&header, QUESTION_OCTETS), 'x', QUESTION_OCTETS);
    buffer_written(&header, QUESTION_OCTETS);
    ipc_encode(&asker.large, IPC_SIGN, &(struct ipc_sign){.header = buffer_bytes(&header)});
    buffer_free(&header);
    asker.fifo = toy_fifo(child->config->data_dir);
    return asker.fifo >= 0 || error_set_errno(error, 1, "the FIFO");
}

static void send_packet(const struct channel *channel, int flag, struct bytes octets)
{
    char first = (char)flag;
    struct iovec parts[2] = {{&first, 1}, {(void *)(uintptr_t)octets.at, octets.length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(channel->descriptor, &message, MSG_NOSIGNAL) < 0)
        log_event(LOG_EVENT_ERROR, "toy_not_sent", LOG_U64("errno", errno));
}

static void send_rest(const struct channel *channel, struct bytes rest)
{
    while (rest.length > 0) {
        struct bytes octets = bytes_first(rest, CHANNEL_FRAGMENT_MAX - 1);
        rest = bytes_from(rest, octets.length);
        send_packet(channel, rest.length > 0 ? MIDDLE : LAST, octets);
    }
}

/* b: begins a large question; r: sends the rest of it; q: asks a small one; w: one whose answer is withheld;
 * m: sends what no sender sends. */
static void told(void *owner, bool readable, bool writable)
{
    struct child *child = owner;
    struct asker *asker = child->service_data;
    struct channel *peer = child_peer(child, PROCESS_SIGN);
    struct bytes large = buffer_bytes(&asker->large);
    char octet;
    if (read(asker->fifo, &octet, 1) != 1 || peer == NULL)
        return;
    if (octet == 'b')
        send_packet(peer, FIRST, bytes_first(large, CHANNEL_FRAGMENT_MAX - 1));
    else if (octet == 'r')
        send_rest(peer, bytes_from(large, CHANNEL_FRAGMENT_MAX - 1));
    else if (octet == 'm')
        send_packet(peer, LAST, BYTES("x"));
    else
        child_send(child, peer, IPC_SIGN,
                   &(struct ipc_sign){.header = octet == 'w' ? BYTES(WITHHELD) : BYTES("short")}, -1);
}

static bool asker_start(struct child *child, struct error *error)
{
    struct asker *asker = child->service_data;
    watch_start(&asker->watch, child->loop, asker->fifo, true, false, told, child);
    log_event(LOG_EVENT_INFO, "toy_started", LOG_U64("pid", getpid()));
    return true;
}

static void asker_peer(struct child *child, struct channel *peer)
{
    log_event(LOG_EVENT_INFO, "toy_peer", LOG_TEXT("peer", ipc_role_name(peer->peer)));
}

static void answered(struct child *child, struct channel *from, enum ipc_kind kind,
                     union ipc_message *message, int attached)
{
    log_event(LOG_EVENT_INFO, "toy_answered", LOG_U64("octets", message->sign_answer.fields.length));
}

static void asker_drain(struct child *child, bool quick)
{
    child_exit(child, 0);
}

static const struct service asker_row = {
    .role = PROCESS_RELAY,
    .stop = STOP_INTAKE,
    .open = asker_open,
    .start = asker_start,
    .on_message = answered,
    .on_peer = asker_peer,
    .on_peer_lost = lost,
    .on_drain = asker_drain,
};

static service_list toys[] = {&answerer_row, &asker_row, NULL};

static int set_up(void **state)
{
    return toys_start(toys);
}

/* ---- what is expected ---- */

/* Of the log, so far. */
static struct {
    unsigned partial, drained, answered, answerers, peers, lost_answerers, lost_askers;
} seen;

static pid_t newest(const char *process)
{
    char head[64];
    const char *found = NULL;
    snprintf(head, sizeof head, " %s toy_started pid=", process);
    for (const char *at = buffer_text(&server.log); (at = strstr(at, head)) != NULL; found = at)
        at += strlen(head);
    assert_non_null(found);
    return (pid_t)strtol(found, NULL, 10);
}

static void is_answered(void)
{
    tell('q');
    wait_for(++seen.answered, "relay", "toy_answered", "");
}

static void begin_a_question(void)
{
    tell('b');
    wait_for(++seen.partial, "sign", "toy_partial", "");
}

static void replace_the_answerer(void)
{
    replace_file(FOLLOWED);
    while (lines("sign", "toy_drained", "") == seen.drained)
        assert_true(read_log());
    seen.drained = lines("sign", "toy_drained", "");
}

/* Another answerer runs, and reads what the asker sends. */
static void another_has_taken_over(void)
{
    wait_for(++seen.answerers, "sign", "toy_started", "");
    is_answered();
    seen.drained = lines("sign", "toy_drained", "");
}

static void the_asker_has_a_fresh_channel(void)
{
    wait_for(++seen.lost_answerers, "relay", "toy_peer_lost", "");
    wait_for(++seen.peers, "relay", "toy_peer ", "");
}

/* ---- the tests, one life ---- */

static void both_run(void **state)
{
    wait_for(1, "supervisor", "ready", "");
    wait_for(++seen.answerers, "sign", "toy_started", "");
    wait_for(++seen.peers, "relay", "toy_peer ", "");
    is_answered();
}

static void one_that_is_replaced_finishes_the_question_that_it_has_begun(void **state)
{
    begin_a_question();
    replace_the_answerer();
    tell('r');
    wait_for(1, "sign", "toy_heard", "octets=150000");
    wait_for(++seen.answered, "relay", "toy_answered", "");
    another_has_taken_over();
    assert_int_equal(lines("relay", "toy_peer_lost", ""), 0);
    assert_int_equal(lines("relay", "toy_peer ", ""), seen.peers);
    assert_int_equal(lines("sign", "toy_peer_lost", ""), 0);
}

/* The file changes again while the process that followed it is about to end: its successor may have read the
 * one before, and is replaced, too. */
static void a_change_meanwhile_is_not_missed(void **state)
{
    begin_a_question();
    replace_the_answerer();
    replace_file(FOLLOWED);
    tell('r');
    wait_for(2, "sign", "toy_heard", "octets=150000");
    wait_for(++seen.answered, "relay", "toy_answered", "");
    while (lines("sign", "toy_started", "") < seen.answerers + 2)
        assert_true(read_log());
    seen.answerers++;
    another_has_taken_over();
}

/* What is sent after the drain is the successor's. */
static void a_whole_question_is_left_to_the_successor(void **state)
{
    tell('b');
    tell('r');
    replace_file(FOLLOWED);
    wait_for(3, "sign", "toy_heard", "octets=150000");
    wait_for(++seen.answered, "relay", "toy_answered", "");
    another_has_taken_over();
    assert_int_equal(lines("relay", "toy_peer_lost", ""), 0);
    seen.partial = lines("sign", "toy_partial", "");
}

static void one_that_is_killed_loses_its_channel(void **state)
{
    begin_a_question();
    assert_int_equal(kill(newest("sign"), SIGKILL), 0);
    the_asker_has_a_fresh_channel();
    another_has_taken_over();
}

static void an_asker_that_is_killed_leaves_nothing_behind(void **state)
{
    begin_a_question();
    assert_int_equal(kill(newest("relay"), SIGKILL), 0);
    wait_for(++seen.lost_askers, "sign", "toy_peer_lost", "");
    wait_for(++seen.peers, "relay", "toy_peer ", "");
    is_answered();
}

static void one_that_is_replaced_does_not_wait_for_ever(void **state)
{
    begin_a_question();
    replace_the_answerer();
    the_asker_has_a_fresh_channel(); /* after CHILD_REST_MS */
    another_has_taken_over();
}

static void what_no_sender_sends_costs_both_their_channel(void **state)
{
    tell('m');
    wait_for(++seen.lost_askers, "sign", "toy_peer_lost", "");
    the_asker_has_a_fresh_channel();
    is_answered();
}

static void an_answer_that_is_not_read_is_not_followed_by_another(void **state)
{
    pid_t asker = newest("relay");
    unsigned heard = lines("sign", "toy_heard", "octets=8");
    tell('w');
    wait_for(heard + 1, "sign", "toy_heard", "octets=8");
    assert_int_equal(kill(asker, SIGSTOP), 0);
    replace_file(FOLLOWED);
    wait_for(seen.answerers + 1, "sign", "toy_started", "");
    assert_int_equal(kill(asker, SIGCONT), 0);
    the_asker_has_a_fresh_channel();
    another_has_taken_over();
    assert_int_equal(lines("relay", "toy_answered", "octets=2000000"), 0);
}

static void all_end(void **state)
{
    int status;
    assert_int_equal(kill(server.supervisor, SIGTERM), 0);
    while (read_log())
        continue;
    assert_int_equal(waitpid(server.supervisor, &status, 0), server.supervisor);
    server.supervisor = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || lines("supervisor", "process_died", "") != 2 ||
        lines("relay", "toy_not_sent", "") != 0)
        fail_msg("status %x:\n%s", (unsigned)status, buffer_text(&server.log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_run),
        cmocka_unit_test(one_that_is_replaced_finishes_the_question_that_it_has_begun),
        cmocka_unit_test(a_change_meanwhile_is_not_missed),
        cmocka_unit_test(a_whole_question_is_left_to_the_successor),
        cmocka_unit_test(one_that_is_killed_loses_its_channel),
        cmocka_unit_test(an_asker_that_is_killed_leaves_nothing_behind),
        cmocka_unit_test(one_that_is_replaced_does_not_wait_for_ever),
        cmocka_unit_test(what_no_sender_sends_costs_both_their_channel),
        cmocka_unit_test(an_answer_that_is_not_read_is_not_followed_by_another),
        cmocka_unit_test(all_end),
    };
    return cmocka_run_group_tests(tests, set_up, toys_stop);
}
