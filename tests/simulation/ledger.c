/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include "service/event_log.h"

enum { RECIPIENTS_MAX = 1024 }; /* of one message */

void ledger_start(struct ledger *ledger)
{
    *ledger = (struct ledger){0};
    map_start(&ledger->ends, 1);
}

void ledger_free(struct ledger *ledger)
{
    map_free(&ledger->ends);
}

static void take(struct ledger *ledger, const struct mail_event *event)
{
    static char mark;
    uint64_t key = event->message * RECIPIENTS_MAX + event->number;
    enum event_class class = mail_event_class(event->kind);
    ledger->backward += event->id <= ledger->last_id || event->number >= RECIPIENTS_MAX;
    ledger->last_id = event->id;
    ledger->received += event->kind == EVENT_RECEIVED;
    if (class == EVENT_CLASS_NONE || class == EVENT_CLASS_DEFERRED)
        return;
    ledger->ended++;
    ledger->twice += map_get_u64(&ledger->ends, key) != NULL;
    map_put_u64(&ledger->ends, key, &mark);
}

void ledger_take(struct ledger *ledger, struct queue *queue)
{
    struct mail_event event;
    while (queue_event_next(queue, &event)) {
        event_log_write(&event);
        take(ledger, &event);
    }
}

bool ledger_check(const struct ledger *ledger, struct buffer *problem)
{
    if (ledger->twice > 0)
        buffer_add_format(problem, "%u recipients came to a second end", ledger->twice);
    if (ledger->backward > 0)
        buffer_add_format(problem, "%u events have an id that is not above the one before", ledger->backward);
    return ledger->twice == 0 && ledger->backward == 0;
}
