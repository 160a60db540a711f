/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_sniff: a client that was told "SSL" for a port where STARTTLS is the custom
 * says its ClientHello at once, or after a moment (PHP reads its CA
 * certificates first). Who has been greeted in clear before it arrives has
 * lost the connection; so the first octet is looked at for a while. How long,
 * each address teaches for each port: longer where a ClientHello came late,
 * short on this machine where clients wait for the greeting as they should.
 * The table is shared by all smtpd processes, of a fixed size, and forgets.
 */
#include "service/smtpd/smtpd.h"

#include "io/clock.h"

#include <stdatomic.h>

/* What is known of one address on one port, as a slot of the table holds it. */
struct habit {
    uint32_t mark;    /* 24 bits: whose it is */
    uint32_t late_ms; /* 10 bits: the latest ClientHello; 0: none came */
    uint32_t patient; /* 4 bits: sessions that waited for the greeting, up to PATIENT_SESSIONS */
    uint32_t since_h; /* 26 bits: hours since 1970 when it was learned */
};

static uint64_t habit_pack(struct habit habit)
{
    return (uint64_t)habit.mark << 40 | (uint64_t)habit.late_ms << 30 | (uint64_t)habit.patient << 26 | habit.since_h;
}

static struct habit habit_unpack(uint64_t slot)
{
    return (struct habit){.mark = (uint32_t)(slot >> 40), .late_ms = (uint32_t)(slot >> 30) & 0x3ff, .patient = (uint32_t)(slot >> 26) & 0xf,
                          .since_h = (uint32_t)slot & 0x3ffffff};
}

/* FNV-1a. Who makes two addresses meet gains a pause for one of them. */
static uint64_t mark_of(const struct door *door, struct bytes address)
{
    uint64_t hash = (14695981039346656037u ^ door->port) * 1099511628211u;
    for (size_t i = 0; i < address.length; i++)
        hash = (hash ^ (unsigned char)address.at[i]) * 1099511628211u;
    return hash;
}

static uint32_t now_h(void)
{
    return (uint32_t)(clock_epoch_ms() / (3600 * 1000)) & 0x3ffffff;
}

static _Atomic uint64_t *slot_of(const struct door *door, uint64_t mark)
{
    return &door->smtpd->child->census->habits[mark % CENSUS_HABITS];
}

/* What was learned lately, or nothing. */
static struct habit recall(const struct door *door, struct bytes address)
{
    uint64_t mark = mark_of(door, address);
    struct habit habit = habit_unpack(atomic_load_explicit(slot_of(door, mark), memory_order_relaxed));
    bool known = habit.mark == mark >> 40 && now_h() - habit.since_h < HABIT_H;
    return known ? habit : (struct habit){.mark = (uint32_t)(mark >> 40)};
}

static void remember(const struct door *door, struct bytes address, struct habit habit)
{
    habit.since_h = now_h();
    atomic_store_explicit(slot_of(door, mark_of(door, address)), habit_pack(habit), memory_order_relaxed);
}

void haste_met(const struct door *door, struct bytes address, uint64_t after_ms)
{
    struct habit habit = recall(door, address);
    uint32_t late_ms = after_ms < FIRST_WAIT_MAX_MS ? (uint32_t)after_ms + 1 : FIRST_WAIT_MAX_MS;
    if (late_ms > habit.late_ms)
        habit.late_ms = late_ms;
    remember(door, address, habit);
}

void patience_met(const struct door *door, struct bytes address)
{
    struct habit habit = recall(door, address);
    if (habit.patient >= PATIENT_SESSIONS)
        return; /* it is as short as it gets; and forgotten in time, so that it is tried again */
    habit.patient++;
    remember(door, address, habit);
}

uint32_t first_wait_ms(const struct door *door, struct bytes address, bool loopback)
{
    if (door->policy.tls == TLS_IMPLICIT)
        return FIRST_WAIT_IMPLICIT_MS;
    struct habit habit = recall(door, address);
    uint32_t wait_ms = habit.patient < PATIENT_SESSIONS ? FIRST_WAIT_MS : loopback ? FIRST_WAIT_LOOPBACK_MS : FIRST_WAIT_PATIENT_MS;
    while (wait_ms < FIRST_WAIT_MAX_MS && wait_ms < 2 * habit.late_ms)
        wait_ms *= 2; /* few lengths: see loop_common_timeout() */
    return wait_ms < FIRST_WAIT_MAX_MS ? wait_ms : FIRST_WAIT_MAX_MS;
}
