/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup/dns_lookup.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/listing.h"
#include "cli/setup/dovecot.h"
#include "core/dns/host.h"
#include "dial/host_lookup.h"
#include "io/tls.h"
#include "store/accounts.h"

/* ---- facts ---- */

static void add_address(struct domain_facts *facts, const struct route_address *address)
{
    for (size_t i = 0; i < facts->address_count; i++)
        if (memcmp(&facts->addresses[i], address, sizeof *address) == 0)
            return;
    if (facts->address_count < DOMAIN_ADDRESSES_MAX && domain_address_is_public(address))
        facts->addresses[facts->address_count++] = *address;
}

static void find_addresses(struct domain_facts *facts)
{
    struct ifaddrs *all = NULL;
    getifaddrs(&all);
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        struct route_address address = {0};
        if (one->ifa_addr == NULL || (one->ifa_flags & IFF_UP) == 0)
            continue;
        if (one->ifa_addr->sa_family == AF_INET)
            memcpy(address.octets, &((const struct sockaddr_in *)(const void *)one->ifa_addr)->sin_addr, 4);
        else if (one->ifa_addr->sa_family == AF_INET6)
            memcpy(address.octets, &((const struct sockaddr_in6 *)(const void *)one->ifa_addr)->sin6_addr,
                   16);
        else
            continue;
        address.six = one->ifa_addr->sa_family == AF_INET6;
        add_address(facts, &address);
    }
    freeifaddrs(all);
}

static void find_ports(struct dns_lookup *lookup)
{
    struct domain_facts *f = &lookup->facts;
    config_submission_ports(lookup->config, f->starttls, f->implicit);
    if (!dovecot_is_set_up(lookup->config))
        return;
    f->imap = lookup->config->mailboxes.imap;
    f->imaps = lookup->config->mailboxes.imaps;
    f->pop3 = lookup->config->mailboxes.pop3;
    f->pop3s = lookup->config->mailboxes.pop3s;
}

static bool is_hosted(const struct config *config, const char *domain)
{
    return listing_is_configured(config, domain) || account_client_is_hosted(config, bytes_of_text(domain));
}

static bool find_facts(struct dns_lookup *lookup, const char *domain, struct error *error)
{
    struct error unreadable = {0};
    if (host_parse(bytes_of_text(domain), true) != HOST_NAME ||
        !dns_ascii_name(domain, lookup->domain, sizeof lookup->domain))
        return error_set(error, EX_DATAERR, "'%.200s' is not a domain such as example.org", domain);
    if (!dns_ascii_name(lookup->config->hostname, lookup->hostname, sizeof lookup->hostname))
        return error_set(error, EX_CONFIG, "hostname: %s is not a valid DNS name", lookup->config->hostname);
    lookup->facts.domain = bytes_of_text(lookup->domain);
    lookup->facts.hostname = bytes_of_text(lookup->hostname);
    lookup->hosted = is_hosted(lookup->config, lookup->domain);
    find_addresses(&lookup->facts);
    find_ports(lookup);
    if (lookup->config->tls.certificate != NULL &&
        tls_key_digest(lookup->config->tls.certificate, lookup->key_digest, &unreadable))
        lookup->facts.key_digest = lookup->key_digest;
    return true;
}

bool dns_lookup_list(struct dns_lookup *lookup, const struct config *config, const char *domain,
                     struct error *error)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    *lookup = (struct dns_lookup){.config = config};
    if (!find_facts(lookup, domain, error))
        return false;
    lookup->count = domain_records(&lookup->facts, &lookup->arena, records);
    for (size_t i = 0; i < lookup->count; i++)
        lookup->checks[i] = (struct dns_check){.lookup = lookup, .record = records[i]};
    return true;
}

void dns_lookup_free(struct dns_lookup *lookup)
{
    arena_clear(&lookup->arena);
}

/* ---- queries ---- */

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct dns_check *check = owner;
    check->finding = domain_compare(&check->lookup->facts, &check->record, answer, &check->lookup->arena);
    if (++check->lookup->answered == check->lookup->count)
        loop_stop(&check->lookup->loop);
}

bool dns_lookup_ask(struct dns_lookup *lookup, struct error *error)
{
    const struct config *c = lookup->config;
    struct dns *dns = dns_open_validating(c->resolver.servers, c->resolver.server_count,
                                          c->resolver.trust_anchor, false, error);
    if (dns == NULL || !loop_start(&lookup->loop, error) || !dns_start(dns, &lookup->loop, error))
        return false;
    for (size_t i = 0; i < lookup->count; i++)
        dns_ask(dns, &lookup->checks[i].question, lookup->checks[i].record.name,
                lookup->checks[i].record.type, on_answer, &lookup->checks[i]);
    loop_run(&lookup->loop);
    bool dead = resolver_state_is_dead(dns_resolver(dns)) &&
                host_lookup_explain_resolver(dns_resolver(dns), dns_resolver_text(dns), lookup->domain,
                                             c->resolver.server_count > 0 ? "resolver.servers" : RESOLV_CONF,
                                             error);
    dns_close(dns);
    loop_free(&lookup->loop);
    return !dead;
}

int dns_lookup_exit_code(const struct dns_lookup *lookup)
{
    int exit_code = EX_OK;
    for (size_t i = 0; i < lookup->count; i++) {
        const struct dns_check *check = &lookup->checks[i];
        bool harmful = check->finding.verdict == RECORD_DIFFERENT && check->record.subject != SUBJECT_SRV;
        if (harmful || (check->record.needed && check->finding.verdict == RECORD_MISSING))
            return EX_UNAVAILABLE;
        if (check->finding.verdict == RECORD_UNKNOWN)
            exit_code = EX_TEMPFAIL;
    }
    return exit_code;
}
