/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visitors: how many connections come from one address, IPv6 from one /64. A
 * process knows its own exactly; those of the others it reads from a table that
 * all share, where each address counts in two slots of its process' row. The
 * fuller of two slots may hold a stranger too, the emptier hardly ever does: so
 * the limit is one for all processes, and nobody gets more than it.
 */
#include "smtpd/smtpd.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>

/* IPv4 by address, IPv6 by its /64: who has one has all of it. False for this
 * machine itself, whose programs share one address. */
static bool visitor_key(const struct sockaddr_storage *from, uint64_t key[2])
{
    key[0] = key[1] = 0;
    if (from->ss_family == AF_INET) {
        const struct in_addr *four = &((const struct sockaddr_in *)(const void *)from)->sin_addr;
        memcpy(key, four, 4);
        key[1] = 4;
        return (ntohl(four->s_addr) >> 24) != 127;
    }
    if (from->ss_family != AF_INET6)
        return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    key[1] = IN6_IS_ADDR_V4MAPPED(six) ? 4 : 6;
    memcpy(key, key[1] == 4 ? &six->s6_addr[12] : six->s6_addr, key[1] == 4 ? 4 : 8);
    return !IN6_IS_ADDR_LOOPBACK(six) && !(key[1] == 4 && six->s6_addr[12] == 127);
}

bool visitor_of(struct smtpd *smtpd, const struct sockaddr_storage *from, struct visitor **visitor)
{
    uint64_t key[2];
    *visitor = NULL;
    if (!visitor_key(from, key))
        return false;
    *visitor = map_get(&smtpd->visitors, bytes_of(key, sizeof key));
    if (*visitor == NULL) {
        *visitor = memory_new(sizeof **visitor);
        memcpy((*visitor)->key, key, sizeof key);
        map_put(&smtpd->visitors, bytes_of(key, sizeof key), *visitor);
    }
    return true;
}

/* The finisher of splitmix64, keyed by what nobody outside knows. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void slots_of(const struct smtpd *smtpd, const struct visitor *visitor, size_t slots[2])
{
    uint64_t secret[2];
    memcpy(secret, smtpd->child->census->ticket_secret, sizeof secret);
    uint64_t mark = mix(mix(visitor->key[0] ^ secret[0]) + visitor->key[1] + secret[1]);
    slots[0] = mark % CENSUS_VISITORS;
    slots[1] = (mark >> 32) % CENSUS_VISITORS;
}

uint32_t visitor_connections(const struct smtpd *smtpd, const struct visitor *visitor)
{
    struct census *census = smtpd->child->census;
    uint32_t all = visitor->connections;
    size_t slots[2];
    slots_of(smtpd, visitor, slots);
    for (size_t i = 0; i < CENSUS_SLOTS; i++) {
        if (i == smtpd->child->number || atomic_load_explicit(&census->connections[i], memory_order_relaxed) == 0)
            continue;
        uint32_t one = atomic_load_explicit(&census->visitors[i][slots[0]], memory_order_relaxed);
        uint32_t other = atomic_load_explicit(&census->visitors[i][slots[1]], memory_order_relaxed);
        all += one < other ? one : other;
    }
    return all;
}

static void count(const struct smtpd *smtpd, const struct visitor *visitor, int more)
{
    _Atomic uint32_t *row = smtpd->child->census->visitors[smtpd->child->number];
    size_t slots[2];
    slots_of(smtpd, visitor, slots);
    for (size_t i = 0; i < 2; i++) /* no other process writes this row */
        row[slots[i]] += (uint32_t)more;
}

void visitor_enters(struct smtpd *smtpd, struct visitor *visitor)
{
    visitor->connections++;
    count(smtpd, visitor, 1);
}

void visitor_leaves(struct smtpd *smtpd, struct visitor *visitor)
{
    count(smtpd, visitor, -1);
    visitor->connections--;
    visitor_forget(smtpd, visitor);
}

void visitor_forget(struct smtpd *smtpd, struct visitor *visitor)
{
    if (visitor->connections > 0)
        return;
    map_remove(&smtpd->visitors, bytes_of(visitor->key, sizeof visitor->key));
    free(visitor);
}
