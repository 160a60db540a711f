/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/other_resolver.h"

#include <assert.h>
#include <stdio.h>

#include "core/diagnosis/address_kind.h"
#include "core/dns/dns_name.h"
#include "core/dns/host.h"

enum { A, AAAA };

static bool is_name(const char *host)
{
    struct bytes name = dns_name_without_dot(bytes_of_text(host));
    return address_kind_of_text(name) == ADDRESS_UNKNOWN && host_is_name(name, true);
}

/* ---- questions ---- */

static void ask(struct other_resolver *other, struct dns *dns, struct other_resolver_question *question,
                size_t at, struct bytes name, enum dns_type type,
                void (*on_answer)(void *owner, const struct dns_answer *answer))
{
    question->of = other;
    question->at = at;
    other->waiting++;
    dns_ask(dns, &question->question, name, type, on_answer, question);
}

static void answered(struct other_resolver *other)
{
    assert(other->waiting > 0);
    if (--other->waiting == 0)
        timer_set(&other->turn, 0); /* outside of the resolver's callback */
}

static void cancel_all(struct other_resolver *other)
{
    for (size_t i = 0; i < OTHER_RESOLVER_ZONES_MAX; i++)
        dns_cancel(&other->zones[i].question);
    for (size_t i = 0; i < OTHER_RESOLVER_SERVERS_MAX; i++)
        dns_cancel(&other->servers[i].question);
    dns_cancel(&other->addresses[A].question);
    dns_cancel(&other->addresses[AAAA].question);
    other->waiting = 0;
}

static void finish(void *owner)
{
    struct other_resolver *other = owner;
    if (other->stage == RESOLVER_DONE)
        return;
    cancel_all(other);
    dns_cancel(&other->mx.question);
    timer_cancel(&other->limit);
    timer_cancel(&other->turn);
    other->stage = RESOLVER_DONE;
    other->on_done(other->owner);
}

/* ---- the domain's servers ---- */

static void on_zone(void *owner, const struct dns_answer *answer)
{
    struct other_resolver_question *question = owner;
    struct other_resolver *other = question->of;
    if (answer->status == DNS_FOUND && question->at < other->zone) {
        other->zone = question->at;
        other->name_count = 0;
        for (size_t i = 0; i < answer->count && other->name_count < OTHER_RESOLVER_SERVERS_MAX; i++)
            if (host_is_name(answer->records[i].name, true) &&
                answer->records[i].name.length < FACTS_HOST_MAX)
                snprintf(other->names[other->name_count++], FACTS_HOST_MAX, "%.*s",
                         BYTES_ARG(answer->records[i].name));
    }
    answered(other);
}

static void on_mx(void *owner, const struct dns_answer *answer)
{
    struct other_resolver_question *question = owner;
    bool null_mx = answer->count == 1 && answer->records[0].name.length == 0; /* RFC 7505 */
    question->of->mx_status = answer->status == DNS_FOUND && null_mx ? DNS_NO_DATA : answer->status;
}

static void ask_zones(struct other_resolver *other)
{
    struct bytes name = dns_name_without_dot(bytes_of_text(other->options.host));
    other->mx.of = other; /* no stage waits for it */
    dns_ask(other->first, &other->mx.question, name, DNS_MX, on_mx, &other->mx);
    for (size_t i = 0; i < OTHER_RESOLVER_ZONES_MAX && bytes_find(name, '.') != SIZE_MAX; i++) {
        ask(other, other->first, &other->zones[i], i, name, DNS_NS, on_zone);
        name = bytes_from(name, bytes_find(name, '.') + 1);
    }
}

static void on_server(void *owner, const struct dns_answer *answer)
{
    struct other_resolver_question *question = owner;
    struct other_resolver *other = question->of;
    for (size_t i = 0; i < answer->count && other->text_count < OTHER_RESOLVER_SERVERS_MAX; i++) {
        const uint8_t *a = answer->records[i].address;
        snprintf(other->texts[other->text_count++], sizeof other->texts[0], "%u.%u.%u.%u:%u", a[0], a[1],
                 a[2], a[3], other->options.authority_port == 0 ? 53U : other->options.authority_port);
    }
    answered(other);
}

static void ask_servers(struct other_resolver *other)
{
    for (size_t i = 0; i < other->name_count; i++)
        ask(other, other->first, &other->servers[i], i, bytes_of_text(other->names[i]), DNS_A, on_server);
}

/* ---- the host's addresses ---- */

static void on_address(void *owner, const struct dns_answer *answer)
{
    struct other_resolver_question *question = owner;
    struct other_resolver *other = question->of;
    other->status[question->at] = answer->status;
    for (size_t i = 0; i < answer->count && other->found_count < FACTS_ADDRESSES_MAX; i++) {
        struct fact_address *found = &other->found[other->found_count++];
        struct route_address address = {.six = question->at == AAAA};
        struct buffer text = {0};
        memcpy(address.octets, answer->records[i].address, address.six ? 16 : 4);
        route_address_text(&text, &address);
        *found = (struct fact_address){.six = address.six, .kind = address_kind(&address)};
        snprintf(found->text, sizeof found->text, "%s", buffer_text(&text));
        buffer_free(&text);
    }
    answered(other);
}

static bool ask_addresses(struct other_resolver *other, struct dns **dns, const char *const *servers,
                          size_t count)
{
    struct bytes host = dns_name_without_dot(bytes_of_text(other->options.host));
    *dns = count == 0 ? NULL : dns_open_without_hosts(servers, count, NULL);
    if (*dns == NULL || !dns_start(*dns, other->loop, NULL))
        return false;
    other->status[A] = other->status[AAAA] = DNS_UNKNOWN;
    other->found_count = 0;
    ask(other, *dns, &other->addresses[A], A, host, DNS_A, on_address);
    ask(other, *dns, &other->addresses[AAAA], AAAA, host, DNS_AAAA, on_address);
    return true;
}

static bool ask_authority(struct other_resolver *other)
{
    const char *servers[OTHER_RESOLVER_SERVERS_MAX];
    for (size_t i = 0; i < other->text_count; i++)
        servers[i] = other->texts[i];
    return ask_addresses(other, &other->authority, servers, other->text_count);
}

static bool ask_public(struct other_resolver *other)
{
    static const char *const usual[] = {"9.9.9.9", "1.1.1.1"};
    if (other->options.public_servers != NULL)
        return ask_addresses(other, &other->others, other->options.public_servers,
                             other->options.public_count);
    return ask_addresses(other, &other->others, usual, ARRAY_LENGTH(usual));
}

/* One kind of address is enough where it is there: many servers know nothing of the other. */
static bool is_told(const struct other_resolver *other)
{
    return other->status[A] == DNS_FOUND || other->status[AAAA] == DNS_FOUND ||
           (dns_status_is_told(other->status[A]) && dns_status_is_told(other->status[AAAA]));
}

/* ---- one stage after the other ---- */

static void next_stage(struct other_resolver *other)
{
    cancel_all(other);
    switch (other->stage) {
    case RESOLVER_ZONES:
        other->stage = RESOLVER_SERVERS;
        ask_servers(other);
        break;
    case RESOLVER_SERVERS:
        other->stage = RESOLVER_AUTHORITY;
        ask_authority(other);
        break;
    case RESOLVER_AUTHORITY:
        other->stage = RESOLVER_PUBLIC;
        if (is_told(other) || !ask_public(other))
            finish(other);
        return;
    case RESOLVER_PUBLIC: finish(other); return;
    case RESOLVER_DONE: return;
    }
    /* nothing to wait for: at once to the next one */
    timer_set(&other->turn, other->waiting == 0 ? 0 : OTHER_RESOLVER_AUTHORITY_MS / 3);
}

static void on_turn(void *owner)
{
    next_stage(owner);
}

void other_resolver_start(struct other_resolver *other, struct loop *loop, struct dns *dns,
                          const struct other_resolver_options *options, void (*on_done)(void *owner),
                          void *owner)
{
    *other = (struct other_resolver){.options = *options,
                                     .loop = loop,
                                     .first = dns,
                                     .zone = OTHER_RESOLVER_ZONES_MAX,
                                     .on_done = on_done,
                                     .owner = owner};
    timer_start(&other->limit, loop, finish, other);
    timer_start(&other->turn, loop, on_turn, other);
    timer_set(&other->limit, OTHER_RESOLVER_MS);
    timer_set(&other->turn, OTHER_RESOLVER_AUTHORITY_MS / 3);
    if (is_name(options->host))
        ask_zones(other);
    else /* an address: there is nothing to ask */
        timer_set(&other->limit, 0);
}

void other_resolver_end(struct other_resolver *other)
{
    if (other->loop == NULL)
        return;
    cancel_all(other);
    dns_cancel(&other->mx.question);
    timer_cancel(&other->limit);
    timer_cancel(&other->turn);
    if (other->authority != NULL)
        dns_close(other->authority);
    if (other->others != NULL)
        dns_close(other->others);
    *other = (struct other_resolver){0};
}

/* ---- what came of it ---- */

static enum fact_dns fact_of(const struct other_resolver *other)
{
    const enum dns_status *status = other->status;
    if (status[A] == DNS_FOUND || status[AAAA] == DNS_FOUND)
        return FACT_DNS_HAS_ADDRESS;
    if (status[A] == DNS_NXDOMAIN || status[AAAA] == DNS_NXDOMAIN)
        return FACT_DNS_NO_SUCH_NAME;
    if (status[A] == DNS_NO_DATA && status[AAAA] == DNS_NO_DATA)
        return FACT_DNS_NO_ADDRESS_RECORD;
    if (status[A] == DNS_SERVER_FAILURE || status[A] == DNS_BOGUS)
        return FACT_DNS_FAILS;
    return FACT_DNS_TIMED_OUT;
}

static bool has_common(const struct other_resolver *other, const struct diagnosis_facts *facts)
{
    for (size_t i = 0; i < facts->address_count; i++)
        for (size_t k = 0; k < other->found_count; k++)
            if (strcmp(facts->addresses[i].text, other->found[k].text) == 0)
                return true;
    return false;
}

static bool is_none(enum fact_dns dns)
{
    return dns == FACT_DNS_NO_SUCH_NAME || dns == FACT_DNS_NO_ADDRESS_RECORD;
}

static enum known agrees(const struct other_resolver *other, const struct diagnosis_facts *facts)
{
    bool ours = facts->dns == FACT_DNS_HAS_ADDRESS, theirs = facts->other_dns == FACT_DNS_HAS_ADDRESS;
    if (ours && theirs)
        return has_common(other, facts) ? KNOWN_YES : KNOWN_NO;
    if (is_none(facts->dns) && is_none(facts->other_dns))
        return facts->dns == facts->other_dns ? KNOWN_YES : KNOWN_NOT;
    return (ours && is_none(facts->other_dns)) || (theirs && is_none(facts->dns)) ? KNOWN_NO : KNOWN_NOT;
}

/* A domain's bare name has MX records. One that has an address, too, may be a server with records of its own:
 * the diagnosis weighs that only where no mail port of the address answers. */
static enum known in_mail_domain(const struct other_resolver *other, const struct diagnosis_facts *facts)
{
    if (!dns_status_is_told(other->mx_status))
        return KNOWN_NOT;
    if (other->mx_status != DNS_FOUND)
        return KNOWN_NO;
    if (is_none(facts->dns) || is_none(facts->other_dns))
        return KNOWN_YES;
    return provider_by_host(bytes_of_text(other->options.host)) == NULL ? KNOWN_YES : KNOWN_NOT;
}

void other_resolver_fill(const struct other_resolver *other, struct diagnosis_facts *facts)
{
    facts->gathered |= FACT_OTHER_RESOLVER;
    if (!is_name(other->options.host)) {
        facts->other_dns = FACT_DNS_IS_ADDRESS;
        return;
    }
    facts->other_dns = fact_of(other);
    for (size_t i = 0; i < ARRAY_LENGTH(facts->other_addresses) && i < other->found_count; i++)
        facts->other_addresses[i] = other->found[i];
    facts->other_dns_agrees = agrees(other, facts);
    facts->host_in_mail_domain = in_mail_domain(other, facts);
}
