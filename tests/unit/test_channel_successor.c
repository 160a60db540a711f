/* SPDX-License-Identifier: Apache-2.0 */
/* An end of a channel that changes hands within a message: the rest of it is never taken for a message. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "unit.h"

enum { ALONE = 0, FIRST = 1, LAST = 2, MIDDLE = 3 }; /* first octet of a packet */

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

static void send_packet(int to, int flag, struct bytes octets)
{
    char first = (char)flag;
    struct iovec parts[2] = {{&first, 1}, {(void *)(uintptr_t)octets.at, octets.length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    assert_int_equal(sendmsg(to, &message, 0), (ssize_t)octets.length + 1);
}

/* The successor of the queue continues on the same socket, knowing nothing of what was read. */
static void queue_is_replaced(void)
{
    int end = fcntl(queue.descriptor, F_DUPFD_CLOEXEC, 0);
    channel_close(&queue);
    channel_start(&queue, end, PROCESS_QUEUE, PROCESS_SMTPD, 3);
}

static enum channel_news receive(struct channel *channel, enum ipc_kind *kind)
{
    union ipc_message heard;
    int attached;
    enum channel_news news = channel_receive(channel, kind, &heard, &attached);
    assert_int_equal(attached, -1);
    return news;
}

/* Encodes a message of smtpd for two packets, the second of which has exactly the octets of another one. */
static void encode_with_another_in_it(struct buffer *out, struct bytes *second)
{
    struct buffer inner = {0}, events = {0};
    ipc_encode(&inner, IPC_SPOOL_DROP, &(struct ipc_spool_drop){.spool = 7});
    ipc_encode(out, IPC_JUDGED, &(struct ipc_judged){.events = bytes_none()});
    for (size_t left = CHANNEL_FRAGMENT_MAX - 1 - out->length; left > 0; left--)
        buffer_add_octet(&events, 'x');
    buffer_add(&events, buffer_bytes(&inner));
    buffer_clear(out);
    ipc_encode(out, IPC_JUDGED, &(struct ipc_judged){.events = buffer_bytes(&events)});
    *second = bytes_from(buffer_bytes(out), CHANNEL_FRAGMENT_MAX - 1);
    assert_int_equal(second->length, inner.length);
    buffer_free(&inner);
    buffer_free(&events);
}

static void the_rest_of_a_message_is_not_taken_for_one(void **state)
{
    struct buffer octets = {0};
    struct bytes second;
    enum ipc_kind kind;
    encode_with_another_in_it(&octets, &second);
    send_packet(smtpd.descriptor, FIRST, bytes_first(buffer_bytes(&octets), CHANNEL_FRAGMENT_MAX - 1));
    assert_false(channel_is_partial(&queue));
    assert_int_equal(receive(&queue, &kind), CHANNEL_EMPTY);
    assert_true(channel_is_partial(&queue));
    queue_is_replaced();
    assert_false(channel_is_partial(&queue));
    send_packet(smtpd.descriptor, LAST, second);
    assert_int_equal(receive(&queue, &kind), CHANNEL_CLOSED);
    buffer_free(&octets);
}

/* As channel_send() marks them: a predecessor that finished has read all of the first, nothing of the next.
 */
static void a_successor_reads_on_between_two_messages(void **state)
{
    struct buffer octets = {0};
    struct bytes second;
    enum ipc_kind kind;
    encode_with_another_in_it(&octets, &second);
    struct ipc_judged said = {bytes_from(buffer_bytes(&octets), 8)};
    for (size_t i = 0; i < 2; i++)
        assert_true(channel_send(&smtpd, IPC_JUDGED, &said, -1));
    assert_int_equal(receive(&queue, &kind), CHANNEL_MESSAGE);
    assert_int_equal(kind, IPC_JUDGED);
    assert_false(channel_is_partial(&queue));
    queue_is_replaced();
    assert_int_equal(receive(&queue, &kind), CHANNEL_MESSAGE);
    assert_int_equal(kind, IPC_JUDGED);
    assert_int_equal(receive(&queue, &kind), CHANNEL_EMPTY);
    buffer_free(&octets);
}

/* An answer that was left unfinished, and the successor's first one: its whole packets, and its fragments. */
static void a_message_does_not_begin_within_another(void **state)
{
    static const char begins[] = {ALONE, FIRST};
    struct buffer octets = {0};
    enum ipc_kind kind;
    ipc_encode(&octets, IPC_SPOOL_DROP, &(struct ipc_spool_drop){.spool = 7});
    for (size_t i = 0; i < ARRAY_LENGTH(begins); i++) {
        close_pair(state);
        open_pair(state);
        send_packet(smtpd.descriptor, FIRST, buffer_bytes(&octets));
        assert_int_equal(receive(&queue, &kind), CHANNEL_EMPTY);
        send_packet(smtpd.descriptor, begins[i], buffer_bytes(&octets));
        assert_int_equal(receive(&queue, &kind), CHANNEL_CLOSED);
    }
    for (int flag = 0; flag <= UINT8_MAX; flag++) { /* first packets: only two begin a message */
        close_pair(state);
        open_pair(state);
        send_packet(smtpd.descriptor, flag, buffer_bytes(&octets));
        assert_int_equal(receive(&queue, &kind), flag == ALONE   ? CHANNEL_MESSAGE
                                                 : flag == FIRST ? CHANNEL_EMPTY
                                                                 : CHANNEL_CLOSED);
    }
    buffer_free(&octets);
}

static void a_sender_that_dies_within_a_message_leaves_none(void **state)
{
    struct buffer octets = {0};
    enum ipc_kind kind;
    ipc_encode(&octets, IPC_SPOOL_DROP, &(struct ipc_spool_drop){.spool = 7});
    send_packet(smtpd.descriptor, FIRST, buffer_bytes(&octets));
    channel_close(&smtpd);
    assert_int_equal(receive(&queue, &kind), CHANNEL_CLOSED);
    buffer_free(&octets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_rest_of_a_message_is_not_taken_for_one, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_successor_reads_on_between_two_messages, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_message_does_not_begin_within_another, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_sender_that_dies_within_a_message_leaves_none, open_pair,
                                        close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
