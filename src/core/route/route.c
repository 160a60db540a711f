/* SPDX-License-Identifier: Apache-2.0 */
#include "route/route.h"

#include <assert.h>

enum { SIX = 0, FOUR = 1 }; /* the order of route_host.status */

/* ---- literals ---- */

static uint8_t hex_value(char c)
{
    return (uint8_t)(ascii_is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10);
}

static void read_ipv4(struct bytes text, uint8_t *octets)
{
    for (int i = 0; i < 4; i++) {
        uint64_t value = 0;
        bytes_to_u64(bytes_split(&text, '.'), 255, &value);
        octets[i] = (uint8_t)value;
    }
}

/* Groups of a run into `octets`; how many octets they take. */
static size_t read_groups(struct bytes run, uint8_t *octets)
{
    size_t length = 0;
    while (run.length > 0) {
        struct bytes group = bytes_split(&run, ':');
        if (bytes_find(group, '.') != SIZE_MAX) {
            read_ipv4(group, octets + length);
            length += 4;
            continue;
        }
        unsigned value = 0;
        for (size_t i = 0; i < group.length; i++)
            value = value << 4 | hex_value(group.at[i]);
        octets[length++] = (uint8_t)(value >> 8);
        octets[length++] = (uint8_t)value;
    }
    return length;
}

struct route_address route_literal(struct bytes text)
{
    struct route_address address = {.six = bytes_find(text, ':') != SIZE_MAX};
    if (!address.six) {
        read_ipv4(text, address.octets);
        return address;
    }
    uint8_t tail[16];
    size_t gap = bytes_search(text, BYTES("::"));
    read_groups(bytes_first(text, gap), address.octets);
    if (gap != SIZE_MAX) {
        size_t length = read_groups(bytes_from(text, gap + 2), tail);
        memcpy(address.octets + 16 - length, tail, length);
    }
    return address;
}

void route_address_text(struct buffer *out, const struct route_address *address)
{
    const uint8_t *o = address->octets;
    if (!address->six) {
        buffer_add_format(out, "%u.%u.%u.%u", o[0], o[1], o[2], o[3]);
        return;
    }
    /* RFC 5952: the longest run of zero groups becomes "::". */
    int best = -1, best_length = 1;
    for (int i = 0; i < 8; i++) {
        int k = i;
        while (k < 8 && o[2 * k] == 0 && o[2 * k + 1] == 0)
            k++;
        if (k - i > best_length) {
            best = i;
            best_length = k - i;
        }
        i = k > i ? k - 1 : i;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            buffer_add_text(out, i == 0 ? "::" : ":");
            i += best_length - 1;
            continue;
        }
        buffer_add_format(out, "%x%s", (unsigned)o[2 * i] << 8 | o[2 * i + 1], i == 7 ? "" : ":");
    }
}

/* ---- life ---- */

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
    struct route_host *host = &route->hosts[route->host_count++];
    host->name = bracketed ? inside : route->domain;
    route->mx = DNS_NO_DATA;
    if (!bracketed && !bare)
        return;
    host->status[SIX] = host->status[FOUR] = DNS_FOUND;
    host->addresses[host->address_count++] = route_literal(host->name);
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

/* By preference; equals in an order that the random number gives. */
static void insert_host(struct route *route, const struct dns_record *record)
{
    size_t first = 0, last;
    while (first < route->host_count && route->hosts[first].preference < record->preference)
        first++;
    last = first;
    while (last < route->host_count && route->hosts[last].preference == record->preference)
        last++;
    size_t at = first + (size_t)(route->random % (last - first + 1));
    route->random = route->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    if (route->host_count == ROUTE_HOSTS_MAX && at == ROUTE_HOSTS_MAX)
        return;
    if (route->host_count < ROUTE_HOSTS_MAX)
        route->host_count++;
    memmove(&route->hosts[at + 1], &route->hosts[at], (route->host_count - 1 - at) * sizeof route->hosts[0]);
    route->hosts[at] = (struct route_host){.name = arena_copy(&route->arena, record->name), .preference = record->preference};
}

/* RFC 5321 5.1: where we are among the hosts, those not better than we are
 * left out. */
static void leave_out_self(struct route *route)
{
    for (size_t i = 0; i < route->host_count; i++) {
        if (!bytes_equal_nocase(route->hosts[i].name, route->self))
            continue;
        size_t kept = i;
        while (kept > 0 && route->hosts[kept - 1].preference == route->hosts[i].preference)
            kept--;
        route->host_count = kept;
        route->best_is_self = kept == 0;
        return;
    }
}

static void learn_mx(struct route *route, enum dns_status status, const struct dns_record *records, size_t count)
{
    route->mx = status;
    if (status == DNS_NO_DATA || (status == DNS_FOUND && count == 0)) { /* implicit MX */
        route->mx = DNS_NO_DATA;
        route->hosts[route->host_count++] = (struct route_host){.name = route->domain};
        leave_out_self(route);
        return;
    }
    if (status != DNS_FOUND)
        return;
    route->null_mx = count == 1 && records[0].name.length == 0;
    for (size_t i = 0; i < count && !route->null_mx; i++)
        if (host_is_name(records[i].name, false))
            insert_host(route, &records[i]);
    leave_out_self(route);
}

static void learn_addresses(struct route_host *host, bool six, const struct dns_record *records, size_t count)
{
    /* Half the room for each family, so that one cannot crowd the other out. */
    for (size_t i = 0, taken = 0; i < count && taken < ROUTE_ADDRESSES_MAX / 2 && host->address_count < ROUTE_ADDRESSES_MAX; i++, taken++) {
        struct route_address *address = &host->addresses[host->address_count++];
        address->six = six;
        memcpy(address->octets, records[i].address, six ? 16 : 4);
    }
}

void route_learn_facts(struct route *route, enum dns_type type, const struct dns_facts *facts)
{
    assert(facts->status != DNS_UNKNOWN);
    if (type == DNS_MX) {
        route->mx_secure = facts->secure;
        learn_mx(route, facts->status, facts->records, facts->count);
        return;
    }
    struct route_host *host = &route->hosts[route->host_now];
    size_t family = type == DNS_AAAA ? SIX : FOUR;
    host->status[family] = facts->status;
    host->secure[family] = facts->secure;
    if (facts->status == DNS_FOUND) {
        learn_addresses(host, type == DNS_AAAA, facts->records, facts->count);
        host->canonical = arena_copy(&route->arena, facts->canonical);
    }
    if (facts->status == DNS_SERVER_FAILURE || facts->status == DNS_BOGUS)
        route->any_unsure = true;
}

void route_learn(struct route *route, enum dns_type type, enum dns_status status, const struct dns_record *records, size_t count)
{
    route_learn_facts(route, type, &(struct dns_facts){.status = status, .records = records, .count = count});
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

/* Those behind it come next, then those that were silent before it. */
void route_took(struct route *route, size_t i)
{
    struct route_address turned[ROUTE_ADDRESSES_MAX];
    size_t count;
    const struct route_address *from = route_side_by_side(route, &count);
    assert(i < count);
    for (size_t k = 0; k < count; k++)
        turned[k] = from[(i + k) % count];
    memcpy(&route->hosts[route->host_now].addresses[route->address_now - 1], turned, count * sizeof turned[0]);
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

/* IPv6 first, then in turns (RFC 8305 4). AAAA was asked first, so the six
 * stand before the four. */
static void arrange(struct route_host *host)
{
    struct route_address mixed[ROUTE_ADDRESSES_MAX];
    size_t sixes = 0, count = host->address_count;
    while (sixes < count && host->addresses[sixes].six)
        sixes++;
    size_t six = 0, four = sixes;
    for (size_t i = 0; i < count; i++) {
        bool take_six = six < sixes && (i % 2 == 0 || four == count);
        mixed[i] = host->addresses[take_six ? six++ : four++];
    }
    memcpy(host->addresses, mixed, count * sizeof mixed[0]);
    host->arranged = true;
}

static struct route_answer end(bool final, const char *enhanced, const char *reason)
{
    return (struct route_answer){.kind = ROUTE_END, .final = final, .enhanced = enhanced, .reason = reason};
}

static struct route_answer end_of_mx(const struct route *route)
{
    switch (route->mx) {
    case DNS_NXDOMAIN: return end(true, "5.1.2", "the recipient's domain does not exist");
    case DNS_BOGUS: return end(false, "4.4.3", "DNS answers about the recipient's domain are forged or broken (DNSSEC)");
    case DNS_SERVER_FAILURE: return end(false, "4.4.3", "the DNS servers of the recipient's domain do not answer");
    case DNS_UNKNOWN:
    case DNS_FOUND:
    case DNS_NO_DATA: break;
    }
    if (route->null_mx)
        return end(true, "5.1.10", "the recipient's domain says that it takes no mail");
    if (route->best_is_self)
        return end(true, "5.4.6", "the recipient's domain points to this server, which does not host it");
    if (route->any_unsure)
        return end(false, "4.4.3", "the addresses of the recipient's mail server cannot be looked up just now");
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
                return (struct route_answer){.kind = ROUTE_ASK, .name = host->name, .type = family == SIX ? DNS_AAAA : DNS_A};
        if (!host->arranged)
            arrange(host);
        if (route->address_now < host->address_count) {
            route->any_tried = true;
            return (struct route_answer){.kind = ROUTE_TRY, .name = host->name, .address = host->addresses[route->address_now++]};
        }
    }
    return route->any_tried ? end(false, NULL, NULL) : end_of_mx(route);
}
