/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/checkpoint_pace.h"

#include <assert.h>
#include <stdbool.h>

void checkpoint_pace_start(struct checkpoint_pace *pace, uint32_t start)
{
    assert(start > 0);
    *pace = (struct checkpoint_pace){.start = start, .due = start};
}

enum checkpoint_step checkpoint_pace_step(struct checkpoint_pace *pace, uint32_t length)
{
    if (length < pace->length) { /* it was started from its beginning */
        pace->moved = 0;
        pace->due = pace->start;
    }
    pace->length = length;
    uint32_t left = length > pace->moved ? length - pace->moved : 0;
    if (length < pace->due || left == 0)
        return CHECKPOINT_NONE;
    return left <= CHECKPOINT_REST || left >= CHECKPOINT_LONG ? CHECKPOINT_HERE : CHECKPOINT_BESIDE;
}

void checkpoint_pace_moved(struct checkpoint_pace *pace, enum checkpoint_step by, uint32_t moved)
{
    assert(by != CHECKPOINT_NONE);
    bool further = moved > pace->moved;
    if (further)
        pace->moved = moved;
    if (by == CHECKPOINT_HERE || !further) /* the next commit starts the log anew, unless a reader is there */
        pace->due = pace->length + CHECKPOINT_STEP;
}
