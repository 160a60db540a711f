/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vacation_queue: sends vacation replies (message/vacation.h). After a delivery to a user with one, auth
 * is asked for its text if a reply is due; the reply and the record of it are in one batch. Pending
 * questions are only in memory: a crash may lose a reply, but never repeats one.
 */
#include <stdlib.h>

#include "core/message/vacation.h"
#include "io/log.h"
#include "queue/queue_state.h"

enum { VACATION_QUEUE_MAX = 256, DAY_MS = 24 * 3600 * 1000 };

struct vacation_reply {
    struct vacation_reply *next;
    struct arena arena;
    uint64_t request, id; /* id: the message's */
    uint32_t number;      /* the recipient's */
    bool asked;
    struct bytes user, sender;
    struct vacation_about about;
};

static void drop(struct queue *queue, struct vacation_reply **at)
{
    struct vacation_reply *reply = *at;
    *at = reply->next;
    queue->vacation_count--;
    arena_clear(&reply->arena);
    free(reply);
}

void vacation_queue_free(struct queue *queue)
{
    while (queue->vacations != NULL)
        drop(queue, &queue->vacations);
}

/* Results are applied again after a full disk. */
static bool is_considered(const struct queue *queue, uint64_t id, uint32_t number)
{
    for (const struct vacation_reply *a = queue->vacations; a != NULL; a = a->next)
        if (a->id == id && a->number == number)
            return true;
    return false;
}

void vacation_queue_consider(struct queue *queue, const struct store_message *message,
                             const struct store_recipient *recipient)
{
    bool whole;
    if (queue->vacation_count >= VACATION_QUEUE_MAX || is_considered(queue, message->id, recipient->number))
        return;
    if (message->trust.disposition == DISPOSITION_JUNK) {
        log_event(LOG_EVENT_DEBUG, "vacation_skipped", LOG_ID(message->id),
                  LOG_BYTES("to", message->envelope.sender), LOG_BYTES("user", recipient->recipient.address),
                  LOG_TEXT("reason", "in the Junk folder"));
        return;
    }
    struct vacation_input input = {
        .content = delivery_result_beginning(queue, message, VACATION_HEADER_MAX, &whole),
        .sender = message->envelope.sender,
        .user = recipient->recipient.address,
        .original = recipient->recipient.original};
    struct vacation_reply *reply = memory_new(sizeof *reply);
    enum vacation_verdict verdict = vacation_check_header(&input, &reply->arena, &reply->about);
    if (verdict != VACATION_DUE) {
        log_event(LOG_EVENT_DEBUG, "vacation_skipped", LOG_ID(message->id), LOG_BYTES("to", input.sender),
                  LOG_BYTES("user", input.user), LOG_TEXT("reason", vacation_verdict_name(verdict)));
        arena_clear(&reply->arena);
        free(reply);
        return;
    }
    reply->request = ++queue->last_vacation;
    reply->id = message->id;
    reply->number = recipient->number;
    reply->user = arena_copy(&reply->arena, input.user);
    reply->sender = arena_copy(&reply->arena, input.sender);
    reply->next = queue->vacations;
    queue->vacations = reply;
    queue->vacation_count++;
}

bool vacation_queue_next(struct queue *queue, struct ipc_away *asked)
{
    for (struct vacation_reply *a = queue->vacations; a != NULL; a = a->next)
        if (!a->asked) {
            a->asked = true;
            *asked = (struct ipc_away){.request = a->request, .user = a->user};
            return true;
        }
    return false;
}

void vacation_queue_unasked(struct queue *queue)
{
    for (struct vacation_reply *a = queue->vacations; a != NULL; a = a->next)
        a->asked = false;
}

static void compose(struct queue *queue, const struct vacation_reply *reply,
                    const struct ipc_away_answer *said, uint64_t id, uint64_t now_ms, struct buffer *content)
{
    struct buffer message_id = {0};
    char text[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(id, text);
    buffer_add_format(&message_id, "%s@%.*s", text, BYTES_ARG(queue->options.hostname));
    struct vacation_answer answer = {.from = reply->user,
                                     .to = reply->sender,
                                     .subject = said->subject,
                                     .text = said->text,
                                     .message_id = buffer_bytes(&message_id),
                                     .date_ms = now_ms + (uint64_t)queue->wall_ahead_ms,
                                     .about = reply->about};
    vacation_compose(content, &answer);
    buffer_free(&message_id);
}

/* The senders that a user has answered are a separate note: lines of vacation_remember(). */
static void answer(struct queue *queue, const struct vacation_reply *reply,
                   const struct ipc_away_answer *said, uint64_t now_ms)
{
    struct arena arena = {0};
    struct buffer memory = {0}, content = {0};
    char *name = arena_format(&arena, "away:%.*s", BYTES_ARG(reply->user));
    struct bytes known = store_note(queue->store, name, &arena);
    uint64_t span_ms = said->days * (uint64_t)DAY_MS, since_ms = now_ms > span_ms ? now_ms - span_ms : 0;
    if (vacation_remembers(known, reply->sender, since_ms)) {
        log_event(LOG_EVENT_DEBUG, "vacation_skipped", LOG_ID(reply->id), LOG_BYTES("to", reply->sender),
                  LOG_BYTES("user", reply->user), LOG_TEXT("reason", "answered recently"));
    } else if (!vacation_remember(&memory, known, reply->sender, now_ms, since_ms)) {
        log_event(LOG_EVENT_WARN, "vacation_skipped", LOG_ID(reply->id), LOG_BYTES("to", reply->sender),
                  LOG_BYTES("user", reply->user), LOG_TEXT("reason", "too many were answered recently"));
    } else {
        uint64_t id = queue_id_next(&queue->ids, now_ms * 1000);
        compose(queue, reply, said, id, now_ms, &content);
        struct envelope about = {.sender = reply->sender,
                                 .smtputf8 = !bytes_is_ascii(reply->sender) || !bytes_is_ascii(reply->user)};
        if (delivery_result_accept_own(queue, id, &about, buffer_bytes(&content), ORIGIN_VACATION, now_ms))
            store_note_put(queue->store, name, buffer_bytes(&memory));
    }
    buffer_free(&memory);
    buffer_free(&content);
    arena_clear(&arena);
}

void vacation_queue_answered(struct queue *queue, const struct ipc_away_answer *said, uint64_t now_ms)
{
    struct vacation_reply **at = &queue->vacations;
    while (*at != NULL && (*at)->request != said->request)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    if (queue->committing) { /* accepting is not allowed now: asks again */
        (*at)->asked = false;
        return;
    }
    if (said->is_away != 0 && !queue->stuck)
        answer(queue, *at, said, now_ms);
    drop(queue, at);
}
