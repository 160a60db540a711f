/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_clients: addresses from which somebody signed in within the last weeks (of
 * IPv6 their /64). A part of the connections is reserved for them. The table is
 * shared by all smtpd processes and of a fixed size; nobody gets into it
 * without a right password. Two addresses that meet in both of their slots push
 * each other out: then one is a stranger until it has signed in again.
 */
#include <stdatomic.h>

#include "io/clock.h"
#include "service/smtpd/smtpd.h"

enum {
    /* hours since it last signed in; as long as auth remembers (LOGIN_THROTTLE_TRUSTED_MS) */
    KNOWN_CLIENTS_H = 30 * 24,
    HOURS_BITS = 24,
};

static const uint64_t hours_mask = (UINT64_C(1) << HOURS_BITS) - 1;

static uint64_t now_h(void)
{
    return clock_epoch_ms() / (3600 * 1000) & hours_mask;
}

static bool is_of(uint64_t slot, uint64_t mark)
{
    return slot != 0 && (slot & ~hours_mask) == (mark & ~hours_mask);
}

static _Atomic uint64_t *slot_of(const struct smtpd *smtpd, uint64_t mark, int which)
{
    return &smtpd->metrics->known_clients[(which == 0 ? mark : mark >> 32) % METRICS_KNOWN_CLIENTS];
}

bool known_clients_has(const struct smtpd *smtpd, const struct counted_network *network)
{
    uint64_t mark = connection_limit_mark(smtpd, network);
    for (int i = 0; i < 2; i++) {
        uint64_t slot = atomic_load_explicit(slot_of(smtpd, mark, i), memory_order_relaxed);
        if (is_of(slot, mark) && ((now_h() - slot) & hours_mask) <= KNOWN_CLIENTS_H)
            return true;
    }
    return false;
}

void known_clients_add(struct smtpd *smtpd, const struct counted_network *network)
{
    uint64_t mark = connection_limit_mark(smtpd, network);
    _Atomic uint64_t *first = slot_of(smtpd, mark, 0), *second = slot_of(smtpd, mark, 1), *chosen = first;
    uint64_t one = atomic_load_explicit(first, memory_order_relaxed),
             other = atomic_load_explicit(second, memory_order_relaxed);
    bool older = ((now_h() - other) & hours_mask) > ((now_h() - one) & hours_mask);
    if (!is_of(one, mark) && one != 0 && (is_of(other, mark) || other == 0 || older))
        chosen = second;
    atomic_store_explicit(chosen, (mark & ~hours_mask) | now_h(), memory_order_relaxed);
}
