/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/admission.h"

#include <assert.h>

/* ---- shares ---- */

static uint64_t sum_of_strangers(const struct admission *admission)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < admission->port_count; i++)
        sum += admission->strangers[i];
    return sum;
}

/* Returns the connections that strangers may have on all ports together. */
static uint32_t strangers_max(const struct admission *admission)
{
    uint32_t reserved = admission->max / KNOWN_SHARE;
    uint32_t kept = admission->known > reserved ? admission->known : reserved;
    return kept < admission->max ? admission->max - kept : 0;
}

/* Returns the connections guaranteed to each port. */
static uint32_t port_share(const struct admission *admission)
{
    return strangers_max(admission) / (PORT_SHARE * (uint32_t)admission->port_count);
}

/* Returns how much of the part open to any port is in use. */
static uint64_t beyond_shares(const struct admission *admission, uint32_t share)
{
    uint64_t beyond = 0;
    for (size_t i = 0; i < admission->port_count; i++)
        beyond += admission->strangers[i] > share ? admission->strangers[i] - share : 0;
    return beyond;
}

bool admission_known_are_many(const struct admission *admission)
{
    return admission->known >= admission->max - admission->max / STRANGERS_SHARE;
}

bool admission_has_room(const struct admission *admission, size_t port, bool known)
{
    assert(port < admission->port_count && admission->port_count <= ADMISSION_PORTS_MAX);
    uint64_t strangers = sum_of_strangers(admission);
    uint32_t most = strangers_max(admission), share = port_share(admission);
    if (strangers + admission->known >= admission->max)
        return false;
    if (known)
        return !admission_known_are_many(admission);
    if (strangers >= most)
        return false;
    return admission->strangers[port] < share ||
           beyond_shares(admission, share) < most - (uint64_t)share * admission->port_count;
}

bool admission_is_pressed(const struct admission *admission, bool already)
{
    uint64_t percent = already ? PRESSURE_END_PERCENT : PRESSURE_BEGIN_PERCENT;
    uint64_t all = sum_of_strangers(admission) + admission->known;
    uint32_t most = strangers_max(admission), share = port_share(admission);
    uint64_t open = most - (uint64_t)share * admission->port_count;
    return all * 100 > admission->max * percent || beyond_shares(admission, share) * 100 > open * percent;
}

/* ---- one connection's stay ---- */

static uint64_t budget_ms(const struct admission_stay *stay)
{
    if (stay->seen.signed_in || stay->role == ROLE_LOCAL)
        return STAY_SIGNED_IN_MS;
    return stay->role == ROLE_MX ? STAY_MX_MS : STAY_SUBMISSION_MS;
}

void admission_stay_begin(struct admission_stay *stay, enum server_role role, uint64_t now_ms)
{
    *stay = (struct admission_stay){
        .role = role, .progress_ms = now_ms, .recipient_ms = now_ms, .step_ms = now_ms};
    stay->until_ms = now_ms + budget_ms(stay);
}

/* Adds time to the budget, up to its maximum. */
static void refill(struct admission_stay *stay, uint64_t gain_ms, uint64_t now_ms)
{
    uint64_t full = now_ms + budget_ms(stay);
    stay->until_ms = gain_ms < full - stay->until_ms ? stay->until_ms + gain_ms : full;
}

static void count_steps(struct admission_stay *stay, const struct server_progress *progress, uint64_t now_ms)
{
    bool octets = progress->octets - stay->step_octets >= PRESSED_STEP_OCTETS;
    if (progress->steps == stay->seen.steps && !octets)
        return;
    stay->step_ms = now_ms;
    if (octets) {
        stay->step_octets = progress->octets;
        stay->progress_ms = now_ms;
    }
}

void admission_stay_count(struct admission_stay *stay, const struct server_progress *progress,
                          uint64_t now_ms)
{
    struct server_progress before = stay->seen;
    assert(progress->octets >= before.octets && progress->recipients >= before.recipients &&
           progress->messages >= before.messages);
    count_steps(stay, progress, now_ms);
    stay->seen = *progress;
    bool arrived = progress->messages > before.messages || (progress->signed_in && !before.signed_in);
    if (arrived)
        stay->progress_ms = now_ms;
    if (progress->recipients > before.recipients)
        stay->recipient_ms = now_ms;
    uint64_t gain_ms = (progress->recipients - before.recipients) * STAY_RECIPIENT_MS +
                       (progress->octets - before.octets) * 1000 / STAY_OCTETS_A_SECOND;
    refill(stay, arrived ? budget_ms(stay) : gain_ms, now_ms);
}

void admission_stay_excuse(struct admission_stay *stay, uint64_t now_ms)
{
    refill(stay, budget_ms(stay), now_ms);
    stay->step_ms = now_ms;
}

enum admission_stay_verdict admission_stay_check(const struct admission_stay *stay, bool pressed, bool known,
                                                 uint64_t now_ms)
{
    if (now_ms >= stay->until_ms)
        return STAY_IS_OVER;
    bool slow = now_ms - stay->step_ms >= PRESSED_STEP_MS || now_ms - stay->progress_ms >= PRESSED_STAY_MS;
    return pressed && !known && slow ? STAY_IS_IN_THE_WAY : STAY_GOES_ON;
}

bool admission_stay_can_make_room(const struct admission_stay *stay, uint64_t now_ms)
{
    uint64_t since_ms = now_ms - stay->progress_ms;
    if (stay->seen.signed_in)
        return !stay->seen.in_transaction && since_ms >= SIGNED_IN_IDLE_MS;
    bool named = stay->seen.recipients > 0 && now_ms - stay->recipient_ms < WORKED_RECENTLY_MS &&
                 since_ms < PRESSED_STAY_MS;
    bool gave = (stay->seen.octets > 0 || stay->seen.messages > 0) && since_ms < WORKED_RECENTLY_MS;
    return !named && !gave;
}
