/* SPDX-License-Identifier: Apache-2.0 */
#include "core/reply/reply_pattern.h"

#include <assert.h>

/* The active states, each once. */
struct active {
    uint16_t states[REPLY_PATTERN_ACTIVE_MAX];
    size_t count;
};

struct run {
    const struct reply_table *table;
    uint64_t has[REPLY_STATES_MAX / 64]; /* the states in `next` */
    struct active now, next;
};

static void activate(struct run *run, uint16_t state)
{
    uint64_t bit = UINT64_C(1) << (state % 64);
    if ((run->has[state / 64] & bit) != 0 || run->next.count == REPLY_PATTERN_ACTIVE_MAX)
        return;
    run->has[state / 64] |= bit;
    run->next.states[run->next.count++] = state;
}

static void step(struct run *run, uint8_t octet)
{
    const struct reply_table *t = run->table;
    for (size_t i = 0; i < run->now.count; i++) {
        uint16_t state = run->now.states[i];
        for (size_t e = t->first_edge[state]; e < t->first_edge[state + 1]; e++)
            if (t->edges[e].low <= octet && octet <= t->edges[e].high)
                activate(run, t->edges[e].state);
    }
    for (size_t s = t->first_start[octet]; s < t->first_start[octet + 1]; s++)
        activate(run, t->starts[s]);
}

/* Makes the next states the current ones, and notes the rows that they accept. */
static void turn(struct run *run, bool at_end, struct reply_pattern_rows *found)
{
    const struct reply_table *t = run->table;
    for (size_t i = 0; i < run->next.count; i++) {
        uint16_t state = run->next.states[i];
        run->has[state / 64] = 0;
        run->now.states[i] = state;
        if (state >= t->accepting_count)
            continue;
        for (size_t a = t->first_accept[state]; a < t->first_accept[state + 1]; a++)
            if (!t->accepts[a].at_end || at_end)
                found->bits[t->accepts[a].row / 64] |= UINT64_C(1) << (t->accepts[a].row % 64);
    }
    run->now.count = run->next.count;
    run->next.count = 0;
}

void reply_pattern_search(struct bytes words, struct reply_pattern_rows *found)
{
    struct run run;
    run.table = &reply_rows_table;
    assert(run.table->state_count <= REPLY_STATES_MAX && run.table->row_count <= REPLY_ROWS_MAX);
    memset(run.has, 0, sizeof run.has);
    memset(found, 0, sizeof *found);
    run.now.states[0] = 1;
    run.now.count = 1;
    run.next.count = 0;
    for (size_t i = 0; i < words.length; i++) {
        step(&run, (uint8_t)words.at[i]);
        turn(&run, i + 1 == words.length, found);
    }
}
