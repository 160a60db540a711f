/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/host_lookup.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "io/random.h"

enum { SIX, FOUR };

bool host_lookup_read_address(const char *text, struct route_address *address)
{
    *address = (struct route_address){0};
    if (inet_pton(AF_INET, text, address->octets) == 1)
        return true;
    address->six = inet_pton(AF_INET6, text, address->octets) == 1;
    return address->six;
}

bool host_lookup_is_loopback(const struct route_address *address)
{
    static const uint8_t six[16] = {[15] = 1};
    return address->six ? memcmp(address->octets, six, sizeof six) == 0 : address->octets[0] == 127;
}

/* Interleaves both kinds; one that has more fills up. */
static void arrange(struct host_lookup *lookup)
{
    size_t taken[2] = {0, 0};
    for (int turn = SIX; lookup->address_count < HOST_LOOKUP_ADDRESSES_MAX; turn = 1 - turn) {
        if (taken[SIX] == lookup->count[SIX] && taken[FOUR] == lookup->count[FOUR])
            return;
        if (taken[turn] < lookup->count[turn])
            lookup->addresses[lookup->address_count++] = lookup->found[turn][taken[turn]++];
    }
}

static void finish(struct host_lookup *lookup)
{
    if (lookup->done)
        return;
    host_lookup_cancel(lookup);
    lookup->done = true;
    arrange(lookup);
    if (lookup->questions[SIX].dns != NULL && lookup->address_count == 0) {
        const struct dns *dns = lookup->questions[SIX].dns;
        lookup->resolver = dns_resolver(dns);
        snprintf(lookup->resolver_text, sizeof lookup->resolver_text, "%s", dns_resolver_text(dns));
    }
    lookup->on_resolved(lookup->owner);
}

static void out_of_time(void *owner)
{
    finish(owner);
}

static void take(struct host_lookup *lookup, int kind, const struct dns_answer *answer)
{
    size_t taken = answer->count < HOST_LOOKUP_ADDRESSES_MAX ? answer->count : HOST_LOOKUP_ADDRESSES_MAX;
    bool some_left = answer->count > HOST_LOOKUP_FIRST_MAX;
    /* a random start: other addresses each time */
    size_t from = some_left ? (size_t)(random_u64() % answer->count) : 0;
    lookup->status[kind] = answer->status;
    for (size_t i = 0; i < taken; i++) {
        struct route_address *address = &lookup->found[kind][lookup->count[kind]++];
        *address = (struct route_address){.six = kind == SIX};
        memcpy(address->octets, answer->records[(from + i) % answer->count].address, kind == SIX ? 16 : 4);
    }
    if (!lookup->questions[1 - kind].asked)
        finish(lookup);
    else if (lookup->count[FOUR] > 0)
        timer_set(&lookup->limit, HOST_LOOKUP_DELAY_MS);
}

static void on_six(void *owner, const struct dns_answer *answer)
{
    take(owner, SIX, answer);
}

static void on_four(void *owner, const struct dns_answer *answer)
{
    take(owner, FOUR, answer);
}

void host_lookup_start(struct host_lookup *lookup, struct loop *loop, struct dns *dns, const char *host,
                       uint32_t limit_ms, void (*on_resolved)(void *owner), void *owner)
{
    *lookup = (struct host_lookup){.started = true, .on_resolved = on_resolved, .owner = owner};
    struct route_address *literal = &lookup->found[FOUR][0];
    timer_start(&lookup->limit, loop, out_of_time, lookup);
    if (host_lookup_read_address(host, literal)) {
        lookup->count[FOUR] = 1;
        timer_set(&lookup->limit, 0);
        return;
    }
    timer_set(&lookup->limit, limit_ms < HOST_LOOKUP_LIMIT_MS ? limit_ms : HOST_LOOKUP_LIMIT_MS);
    dns_ask(dns, &lookup->questions[SIX], bytes_of_text(host), DNS_AAAA, on_six, lookup);
    dns_ask(dns, &lookup->questions[FOUR], bytes_of_text(host), DNS_A, on_four, lookup);
}

void host_lookup_cancel(struct host_lookup *lookup)
{
    if (!lookup->started)
        return;
    timer_cancel(&lookup->limit);
    for (int kind = SIX; kind <= FOUR; kind++)
        dns_cancel(&lookup->questions[kind]);
}

/* True if only the loopback interface has an address. */
static bool is_offline(void)
{
    struct ifaddrs *all = NULL;
    bool offline = getifaddrs(&all) == 0;
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next)
        offline = offline && !(one->ifa_addr != NULL && (one->ifa_flags & IFF_UP) != 0 &&
                               (one->ifa_flags & IFF_LOOPBACK) == 0 &&
                               (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6));
    freeifaddrs(all);
    return offline;
}

bool host_lookup_explain_resolver(enum resolver_state state, const char *asked, const char *name,
                                  const char *where, struct error *error)
{
    static const char *const words[] = {
        [RESOLVER_UNREACHABLE] = "cannot be reached, so %s cannot be resolved; check the network and %s",
        [RESOLVER_SILENT] = "does not answer, so %s cannot be resolved; check the network and %s",
        [RESOLVER_REFUSES] = "refuses to answer this machine (REFUSED), so %s cannot be resolved; name "
                             "another one in %s",
    };
    if (state == RESOLVER_NONE) {
        error_set(
            error, EX_TEMPFAIL,
            "dns: this machine has no DNS resolver (%s names none), so %s cannot be resolved; add a line "
            "\"nameserver ADDRESS\" there",
            where, name);
        return true;
    }
    if ((size_t)state >= ARRAY_LENGTH(words) || words[state] == NULL)
        return false;
    struct buffer text = {0};
    buffer_add_format(&text, words[state], name, where);
    error_set(error, EX_TEMPFAIL, "dns: the resolver %s %s", asked, buffer_text(&text));
    buffer_free(&text);
    return true;
}

/* DNS gave no answer about the name. */
static bool explain_failure(const struct host_lookup *lookup, const char *host, struct error *error)
{
    const char *asked = lookup->resolver_text;
    if (host_lookup_explain_resolver(lookup->resolver, asked, host, RESOLV_CONF, error))
        return false;
    bool late = lookup->status[SIX] == DNS_UNKNOWN && lookup->status[FOUR] == DNS_UNKNOWN;
    return error_set(
        error, EX_TEMPFAIL, "dns: the lookup of %s %s%s%s; try again, or ask the domain's operator", host,
        late ? "timed out" : "failed (SERVFAIL)", asked[0] == '\0' ? "" : " at the resolver ", asked);
}

bool host_lookup_explain(const struct host_lookup *lookup, const char *host, struct error *error)
{
    const enum dns_status *status = lookup->status;
    if (is_offline())
        return error_set(error, EX_TEMPFAIL,
                         "dns: this machine has no network (only the loopback interface has an address), so "
                         "%s cannot be resolved; connect it first",
                         host);
    if (status[SIX] == DNS_NXDOMAIN || status[FOUR] == DNS_NXDOMAIN)
        return error_set(error, EX_NOHOST,
                         "DNS says that the host %s does not exist (NXDOMAIN); check the spelling", host);
    if (status[SIX] == DNS_NO_DATA && status[FOUR] == DNS_NO_DATA)
        return error_set(error, EX_NOHOST,
                         "host %s has no address in DNS; if it is a mail domain, name its server instead",
                         host);
    if (status[SIX] == DNS_BOGUS || status[FOUR] == DNS_BOGUS)
        return error_set(
            error, EX_TEMPFAIL,
            "dns: DNSSEC validation failed for %s: the answer is forged or the domain is misconfigured",
            host);
    return explain_failure(lookup, host, error);
}
