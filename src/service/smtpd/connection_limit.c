/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/smtpd/smtpd.h"

enum network_kind {
    KIND_HERE,
    KIND_IP4,
    KIND_IP4_24,
    KIND_IP6_64,
    KIND_IP6_56,
    KIND_IP6_48,
    KIND_USER,
    KIND_OWN,
    KINDS
};

static const struct network_kind_row {
    uint32_t factor;         /* see connection_limit_factor() */
    size_t octets;           /* significant octets of the address */
    enum network_kind wider; /* itself: none */
} kinds[KINDS] = {
    [KIND_HERE] = {0, 0, KIND_HERE},     [KIND_IP4] = {1, 4, KIND_IP4_24},
    [KIND_IP4_24] = {4, 3, KIND_IP4_24}, [KIND_IP6_64] = {1, 8, KIND_IP6_56},
    [KIND_IP6_56] = {2, 7, KIND_IP6_48}, [KIND_IP6_48] = {4, 6, KIND_IP6_48},
    [KIND_USER] = {1, 4, KIND_USER},     [KIND_OWN] = {0, 4, KIND_OWN}, /* root and the server's own user */
};

static const struct network_kind_row *kind_of(const struct counted_network *network)
{
    return &kinds[network->key[1]];
}

uint32_t connection_limit_factor(const struct counted_network *network)
{
    return kind_of(network)->factor;
}

struct counted_network *connection_limit_network(struct counted_network *network)
{
    while (network->wider != NULL)
        network = network->wider;
    return network;
}

/* ---- shared counters ---- */

/* The finisher of splitmix64, with a secret key. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t connection_limit_mark(const struct smtpd *smtpd, const struct counted_network *network)
{
    uint64_t secret[2];
    memcpy(secret, smtpd->metrics->ticket_secret, sizeof secret);
    return mix(mix(network->key[0] ^ secret[0]) + network->key[1] + secret[1]);
}

static void slots_of(const struct smtpd *smtpd, const struct counted_network *network, size_t slots[2])
{
    uint64_t mark = connection_limit_mark(smtpd, network);
    slots[0] = mark % METRICS_CLIENTS;
    slots[1] = (mark >> 32) % METRICS_CLIENTS;
}

/* Each process counts its client before it looks at the rows of the others, in one order for all of them:
 * of two that admit at the same moment at least one sees both. */
static uint64_t connections_of(const struct smtpd *smtpd, const struct counted_network *network)
{
    struct shared_metrics *metrics = smtpd->metrics;
    uint64_t all = network->connections;
    size_t slots[2];
    slots_of(smtpd, network, slots);
    for (size_t i = 0; i < METRICS_SLOTS; i++) {
        if (i == smtpd->child->number || metrics->counted[i] == 0)
            continue;
        uint32_t one = metrics->clients[i][slots[0]], other = metrics->clients[i][slots[1]];
        all += one < other ? one : other;
    }
    return all;
}

bool connection_limit_is_exceeded(const struct smtpd *smtpd, const struct counted_network *network)
{
    uint64_t each_max = smtpd->child->config->limits.connections_per_client;
    for (; network != NULL; network = network->wider)
        if (connection_limit_factor(network) > 0 &&
            connections_of(smtpd, network) > each_max * connection_limit_factor(network))
            return true;
    return false;
}

static void count(const struct smtpd *smtpd, struct counted_network *network, int more)
{
    _Atomic uint32_t *row = smtpd->metrics->clients[smtpd->child->number],
                     *counted = &smtpd->metrics->counted[smtpd->child->number];
    size_t slots[2];
    slots_of(smtpd, network, slots);
    network->connections += (uint32_t)more;
    if (more > 0)
        *counted += 1;
    for (size_t i = 0; i < 2; i++) /* no other process writes this row */
        row[slots[i]] += (uint32_t)more;
    if (more < 0)
        *counted -= 1;
}

/* ---- networks of a client ---- */

/* Finds or creates it, with the networks around it, and increments their counts. */
static struct counted_network *enter(struct smtpd *smtpd, enum network_kind kind, const void *address)
{
    uint64_t key[2] = {0, kind};
    memcpy(&key[0], address, kinds[kind].octets);
    struct counted_network *network = map_get(&smtpd->clients, bytes_of(key, sizeof key));
    if (network == NULL) {
        network = memory_new(sizeof *network);
        memcpy(network->key, key, sizeof key);
        map_put(&smtpd->clients, bytes_of(key, sizeof key), network);
    }
    if (kinds[kind].wider != kind)
        network->wider = enter(smtpd, kinds[kind].wider, address);
    count(smtpd, network, 1);
    return network;
}

struct counted_network *connection_limit_enter_user(struct smtpd *smtpd, uint32_t uid)
{
    return enter(smtpd, uid == 0 || uid == geteuid() ? KIND_OWN : KIND_USER, &uid);
}

struct counted_network *connection_limit_enter(struct smtpd *smtpd, const struct sockaddr_storage *from)
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

void connection_limit_leave(struct smtpd *smtpd, struct counted_network *network)
{
    while (network != NULL) {
        struct counted_network *wider = network->wider;
        count(smtpd, network, -1);
        if (network->connections == 0) {
            map_remove(&smtpd->clients, bytes_of(network->key, sizeof network->key));
            free(network);
        }
        network = wider;
    }
}
