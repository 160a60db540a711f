/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup/dns_lookup.h"

#include "store/accounts.h"
#include "cli/setup/dovecot.h"
#include "cli/listing.h"
#include "core/smtp/host.h"
#include "io/tls.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sysexits.h>

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
            memcpy(address.octets, &((const struct sockaddr_in6 *)(const void *)one->ifa_addr)->sin6_addr, 16);
        else
            continue;
        address.six = one->ifa_addr->sa_family == AF_INET6;
        add_address(facts, &address);
    }
    freeifaddrs(all);
}

static void find_ports(struct zone *zone)
{
    struct domain_facts *f = &zone->facts;
    config_submission_ports(zone->config, f->starttls, f->implicit);
    if (!dovecot_is_set_up(zone->config))
        return;
    f->imap = zone->config->mailboxes.imap;
    f->imaps = zone->config->mailboxes.imaps;
    f->pop3 = zone->config->mailboxes.pop3;
    f->pop3s = zone->config->mailboxes.pop3s;
}

static bool is_hosted(const struct config *config, const char *domain)
{
    struct error unreadable = {0};
    if (listing_is_configured(config, domain))
        return true;
    struct accounts *accounts = accounts_open(config->data_dir, false, &unreadable);
    bool found = accounts != NULL && accounts_is_hosted(accounts, bytes_of_text(domain));
    if (accounts != NULL)
        accounts_close(accounts);
    return found;
}

static bool find_facts(struct zone *zone, const char *domain, struct error *error)
{
    struct error unreadable = {0};
    if (host_parse(bytes_of_text(domain), true) != HOST_NAME || !dns_ascii_name(domain, zone->domain, sizeof zone->domain))
        return error_set(error, EX_DATAERR, "'%.200s' is not a domain, like example.org", domain);
    if (!dns_ascii_name(zone->config->hostname, zone->hostname, sizeof zone->hostname))
        return error_set(error, EX_CONFIG, "hostname: %s is not a name for DNS", zone->config->hostname);
    zone->facts.domain = bytes_of_text(zone->domain);
    zone->facts.hostname = bytes_of_text(zone->hostname);
    zone->hosted = is_hosted(zone->config, zone->domain);
    find_addresses(&zone->facts);
    find_ports(zone);
    if (zone->config->tls.certificate != NULL && tls_key_digest(zone->config->tls.certificate, zone->key_digest, &unreadable))
        zone->facts.key_digest = zone->key_digest;
    return true;
}

bool zone_list(struct zone *zone, const struct config *config, const char *domain, struct error *error)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    *zone = (struct zone){.config = config};
    if (!find_facts(zone, domain, error))
        return false;
    zone->count = domain_records(&zone->facts, &zone->arena, records);
    for (size_t i = 0; i < zone->count; i++)
        zone->checks[i] = (struct zone_check){.zone = zone, .record = records[i]};
    return true;
}

void zone_free(struct zone *zone)
{
    arena_clear(&zone->arena);
}

/* ---- asking ---- */

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct zone_check *check = owner;
    struct dns_facts said = dns_facts(answer);
    check->finding = domain_compare(&check->zone->facts, &check->record, &said, &check->zone->arena);
    if (++check->zone->answered == check->zone->count)
        loop_stop(&check->zone->loop);
}

bool zone_ask(struct zone *zone, struct error *error)
{
    const struct config *c = zone->config;
    struct dns *dns = dns_open_validating(c->resolver.servers, c->resolver.server_count, c->resolver.trust_anchor, false, error);
    if (dns == NULL || !loop_start(&zone->loop, error) || !dns_start(dns, &zone->loop, error))
        return false;
    for (size_t i = 0; i < zone->count; i++)
        dns_ask(dns, &zone->checks[i].question, zone->checks[i].record.name, zone->checks[i].record.type, on_answer, &zone->checks[i]);
    loop_run(&zone->loop);
    dns_close(dns);
    loop_free(&zone->loop);
    return true;
}

int zone_exit_code(const struct zone *zone)
{
    int exit_code = EX_OK;
    for (size_t i = 0; i < zone->count; i++) {
        const struct zone_check *check = &zone->checks[i];
        bool harmful = check->finding.verdict == RECORD_DIFFERENT && check->record.subject != SUBJECT_SRV;
        if (harmful || (check->record.needed && check->finding.verdict == RECORD_MISSING))
            return EX_UNAVAILABLE;
        if (check->finding.verdict == RECORD_UNKNOWN)
            exit_code = EX_TEMPFAIL;
    }
    return exit_code;
}
