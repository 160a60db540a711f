/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/host_lookup.h"

#include "io/random.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sysexits.h>

enum { SIX, FOUR };

bool resolving_read_address(const char *text, struct route_address *address)
{
    *address = (struct route_address){0};
    if (inet_pton(AF_INET, text, address->octets) == 1)
        return true;
    address->six = inet_pton(AF_INET6, text, address->octets) == 1;
    return address->six;
}

bool route_address_is_loopback(const struct route_address *address)
{
    static const uint8_t six[16] = {[15] = 1};
    return address->six ? memcmp(address->octets, six, sizeof six) == 0 : address->octets[0] == 127;
}

/* In turns, the kind that has more filling up. */
static void arrange(struct resolving *resolving)
{
    size_t taken[2] = {0, 0};
    for (int turn = SIX; resolving->address_count < RESOLVING_ADDRESSES_MAX; turn = 1 - turn) {
        if (taken[SIX] == resolving->count[SIX] && taken[FOUR] == resolving->count[FOUR])
            return;
        if (taken[turn] < resolving->count[turn])
            resolving->addresses[resolving->address_count++] = resolving->found[turn][taken[turn]++];
    }
}

static void finish(struct resolving *resolving)
{
    if (resolving->done)
        return;
    resolving_cancel(resolving);
    resolving->done = true;
    arrange(resolving);
    resolving->on_resolved(resolving->owner);
}

static void out_of_time(void *owner)
{
    finish(owner);
}

static void take(struct resolving *resolving, int kind, const struct dns_answer *answer)
{
    size_t taken = answer->count < RESOLVING_ADDRESSES_MAX ? answer->count : RESOLVING_ADDRESSES_MAX;
    bool some_left = taken < answer->count;
    size_t from = some_left ? (size_t)(random_u64() % answer->count) : 0; /* another time, others */
    resolving->status[kind] = answer->status;
    for (size_t i = 0; i < taken; i++) {
        struct route_address *address = &resolving->found[kind][resolving->count[kind]++];
        *address = (struct route_address){.six = kind == SIX};
        memcpy(address->octets, answer->records[(from + i) % answer->count].address, kind == SIX ? 16 : 4);
    }
    if (!resolving->questions[1 - kind].asked)
        finish(resolving);
    else if (resolving->count[FOUR] > 0)
        timer_set(&resolving->limit, RESOLVING_DELAY_MS);
}

static void on_six(void *owner, const struct dns_answer *answer)
{
    take(owner, SIX, answer);
}

static void on_four(void *owner, const struct dns_answer *answer)
{
    take(owner, FOUR, answer);
}

void resolving_start(struct resolving *resolving, struct loop *loop, struct dns *dns, const char *host, uint32_t limit_ms,
                     void (*on_resolved)(void *owner), void *owner)
{
    *resolving = (struct resolving){.started = true, .on_resolved = on_resolved, .owner = owner};
    struct route_address *literal = &resolving->found[FOUR][0];
    timer_start(&resolving->limit, loop, out_of_time, resolving);
    if (resolving_read_address(host, literal)) {
        resolving->count[FOUR] = 1;
        timer_set(&resolving->limit, 0);
        return;
    }
    timer_set(&resolving->limit, limit_ms < RESOLVING_LIMIT_MS ? limit_ms : RESOLVING_LIMIT_MS);
    dns_ask(dns, &resolving->questions[SIX], bytes_of_text(host), DNS_AAAA, on_six, resolving);
    dns_ask(dns, &resolving->questions[FOUR], bytes_of_text(host), DNS_A, on_four, resolving);
}

void resolving_cancel(struct resolving *resolving)
{
    if (!resolving->started)
        return;
    timer_cancel(&resolving->limit);
    for (int kind = SIX; kind <= FOUR; kind++)
        dns_cancel(&resolving->questions[kind]);
}

/* No interface has an address but the loopback. */
static bool is_offline(void)
{
    struct ifaddrs *all = NULL;
    bool offline = getifaddrs(&all) == 0;
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next)
        offline = offline && !(one->ifa_addr != NULL && (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0 &&
                               (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6));
    freeifaddrs(all);
    return offline;
}

bool resolving_tell(const struct resolving *resolving, const char *host, struct error *error)
{
    const enum dns_status *status = resolving->status;
    if (is_offline())
        return error_set(error, EX_TEMPFAIL, "dns: this machine has no network: no interface but the loopback has an address; %s cannot be looked up", host);
    if (status[SIX] == DNS_NXDOMAIN || status[FOUR] == DNS_NXDOMAIN)
        return error_set(error, EX_NOHOST, "there is no host %s: DNS says so (NXDOMAIN); look at its spelling", host);
    if (status[SIX] == DNS_NO_DATA && status[FOUR] == DNS_NO_DATA)
        return error_set(error, EX_NOHOST, "%s has no address in DNS; is it the name of a domain, and its server has another?", host);
    if (status[SIX] == DNS_BOGUS || status[FOUR] == DNS_BOGUS)
        return error_set(error, EX_TEMPFAIL, "dns: the answer for %s is forged or its domain's signatures are broken (DNSSEC)", host);
    if (status[SIX] == DNS_UNKNOWN && status[FOUR] == DNS_UNKNOWN)
        return error_set(error, EX_TEMPFAIL, "dns: no answer for %s in time; is there a network, and does DNS work on this machine?", host);
    return error_set(error, EX_TEMPFAIL, "dns: the server failed to look up %s (SERVFAIL); try again, or ask who runs the domain", host);
}
