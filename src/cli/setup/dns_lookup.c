/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup/dns_lookup.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/accounts/account_client.h"
#include "cli/listing.h"
#include "cli/setup/dovecot.h"
#include "cli/setup/report_mailbox.h"
#include "core/dns/host.h"
#include "core/route/sts.h"
#include "dial/host_lookup.h"
#include "io/clock.h"
#include "io/https.h"
#include "io/tls.h"
#include "store/signing_keys.h"

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

/* True for a domain of relay.domains, which has its own server. */
static bool is_passed_on(struct dns_lookup *lookup)
{
    const char *postmaster = arena_format(&lookup->arena, "postmaster@%s", lookup->domain);
    return config_relayed(lookup->config, bytes_of_text(postmaster)) != CONFIG_NOT_RELAYED;
}

/* ---- keys ---- */

static bool add_key(void *owner, const struct stored_key *stored)
{
    struct dns_lookup *lookup = owner;
    struct domain_facts *facts = &lookup->facts;
    struct key_record record = signing_keys_record(stored);
    if (record.public_key.length == 0)
        facts->keys_unreadable = bytes_of_text(arena_format(&lookup->arena, "%s", stored->fault));
    if (stored->state.stage == KEY_REMOVED || record.public_key.length == 0)
        return true;
    record.domain = arena_copy(&lookup->arena, record.domain);
    record.selector = arena_copy(&lookup->arena, record.selector);
    record.public_key = arena_copy(&lookup->arena, record.public_key);
    facts->keys[facts->key_count++] = (struct domain_key){record, stored->state.stage};
    return facts->key_count < DOMAIN_KEYS_MAX;
}

/* Reads the public halves, which need no rights but to see the folder. */
static void find_keys(struct dns_lookup *lookup)
{
    struct signing_keys keys;
    struct error error = {0};
    bool opened = signing_keys_open(&keys, lookup->config->data_dir, geteuid(), getegid(), false, &error);
    if (!opened || !signing_keys_each(&keys, lookup->domain, add_key, lookup, &error))
        lookup->facts.keys_unreadable = bytes_of_text(arena_format(&lookup->arena, "%s", error.text));
    if (opened)
        signing_keys_close(&keys);
}

/* ---- all facts ---- */

static void find_sts(struct dns_lookup *lookup)
{
    const struct config *config = lookup->config;
    lookup->facts.sts = config_sts_settings(config);
    lookup->facts.web = config->web.tls_port == HTTPS_PORT;
}

static bool find_facts(struct dns_lookup *lookup, const char *domain, struct error *error)
{
    struct error unreadable = {0};
    const struct config *config = lookup->config;
    if (host_parse(bytes_of_text(domain), true) != HOST_NAME ||
        !dns_ascii_name(domain, lookup->domain, sizeof lookup->domain))
        return error_set(error, EX_DATAERR, "'%.200s' is not a domain such as example.org", domain);
    if (!dns_ascii_name(config->hostname, lookup->hostname, sizeof lookup->hostname))
        return error_set(error, EX_CONFIG, "hostname: %s is not a valid DNS name", config->hostname);
    lookup->facts.domain = bytes_of_text(lookup->domain);
    lookup->facts.hostname = bytes_of_text(lookup->hostname);
    lookup->hosted = is_hosted(config, lookup->domain);
    lookup->facts.passed_on = !lookup->hosted && is_passed_on(lookup);
    find_addresses(&lookup->facts);
    find_ports(lookup);
    find_keys(lookup);
    find_sts(lookup);
    if (config->relay.via == RELAY_SMARTHOST && config->relay.smarthost.host != NULL)
        lookup->facts.smarthost = bytes_of_text(config->relay.smarthost.host);
    if (config->tls.certificate != NULL &&
        tls_key_digest(config->tls.certificate, lookup->key_digest, &unreadable))
        lookup->facts.key_digest = lookup->key_digest;
    return true;
}

bool dns_lookup_start(struct dns_lookup *lookup, const struct config *config, const char *domain,
                      struct error *error)
{
    *lookup = (struct dns_lookup){.config = config};
    if (!find_facts(lookup, domain, error))
        return false;
    domain_check_start(&lookup->check, &lookup->facts, &lookup->arena);
    return true;
}

void dns_lookup_free(struct dns_lookup *lookup)
{
    arena_clear(&lookup->arena);
}

/* ---- the MTA-STS policy ---- */

static bool read_authorities(const struct config *config, struct buffer *pem)
{
    const char *name = config->relay.ca_file;
    FILE *file = fopen(name == NULL ? "/etc/ssl/certs/ca-certificates.crt" : name, "re");
    size_t got = file == NULL ? 0 : 1;
    while (got > 0 && pem->length < DNS_LOOKUP_CA_MAX) {
        got = fread(buffer_reserve(pem, 65536), 1, 65536, file);
        buffer_written(pem, got);
    }
    if (file != NULL)
        fclose(file);
    return pem->length > 0;
}

/* As other servers do (RFC 8461 3.3): no redirect, and a certificate that is valid for the name. */
static void fetch_policy(struct dns_lookup *lookup)
{
    struct domain_check *check = &lookup->check;
    struct buffer authorities = {0}, resolved = {0}, body = {0};
    struct error error = {0};
    char url[512];
    uint64_t now_ms = clock_now_ms(), left_ms = lookup->end_ms > now_ms ? lookup->end_ms - now_ms : 1;
    snprintf(url, sizeof url, "https://mta-sts.%s/.well-known/mta-sts.txt", lookup->domain);
    buffer_add_format(&resolved, "mta-sts.%s:%d:", lookup->domain, HTTPS_PORT);
    for (size_t i = 0; i < check->policy_address_count; i++) {
        buffer_add_text(&resolved, i == 0 ? "" : ",");
        route_address_text(&resolved, &check->policy_addresses[i]);
    }
    bool fetched = read_authorities(lookup->config, &authorities);
    if (!fetched)
        error_set(&error, EX_UNAVAILABLE, "this machine has no CA certificates");
    struct https_wanted wanted = {.url = url,
                                  .resolved = buffer_text(&resolved),
                                  .authorities = buffer_bytes(&authorities),
                                  .size_max = STS_POLICY_MAX,
                                  .timeout_ms = left_ms < DNS_LOOKUP_POLICY_MS ? (uint32_t)left_ms
                                                                               : DNS_LOOKUP_POLICY_MS};
    fetched = fetched && https_prepare(&error) && https_fetch_plain(&wanted, &body, &error);
    domain_check_give_policy(check, fetched, fetched ? buffer_bytes(&body) : bytes_of_text(error.text));
    buffer_free(&authorities);
    buffer_free(&resolved);
    buffer_free(&body);
}

/* ---- queries ---- */

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct dns_lookup_question *question = owner;
    question->open = false;
    domain_check_answer(&question->lookup->check, question->key, answer);
    if (--question->lookup->open == 0)
        loop_stop(&question->lookup->loop);
}

static void on_deadline(void *owner)
{
    struct dns_lookup *lookup = owner;
    lookup->is_over = true;
    for (size_t i = 0; i < lookup->count; i++)
        if (lookup->questions[i].open)
            dns_cancel(&lookup->questions[i].dns);
    lookup->open = 0;
    domain_check_give_up(&lookup->check);
    loop_stop(&lookup->loop);
}

static void ask_all(struct dns_lookup *lookup, struct dns *dns, const struct dns_fact_key *keys, size_t count)
{
    lookup->count = lookup->open = count;
    for (size_t i = 0; i < count; i++) {
        struct dns_lookup_question *question = &lookup->questions[i];
        *question = (struct dns_lookup_question){.lookup = lookup, .key = keys[i], .open = true};
        dns_ask(dns, &question->dns, keys[i].name, keys[i].type, on_answer, question);
    }
    loop_run(&lookup->loop);
}

/* Asks in rounds until nothing is lacked, the time is over, or the resolver is dead. */
static void ask_rounds(struct dns_lookup *lookup, struct dns *dns)
{
    struct dns_fact_key keys[DOMAIN_LACKED_MAX];
    struct domain_check *check = &lookup->check;
    while (!domain_check_run(check) && !resolver_state_is_dead(dns_resolver(dns))) {
        size_t count = domain_check_lacked(check, keys);
        report_mailbox_answer(lookup->config, check->mailboxes, check->mailbox_count);
        if (count > 0)
            ask_all(lookup, dns, keys, count);
        else if (check->policy_wanted)
            fetch_policy(lookup);
    }
}

static bool ask(struct dns_lookup *lookup, uint32_t limit_ms, struct error *error)
{
    const struct config *c = lookup->config;
    struct dns *dns = dns_open_validating(c->resolver.servers, c->resolver.server_count,
                                          c->resolver.trust_anchor, false, error);
    if (dns == NULL || !loop_start(&lookup->loop, error) || !dns_start(dns, &lookup->loop, error))
        return false;
    lookup->end_ms = clock_now_ms() + limit_ms;
    timer_start(&lookup->deadline, &lookup->loop, on_deadline, lookup);
    timer_set(&lookup->deadline, limit_ms);
    ask_rounds(lookup, dns);
    timer_cancel(&lookup->deadline);
    bool dead = resolver_state_is_dead(dns_resolver(dns)) &&
                host_lookup_explain_resolver(dns_resolver(dns), dns_resolver_text(dns), lookup->domain,
                                             c->resolver.server_count > 0 ? "resolver.servers" : RESOLV_CONF,
                                             error);
    dns_close(dns);
    loop_free(&lookup->loop);
    return !dead;
}

void dns_lookup_policy(struct dns_lookup *lookup)
{
    struct error error = {0};
    lookup->check.policy_alone = true;
    if (!ask(lookup, DNS_LOOKUP_POLICY_MS, &error))
        domain_check_give_up(&lookup->check);
    domain_check_run(&lookup->check);
    lookup->facts.sts_served = lookup->check.facts.sts_served;
}

bool dns_lookup_ask(struct dns_lookup *lookup, struct error *error)
{
    if (!ask(lookup, DNS_LOOKUP_MS, error))
        return false;
    bulk_ready_judge(lookup->check.rows, lookup->check.row_count, &lookup->ready);
    return true;
}

int dns_lookup_exit_code(const struct dns_lookup *lookup)
{
    int exit_code = EX_OK;
    for (size_t i = 0; i < lookup->check.row_count; i++) {
        const struct domain_row *row = &lookup->check.rows[i];
        enum domain_verdict verdict = row->finding.verdict;
        bool harmful = verdict == RECORD_DIFFERENT && row->record.subject != SUBJECT_SRV;
        if (harmful || (row->record.needed && verdict == RECORD_MISSING))
            return EX_UNAVAILABLE;
        if (verdict == RECORD_UNKNOWN)
            exit_code = EX_TEMPFAIL;
    }
    return exit_code;
}
