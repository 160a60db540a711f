/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/smtpd.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum visitor_kind {
    KIND_HERE,
    KIND_IP4,
    KIND_IP4_24,
    KIND_IP6_64,
    KIND_IP6_56,
    KIND_IP6_48,
    KIND_USER,
    KIND_HOUSE,
    KINDS
};

static const struct kind {
    uint32_t factor;         /* see visitor_factor() */
    size_t octets;           /* of the address that count */
    enum visitor_kind wider; /* itself: there is none */
} kinds[KINDS] = {
    [KIND_HERE] = {0, 0, KIND_HERE},
    [KIND_IP4] = {1, 4, KIND_IP4_24},
    [KIND_IP4_24] = {4, 3, KIND_IP4_24},
    [KIND_IP6_64] = {1, 8, KIND_IP6_56},
    [KIND_IP6_56] = {2, 7, KIND_IP6_48},
    [KIND_IP6_48] = {4, 6, KIND_IP6_48},
    [KIND_USER] = {1, 4, KIND_USER},
    [KIND_HOUSE] = {0, 4, KIND_HOUSE}, /* root and our own user */
};

static const struct kind *kind_of(const struct visitor *visitor)
{
    return &kinds[visitor->key[1]];
}

uint32_t visitor_factor(const struct visitor *visitor)
{
    return kind_of(visitor)->factor;
}

struct visitor *visitor_network(struct visitor *visitor)
{
    while (visitor->wider != NULL)
        visitor = visitor->wider;
    return visitor;
}

/* ---- counts of all processes ---- */

/* The finisher of splitmix64, keyed by what nobody outside knows. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t visitor_mark(const struct smtpd *smtpd, const struct visitor *visitor)
{
    uint64_t secret[2];
    memcpy(secret, smtpd->child->census->ticket_secret, sizeof secret);
    return mix(mix(visitor->key[0] ^ secret[0]) + visitor->key[1] + secret[1]);
}

static void slots_of(const struct smtpd *smtpd, const struct visitor *visitor, size_t slots[2])
{
    uint64_t mark = visitor_mark(smtpd, visitor);
    slots[0] = mark % CENSUS_VISITORS;
    slots[1] = (mark >> 32) % CENSUS_VISITORS;
}

static uint64_t connections_of(const struct smtpd *smtpd, const struct visitor *visitor)
{
    struct census *census = smtpd->child->census;
    uint64_t all = visitor->connections;
    size_t slots[2];
    slots_of(smtpd, visitor, slots);
    for (size_t i = 0; i < CENSUS_SLOTS; i++) {
        if (i == smtpd->child->number ||
            atomic_load_explicit(&census->connections[i], memory_order_relaxed) == 0)
            continue;
        uint32_t one = atomic_load_explicit(&census->visitors[i][slots[0]], memory_order_relaxed);
        uint32_t other = atomic_load_explicit(&census->visitors[i][slots[1]], memory_order_relaxed);
        all += one < other ? one : other;
    }
    return all;
}

bool visitor_has_too_many(const struct smtpd *smtpd, const struct visitor *visitor)
{
    uint64_t each_max = smtpd->child->config->limits.connections_per_client;
    for (; visitor != NULL; visitor = visitor->wider)
        if (visitor_factor(visitor) > 0 &&
            connections_of(smtpd, visitor) > each_max * visitor_factor(visitor))
            return true;
    return false;
}

static void count(const struct smtpd *smtpd, struct visitor *visitor, int more)
{
    _Atomic uint32_t *row = smtpd->child->census->visitors[smtpd->child->number];
    size_t slots[2];
    slots_of(smtpd, visitor, slots);
    visitor->connections += (uint32_t)more;
    for (size_t i = 0; i < 2; i++) /* no other process writes this row */
        row[slots[i]] += (uint32_t)more;
}

/* ---- who ---- */

/* Finds it, or makes it, with the networks around it, and counts one more of each. */
static struct visitor *enter(struct smtpd *smtpd, enum visitor_kind kind, const void *address)
{
    uint64_t key[2] = {0, kind};
    memcpy(&key[0], address, kinds[kind].octets);
    struct visitor *visitor = map_get(&smtpd->visitors, bytes_of(key, sizeof key));
    if (visitor == NULL) {
        visitor = memory_new(sizeof *visitor);
        memcpy(visitor->key, key, sizeof key);
        map_put(&smtpd->visitors, bytes_of(key, sizeof key), visitor);
    }
    if (kinds[kind].wider != kind)
        visitor->wider = enter(smtpd, kinds[kind].wider, address);
    count(smtpd, visitor, 1);
    return visitor;
}

struct visitor *visitor_user_enters(struct smtpd *smtpd, uint32_t uid)
{
    return enter(smtpd, uid == 0 || uid == geteuid() ? KIND_HOUSE : KIND_USER, &uid);
}

struct visitor *visitor_enters(struct smtpd *smtpd, const struct sockaddr_storage *from)
{
    const unsigned char *address = NULL;
    bool four = from->ss_family == AF_INET;
    if (four) {
        address = (const unsigned char *)&((const struct sockaddr_in *)(const void *)from)->sin_addr;
    } else if (from->ss_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        four = IN6_IS_ADDR_V4MAPPED(six);
        address = six->s6_addr + (four ? 12 : 0);
        if (IN6_IS_ADDR_LOOPBACK(six))
            return enter(smtpd, KIND_HERE, address);
    }
    if (address == NULL)
        return NULL;
    return enter(smtpd, !four ? KIND_IP6_64 : address[0] == 127 ? KIND_HERE : KIND_IP4, address);
}

void visitor_leaves(struct smtpd *smtpd, struct visitor *visitor)
{
    while (visitor != NULL) {
        struct visitor *wider = visitor->wider;
        count(smtpd, visitor, -1);
        if (visitor->connections == 0) {
            map_remove(&smtpd->visitors, bytes_of(visitor->key, sizeof visitor->key));
            free(visitor);
        }
        visitor = wider;
    }
}
