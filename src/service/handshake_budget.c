/* SPDX-License-Identifier: Apache-2.0 */
#include "service/handshake_budget.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "io/log.h"
#include "io/random.h"

enum {
    IPV4 = 4,
    IPV6_64 = 6,
    IPV6_48 = 48,                                        /* kinds of networks: the second part of a key */
    REFILL_TIMES = 1000 / HANDSHAKE_SHARE_PERMILLE,      /* µs until a µs of CPU is refilled */
    BURST_US = HANDSHAKE_BURST_MS * 1000 * REFILL_TIMES, /* until an empty bucket is full */
    /* debt beyond this is forgiven: it would delay other clients of that network */
    DEBT_MAX_US = 2 * BURST_US,
};

static bool is_limited(const struct handshake_network *network)
{
    return network->key[1] != 0;
}

void handshake_budget_start(struct handshake_budget *budget)
{
    random_fill(budget->secret, sizeof budget->secret);
}

bool handshake_network_of(const struct sockaddr_storage *from, struct handshake_network *network)
{
    *network = (struct handshake_network){0};
    if (from->ss_family == AF_INET) {
        const struct in_addr *four = &((const struct sockaddr_in *)(const void *)from)->sin_addr;
        memcpy(network->key, four, 4);
        network->key[1] = ntohl(four->s_addr) >> 24 == 127 ? 0 : IPV4;
    } else if (from->ss_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(six);
        bool local = IN6_IS_ADDR_LOOPBACK(six) || (mapped && six->s6_addr[12] == 127);
        memcpy(network->key, mapped ? &six->s6_addr[12] : six->s6_addr, mapped ? 4 : 8);
        network->key[1] = local ? 0 : mapped ? IPV4 : IPV6_64;
    }
    if (!is_limited(network))
        network->key[0] = 0;
    return is_limited(network);
}

struct bytes handshake_network_text(const struct handshake_network *network,
                                    char buffer[HANDSHAKE_NETWORK_TEXT])
{
    struct in6_addr six = {0};
    memcpy(&six, network->key, 8);
    if (!is_limited(network))
        return BYTES("local");
    if (network->key[1] == IPV4)
        inet_ntop(AF_INET, network->key, buffer, HANDSHAKE_NETWORK_TEXT);
    else if (inet_ntop(AF_INET6, &six, buffer, INET6_ADDRSTRLEN) != NULL)
        strcat(buffer, network->key[1] == IPV6_48 ? "/48" : "/64");
    return bytes_of_text(buffer);
}

/* Widens a /64 to its /48; false for all others. */
static bool widen(const struct handshake_network *network, struct handshake_network *wide)
{
    *wide = (struct handshake_network){.key = {0, IPV6_48}};
    memcpy(wide->key, network->key, 6);
    return network->key[1] == IPV6_64;
}

/* ---- slots ---- */

/* The finisher of splitmix64. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void slots_of(struct handshake_budget *budget, const struct handshake_network *network,
                     _Atomic uint64_t *slots[2])
{
    uint64_t mark = mix(mix(network->key[0] ^ budget->secret[0]) + network->key[1] + budget->secret[1]);
    slots[0] = &budget->full_us[mark % HANDSHAKE_BUDGET_SLOTS];
    slots[1] = &budget->full_us[(mark >> 32) % HANDSHAKE_BUDGET_SLOTS];
}

/* Returns µs until the network's bucket is full. */
static uint64_t debt_us(struct handshake_budget *budget, const struct handshake_network *network,
                        uint64_t now_us)
{
    _Atomic uint64_t *slots[2];
    slots_of(budget, network, slots);
    uint64_t one = atomic_load_explicit(slots[0], memory_order_relaxed);
    uint64_t other = atomic_load_explicit(slots[1], memory_order_relaxed);
    uint64_t full_us = one < other ? one : other;
    return full_us > now_us ? full_us - now_us : 0;
}

static void move(_Atomic uint64_t *slot, uint64_t now_us, int64_t by_us)
{
    uint64_t before = atomic_load_explicit(slot, memory_order_relaxed), after;
    do {
        int64_t debt = (before > now_us ? (int64_t)(before - now_us) : 0) + by_us;
        after = now_us + (uint64_t)(debt < 0 ? 0 : debt > DEBT_MAX_US ? DEBT_MAX_US : debt);
    } while (!atomic_compare_exchange_weak(slot, &before, after));
}

static void charge(struct handshake_budget *budget, const struct handshake_network *network, uint64_t now_us,
                   int64_t by_us)
{
    _Atomic uint64_t *slots[2];
    slots_of(budget, network, slots);
    move(slots[0], now_us, by_us);
    if (slots[1] != slots[0])
        move(slots[1], now_us, by_us);
}

/* ---- both buckets ---- */

uint64_t handshake_budget_wait_ms(struct handshake_budget *budget, const struct handshake_network *network,
                                  uint64_t now_us, bool begun)
{
    struct handshake_network wide;
    if (!is_limited(network))
        return 0;
    uint64_t limit = begun ? DEBT_MAX_US - 1 : BURST_US - 1;
    uint64_t debt = debt_us(budget, network, now_us);
    uint64_t of_wide = widen(network, &wide) ? debt_us(budget, &wide, now_us) : 0;
    debt = of_wide > debt ? of_wide : debt;
    return debt <= limit ? 0 : (debt - limit + 999) / 1000;
}

void handshake_budget_charge(struct handshake_budget *budget, const struct handshake_network *network,
                             uint64_t now_us, int64_t cpu_us)
{
    struct handshake_network wide;
    if (!is_limited(network))
        return;
    charge(budget, network, now_us, cpu_us * REFILL_TIMES);
    if (widen(network, &wide))
        charge(budget, &wide, now_us, cpu_us * REFILL_TIMES / HANDSHAKE_WIDE_TIMES);
}

void handshake_budget_log(const struct handshake_network *network, uint64_t times)
{
    char buffer[HANDSHAKE_NETWORK_TEXT];
    log_event(LOG_EVENT_WARN, "handshakes_delayed",
              LOG_BYTES("client", handshake_network_text(network, buffer)), LOG_U64("occurrences", times),
              LOG_TEXT("reason", "TLS handshakes of this address have used up their CPU budget"),
              LOG_TEXT("hint", "block the address at the firewall if it is not one of yours"));
}
