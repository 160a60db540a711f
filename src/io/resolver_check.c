/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolver_check.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/random.h"

enum { HEADER = 12, TYPE_A = 1, TYPE_NS = 2, RCODE_FAILS = 2, RCODE_REFUSES = 5, REPLY_MAX = 1500 };

/* ---- questions (RFC 1035 4.1) ---- */

/* Returns its length; 0 for a name that DNS cannot have. */
static size_t write_question(uint8_t out[RESOLVER_QUESTION_MAX], struct bytes name, uint8_t type)
{
    uint64_t id = random_u64();
    size_t at = HEADER;
    memset(out, 0, HEADER);
    out[0] = (uint8_t)id;
    out[1] = (uint8_t)(id >> 8);
    out[2] = 1; /* recursion desired */
    out[5] = 1; /* one question */
    while (name.length > 0) {
        struct bytes label = bytes_split(&name, '.');
        if (label.length == 0 || label.length > 63 || at + 1 + label.length > HEADER + 254)
            return 0;
        out[at++] = (uint8_t)label.length;
        memcpy(out + at, label.at, label.length);
        at += label.length;
    }
    const uint8_t end[] = {0, 0, type, 0, 1}; /* the root, QTYPE, QCLASS IN */
    memcpy(out + at, end, sizeof end);
    return at + sizeof end;
}

static bool is_reply_to(const uint8_t *question, size_t length, const uint8_t *reply)
{
    return length > 0 && question[0] == reply[0] && question[1] == reply[1];
}

/* ---- the end ---- */

void resolver_check_stop(struct resolver_check *check)
{
    if (!check->running)
        return;
    check->running = false;
    timer_cancel(&check->again);
    timer_cancel(&check->deadline);
    for (size_t i = 0; i < check->count; i++)
        if (check->asked[i].descriptor >= 0) {
            watch_stop(&check->asked[i].watch);
            close(check->asked[i].descriptor);
            check->asked[i].descriptor = -1;
        }
}

static void finish(struct resolver_check *check)
{
    check->state = RESOLVER_NONE;
    for (size_t i = 0; i < check->count; i++) {
        struct resolver_asked *asked = &check->asked[i];
        if (asked->state == RESOLVER_UNKNOWN)
            asked->state = asked->there ? RESOLVER_ANSWERS : RESOLVER_SILENT;
        if (asked->state > check->state)
            check->state = asked->state;
    }
    resolver_check_stop(check);
    check->on_done(check->owner);
}

static void out_of_time(void *owner)
{
    finish(owner);
}

/* An answer to the name decides, or an error of each. */
static void finish_if_decided(struct resolver_check *check)
{
    bool open = false, answers = false;
    for (size_t i = 0; i < check->count; i++) {
        open = open || check->asked[i].state == RESOLVER_UNKNOWN;
        answers = answers || check->asked[i].state == RESOLVER_ANSWERS;
    }
    if (answers || !open)
        timer_set(&check->deadline, 0); /* not from within a caller that has just begun */
}

static void fail(struct resolver_asked *asked)
{
    if (asked->state == RESOLVER_UNKNOWN && !asked->there)
        asked->state = RESOLVER_UNREACHABLE;
    finish_if_decided(asked->check);
}

/* ---- replies ---- */

static void on_reply(struct resolver_asked *asked, const uint8_t *reply)
{
    const struct resolver_check *check = asked->check;
    uint8_t code = reply[3] & 0x0f;
    asked->there = true;
    if (!is_reply_to(check->name, check->name_length, reply) && check->name_length > 0)
        return; /* the root's: it is there, and the name may take longer */
    asked->state = code == RCODE_REFUSES ? RESOLVER_REFUSES
                   : code == RCODE_FAILS ? RESOLVER_FAILS
                                         : RESOLVER_ANSWERS;
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct resolver_asked *asked = owner;
    const struct resolver_check *check = asked->check;
    uint8_t reply[REPLY_MAX];
    ssize_t length;
    while ((length = recv(asked->descriptor, reply, sizeof reply, MSG_DONTWAIT)) >= 0)
        if (length >= HEADER && (reply[2] & 0x80) != 0 &&
            (is_reply_to(check->name, check->name_length, reply) ||
             is_reply_to(check->root, check->root_length, reply)))
            on_reply(asked, reply);
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        fail(asked);
    finish_if_decided(asked->check);
}

/* ---- asking ---- */

static void ask(struct resolver_asked *asked)
{
    const struct resolver_check *check = asked->check;
    if (asked->state != RESOLVER_UNKNOWN || asked->descriptor < 0)
        return;
    bool sent = send(asked->descriptor, check->root, check->root_length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    if (sent && check->name_length > 0)
        sent = send(asked->descriptor, check->name, check->name_length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    if (!sent && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        fail(asked);
}

static void ask_again(void *owner)
{
    struct resolver_check *check = owner;
    for (size_t i = 0; i < check->count; i++)
        ask(&check->asked[i]);
}

static void start_one(struct resolver_check *check, const struct resolver *resolver)
{
    struct resolver_asked *asked = &check->asked[check->count++];
    int kind = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    *asked = (struct resolver_asked){.check = check};
    asked->descriptor = socket(resolver->address.ss_family, kind, 0);
    if (asked->descriptor < 0) {
        asked->state = RESOLVER_UNREACHABLE;
        return;
    }
    watch_start(&asked->watch, check->loop, asked->descriptor, true, false, on_ready, asked);
    if (connect(asked->descriptor, (const struct sockaddr *)&resolver->address, resolver->length) != 0)
        asked->state = RESOLVER_UNREACHABLE;
    ask(asked);
}

void resolver_check_start(struct resolver_check *check, struct loop *loop, const struct resolver_list *list,
                          const char *name, uint32_t limit_ms, void (*on_done)(void *owner), void *owner)
{
    assert(!check->running);
    *check = (struct resolver_check){.loop = loop, .on_done = on_done, .owner = owner, .running = true};
    struct bytes asked = bytes_of_text(name);
    check->name_length = asked.length == 0 ? 0 : write_question(check->name, asked, TYPE_A);
    check->root_length = write_question(check->root, bytes_none(), TYPE_NS);
    timer_start(&check->again, loop, ask_again, check);
    timer_start(&check->deadline, loop, out_of_time, check);
    timer_set(&check->again, RESOLVER_AGAIN_MS);
    timer_set(&check->deadline, limit_ms);
    for (size_t i = 0; i < list->count; i++)
        start_one(check, &list->at[i]);
    if (check->count > 0)
        finish_if_decided(check);
}
