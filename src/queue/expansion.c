/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expansion: an address with more members than fit at RCPT, or with a missing one, is accepted unexpanded.
 * Auth lists its members page by page; each page is committed together with the progress, so that a crash
 * neither loses nor repeats a member, and the address is removed with the last of them. A member that
 * expands itself waits for its own turn: at any depth, one page is in memory. Missing members are logged
 * for the operator, and reported to the sender without revealing the other members.
 */
#include "core/message/dsn.h"
#include "core/message/loop_detection.h"
#include "io/log.h"
#include "queue/queue_state.h"

/* Returns the original recipient. */
static struct recipient written_to(const struct recipient *row)
{
    struct recipient said = *row;
    if (said.original.length > 0)
        said.address = said.original;
    said.expands = EXPANDS_NOT;
    return said;
}

static void fail(struct queue *queue, const struct queue_delivery *d, struct bytes why, uint64_t now_ms)
{
    struct recipient said = written_to(&d->recipients[0].recipient);
    struct dsn_recipient about = {
        .recipient = &said, .action = DSN_FAILED, .enhanced = BYTES("5.1.1"), .text = why};
    delivery_result_report(queue, &d->message, &about, 1, now_ms);
}

/* Adds a member with the options of the address that it belongs to. */
static bool add_member(struct queue *queue, const struct queue_delivery *d, const struct recipient *found,
                       uint64_t now_ms)
{
    const struct recipient *row = &d->recipients[0].recipient;
    char buffer[STORE_DESTINATION_MAX];
    bool stays = d->message.trust.disposition == DISPOSITION_JUNK && row->expands == EXPANDS_USER &&
                 !found->local && found->expands == EXPANDS_NOT; /* see queue_accept() */
    struct recipient member = stays ? (struct recipient){.address = row->address, .local = true} : *found;
    member.original = row->original.length > 0 ? row->original : row->address;
    member.orcpt = row->orcpt;
    member.notify = row->notify;
    member.via = found->expands == EXPANDS_NOT ? row->via
                                               : loop_detection_join(&queue->scratch, row->via, found->via);
    struct bytes destination = destinations_find(queue, &member, buffer);
    if (!store_add_member(queue->store, d->message.id, &member, destination, now_ms))
        return false;
    destinations_due(queue, destination, now_ms, false);
    return true;
}

static void log_missing_members(struct queue *queue, const struct queue_delivery *d, uint64_t now_ms)
{
    const struct ipc_expand_answer *page = &d->page;
    for (size_t i = 0; i < page->missing_count; i++)
        log_event(
            LOG_EVENT_WARN, "member_missing", LOG_ID(d->message.id),
            LOG_BYTES("alias", d->recipients[0].recipient.address), LOG_BYTES("to", page->missing[i].address),
            LOG_BYTES("from", d->message.envelope.sender),
            LOG_TEXT("hint",
                     "mailboat alias remove ALIAS MEMBER, or give the member a mailbox: mailboat user add"));
    if (page->missing_count > 0)
        fail(queue, d,
             BYTES("a member of this alias no longer has a mailbox and did not get the message; the other "
                   "members get it"),
             now_ms);
}

static void apply_page(struct queue *queue, const struct queue_delivery *d, uint64_t now_ms)
{
    const struct store_recipient *row = &d->recipients[0];
    const struct ipc_expand_answer *page = &d->page;
    size_t added = 0;
    for (size_t i = 0; i < page->member_count; i++)
        added += add_member(queue, d, &page->members[i], now_ms);
    log_missing_members(queue, d, now_ms);
    struct mail_event event = delivery_result_event(EVENT_EXPANDED, &d->message, row, now_ms);
    event.members = added;
    event.known_already = page->member_count - added;
    event.missing = page->missing_count;
    event.more = page->after.length > 0;
    events_add(queue, &event, now_ms);
    if (page->after.length > 0) {
        struct store_result advanced = {.number = row->number,
                                        .fate = STORE_ADVANCED,
                                        .progress = page->after,
                                        .due_ms = now_ms + 1}; /* after the page of due mail already read */
        store_settle(queue->store, d->message.id, &advanced, 1);
        destinations_due(queue, DESTINATION_LOOKUP, now_ms, false);
        return;
    }
    store_settle(queue->store, d->message.id,
                 &(struct store_result){.number = row->number, .fate = STORE_EXPANDED}, 1);
}

/* The alias or the user was removed after acceptance. */
static void apply_unknown(struct queue *queue, const struct queue_delivery *d, uint64_t now_ms)
{
    const struct store_recipient *row = &d->recipients[0];
    bool begun = row->progress.length > 0;
    struct mail_event event = delivery_result_event(EVENT_BOUNCED, &d->message, row, now_ms);
    event.enhanced = BYTES("5.1.1");
    event.text = begun ? BYTES("the alias was removed before all its members were expanded")
                       : BYTES("the alias or user was removed after the message was accepted");
    events_add(queue, &event, now_ms);
    fail(queue, d,
         begun ? BYTES("the alias was removed while the message was being delivered to its members; some of "
                       "them have it")
               : BYTES("the address was removed after the message had been accepted"),
         now_ms);
    store_settle(queue->store, d->message.id,
                 &(struct store_result){.number = row->number, .fate = STORE_EXPANDED}, 1);
}

void expansion_apply(struct queue *queue, struct queue_delivery *d, uint64_t now_ms)
{
    switch (d->page.verdict) {
    case RECIPIENT_KNOWN:
        arena_clear(&queue->scratch);
        apply_page(queue, d, now_ms);
        break;
    case RECIPIENT_UNKNOWN: apply_unknown(queue, d, now_ms); break;
    default: delivery_result_unanswered(queue, d, now_ms); break;
    }
}
