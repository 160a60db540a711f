/* SPDX-License-Identifier: Apache-2.0 */
/*
 * haste: a client that was told "SSL" for a port where STARTTLS is the custom
 * says its ClientHello at once. Who has been greeted in clear before that
 * arrives has lost it; so the first octet is looked at for a moment, and from
 * an address that was met so before, for longer. The table is shared by all
 * smtpd processes, of a fixed size, and forgets.
 */
#include "smtpd/smtpd.h"

#include "clock.h"

#include <stdatomic.h>

/* FNV-1a. Who makes two addresses meet gains a pause for one of them. */
static uint64_t mark_of(struct bytes address)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < address.length; i++)
        hash = (hash ^ (unsigned char)address.at[i]) * 1099511628211u;
    return hash;
}

static _Atomic uint64_t *slot_of(const struct door *door, uint64_t mark)
{
    return &door->smtpd->child->census->hasty[mark % CENSUS_HASTY_SLOTS];
}

/* The upper half of a slot is the address's mark, the lower the second. */
static uint64_t now_s(void)
{
    return clock_epoch_ms() / 1000 & UINT32_MAX;
}

void haste_learn(const struct door *door, struct bytes address)
{
    uint64_t mark = mark_of(address);
    atomic_store_explicit(slot_of(door, mark), (mark & ~(uint64_t)UINT32_MAX) | now_s(), memory_order_relaxed);
}

static bool is_hasty(const struct door *door, struct bytes address)
{
    uint64_t mark = mark_of(address), slot = atomic_load_explicit(slot_of(door, mark), memory_order_relaxed);
    return slot != 0 && slot >> 32 == mark >> 32 && now_s() - (slot & UINT32_MAX) < HASTY_S;
}

uint32_t haste_wait_ms(const struct door *door, struct bytes address, bool loopback)
{
    if (door->policy.tls == TLS_IMPLICIT)
        return FIRST_WAIT_IMPLICIT_MS;
    if (is_hasty(door, address))
        return FIRST_WAIT_HASTY_MS;
    return loopback ? FIRST_WAIT_LOOPBACK_MS : FIRST_WAIT_MS;
}
