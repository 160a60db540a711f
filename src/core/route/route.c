/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/route.h"

#include <assert.h>

#include "core/dns/dns_name.h"

enum { SIX = 0, FOUR = 1 }; /* the order of route_host.status */

/* ---- life ---- */

/* Sets the address of a host whose name is one. */
static void know_literal(struct route *route, struct route_host *host)
{
    host->status[SIX] = host->status[FOUR] = DNS_FOUND;
    host->addresses = ARENA_NEW(&route->arena, struct route_address);
    host->addresses[0] = route_literal(host->name);
    host->address_count = 1;
}

void route_start(struct route *route, struct bytes domain, struct bytes self, bool no_mx, uint64_t random)
{
    struct bytes inside;
    *route = (struct route){.no_mx = no_mx, .random = random};
    route->domain = arena_copy(&route->arena, domain);
    route->self = arena_copy(&route->arena, self);
    bool bracketed = address_literal_parse(route->domain, &inside);
    bool bare = host_is_ipv4(route->domain) || host_is_ipv6(route->domain);
    if (!bracketed && !bare && !no_mx)
        return;
    route->mx = DNS_NO_DATA;
    route->hosts = ARENA_NEW(&route->arena, struct route_host);
    route->hosts[route->host_count++].name = bracketed ? inside : route->domain;
    if (bracketed || bare)
        know_literal(route, route->hosts);
}

void route_know_own(struct route *route, const struct own_addresses *own)
{
    route->own = own;
}

void route_free(struct route *route)
{
    arena_clear(&route->arena);
}

void route_rewind(struct route *route)
{
    route->host_now = route->address_now = 0;
}

/* ---- learning ---- */

/* Returns the next random number (SplitMix64: similar seeds give unrelated numbers). */
static uint64_t next_random(struct route *route)
{
    uint64_t mixed = route->random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static size_t any_below(struct route *route, size_t end)
{
    return (size_t)(next_random(route) % end);
}

static bool stands_before(const struct route_host *a, const struct route_host *b)
{
    return a->preference != b->preference ? a->preference < b->preference : a->order < b->order;
}

static void remove_host(struct route *route, size_t at)
{
    route->host_count--;
    memmove(&route->hosts[at], &route->hosts[at + 1], (route->host_count - at) * sizeof route->hosts[0]);
}

/* False if the host is already listed, before this one. */
static bool replace_same(struct route *route, const struct route_host *host)
{
    for (size_t i = 0; i < route->host_count; i++) {
        if (!dns_name_equal(route->hosts[i].name, host->name))
            continue;
        if (stands_before(&route->hosts[i], host))
            return false;
        remove_host(route, i);
        return true;
    }
    return true;
}

/* Inserts by preference, equal ones in random order; drops the last beyond ROUTE_HOSTS_MAX. */
static void insert_host(struct route *route, const struct route_host *host)
{
    if (!replace_same(route, host))
        return;
    size_t at = route->host_count;
    while (at > 0 && stands_before(host, &route->hosts[at - 1]))
        at--;
    if (at == ROUTE_HOSTS_MAX) {
        route->any_left_out = true;
        return;
    }
    if (route->host_count < ROUTE_HOSTS_MAX)
        route->host_count++;
    else
        route->any_left_out = true;
    memmove(&route->hosts[at + 1], &route->hosts[at], (route->host_count - 1 - at) * sizeof route->hosts[0]);
    route->hosts[at] = *host;
}

/* Returns the best preference of this server's own name; UINT32_MAX or above if absent. */
static uint32_t preference_of_self(const struct route *route, const struct dns_record *records, size_t count)
{
    uint32_t best = UINT16_MAX + 1;
    for (size_t i = 0; i < count; i++)
        if (records[i].preference < best && dns_name_equal(records[i].name, route->self))
            best = records[i].preference;
    return best;
}

/* Copies the names of the hosts that were kept. */
static void name_hosts(struct route *route)
{
    for (size_t i = 0; i < route->host_count; i++) {
        struct route_host *host = &route->hosts[i];
        host->name = arena_copy(&route->arena, host->name);
        bool is_address = host_is_ipv4(host->name) || host_is_ipv6(host->name);
        if (is_address) /* invalid (RFC 5321 5.1), but accepted by all servers */
            know_literal(route, host);
    }
}

/* RFC 5321 5.1: if this server's name is among them, skips hosts that are not preferred to it. */
static void learn_hosts(struct route *route, const struct dns_record *records, size_t count,
                        bool utf8_allowed)
{
    uint32_t self = preference_of_self(route, records, count);
    size_t capacity = count < ROUTE_HOSTS_MAX ? count : ROUTE_HOSTS_MAX;
    route->hosts = ARENA_ARRAY(&route->arena, struct route_host, capacity);
    for (size_t i = 0; i < count; i++) {
        const struct dns_record *record = &records[i];
        enum host_kind kind = host_parse(record->name, utf8_allowed);
        struct route_host host = {
            .name = record->name, .preference = record->preference, .order = next_random(route)};
        if (kind != HOST_INVALID && kind != HOST_IMPOSSIBLE_ADDRESS && host.preference < self)
            insert_host(route, &host);
    }
    name_hosts(route);
    route->best_is_self = self <= UINT16_MAX && route->host_count == 0;
}

static void learn_mx(struct route *route, enum dns_status status, const struct dns_record *records,
                     size_t count)
{
    const struct dns_record implicit = {.name = route->domain};
    bool none = status == DNS_NO_DATA || (status == DNS_FOUND && count == 0);
    route->mx = none ? DNS_NO_DATA : status;
    route->null_mx = status == DNS_FOUND && count == 1 && records[0].name.length == 0;
    if (none)
        learn_hosts(route, &implicit, 1, true);
    else if (status == DNS_FOUND && !route->null_mx)
        learn_hosts(route, records, count, false);
}

/* Beyond the limit, keeps a run with a random start: another attempt tries others. */
static void learn_addresses(struct route *route, struct route_host *host, bool six,
                            const struct dns_record *records, size_t count)
{
    size_t taken = count < ROUTE_ADDRESSES_MAX ? count : ROUTE_ADDRESSES_MAX;
    size_t from = taken < count ? any_below(route, count) : 0;
    struct route_address *all = ARENA_ARRAY(&route->arena, struct route_address, host->address_count + taken);
    if (host->address_count > 0)
        memcpy(all, host->addresses, host->address_count * sizeof all[0]);
    for (size_t i = 0; i < taken; i++) {
        struct route_address *address = &all[host->address_count++];
        address->six = six;
        memcpy(address->octets, records[(from + i) % count].address, six ? 16 : 4);
    }
    host->addresses = all;
}

void route_learn_answer(struct route *route, enum dns_type type, const struct dns_answer *answer)
{
    assert(answer->status != DNS_UNKNOWN);
    route->unanswered = route->unanswered || (answer->status == DNS_SERVER_FAILURE && answer->unanswered);
    if (type == DNS_MX) {
        route->mx_secure = answer->secure;
        learn_mx(route, answer->status, answer->records, answer->count);
        return;
    }
    struct route_host *host = &route->hosts[route->host_now];
    size_t family = type == DNS_AAAA ? SIX : FOUR;
    host->status[family] = answer->status;
    host->secure[family] = answer->secure;
    if (answer->status == DNS_FOUND) {
        learn_addresses(route, host, type == DNS_AAAA, answer->records, answer->count);
        host->canonical = arena_copy(&route->arena, answer->canonical);
    }
    if (answer->status == DNS_SERVER_FAILURE || answer->status == DNS_BOGUS)
        route->any_unsure = true;
}

void route_learn(struct route *route, enum dns_type type, enum dns_status status,
                 const struct dns_record *records, size_t count)
{
    route_learn_answer(route, type,
                       &(struct dns_answer){.status = status, .records = records, .count = count});
}

const struct route_host *route_host_now(const struct route *route)
{
    assert(route->host_now < route->host_count);
    return &route->hosts[route->host_now];
}

const struct route_address *route_side_by_side(const struct route *route, size_t *count)
{
    const struct route_host *host = route_host_now(route);
    assert(route->address_now > 0);
    *count = host->address_count - (route->address_now - 1);
    return &host->addresses[route->address_now - 1];
}

/* The addresses after it come next, then the silent ones before it. */
void route_took(struct route *route, size_t i)
{
    struct route_address turned[ROUTE_ADDRESSES_MAX];
    size_t count;
    const struct route_address *from = route_side_by_side(route, &count);
    assert(i < count);
    for (size_t k = 0; k < count; k++)
        turned[k] = from[(i + k) % count];
    memcpy(&route->hosts[route->host_now].addresses[route->address_now - 1], turned,
           count * sizeof turned[0]);
}

void route_tried(struct route *route, size_t count)
{
    route->address_now += count - 1;
    assert(count > 0 && route->address_now <= route_host_now(route)->address_count);
}

void route_leave_host(struct route *route)
{
    assert(route->host_now < route->host_count);
    route->host_now++;
    route->address_now = 0;
}

/* ---- the next step ---- */

/* Skips addresses of this machine, or of no server; those of a configured next hop are the operator's
 * responsibility. */
static void pass_over(struct route *route, struct route_host *host)
{
    size_t kept = 0;
    for (size_t i = 0; i < host->address_count; i++) {
        enum route_reach reach = route->no_mx ? REACH_SERVER : route_reach(&host->addresses[i], route->own);
        route->any_self = route->any_self || reach == REACH_SELF;
        route->any_nobody = route->any_nobody || reach == REACH_NOBODY;
        if (reach == REACH_SERVER)
            host->addresses[kept++] = host->addresses[i];
    }
    host->address_count = kept;
}

/* Returns how many of a host's addresses are tried. */
static size_t share_of(const struct route *route, const struct route_host *host)
{
    size_t capacity = route->given < ROUTE_ADDRESSES_MAX ? ROUTE_ADDRESSES_MAX - route->given : 0;
    if (capacity < ROUTE_ADDRESSES_EACH)
        capacity = ROUTE_ADDRESSES_EACH;
    return host->address_count < capacity ? host->address_count : capacity;
}

/* Addresses of one family, stored contiguously, to be interleaved with the other. */
struct family {
    const struct route_address *addresses;
    size_t count, share; /* share: number of them tried */
    size_t from, given;  /* from: index of the first, random if not all are tried */
};

static struct family family_of(struct route *route, const struct route_address *addresses, size_t count,
                               size_t share)
{
    size_t from = share < count ? any_below(route, count) : 0;
    return (struct family){.addresses = addresses, .count = count, .share = share, .from = from};
}

static struct route_address next_of(struct family *family)
{
    return family->addresses[(family->from + family->given++) % family->count];
}

/* Interleaves, IPv6 first (RFC 8305 4), within the host's share. AAAA was looked up first, so IPv6
 * addresses precede IPv4 ones. */
static void arrange(struct route *route, struct route_host *host)
{
    pass_over(route, host);
    host->arranged = true;
    if (host->address_count == 0)
        return;
    size_t sixes = 0, count = share_of(route, host);
    while (sixes < host->address_count && host->addresses[sixes].six)
        sixes++;
    size_t fours = host->address_count - sixes, half = (count + 1) / 2, six_share = half;
    if (sixes < half)
        six_share = sixes;
    else if (fours < count - half)
        six_share = count - fours;
    struct family six = family_of(route, host->addresses, sixes, six_share);
    struct family four = family_of(route, host->addresses + sixes, fours, count - six_share);
    struct route_address *mixed = ARENA_ARRAY(&route->arena, struct route_address, count);
    for (size_t i = 0; i < count; i++) {
        bool take_six = six.given < six.share && (i % 2 == 0 || four.given == four.share);
        mixed[i] = next_of(take_six ? &six : &four);
    }
    host->addresses = mixed;
    host->address_count = count;
    route->given += count;
}

static struct route_answer end(bool final, const char *enhanced, const char *reason)
{
    return (struct route_answer){.kind = ROUTE_END, .final = final, .enhanced = enhanced, .reason = reason};
}

/* Not the recipient's fault. */
static const char unanswered[] =
    "DNS does not work on this server at the moment: its resolver does not answer";

static struct route_answer end_of_mx(const struct route *route)
{
    switch (route->mx) {
    case DNS_NXDOMAIN: return end(true, "5.1.2", "the recipient's domain does not exist");
    case DNS_BOGUS: return end(false, "4.4.3", "DNSSEC validation failed for the recipient's domain");
    case DNS_SERVER_FAILURE:
        return end(false, "4.4.3",
                   route->unanswered ? unanswered
                                     : "the DNS servers of the recipient's domain do not answer");
    case DNS_UNKNOWN:
    case DNS_FOUND:
    case DNS_NO_DATA: break;
    }
    if (route->null_mx)
        return end(true, "5.1.10", "the recipient's domain does not accept mail (null MX)");
    if (route->best_is_self)
        return end(true, "5.4.6",
                   "mail loops back to this server: the recipient's domain has an MX that points to this "
                   "server, which does not host it");
    if (route->any_unsure)
        return end(false, "4.4.3",
                   route->unanswered ? unanswered : "temporary DNS failure for the recipient's mail server");
    if (route->any_left_out)
        return end(false, "4.4.4",
                   "none of the recipient's mail servers that were looked up can be reached; the next "
                   "attempt looks up others");
    if (route->any_self)
        return end(true, "5.4.6",
                   "mail loops back to this server: the recipient's mail server has an address of this "
                   "machine, which does not host the domain");
    if (route->any_nobody)
        return end(true, "5.4.4",
                   "the recipient's mail server has an address that is not valid for a server (link-local, "
                   "multicast or reserved)");
    return end(true, "5.4.4", "the recipient's domain has no mail server");
}

struct route_answer route_next(struct route *route)
{
    if (route->mx == DNS_UNKNOWN)
        return (struct route_answer){.kind = ROUTE_ASK, .name = route->domain, .type = DNS_MX};
    for (; route->host_now < route->host_count; route->host_now++, route->address_now = 0) {
        struct route_host *host = &route->hosts[route->host_now];
        for (int family = SIX; family <= FOUR; family++)
            if (host->status[family] == DNS_UNKNOWN)
                return (struct route_answer){
                    .kind = ROUTE_ASK, .name = host->name, .type = family == SIX ? DNS_AAAA : DNS_A};
        if (!host->arranged)
            arrange(route, host);
        if (route->address_now < host->address_count) {
            route->any_tried = true;
            return (struct route_answer){
                .kind = ROUTE_TRY, .name = host->name, .address = host->addresses[route->address_now++]};
        }
    }
    return route->any_tried ? end(false, NULL, NULL) : end_of_mx(route);
}
