/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_queue: reports that this server sends to other domains, on TLS and DMARC. They become mail with the
 * null sender; what was sent is remembered in a note (core/trust/report_ledger.h), in the same batch. So are
 * the domains that users sent mail to (core/trust/sent_domains.h), which alone get reports on DMARC.
 */
#include "core/smtp/address.h"
#include "core/trust/report_ledger.h"
#include "queue/queue_state.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static const char note_name[] = "reports";

static uint32_t today(const struct queue *queue, uint64_t now_ms)
{
    return (uint32_t)((now_ms + (uint64_t)queue->wall_ahead_ms) / DAY_MS);
}

static void remember(struct queue *queue, const struct buffer *ledger)
{
    store_note_put(queue->store, note_name, buffer_bytes(ledger));
}

static bool is_sound(const struct ipc_report *report)
{
    return report->content.length > 0 && report->content.length <= REPORT_CONTENT_MAX &&
           report->address.length > 0 && report->address.length <= REPORT_ADDRESS_MAX &&
           !bytes_has_control(report->address) && bytes_find(report->address, '@') != SIZE_MAX;
}

static const char *fault_of(enum report_ledger_verdict verdict)
{
    switch (verdict) {
    case REPORT_DUE: break;
    case REPORT_GIVEN: return "it was sent before";
    case REPORT_PAUSED: return "its address has refused reports recently";
    case REPORT_TOO_MANY: return "the day's limit is reached";
    }
    return NULL;
}

static bool give(struct queue *queue, const struct ipc_report *report, struct bytes ledger,
                 struct buffer *changed, uint64_t now_ms, const char **why)
{
    static const enum origin_kind kinds[REPORT_KINDS] = {
        [REPORT_KIND_TLS] = ORIGIN_TLS_REPORT, [REPORT_KIND_DMARC] = ORIGIN_DMARC_REPORT};
    enum report_kind kind = (enum report_kind)report->kind;
    uint32_t day = today(queue, now_ms);
    struct envelope about = {.sender = report->address};
    if (!is_sound(report)) {
        *why = "it is not a report";
        return false;
    }
    *why = fault_of(report_ledger_check(ledger, kind, report->day, report->domain, report->address, day));
    if (*why != NULL)
        return false;
    *why = "it could not be queued";
    report_ledger_give(changed, ledger, kind, report->day, report->domain, report->address, day);
    if (!delivery_result_accept_own(queue, queue_id_next(&queue->ids, now_ms * 1000), &about, report->content,
                                    kinds[kind], now_ms))
        return false;
    *why = NULL;
    return true;
}

size_t report_queue_take(struct queue *queue, const struct ipc_report *report, uint64_t now_ms,
                         const char **why)
{
    struct arena arena = {0};
    struct buffer changed = {0};
    bool taken = false;
    *why = NULL;
    if (report->kind >= REPORT_KINDS || report->step >= REPORT_STEPS || queue->stuck) {
        *why = queue->stuck ? "the queue cannot be written" : "it is of another version";
        return 0;
    }
    struct bytes ledger = store_note(queue->store, note_name, &arena);
    enum report_kind kind = (enum report_kind)report->kind;
    switch ((enum report_step)report->step) {
    case REPORT_STEP_ASK: taken = report_ledger_is_done(ledger, kind, report->day); break;
    case REPORT_STEP_GIVE: taken = give(queue, report, ledger, &changed, now_ms, why); break;
    case REPORT_STEP_FINISH:
        report_ledger_finish(&changed, ledger, kind, report->day, today(queue, now_ms));
        taken = true;
        break;
    case REPORT_STEPS: break;
    }
    if (taken && report->step != REPORT_STEP_ASK)
        remember(queue, &changed);
    buffer_free(&changed);
    arena_clear(&arena);
    return taken;
}

void report_queue_bounced(struct queue *queue, const struct queue_delivery *delivery,
                          const struct mail_event *event, uint64_t now_ms)
{
    enum origin_kind kind = delivery->message.origin.kind;
    struct arena arena = {0};
    struct buffer changed = {0};
    if (kind != ORIGIN_TLS_REPORT && kind != ORIGIN_DMARC_REPORT)
        return;
    report_ledger_pause(&changed, store_note(queue->store, note_name, &arena), event->recipient,
                        today(queue, now_ms));
    remember(queue, &changed);
    buffer_free(&changed);
    arena_clear(&arena);
}

/* ---- who gets mail from here ---- */

/* Forwarded mail, and what this server writes itself, was not sent by a user. */
static bool is_of_user(const struct origin *origin)
{
    return origin->kind == ORIGIN_LOCAL || (origin->kind == ORIGIN_NETWORK && origin->account.length > 0);
}

void report_queue_sent(struct queue *queue, const struct store_message *message,
                       const struct mail_event *event, uint64_t now_ms)
{
    struct bytes local, domain;
    uint32_t day = today(queue, now_ms);
    if (!queue->options.notes_sent || !is_of_user(&message->origin) ||
        !address_split(event->recipient, &local, &domain))
        return;
    if (queue->sent.day != day) {
        char name[SENT_DOMAINS_NAME_MAX];
        struct arena arena = {0};
        sent_domains_note_name(day, name);
        sent_domains_begin(&queue->sent, day, store_note(queue->store, name, &arena));
        arena_clear(&arena);
    }
    if (sent_domains_add(&queue->sent, domain))
        queue->sent_changed = true;
}

void report_queue_commit_start(struct queue *queue)
{
    char name[SENT_DOMAINS_NAME_MAX];
    if (!queue->sent_changed)
        return;
    sent_domains_note_name(queue->sent.day, name);
    store_note_put(queue->store, name, buffer_bytes(&queue->sent.text));
    queue->sent_changed = false;
}
