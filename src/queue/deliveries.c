/* SPDX-License-Identifier: Apache-2.0 */
/* deliveries: the deliveries in progress, and the selection of the next one. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/message/loop_detection.h"
#include "io/log.h"
#include "queue/queue_state.h"
#include "store/queue/store_copy.h"

bool deliveries_has(const struct queue *queue, uint64_t id, uint32_t number)
{
    for (const struct queue_delivery *d = map_get_u64(&queue->messages, id); d != NULL;
         d = d->next_of_message)
        for (size_t i = 0; i < d->recipient_count; i++)
            if (d->recipients[i].number == number)
                return true;
    return false;
}

static void delivery_free(struct queue_delivery *delivery)
{
    arena_clear(&delivery->arena);
    free(delivery);
}

static void add(struct queue *queue, struct queue_delivery *delivery)
{
    delivery->number = ++queue->last_number;
    delivery->next_of_message = map_get_u64(&queue->messages, delivery->message.id);
    map_put_u64(&queue->messages, delivery->message.id, delivery);
    map_put_u64(&queue->deliveries, delivery->number, delivery);
}

void deliveries_drop(struct queue *queue, struct queue_delivery *delivery)
{
    struct queue_delivery *first = map_get_u64(&queue->messages, delivery->message.id);
    if (first == delivery) {
        if (delivery->next_of_message == NULL)
            map_remove_u64(&queue->messages, delivery->message.id);
        else
            map_put_u64(&queue->messages, delivery->message.id, delivery->next_of_message);
    } else {
        while (first->next_of_message != delivery)
            first = first->next_of_message;
        first->next_of_message = delivery->next_of_message;
    }
    map_remove_u64(&queue->deliveries, delivery->number);
    delivery_free(delivery);
}

/* True if the destination has changed with the configuration. */
static bool goes_elsewhere(struct queue *queue, const struct active_destination *active,
                           const struct store_recipient *r, uint64_t id, uint64_t now_ms)
{
    char buffer[STORE_DESTINATION_MAX];
    if (active->scheduled.transport == SCHEDULE_LOOKUP)
        return false;
    struct bytes destination = destinations_find(queue, &r->recipient, buffer);
    if (bytes_equal(destination, active->scheduled.name))
        return false;
    store_settle(queue->store, id,
                 &(struct store_result){
                     .number = r->number, .fate = STORE_PLACED, .due_ms = now_ms, .destination = destination},
                 1);
    destinations_due(queue, destination, now_ms, false);
    return true;
}

/* Takes the recipients that still have this destination. */
static void take_recipients(struct queue *queue, const struct active_destination *active,
                            const struct store_delivery *due, uint64_t now_ms,
                            struct queue_delivery *delivery)
{
    uint64_t id = due->message.id;
    delivery->recipients = ARENA_ARRAY(&delivery->arena, struct store_recipient, due->recipient_count);
    for (size_t i = 0; i < due->recipient_count; i++)
        if (!goes_elsewhere(queue, active, &due->recipients[i], id, now_ms))
            delivery->recipients[delivery->recipient_count++] = store_copy_row(&delivery->arena,
                                                                               &due->recipients[i]);
}

/* The content is sent and then freed; the rest stays until the result, including the prefix. */
static bool take_message(struct queue *queue, const struct store_delivery *due,
                         struct queue_delivery *delivery, struct bytes *content)
{
    struct store_message read = due->message;
    arena_clear(&queue->scratch);
    if (!due->has_content && !due->message.large &&
        !store_read(queue->store, due->message.id, true, &queue->scratch, &read))
        return false;
    *content = read.content;
    delivery->message = store_copy_message(&delivery->arena, &read);
    return true;
}

/* Expires recipients instead of attempting them, unless they were never attempted. True if there were any. */
static bool give_up_some(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms)
{
    struct store_recipient over[DELIVERY_RECIPIENTS_MAX];
    size_t count = 0, left = 0;
    for (size_t i = 0; i < delivery->recipient_count; i++) {
        const struct store_recipient *r = &delivery->recipients[i];
        if (r->attempts > 0 && schedule_is_over(delivery->message.expires_ms, r->due_ms, now_ms))
            over[count++] = *r;
        else
            delivery->recipients[left++] = *r;
    }
    delivery->recipient_count = left;
    if (count > 0)
        delivery_result_expire(queue, &delivery->message, over, count, now_ms);
    return count > 0;
}

/* Collects all recipients of the message with this loop, up to `max`, so that the sender gets one report. */
static size_t gather_returned(struct queue *queue, uint64_t id, struct bytes content, struct arena *arena,
                              struct store_recipient *returned, size_t max)
{
    struct store_recipient found[STORE_READ_MAX];
    struct bytes who;
    size_t total = 0, count;
    for (uint32_t from = 0;
         (count = store_recipients(queue->store, id, from, STORE_READ_MAX, arena, found)) > 0;
         from = found[count - 1].number + 1)
        for (size_t i = 0; i < count && total < max; i++)
            if (!found[i].held && !deliveries_has(queue, id, found[i].number) &&
                loop_detection_returns(content, found[i].recipient.via, &who))
                returned[total++] = found[i];
    return total;
}

/* Handles a mail loop: removes the recipients, and sends a report. */
static bool came_back(struct queue *queue, struct queue_delivery *delivery, struct bytes content,
                      uint64_t now_ms)
{
    struct bytes via = delivery->recipients[0].recipient.via, who;
    bool whole;
    if (via.length == 0)
        return false;
    if (delivery->message.large)
        content = delivery_result_beginning(queue, &delivery->message, LOOP_DETECTION_LOOK_MAX, &whole);
    if (!loop_detection_returns(content, via, &who))
        return false;
    struct store_recipient returned[DELIVERY_RECIPIENTS_MAX];
    size_t count = gather_returned(queue, delivery->message.id, content, &delivery->arena, returned,
                                   DELIVERY_RECIPIENTS_MAX);
    if (count > 0) /* otherwise the store is unreachable, and changes made here are undone with its batch */
        delivery_result_looped(queue, &delivery->message, returned, count, who, now_ms);
    return true;
}

struct queue_delivery *deliveries_make(struct queue *queue, struct active_destination *active,
                                       const struct store_delivery *due, uint64_t now_ms,
                                       struct bytes *content)
{
    struct queue_delivery *delivery = memory_new(sizeof *delivery);
    delivery->active = active;
    delivery->transport = active->scheduled.transport;
    take_recipients(queue, active, due, now_ms, delivery);
    if (delivery->recipient_count == 0 || !take_message(queue, due, delivery, content)) {
        delivery_free(delivery);
        return NULL;
    }
    bool over = delivery->message.expires_ms + SCHEDULE_GRACE_MS <= now_ms &&
                give_up_some(queue, delivery, now_ms);
    if (over && delivery->recipient_count > 0) /* the report used the memory of the content */
        take_message(queue, due, delivery, content);
    if (delivery->recipient_count == 0 || came_back(queue, delivery, *content, now_ms)) {
        delivery_free(delivery);
        return NULL;
    }
    add(queue, delivery);
    return delivery;
}

/* ---- starting ---- */

/* Delivered-To fields of forwarders precede the prefix stored at acceptance. */
static void add_prefix(struct queue_delivery *delivery, struct ipc_deliver *deliver)
{
    struct buffer prefix = {0};
    if (delivery->transport == SCHEDULE_AWAY)
        loop_detection_add(&prefix, delivery->recipients[0].recipient.via);
    deliver->prefix = delivery->message.prefix;
    deliver->envelope.size += prefix.length; /* the stored prefix is already counted */
    if (prefix.length > 0) {
        buffer_add(&prefix, delivery->message.prefix);
        deliver->prefix = arena_copy(&delivery->arena, buffer_bytes(&prefix));
    }
    buffer_free(&prefix);
}

/* All who may submit have an account: users, local programs and trusted hosts. */
static enum message_author author_of(const struct origin *origin)
{
    switch (origin->kind) {
    case ORIGIN_REPORT:
    case ORIGIN_VACATION:
    case ORIGIN_TLS_REPORT:
    case ORIGIN_DMARC_REPORT: return AUTHOR_SERVER;
    case ORIGIN_LOCAL: return AUTHOR_SUBMITTED;
    case ORIGIN_UNKNOWN:
    case ORIGIN_NETWORK:
    case ORIGIN_KINDS: break;
    }
    return origin->account.length > 0 ? AUTHOR_SUBMITTED : AUTHOR_STRANGER;
}

/* Only what is passed on by an address of ours, for another server, is sealed. */
static enum arc_result chain_of(const struct queue_delivery *delivery)
{
    bool forwarded = delivery->transport == SCHEDULE_AWAY &&
                     delivery->recipients[0].recipient.via.length > 0; /* the same for all of them */
    return forwarded && author_of(&delivery->message.origin) == AUTHOR_STRANGER
               ? delivery->message.trust.chain
               : ARC_PENDING;
}

static void fill(struct queue_delivery *delivery, struct bytes content, struct ipc_deliver *deliver)
{
    struct recipient *recipients = ARENA_ARRAY(&delivery->arena, struct recipient, delivery->recipient_count);
    for (size_t i = 0; i < delivery->recipient_count; i++)
        recipients[i] = delivery->recipients[i].recipient;
    *deliver = (struct ipc_deliver){.delivery = delivery->number,
                                    .id = delivery->message.id,
                                    .arrived_ms = delivery->message.arrived_ms,
                                    .attempt = delivery->recipients[0].attempts + 1,
                                    .destination = delivery->active->scheduled.name,
                                    .hop = delivery->active->hop,
                                    .author = (uint8_t)author_of(&delivery->message.origin),
                                    .any_tls = delivery->message.origin.kind == ORIGIN_TLS_REPORT,
                                    .chain = (uint8_t)chain_of(delivery),
                                    .envelope = delivery->message.envelope,
                                    .content = content,
                                    .in_file = delivery->message.large,
                                    .disposition = delivery->message.trust.disposition};
    if (recipients[0].sent_as.length > 0) /* the same for all of them: store_due() */
        deliver->envelope.sender = recipients[0].sent_as;
    deliver->envelope.recipients = recipients;
    deliver->envelope.recipient_count = delivery->recipient_count;
    add_prefix(delivery, deliver);
}

static void defer_unread(struct queue *queue, const struct queue_delivery *delivery, uint64_t now_ms,
                         uint64_t delay_ms)
{
    struct store_result results[DELIVERY_RECIPIENTS_MAX];
    uint64_t later_ms = now_ms + delay_ms, expires_ms = delivery->message.expires_ms;
    const struct attempt_record why = {
        .when_ms = now_ms, .enhanced = BYTES("4.3.0"), .text = BYTES("the content file cannot be read")};
    for (size_t i = 0; i < delivery->recipient_count; i++)
        results[i] = (struct store_result){
            .number = delivery->recipients[i].number,
            .fate = STORE_DEFERRED,
            .due_ms = later_ms < expires_ms || expires_ms <= now_ms ? later_ms : expires_ms,
            .attempts = delivery->recipients[i].attempts,
            .last = why};
    store_settle(queue->store, delivery->message.id, results, delivery->recipient_count);
}

/* A content that cannot be read now must not be lost. */
static bool open_content(struct queue *queue, struct queue_delivery *delivery, uint64_t now_ms, int *content)
{
    *content = -1;
    if (!delivery->message.large)
        return true;
    *content = store_content(queue->store, delivery->message.id);
    if (*content >= 0)
        return true;
    int number = errno;
    if (store_verdict(queue->store, NULL) == STORE_UNREACHABLE) { /* its absence is not confirmed */
        deliveries_drop(queue, delivery);
        return false;
    }
    /* other errors are temporary: no descriptor, no memory, a disk to be repaired */
    bool gone = number == ENOENT;
    log_event(LOG_EVENT_ERROR, gone ? "content_missing" : "content_unreadable", LOG_ID(delivery->message.id),
              LOG_TEXT("error", strerror(number)),
              LOG_TEXT("reason", "the content file in queue/content cannot be read"));
    if (!gone)
        defer_unread(queue, delivery, now_ms, queue->options.retry.first_ms);
    else if (now_ms < delivery->message.expires_ms)
        defer_unread(queue, delivery, now_ms, queue->options.retry.max_ms);
    else
        delivery_result_expire(queue, &delivery->message, delivery->recipients, delivery->recipient_count,
                               now_ms);
    deliveries_drop(queue, delivery);
    return false;
}

bool queue_next(struct queue *queue, enum schedule_transport transport, uint64_t now_ms,
                struct ipc_deliver *deliver, int *content)
{
    struct active_destination *active;
    if (queue->stuck || queue->committing || queue->options.hold)
        return false;
    for (int looks = 0;
         looks < LOOKS_A_TURN_MAX &&
         (active = (struct active_destination *)schedule_next(&queue->schedule, transport)) != NULL;
         looks++) {
        const struct store_delivery *due = destinations_next(queue, active, now_ms);
        if (due == NULL) {
            schedule_want(&queue->schedule, &active->scheduled, false);
            destinations_rest(queue, active, now_ms);
            continue;
        }
        struct bytes inline_content;
        struct queue_delivery *delivery = deliveries_make(queue, active, due, now_ms, &inline_content);
        if (delivery == NULL || !open_content(queue, delivery, now_ms, content))
            continue;
        schedule_started(&queue->schedule, &active->scheduled, now_ms);
        fill(delivery, inline_content, deliver);
        assert(queue_is_sound(queue));
        return true;
    }
    return false;
}

bool queue_looks_on(const struct queue *queue, enum schedule_transport transport)
{
    return !queue->stuck && !queue->committing && !queue->options.hold &&
           schedule_next(&queue->schedule, transport) != NULL;
}

size_t queue_in_progress(const struct queue *queue)
{
    size_t count = 0;
    for (int transport = 0; transport < SCHEDULE_TRANSPORTS; transport++)
        count += queue->schedule.transports[transport].in_progress;
    return count;
}
