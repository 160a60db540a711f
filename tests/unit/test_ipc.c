/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes arrive complete, in order, and nothing else does. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "unit.h"

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
        room[i] = (struct recipient){.address = BYTES("ada@example.org"),
                                     .notify = NOTIFY_FAILURE | NOTIFY_DELAY,
                                     .local = i % 2 == 0,
                                     .forwarder = BYTES("carl@example.org"),
                                     .sent_as = i == 1 ? BYTES("SRS0=a=b@example.org") : bytes_none()};
    return (struct ipc_submit){
        .request = 5,
        .id = 77,
        .prefix = BYTES("Received: from there\r\n"),
        .content = content,
        .trust = {.disposition = DISPOSITION_JUNK,
                  .proposed = DISPOSITION_JUNK,
                  .finding = FINDING_TEMPERROR_ACCEPTED,
                  .override = OVERRIDE_LOCAL_POLICY,
                  .author = BYTES("example.net"),
                  .story = BYTES("DMARC fails.")},
        .envelope = {.sender = BYTES("bob@example.net"),
                     .body = BODY_8BITMIME,
                     .ret = RET_HEADERS,
                     .smtputf8 = true,
                     .size = content.length,
                     .recipients = room,
                     .recipient_count = recipients},
        .origin = {.kind = ORIGIN_DMARC_REPORT,
                   .client_address = BYTES("192.0.2.1"),
                   .port = 587,
                   .protocol = BYTES("ESMTPSA")},
    };
}

static void a_submission_arrives_whole(void **state)
{
    struct recipient room[3];
    struct ipc_submit said = submission(3, room, BYTES("Subject: hi\r\n\r\nhi\r\n"));
    assert_true(channel_send(&smtpd, IPC_SUBMIT, &said, -1));
    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_MESSAGE);
    assert_int_equal(kind, IPC_SUBMIT);
    assert_int_equal(heard.submit.id, 77);
    assert_int_equal(heard.submit.envelope.recipient_count, 3);
    assert_true(bytes_is(heard.submit.envelope.recipients[2].address, "ada@example.org"));
    assert_true(heard.submit.envelope.recipients[2].local);
    assert_true(bytes_is(heard.submit.envelope.recipients[2].forwarder, "carl@example.org"));
    assert_true(bytes_is(heard.submit.envelope.recipients[1].sent_as, "SRS0=a=b@example.org"));
    assert_int_equal(heard.submit.origin.port, 587);
    assert_int_equal(heard.submit.origin.kind, ORIGIN_DMARC_REPORT);
    assert_true(bytes_is(heard.submit.prefix, "Received: from there\r\n"));
    assert_true(bytes_is(heard.submit.content, "Subject: hi\r\n\r\nhi\r\n"));
    assert_int_equal(heard.submit.trust.disposition, DISPOSITION_JUNK);
    assert_int_equal(heard.submit.trust.proposed, DISPOSITION_JUNK);
    assert_int_equal(heard.submit.trust.finding, FINDING_TEMPERROR_ACCEPTED);
    assert_int_equal(heard.submit.trust.override, OVERRIDE_LOCAL_POLICY);
    assert_true(bytes_is(heard.submit.trust.author, "example.net"));
    assert_true(bytes_is(heard.submit.trust.story, "DMARC fails."));
    assert_int_equal(attached, -1);
    assert_int_equal(channel_receive(&queue, &kind, &heard, &attached), CHANNEL_EMPTY);
}

static void a_spool_file_arrives_with_its_answer(void **state)
{
    int file = memfd_create("spool", MFD_CLOEXEC);
    assert_true(
        channel_send(&queue, IPC_SPOOL_ANSWER, &(struct ipc_spool_answer){.request = 1, .spool = 7}, file));
    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    assert_int_equal(channel_receive(&smtpd, &kind, &heard, &attached), CHANNEL_MESSAGE);
    assert_int_equal(heard.spool_answer.spool, 7);
    assert_int_equal(pwrite(attached, "x", 1, 0), 1);
    char octet;
    assert_int_equal(pread(file, &octet, 1, 0), 1);
    close(attached);
    close(file);
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
        whole = whole &&
                !ipc_decode(bytes_first(buffer_bytes(&octets), length), arena, &kind_heard, &nothing);
    return whole;
}

static void what_became_of_a_delivery_arrives_whole(void **state)
{
    struct arena arena = {0};
    union ipc_message heard;
    enum ipc_kind kind;
    struct delivery_result results[] = {
        {.outcome = OUTCOME_DELIVERED, .step = STEP_DATA, .code = 250, .peer_reports = true},
        {.outcome = OUTCOME_FAILED, .step = STEP_QUIT, .code = 550, .enhanced = BYTES("5.1.1")}};
    struct ipc_deliver_answer said = {.delivery = 9,
                                      .peer = BYTES("mx.there.net[192.0.2.1]:25"),
                                      .tls = {.protocol = TLS_PROTOCOL_1_3,
                                              .certificate = TLS_CERTIFICATE_NO_TLSA,
                                              .resumed = true,
                                              .cipher = BYTES("TLS_AES_256_GCM_SHA384"),
                                              .level = TLS_LEVEL_REQUIRETLS,
                                              .level_reason = BYTES("the message requires it")},
                                      .results = results,
                                      .result_count = 2};
    assert_true(travels(IPC_DELIVER_ANSWER, &said, &arena, &heard));
    const struct tls_result *tls = &heard.deliver_answer.tls;
    assert_true(tls->protocol == TLS_PROTOCOL_1_3 && tls->certificate == TLS_CERTIFICATE_NO_TLSA &&
                tls->resumed && tls->level == TLS_LEVEL_REQUIRETLS && tls->clear_reason.length == 0);
    assert_true(bytes_is(tls->cipher, "TLS_AES_256_GCM_SHA384"));
    assert_true(bytes_is(tls->level_reason, "the message requires it"));
    const struct delivery_result *result = &heard.deliver_answer.results[1];
    assert_true(result->outcome == OUTCOME_FAILED && result->step == STEP_QUIT && result->code == 550 &&
                bytes_is(result->enhanced, "5.1.1"));
    assert_true(heard.deliver_answer.results[0].peer_reports && !result->peer_reports);

    /* A value outside of an enum is malformed. */
    struct buffer octets = {0};
    results[0].outcome = OUTCOME_FAILED + 1;
    ipc_encode(&octets, IPC_DELIVER_ANSWER, &said);
    assert_false(ipc_decode(buffer_bytes(&octets), &arena, &kind, &heard));
    buffer_clear(&octets);
    results[0].outcome = OUTCOME_DELIVERED;
    said.tls.certificate = TLS_CERTIFICATE_NO_TLSA + 1;
    ipc_encode(&octets, IPC_DELIVER_ANSWER, &said);
    assert_false(ipc_decode(buffer_bytes(&octets), &arena, &kind, &heard));
    buffer_free(&octets);
    arena_clear(&arena);
}

static void what_people_ask_and_are_told_arrives_whole(void **state)
{
    struct arena arena = {0};
    union ipc_message heard;
    struct chosen chosen[] = {{7, 0}, {7, 3}, {UINT64_MAX, UINT32_MAX}};
    struct destination_status destinations[] = {
        {.name = BYTES("there.net"), .deliveries = 2, .limit = 5, .has_due = 1},
        {.name = BYTES("dead.net"),
         .failures = 9,
         .until_ms = 77,
         .deferred_ms = 66,
         .reason = BYTES("nobody answers")}};
    const struct ipc_choose choose = {
        .request = 4, .verb = CONTROL_HOLD, .chosen = chosen, .chosen_count = 3};
    assert_true(travels(IPC_CHOOSE, &choose, &arena, &heard));
    assert_true(heard.choose.verb == CONTROL_HOLD && heard.choose.chosen_count == 3);
    assert_true(heard.choose.chosen[2].id == UINT64_MAX && heard.choose.chosen[1].number == 3);
    const struct ipc_status_answer answer = {.request = 5,
                                             .accepted = 10,
                                             .delivered = 20,
                                             .deferred = 30,
                                             .failed = 40,
                                             .deliveries = 2,
                                             .is_held = 1,
                                             .destinations = destinations,
                                             .destination_count = 2,
                                             .in_progress = chosen,
                                             .in_progress_count = 1};
    assert_true(travels(IPC_STATUS_ANSWER, &answer, &arena, &heard));
    assert_true(heard.status_answer.delivered == 20 && heard.status_answer.is_held &&
                !heard.status_answer.is_full && heard.status_answer.in_progress_count == 1);
    assert_true(heard.status_answer.destination_count == 2 && heard.status_answer.destinations[0].has_due &&
                heard.status_answer.destinations[1].until_ms == 77);
    assert_true(bytes_is(heard.status_answer.destinations[1].reason, "nobody answers"));
    assert_true(ipc_allowed(IPC_CHOOSE, PROCESS_CLI, PROCESS_QUEUE) &&
                !ipc_allowed(IPC_CHOOSE, PROCESS_SMTPD, PROCESS_QUEUE));
    assert_true(ipc_allowed(IPC_STATUS_ANSWER, PROCESS_QUEUE, PROCESS_CLI) &&
                !ipc_allowed(IPC_STATUS_ANSWER, PROCESS_QUEUE, PROCESS_SMTPD));
    arena_clear(&arena);
}

/* An empty cell differs from an absent one. */
static void what_is_asked_of_the_accounts_arrives_whole(void **state)
{
    struct arena arena = {0};
    union ipc_message heard;
    struct bytes cells[] = {BYTES("ada@example.org"), bytes_none(), BYTES("")};
    const struct ipc_account_rows rows = {
        .request = 6, .after = BYTES("ada@example.org"), .columns = 3, .cells = cells, .cell_count = 3};
    assert_true(travels(IPC_ACCOUNT_ROWS, &rows, &arena, &heard));
    assert_true(heard.account_rows.columns == 3 && heard.account_rows.cell_count == 3);
    assert_true(bytes_is(heard.account_rows.cells[0], "ada@example.org"));
    assert_true(heard.account_rows.cells[1].at == NULL);
    assert_true(heard.account_rows.cells[2].at != NULL && heard.account_rows.cells[2].length == 0);
    const struct ipc_account_change change = {.request = 7,
                                              .verb = ACCOUNT_ALIAS_ADD,
                                              .name = BYTES("list@example.org"),
                                              .flag = 1,
                                              .targets = cells,
                                              .target_count = 1};
    assert_true(travels(IPC_ACCOUNT_CHANGE, &change, &arena, &heard));
    assert_true(heard.account_change.verb == ACCOUNT_ALIAS_ADD && heard.account_change.flag == 1);
    assert_true(heard.account_change.target_count == 1 &&
                bytes_is(heard.account_change.targets[0], "ada@example.org"));
    assert_true(ipc_is_secret(IPC_ACCOUNT_CHANGE) && ipc_is_secret(IPC_ACCOUNT_CHANGED));
    assert_true(ipc_allowed(IPC_ACCOUNT_CHANGE, PROCESS_CLI, PROCESS_AUTH) &&
                !ipc_allowed(IPC_ACCOUNT_CHANGE, PROCESS_SMTPD, PROCESS_AUTH));
    arena_clear(&arena);
}

/* ---- descriptors, as a compromised peer may send them ---- */

enum { DESCRIPTORS_MAX = 253 }; /* the kernel takes no more with one message */

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *open_now = opendir("/proc/self/fd");
    assert_non_null(open_now);
    while (readdir(open_now) != NULL)
        count++;
    closedir(open_now);
    return count;
}

/* One packet, by hand, with so many copies of a descriptor, in `headers` control messages. */
static void send_packet(int to, char flag, struct bytes octets, int descriptor, size_t count, size_t headers)
{
    static _Alignas(struct cmsghdr) char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int)) + 4096];
    struct iovec parts[2] = {{&flag, 1}, {(void *)(uintptr_t)octets.at, octets.length}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = count == 0 ? NULL : room,
                             .msg_controllen = count == 0 ? 0 : sizeof room};
    memset(room, 0, sizeof room);
    size_t used = 0;
    struct cmsghdr *header = count == 0 ? NULL : CMSG_FIRSTHDR(&message);
    for (size_t i = 0; i < headers && count > 0; i++) {
        size_t here = i + 1 < headers ? 1 : count - i;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(here * sizeof(int));
        for (size_t k = 0; k < here; k++)
            memcpy(CMSG_DATA(header) + k * sizeof(int), &descriptor, sizeof descriptor);
        used += CMSG_SPACE(here * sizeof(int));
        header = (struct cmsghdr *)(void *)(room + used);
    }
    message.msg_controllen = used;
    assert_int_equal(sendmsg(to, &message, 0), (ssize_t)octets.length + 1);
}

/* Of each type that can be attached. */
enum thing {
    A_CHANNEL,
    A_LISTENER,
    A_CONNECTION,
    A_TCP_LISTENER,
    A_UDP_SOCKET,
    A_FILE_READ,
    A_FILE_WRITE,
    A_FILE_BOTH,
    A_PATH,
    A_FOLDER,
    A_PIPE_READ,
    A_PIPE_WRITE,
    A_DEVICE,
    THINGS
};
static int things[THINGS];
static char thing_path[64];

static void make_things(void)
{
    int ends[2], pair[2];
    snprintf(thing_path, sizeof thing_path, "/tmp/mailboat-ipc-XXXXXX");
    things[A_FILE_BOTH] = mkstemp(thing_path);
    things[A_FILE_READ] = open(thing_path, O_RDONLY | O_CLOEXEC);
    things[A_FILE_WRITE] = open(thing_path, O_WRONLY | O_CLOEXEC);
    things[A_PATH] = open(thing_path, O_PATH | O_CLOEXEC);
    things[A_FOLDER] = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    things[A_DEVICE] = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(pipe(ends), 0);
    things[A_PIPE_READ] = ends[0];
    things[A_PIPE_WRITE] = ends[1];
    assert_true(channel_pair(pair, NULL));
    things[A_CHANNEL] = pair[0];
    close(pair[1]);
    things[A_LISTENER] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    things[A_CONNECTION] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    things[A_UDP_SOCKET] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    things[A_TCP_LISTENER] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(listen(things[A_TCP_LISTENER], 1), 0);
    for (int i = 0; i < THINGS; i++)
        assert_true(things[i] >= 0);
}

static void close_things(void)
{
    for (int i = 0; i < THINGS; i++)
        close(things[i]);
    unlink(thing_path);
}

static const unsigned suits[] = {
    [CARRIES_NOTHING] = 0,
    [CARRIES_CHANNEL] = 1 << A_CHANNEL,
    [CARRIES_CONNECTION] = 1 << A_CONNECTION,
    [CARRIES_FILE_TO_READ] = 1 << A_FILE_READ | 1 << A_FILE_BOTH,
    [CARRIES_FILE_TO_WRITE] = 1 << A_FILE_WRITE | 1 << A_FILE_BOTH,
};

/* A message of the kind, encoded; `announces`: what it says of a descriptor. */
static void encode(struct buffer *out, enum ipc_kind kind, bool announces, union ipc_message *message)
{
    *message = (union ipc_message){0};
    if (kind == IPC_DELIVER)
        message->deliver.in_file = announces;
    if (kind == IPC_SPOOL_ANSWER)
        message->spool_answer.verdict = announces ? 0 : 1;
    buffer_clear(out);
    ipc_encode(out, kind, message);
}

/* The channels of the server: one per pair, and only for pairs with questions. */
static void who_asks_whom_follows_from_the_table(void **state)
{
    static const struct {
        enum process_role asker;
        unsigned answerers;
    } rows[] = {
        {PROCESS_SMTPD, 1u << PROCESS_AUTH | 1u << PROCESS_QUEUE | 1u << PROCESS_TRUST},
        {PROCESS_PICKUP, 1u << PROCESS_AUTH | 1u << PROCESS_QUEUE},
        {PROCESS_QUEUE,
         1u << PROCESS_RELAY | 1u << PROCESS_LOCAL | 1u << PROCESS_REPORT | 1u << PROCESS_AUTH},
        {PROCESS_WEB, 1u << PROCESS_SMTPD | 1u << PROCESS_RELAY},
        {PROCESS_AUTH, 0},
        {PROCESS_RELAY, 1u << PROCESS_SIGN},
        {PROCESS_SIGN, 0},
        {PROCESS_LOCAL, 0},
        {PROCESS_REPORT, 0},
        {PROCESS_TRUST, 0},
    };
    assert_int_equal(ARRAY_LENGTH(rows), PROCESS_CLI - PROCESS_SUPERVISOR - 1);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (unsigned other = PROCESS_SUPERVISOR + 1; other < PROCESS_CLI; other++) {
            bool asks = ipc_asks(rows[i].asker, (enum process_role)other);
            if (asks != ((rows[i].answerers >> other & 1) != 0))
                fail_msg("%s %s %s", ipc_role_name(rows[i].asker), asks ? "asks" : "does not ask",
                         ipc_role_name((enum process_role)other));
            assert_false(asks && ipc_asks((enum process_role)other, rows[i].asker));
        }
}

static bool comes_through(enum ipc_kind kind, enum process_role from, enum process_role to,
                          struct bytes octets, int descriptor, size_t count, size_t headers)
{
    struct channel near, far;
    int ends[2], attached = -1;
    enum ipc_kind heard_kind;
    union ipc_message heard;
    size_t before = open_descriptors();
    assert_true(channel_pair(ends, NULL));
    channel_start(&near, ends[0], from, to, 0);
    channel_start(&far, ends[1], to, from, 0);
    send_packet(near.descriptor, 0, octets, descriptor, count, headers);
    bool through = channel_receive(&far, &heard_kind, &heard, &attached) == CHANNEL_MESSAGE;
    assert_true(!through || heard_kind == kind);
    assert_int_equal(attached >= 0, through && count == 1);
    if (attached >= 0)
        close(attached);
    channel_close(&near);
    channel_close(&far);
    assert_int_equal(open_descriptors(), before);
    return through;
}

static void check_kind(enum ipc_kind kind, enum process_role from, enum process_role to, bool announces,
                       struct buffer *octets)
{
    static const size_t counts[] = {2, 3, DESCRIPTORS_MAX};
    union ipc_message message;
    encode(octets, kind, announces, &message);
    enum ipc_carries carries = ipc_carries(kind, &message);
    assert_true(comes_through(kind, from, to, buffer_bytes(octets), -1, 0, 0));
    for (int thing = 0; thing < THINGS; thing++) {
        bool fits = (suits[carries] & 1u << thing) != 0;
        if (comes_through(kind, from, to, buffer_bytes(octets), things[thing], 1, 1) != fits)
            fail_msg("%s from %s: thing %d, which %s", ipc_kind_name(kind), ipc_role_name(from), thing,
                     fits ? "it carries" : "it does not carry");
        for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
            assert_false(comes_through(kind, from, to, buffer_bytes(octets), things[thing], counts[i], 1));
            /* in two control messages */
            assert_false(comes_through(kind, from, to, buffer_bytes(octets), things[thing], counts[i], 2));
        }
    }
}

static void no_descriptor_comes_but_the_one_that_is_announced(void **state)
{
    struct buffer octets = {0};
    size_t checked = 0;
    make_things();
    for (int kind = 0; kind < IPC_KINDS; kind++)
        for (int from = 0; from <= PROCESS_CLI; from++)
            for (int to = 0; to <= PROCESS_CLI; to++) {
                if (from == to ||
                    !ipc_allowed((enum ipc_kind)kind, (enum process_role)from, (enum process_role)to))
                    continue;
                check_kind((enum ipc_kind)kind, (enum process_role)from, (enum process_role)to, true,
                           &octets);
                check_kind((enum ipc_kind)kind, (enum process_role)from, (enum process_role)to, false,
                           &octets);
                checked++;
            }
    assert_true(checked >= IPC_KINDS);
    buffer_free(&octets);
    close_things();
}

/* Only the last fragment carries a descriptor: one with an earlier fragment is rejected. */
static void a_fragment_carries_no_descriptor(void **state)
{
    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    make_things();
    size_t before = open_descriptors();
    for (size_t count = 1; count <= 3; count++) {
        send_packet(queue.descriptor, 1, BYTES("part"), things[A_FILE_BOTH], count, 1);
        assert_int_equal(channel_receive(&smtpd, &kind, &heard, &attached), CHANNEL_CLOSED);
        assert_int_equal(attached, -1);
        assert_int_equal(open_descriptors(), before);
    }
    close_things();
}

/* Credentials and rights together, to a reader that asked for both. */
static void credentials_are_not_taken_for_a_descriptor(void **state)
{
    struct buffer octets = {0};
    enum ipc_kind kind;
    union ipc_message heard;
    int attached, one = 1;
    make_things();
    size_t before = open_descriptors();
    assert_int_equal(setsockopt(smtpd.descriptor, SOL_SOCKET, SO_PASSCRED, &one, sizeof one), 0);
    ipc_encode(&octets, IPC_SPOOL_ANSWER, &(struct ipc_spool_answer){.request = 1});
    for (size_t count = 0; count <= 3; count++) {
        send_packet(queue.descriptor, 0, buffer_bytes(&octets), things[A_FILE_BOTH], count, 1);
        assert_int_equal(channel_receive(&smtpd, &kind, &heard, &attached), CHANNEL_CLOSED);
        assert_int_equal(open_descriptors(), before);
    }
    buffer_free(&octets);
    close_things();
}

/* Without a free descriptor the octets arrive and the descriptor is lost (unix(7)): the owner gets -1. */
static void a_descriptor_that_got_lost_is_told(void **state)
{
    struct buffer octets = {0};
    enum ipc_kind kind;
    union ipc_message heard;
    int attached;
    struct rlimit limit, none;
    make_things();
    ipc_encode(&octets, IPC_SPOOL_ANSWER, &(struct ipc_spool_answer){.request = 1});
    send_packet(queue.descriptor, 0, buffer_bytes(&octets), things[A_FILE_BOTH], 1, 1);
    send_packet(queue.descriptor, 0, buffer_bytes(&octets), things[A_FILE_BOTH], 2, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(channel_receive(&smtpd, &kind, &heard, &attached), CHANNEL_MESSAGE);
    assert_int_equal(attached, -1);
    /* how many there were cannot be told any more */
    assert_int_equal(channel_receive(&smtpd, &kind, &heard, &attached), CHANNEL_MESSAGE);
    assert_int_equal(attached, -1);
    setrlimit(RLIMIT_NOFILE, &limit);
    buffer_free(&octets);
    close_things();
}

/* ---- the end ---- */

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
        cmocka_unit_test(who_asks_whom_follows_from_the_table),
        cmocka_unit_test_setup_teardown(a_submission_arrives_whole, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(large_messages_travel_in_fragments_and_wait_for_room, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(the_forbidden_and_the_malformed_close_the_channel, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(a_spool_file_arrives_with_its_answer, open_pair, close_pair),
        cmocka_unit_test(no_descriptor_comes_but_the_one_that_is_announced),
        cmocka_unit_test_setup_teardown(a_fragment_carries_no_descriptor, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(credentials_are_not_taken_for_a_descriptor, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_descriptor_that_got_lost_is_told, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_dead_peer_is_noticed, open_pair, close_pair),
        cmocka_unit_test(what_became_of_a_delivery_arrives_whole),
        cmocka_unit_test(what_people_ask_and_are_told_arrives_whole),
        cmocka_unit_test(what_is_asked_of_the_accounts_arrives_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
