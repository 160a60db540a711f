/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/judgements_walk.h"

#include <stdlib.h>

/* False once `visit` wants no more; *cursor: the number of the last one. */
static bool visit_row(const struct store_events *row, judgement_visit *visit, void *owner)
{
    struct mail_event event;
    for (struct bytes left = row->octets; mail_event_decode(&left, &event);)
        if (!visit(owner, &event))
            return false;
    return true;
}

void judgements_walk(struct store *store, judgement_visit *visit, void *owner)
{
    struct store_events *rows = memory_new(STORE_READ_MAX * sizeof *rows);
    struct arena arena = {0};
    uint64_t cursor = 0;
    bool more = true;
    for (size_t count; more && (count = store_events_after(store, STORE_JUDGEMENTS, cursor, STORE_READ_MAX,
                                                           &arena, rows)) > 0;
         arena_clear(&arena)) {
        for (size_t i = 0; i < count && more; i++)
            more = visit_row(&rows[i], visit, owner);
        cursor = rows[count - 1].first + rows[count - 1].count - 1;
    }
    arena_clear(&arena);
    free(rows);
}
