/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/key_state.h"

#include <assert.h>

#include "core/message/date.h"

static const char *const stage_names[KEY_STAGES] = {
    [KEY_PREPARED] = "prepared", [KEY_PUBLISHED] = "published", [KEY_ACTIVE] = "active",
    [KEY_RETIRED] = "retired",   [KEY_REMOVED] = "removed",
};

const char *key_stage_name(enum key_stage stage)
{
    assert(stage < KEY_STAGES);
    return stage_names[stage];
}

bool key_stage_named(struct bytes name, enum key_stage *stage)
{
    for (int i = 0; i < KEY_STAGES; i++)
        if (bytes_is(name, stage_names[i])) {
            *stage = (enum key_stage)i;
            return true;
        }
    return false;
}

/* ---- the clock ---- */

static bool is_possible(uint64_t time_s)
{
    return time_s >= KEY_CLOCK_MIN_S && time_s <= KEY_CLOCK_MAX_S;
}

bool key_state_clock_is_wrong(const struct key_state *state, uint64_t now_s)
{
    return !is_possible(now_s) || state->since_s[state->stage] > now_s + KEY_CLOCK_SLACK_S;
}

/* Times of a clock that was not set count from now on, once it is. */
static void correct_times(struct key_state *state, uint64_t now_s)
{
    for (int i = 0; i < KEY_STAGES && is_possible(now_s); i++)
        if (state->since_s[i] != 0 && state->since_s[i] < KEY_CLOCK_MIN_S)
            state->since_s[i] = now_s;
    /* these two can only make it wait longer */
    if (state->since_s[KEY_PUBLISHED] > now_s)
        state->since_s[KEY_PUBLISHED] = now_s;
    if (state->shown_s > now_s)
        state->shown_s = now_s;
}

/* True if so much time has passed since the stage began; false for an impossible clock. */
static bool has_passed(const struct key_state *state, uint64_t now_s, uint64_t wait_s)
{
    uint64_t since_s = state->since_s[state->stage];
    return !key_state_clock_is_wrong(state, now_s) && is_possible(since_s) && now_s >= since_s &&
           now_s - since_s >= wait_s;
}

/* A time that can be stored: 0 is never. */
static uint64_t stamp(uint64_t now_s)
{
    return now_s == 0 ? 1 : now_s < KEY_TIME_MAX_S ? now_s : KEY_TIME_MAX_S;
}

/* ---- moving ---- */

static void enter(struct key_state *state, enum key_stage stage, uint64_t now_s)
{
    assert(stage < KEY_STAGES);
    state->stage = stage;
    state->since_s[stage] = stamp(now_s);
}

void key_state_start(struct key_state *state, uint32_t number, uint64_t now_s)
{
    *state = (struct key_state){.number = number};
    enter(state, KEY_PREPARED, now_s);
}

static bool was_ever(const struct key_state *state, enum key_stage stage)
{
    return state->since_s[stage] != 0;
}

/* DNS shows the record to this machine, and as far as can be seen from here to all others. */
static bool is_shown(const struct key_state *state, uint64_t now_s)
{
    if (state->resolver != KEY_SEEN_OURS || key_seen_is_wrong(state->servers))
        return false;
    return state->servers == KEY_SEEN_OURS ||
           (state->shown_s != 0 && now_s >= state->shown_s && now_s - state->shown_s >= KEY_SERVERS_SILENT_S);
}

/* DNS has said that it does not show the record. What the domain's own servers say counts more than what
 * the resolver remembers. */
static bool is_gone(const struct key_state *state)
{
    if (state->servers != KEY_SEEN_UNKNOWN)
        return key_seen_is_wrong(state->servers);
    return key_seen_is_wrong(state->resolver);
}

static uint64_t ttl_wait_s(const struct key_state *state)
{
    return state->ttl_s < KEY_TTL_MAX_S ? state->ttl_s : KEY_TTL_MAX_S;
}

/* The wait for the TTL needs a clock that runs, and not one that is right. */
static bool ttl_is_over(const struct key_state *state, uint64_t now_s)
{
    uint64_t since_s = state->since_s[KEY_PUBLISHED];
    return now_s >= since_s && now_s - since_s >= ttl_wait_s(state);
}

static bool move(struct key_state *state, uint64_t now_s, bool believed)
{
    switch (state->stage) {
    case KEY_PREPARED:
        if (!is_shown(state, now_s))
            return false;
        enter(state, KEY_PUBLISHED, now_s);
        return true;
    case KEY_PUBLISHED:
        if (!is_gone(state) && !ttl_is_over(state, now_s))
            return false;
        enter(state, is_gone(state) ? KEY_PREPARED : KEY_ACTIVE, now_s);
        return true;
    case KEY_ACTIVE:
        if (!is_gone(state))
            return false;
        enter(state, KEY_PREPARED, now_s);
        return true;
    case KEY_RETIRED:
        if (!believed || !has_passed(state, now_s, KEY_RETIRED_S))
            return false;
        enter(state, KEY_REMOVED, now_s);
        return true;
    case KEY_REMOVED: return false;
    case KEY_STAGES: break;
    }
    assert(false);
    return false;
}

bool key_state_look(struct key_state *state, const struct key_look *look)
{
    uint64_t now_s = look->now_s;
    bool jumped = state->looked_s != 0 && now_s > state->looked_s && now_s - state->looked_s > KEY_GAP_S;
    enum key_stage before = state->stage;
    correct_times(state, now_s);
    if (look->resolver == KEY_SEEN_OURS && state->shown_s == 0)
        state->shown_s = stamp(now_s);
    else if (key_seen_is_wrong(look->resolver))
        state->shown_s = 0;
    state->looked_s = stamp(now_s);
    state->resolver = look->resolver;
    state->servers = look->servers;
    if (look->ttl_s > 0 || look->resolver == KEY_SEEN_OURS || look->servers == KEY_SEEN_OURS)
        state->ttl_s = look->ttl_s;
    while (move(state, now_s, !jumped))
        continue;
    return state->stage != before;
}

bool key_state_settle(struct key_state *const *states, size_t count, uint64_t now_s)
{
    struct key_state *newest = NULL;
    bool retired = false;
    for (size_t i = 0; i < count; i++)
        if (key_state_signs(states[i]) && (newest == NULL || states[i]->number > newest->number))
            newest = states[i];
    for (size_t i = 0; i < count; i++)
        if (states[i] != newest && key_state_signs(states[i])) {
            enter(states[i], KEY_RETIRED, now_s);
            retired = true;
        }
    return retired;
}

bool key_state_retire(struct key_state *state, uint64_t now_s)
{
    if (state->stage == KEY_RETIRED || state->stage == KEY_REMOVED)
        return false;
    enter(state, was_ever(state, KEY_ACTIVE) ? KEY_RETIRED : KEY_REMOVED, now_s);
    return true;
}

/* ---- questions ---- */

bool key_state_signs(const struct key_state *state)
{
    return state->stage == KEY_ACTIVE;
}

bool key_state_has_secret(const struct key_state *state)
{
    return state->stage != KEY_REMOVED;
}

bool key_state_is_old(const struct key_state *state, uint64_t now_s, uint64_t rotate_s)
{
    return state->stage == KEY_ACTIVE && rotate_s != 0 && has_passed(state, now_s, rotate_s);
}

bool key_state_is_over(const struct key_state *state, uint64_t now_s)
{
    bool shown = state->resolver == KEY_SEEN_OURS || state->servers == KEY_SEEN_OURS;
    if (state->stage != KEY_REMOVED || shown)
        return false;
    return !was_ever(state, KEY_PUBLISHED) || has_passed(state, now_s, KEY_REMOVED_S);
}

uint64_t key_state_next_look_s(const struct key_state *state, uint64_t now_s)
{
    uint64_t since_s = state->since_s[state->stage], wait_s = KEY_LOOK_S;
    bool waits = state->stage == KEY_PREPARED || state->stage == KEY_PUBLISHED;
    if (waits && now_s >= since_s && now_s - since_s < KEY_LOOK_OFTEN_FOR_S)
        wait_s = KEY_LOOK_OFTEN_S;
    if (state->stage == KEY_PUBLISHED && ttl_wait_s(state) < wait_s)
        wait_s = ttl_wait_s(state);
    if (state->looked_s == 0 || now_s < state->looked_s || now_s - state->looked_s >= wait_s)
        return 0;
    return wait_s - (now_s - state->looked_s);
}

/* ---- waiting ---- */

/* A wait from the start of the stage. */
static enum key_wait wait_until(const struct key_state *state, uint64_t wait_s, enum key_wait wait,
                                uint64_t *until_s)
{
    *until_s = state->since_s[state->stage] + wait_s;
    return wait;
}

static enum key_wait wait_for_record(const struct key_state *state)
{
    if (key_seen_is_wrong(state->servers))
        return KEY_WAIT_PUBLISH;
    if (state->servers == KEY_SEEN_OURS)
        return state->resolver == KEY_SEEN_OURS ? KEY_WAIT_LOOK : KEY_WAIT_RESOLVER;
    return state->resolver == KEY_SEEN_OURS     ? KEY_WAIT_SERVERS
           : key_seen_is_wrong(state->resolver) ? KEY_WAIT_PUBLISH
                                                : KEY_WAIT_LOOK;
}

static enum key_wait wait_of_active(const struct key_state *state, const struct key_wait_facts *facts,
                                    uint64_t *until_s)
{
    if (facts->rotate_s == 0)
        return KEY_WAIT_NONE;
    if (key_state_is_old(state, facts->now_s, facts->rotate_s))
        return KEY_WAIT_SUCCESSOR;
    return wait_until(state, facts->rotate_s, KEY_WAIT_ROTATION, until_s);
}

static enum key_wait wait_of_removed(const struct key_state *state, const struct key_wait_facts *facts,
                                     uint64_t *until_s)
{
    bool shown = state->servers == KEY_SEEN_OURS ||
                 (state->servers == KEY_SEEN_UNKNOWN && state->resolver == KEY_SEEN_OURS);
    if (has_passed(state, facts->now_s, KEY_REMOVED_S) || !was_ever(state, KEY_PUBLISHED))
        return shown ? KEY_WAIT_DELETE : KEY_WAIT_NONE;
    return wait_until(state, KEY_REMOVED_S, shown ? KEY_WAIT_REVOKE : KEY_WAIT_REMOVED, until_s);
}

enum key_wait key_state_wait(const struct key_state *state, const struct key_wait_facts *facts,
                             uint64_t *until_s)
{
    uint64_t unused;
    until_s = until_s == NULL ? &unused : until_s;
    *until_s = 0;
    switch (state->stage) {
    case KEY_PREPARED: return wait_for_record(state);
    case KEY_PUBLISHED: return wait_until(state, ttl_wait_s(state), KEY_WAIT_TTL, until_s);
    case KEY_ACTIVE:
        return facts->rotate_s != 0 && key_state_clock_is_wrong(state, facts->now_s)
                   ? KEY_WAIT_CLOCK
                   : wait_of_active(state, facts, until_s);
    case KEY_RETIRED:
        return key_state_clock_is_wrong(state, facts->now_s)
                   ? KEY_WAIT_CLOCK
                   : wait_until(state, KEY_RETIRED_S, KEY_WAIT_RETIRED, until_s);
    case KEY_REMOVED:
        return key_state_clock_is_wrong(state, facts->now_s) ? KEY_WAIT_CLOCK
                                                             : wait_of_removed(state, facts, until_s);
    case KEY_STAGES: break;
    }
    assert(false);
    return KEY_WAIT_NONE;
}

bool key_wait_is_for_person(enum key_wait wait)
{
    return wait == KEY_WAIT_PUBLISH || wait == KEY_WAIT_REVOKE || wait == KEY_WAIT_DELETE ||
           wait == KEY_WAIT_CLOCK;
}

static const char *const wait_names[KEY_WAITS] = {
    [KEY_WAIT_NONE] = "none",       [KEY_WAIT_CLOCK] = "clock",       [KEY_WAIT_LOOK] = "look",
    [KEY_WAIT_PUBLISH] = "publish", [KEY_WAIT_RESOLVER] = "resolver", [KEY_WAIT_SERVERS] = "servers",
    [KEY_WAIT_TTL] = "ttl",         [KEY_WAIT_ROTATION] = "rotation", [KEY_WAIT_SUCCESSOR] = "successor",
    [KEY_WAIT_RETIRED] = "retired", [KEY_WAIT_REVOKE] = "revoke",     [KEY_WAIT_REMOVED] = "removed",
    [KEY_WAIT_DELETE] = "delete",
};

const char *key_wait_name(enum key_wait wait)
{
    assert(wait < KEY_WAITS);
    return wait_names[wait];
}

/* ---- words ---- */

static void add_day(struct buffer *out, uint64_t time_s)
{
    date_add_day(out, time_s * 1000);
}

static void add_clock_words(const struct key_state *state, uint64_t now_s, struct buffer *out)
{
    buffer_add_text(out, "this machine's clock says ");
    add_day(out, now_s);
    if (is_possible(now_s)) {
        buffer_add_format(out, ", but the key was %s on ", key_stage_name(state->stage));
        add_day(out, state->since_s[state->stage]);
    }
    buffer_add_text(out, ", which is impossible; set the clock: until then no key is rotated or removed");
}

static void add_removed_words(const struct key_record *record, enum key_wait wait, uint64_t until_s,
                              struct buffer *out)
{
    if (wait == KEY_WAIT_DELETE) {
        buffer_add_text(out, "nothing needs the record any more; delete ");
        key_record_name(record, out);
        return;
    }
    if (wait == KEY_WAIT_NONE) {
        buffer_add_text(out, "nothing needs it any more");
        return;
    }
    buffer_add_text(out, wait == KEY_WAIT_REVOKE
                             ? "the key is no longer used; replace the value of "
                             : "the key is no longer used and DNS no longer shows it; if ");
    key_record_name(record, out);
    buffer_add_text(out, wait == KEY_WAIT_REVOKE ? " by \"" : " still exists, keep it as \"");
    key_record_revoked_value(out);
    buffer_add_text(out, "\" until ");
    add_day(out, until_s);
    buffer_add_text(out, ", then delete it");
}

static void add_record_words(const struct key_record *record, const struct key_state *state,
                             enum key_wait wait, struct buffer *out)
{
    key_record_name(record, out);
    buffer_add_text(out, ": ");
    if (wait == KEY_WAIT_PUBLISH)
        buffer_add_text(out,
                        key_seen_words(key_seen_is_wrong(state->servers) ? state->servers : state->resolver));
    else if (wait == KEY_WAIT_RESOLVER)
        buffer_add_text(out,
                        "the domain's own servers show the record; this machine's resolver does not yet, "
                        "as it remembers an older answer");
    else if (wait == KEY_WAIT_SERVERS)
        buffer_add_text(out, "this machine's resolver shows the record, but the domain's own servers do not "
                             "answer this machine; after a day the resolver alone is believed");
    else
        buffer_add_text(out,
                        state->looked_s == 0 ? "DNS was not asked yet" : key_seen_words(KEY_SEEN_UNKNOWN));
    if (was_ever(state, KEY_ACTIVE))
        buffer_add_text(out, "; mail is not signed with this key until DNS shows it again");
}

void key_state_words(const struct key_record *record, const struct key_state *state,
                     const struct key_wait_facts *facts, struct buffer *out)
{
    uint64_t until_s;
    enum key_wait wait = key_state_wait(state, facts, &until_s);
    if (wait == KEY_WAIT_CLOCK) {
        add_clock_words(state, facts->now_s, out);
    } else if (state->stage == KEY_PREPARED) {
        add_record_words(record, state, wait, out);
    } else if (state->stage == KEY_PUBLISHED) {
        buffer_add_text(out,
                        "DNS shows the record; mail is signed with it once caches have forgotten what was "
                        "there before, on ");
        date_add(out, until_s * 1000);
    } else if (state->stage == KEY_RETIRED) {
        buffer_add_text(out, "mail on its way may still be signed with it; keep the record until ");
        add_day(out, until_s);
    } else if (state->stage == KEY_REMOVED) {
        add_removed_words(record, wait, until_s, out);
    } else if (wait == KEY_WAIT_ROTATION) {
        buffer_add_text(out, "mail is signed with it; a successor is prepared on ");
        add_day(out, until_s);
    } else {
        buffer_add_text(out,
                        wait == KEY_WAIT_SUCCESSOR
                            ? "mail is signed with it until its successor is active; publish the record of "
                              "the successor"
                            : "mail is signed with it");
    }
}
