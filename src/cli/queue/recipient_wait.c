/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/recipient_wait.h"

#include <stdio.h>

#include "base/count.h"
#include "cli/queue/format.h"
#include "core/text/quantity.h"
#include "queue/queue.h"
#include "queue/queue_clock.h"

/* ---- the queue at one moment ---- */

void queue_view_open(struct queue_view *view, struct store *store, const struct config *config,
                     const char *folder)
{
    *view = (struct queue_view){.store = store, .config = config, .now_ms = queue_clock_read_ms(store)};
    control_client_in_progress(&view->in_progress, folder);
}

void queue_view_close(struct queue_view *view)
{
    control_client_in_progress_free(&view->in_progress);
}

/* Returns the destination's row, or NULL. */
static const struct store_destination *destination_of(struct queue_view *view, struct bytes name)
{
    if (!view->has_latest || !bytes_equal(store_destination_name(&view->latest), name)) {
        struct store_destination row = {0};
        view->latest_known = store_destination(view->store, name, &row);
        view->latest = row;
        view->latest.name_length = bytes_first(name, STORE_DESTINATION_MAX).length;
        memcpy(view->latest.name, name.at, view->latest.name_length);
        view->has_latest = true;
    }
    return view->latest_known ? &view->latest : NULL;
}

/* ---- the reason ---- */

void recipient_wait_find(struct recipient_wait *wait, struct queue_view *view, uint64_t message,
                         const struct store_recipient *r)
{
    const struct store_destination *row = destination_of(view, r->destination);
    struct schedule_facts facts = {
        .in_progress = control_client_in_progress_has(&view->in_progress, message, r->number),
        .held = r->held,
        .served = view->in_progress.served,
        .all_held = view->in_progress.all_held,
        .due_ms = r->due_ms};
    if (row != NULL && row->failures >= SCHEDULE_FAILURES_MAX)
        facts.backoff_until_ms = row->due_ms;
    *wait = (struct recipient_wait){.due_ms = facts.backoff_until_ms > r->due_ms ? facts.backoff_until_ms
                                                                                 : r->due_ms,
                                    .failures = row != NULL ? row->failures : 0};
    wait->why = schedule_wait_reason(&facts, view->now_ms, &wait->next_ms);
}

static unsigned rank_of(enum schedule_wait why)
{
    return why == WAIT_IN_PROGRESS ? 0 : why == WAIT_HELD ? 2 : 1;
}

bool recipient_wait_is_before(const struct recipient_wait *a, const struct recipient_wait *b)
{
    unsigned first = rank_of(a->why), second = rank_of(b->why);
    return first < second || (first == second && a->due_ms < b->due_ms);
}

const char *recipient_wait_name(enum schedule_wait why)
{
    static const char *const names[] = {[WAIT_IN_PROGRESS] = "in_progress",
                                        [WAIT_HELD] = "held",
                                        [WAIT_NO_SERVER] = "no_server",
                                        [WAIT_ALL_HELD] = "all_held",
                                        [WAIT_BACKOFF] = "destination_backoff",
                                        [WAIT_RETRY] = "retry",
                                        [WAIT_TURN] = "turn"};
    return names[why];
}

const char *recipient_wait_state(const struct recipient_wait *wait, uint64_t now_ms)
{
    if (wait->why == WAIT_IN_PROGRESS || wait->why == WAIT_HELD)
        return recipient_wait_name(wait->why);
    return wait->due_ms > now_ms ? "waiting" : "ready";
}

bool recipient_wait_is_taken(const struct selection *selection, struct queue_view *view, uint64_t message,
                             const struct store_recipient *r)
{
    struct recipient_wait wait;
    if (selection->state == NULL)
        return true;
    recipient_wait_find(&wait, view, message, r);
    return selection_takes_state(selection, recipient_wait_state(&wait, view->now_ms),
                                 recipient_wait_name(wait.why));
}

/* ---- in words ---- */

const char *recipient_wait_destination(struct bytes destination, char buffer[STORE_DESTINATION_MAX + 1])
{
    if (bytes_equal(destination, DESTINATION_LOCAL))
        return "a mailbox here";
    if (bytes_equal(destination, DESTINATION_REPORTS))
        return "the reader of reports";
    if (bytes_equal(destination, DESTINATION_SMARTHOST))
        return "the smarthost";
    if (bytes_equal(destination, DESTINATION_LOOKUP))
        return "an address that must be looked up first";
    snprintf(buffer, STORE_DESTINATION_MAX + 1, "%.*s",
             BYTES_ARG(bytes_first(destination, STORE_DESTINATION_MAX)));
    return buffer;
}

static void add_retry(struct buffer *out, const struct queue_view *view, uint64_t expires_ms,
                      const struct store_recipient *r)
{
    char longest[QUANTITY_AGE_SIZE], first[QUANTITY_AGE_SIZE];
    if (r->due_ms >= expires_ms)
        buffer_add_text(out, ": the last attempt, because the message expires then");
    else if (r->attempts == 0)
        buffer_add_text(out, ": it could not be tried until now");
    else
        buffer_add_format(out, ": attempt %u; after each failure the wait grows, from %s to %s",
                          (unsigned)r->attempts + 1, quantity_age(0, view->config->queue.first_ms, first),
                          quantity_age(0, view->config->queue.max_ms, longest));
}

static void add_failures(struct buffer *out, const struct recipient_wait *wait, struct bytes destination)
{
    char buffer[STORE_DESTINATION_MAX + 1];
    const char *name = recipient_wait_destination(destination, buffer);
    if ((wait->failures & SCHEDULE_REFUSED) != 0)
        buffer_add_format(out, "%s limits or rejects mail from this server", name);
    else
        buffer_add_format(out, "%s to %s failed in a row",
                          COUNT_OF(schedule_failure_count(wait->failures), "connection"), name);
}

void recipient_wait_add(struct buffer *out, const struct recipient_wait *wait, const struct queue_view *view,
                        const char *id, uint64_t expires_ms, const struct store_recipient *r)
{
    char when[FORMAT_TIME_SIZE], in[QUANTITY_AGE_SIZE], buffer[STORE_DESTINATION_MAX + 1];
    format_time(wait->next_ms, when);
    quantity_age(view->now_ms, wait->next_ms, in);
    switch (wait->why) {
    case WAIT_IN_PROGRESS: buffer_add_text(out, "an attempt is in progress"); break;
    case WAIT_HELD:
        buffer_add_format(out, "held: no attempts and no expiry until: mailboat queue release %s", id);
        break;
    case WAIT_NO_SERVER:
        buffer_add_text(out, "no attempts while the server is not running: mailboat serve");
        break;
    case WAIT_ALL_HELD:
        buffer_add_text(out, "no attempts while the configuration has queue: {hold: true}");
        break;
    case WAIT_BACKOFF:
        buffer_add_format(out, "at %s (in %s): ", when, in);
        add_failures(out, wait, r->destination);
        buffer_add_text(out, "; all mail for it is deferred until then");
        break;
    case WAIT_RETRY:
        buffer_add_format(out, "at %s (in %s)", when, in);
        add_retry(out, view, expires_ms, r);
        break;
    case WAIT_TURN:
        buffer_add_format(out, "due now: waiting for a free delivery slot to %s",
                          recipient_wait_destination(r->destination, buffer));
        break;
    }
    if (view->in_progress.disk_full)
        buffer_add_text(out, "; the disk is full: no attempts until there is space");
}

void recipient_wait_add_reason(struct buffer *out, const struct recipient_wait *wait,
                               struct bytes destination, struct bytes last_reply)
{
    if (wait->why == WAIT_BACKOFF) {
        add_failures(out, wait, destination);
        buffer_add_text(out, last_reply.length > 0 ? "; " : "");
    }
    buffer_add(out, last_reply);
}
