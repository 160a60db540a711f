/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/checkpoint_pace.h"

#include <assert.h>
#include <stdbool.h>

void checkpoint_pace_start(struct checkpoint_pace *pace, uint32_t start)
{
    assert(start > 0);
    *pace = (struct checkpoint_pace){.start = start, .due = start};
}

void checkpoint_pace_commit(struct checkpoint_pace *pace, uint32_t length)
{
    bool anew = length < pace->length; /* it was started from its beginning */
    if (anew) {
        pace->moved = 0;
        pace->due = pace->start;
    }
    pace->added = anew ? length : length - pace->length;
    pace->length = length;
}

/* Measured by the commits: large ones must not keep the log from its end. */
static bool is_small(const struct checkpoint_pace *pace, uint32_t left)
{
    return left <= CHECKPOINT_REST + 2 * (uint64_t)pace->added;
}

enum checkpoint_step checkpoint_pace_step(const struct checkpoint_pace *pace)
{
    uint32_t left = pace->length > pace->moved ? pace->length - pace->moved : 0;
    if (pace->length < pace->due || left == 0)
        return CHECKPOINT_NONE;
    return (pace->moved > 0 && is_small(pace, left)) || left >= CHECKPOINT_LONG ? CHECKPOINT_HERE
                                                                                : CHECKPOINT_BESIDE;
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
