/* SPDX-License-Identifier: Apache-2.0 */
/* dns: the DNS records that a domain needs whose mail is here, and whether it has them. */
#include "data_dir.h"
#include "dns.h"
#include "domain/records.h"
#include "dovecot.h"
#include "listing.h"
#include "options.h"
#include "tls.h"

#include <ifaddrs.h>
#include <jansson.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sysexits.h>

extern const struct command dns_command;

/* A record, what is asked about it, and what came of it. */
struct checking {
    struct zone *zone;
    struct domain_record record;
    struct dns_question question;
    struct domain_finding finding;
};

struct zone {
    struct config config;
    struct domain_facts facts;
    struct arena arena;
    char domain[256], hostname[256];
    uint8_t key_digest[TLS_KEY_DIGEST];
    struct checking checks[DOMAIN_RECORDS_MAX];
    size_t count, answered;
    bool hosted;
    struct loop loop;
    struct dns *dns;
};

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

/* Ports of submission, those that everybody knows first. */
static void find_ports(struct zone *zone)
{
    static const uint16_t usual[] = {587, 2525};
    struct domain_facts *f = &zone->facts;
    size_t starttls = 0, implicit = 0;
    for (size_t pass = 0; pass <= ARRAY_LENGTH(usual); pass++)
        for (size_t i = 0; i < zone->config.listener_count; i++) {
            const struct config_listener *l = &zone->config.listeners[i];
            bool is_usual = l->port == usual[0] || l->port == usual[1];
            bool now = pass < ARRAY_LENGTH(usual) ? l->port == usual[pass] : !is_usual;
            if (l->role != ROLE_SUBMISSION || !now)
                continue;
            if (l->tls == TLS_IMPLICIT && implicit < ARRAY_LENGTH(f->implicit))
                f->implicit[implicit++] = l->port;
            else if (l->tls == TLS_STARTTLS && starttls < ARRAY_LENGTH(f->starttls))
                f->starttls[starttls++] = l->port;
        }
    if (!dovecot_is_set_up(&zone->config))
        return;
    f->imap = zone->config.mailboxes.imap;
    f->imaps = zone->config.mailboxes.imaps;
    f->pop3 = zone->config.mailboxes.pop3;
    f->pop3s = zone->config.mailboxes.pop3s;
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
    if (!dns_ascii_name(zone->config.hostname, zone->hostname, sizeof zone->hostname))
        return error_set(error, EX_CONFIG, "hostname: %s is not a name for DNS", zone->config.hostname);
    zone->facts.domain = bytes_of_text(zone->domain);
    zone->facts.hostname = bytes_of_text(zone->hostname);
    zone->hosted = is_hosted(&zone->config, zone->domain);
    find_addresses(&zone->facts);
    find_ports(zone);
    if (zone->config.tls.certificate != NULL && tls_key_digest(zone->config.tls.certificate, zone->key_digest, &unreadable))
        zone->facts.key_digest = zone->key_digest;
    return true;
}

static void list(struct zone *zone)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    zone->count = domain_records(&zone->facts, &zone->arena, records);
    for (size_t i = 0; i < zone->count; i++)
        zone->checks[i] = (struct checking){.zone = zone, .record = records[i]};
}

/* ---- asking ---- */

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct checking *check = owner;
    struct dns_facts said = dns_facts(answer);
    check->finding = domain_compare(&check->zone->facts, &check->record, &said, &check->zone->arena);
    if (++check->zone->answered == check->zone->count)
        loop_stop(&check->zone->loop);
}

static bool check_all(struct zone *zone, struct error *error)
{
    const struct config *c = &zone->config;
    zone->dns = dns_open_validating(c->resolver.servers, c->resolver.server_count, c->resolver.trust_anchor, false, error);
    if (zone->dns == NULL || !loop_start(&zone->loop, error) || !dns_start(zone->dns, &zone->loop, error))
        return false;
    for (size_t i = 0; i < zone->count; i++)
        dns_ask(zone->dns, &zone->checks[i].question, zone->checks[i].record.name, zone->checks[i].record.type, on_answer, &zone->checks[i]);
    loop_run(&zone->loop);
    dns_close(zone->dns);
    loop_free(&zone->loop);
    return true;
}

/* 69 where something needed is not right, 75 where nobody can tell. */
static int verdict_of(const struct zone *zone)
{
    int exit_code = EX_OK;
    for (size_t i = 0; i < zone->count; i++) {
        const struct checking *check = &zone->checks[i];
        bool harmful = check->finding.verdict == RECORD_DIFFERENT && check->record.subject != SUBJECT_SRV;
        if (harmful || (check->record.needed && check->finding.verdict == RECORD_MISSING))
            return EX_UNAVAILABLE;
        if (check->finding.verdict == RECORD_UNKNOWN)
            exit_code = EX_TEMPFAIL;
    }
    return exit_code;
}

/* ---- telling ---- */

static void print_record(const struct domain_record *record)
{
    printf("%.*s. IN %s %.*s\n", BYTES_ARG(record->name), domain_type_name(record->type), BYTES_ARG(record->value));
}

static void print_zone(const struct zone *zone)
{
    enum domain_subject before = DOMAIN_SUBJECTS;
    if (zone->facts.address_count == 0)
        printf("; %s: this machine has no public address of its own; give the name the one that others see (A, AAAA), and ask for its PTR\n", zone->hostname);
    for (size_t i = 0; i < zone->count; i++) {
        const struct domain_record *record = &zone->checks[i].record;
        if (record->subject != before && record->subject != SUBJECT_PTR)
            printf("%s; %s: %s%s\n", i == 0 ? "" : "\n", domain_subject_name(record->subject), domain_subject_use(record->subject), record->needed ? "" : " (better to have)");
        if (record->subject == SUBJECT_PTR)
            printf("; PTR: %s\n; ", domain_subject_use(SUBJECT_PTR));
        print_record(record);
        before = record->subject == SUBJECT_PTR ? before : record->subject;
        if (record->subject == SUBJECT_MTA_STS) {
            struct bytes policy = domain_sts_policy(&zone->facts, (struct arena *)(uintptr_t)&zone->arena);
            while (policy.length > 0) {
                struct bytes line = bytes_split(&policy, '\n');
                printf(";   %.*s\n", BYTES_ARG(line));
            }
        }
    }
}

static void print_findings(const struct zone *zone)
{
    for (size_t i = 0; i < zone->count; i++) {
        const struct checking *check = &zone->checks[i];
        const struct domain_finding *f = &check->finding;
        bool optional = !check->record.needed && f->verdict == RECORD_MISSING;
        printf("%-10s %-8s ", optional ? "(missing)" : domain_verdict_name(f->verdict), domain_subject_name(check->record.subject));
        if (f->verdict == RECORD_RIGHT)
            printf("%.*s\n", BYTES_ARG(check->record.name));
        else
            print_record(&check->record);
        if (f->found.length > 0)
            printf("           there is: %.*s\n", BYTES_ARG(f->found));
        if (f->mend.length > 0)
            printf("           %.*s\n", BYTES_ARG(f->mend));
    }
    int exit_code = verdict_of(zone);
    printf("-> %s\n", exit_code == EX_OK          ? "all that is needed is there; (missing) is better to have"
                      : exit_code == EX_TEMPFAIL ? "DNS did not answer everything: try again"
                                                 : "set what is missing or different");
}

static void print_json(const struct zone *zone, bool checked)
{
    json_t *records = json_array();
    for (size_t i = 0; i < zone->count; i++) {
        const struct checking *check = &zone->checks[i];
        const struct domain_record *r = &check->record;
        json_t *one = json_pack("{s:s, s:s%, s:s, s:s%, s:b, s:s}", "subject", domain_subject_name(r->subject), "name", r->name.at, r->name.length, "type", domain_type_name(r->type),
                                "value", r->value.at, r->value.length, "needed", r->needed, "use", domain_subject_use(r->subject));
        if (checked)
            json_object_set_new(one, "verdict", json_string(domain_verdict_name(check->finding.verdict)));
        if (checked && check->finding.found.length > 0)
            json_object_set_new(one, "found", json_stringn(check->finding.found.at, check->finding.found.length));
        if (checked && check->finding.mend.length > 0)
            json_object_set_new(one, "mend", json_stringn(check->finding.mend.at, check->finding.mend.length));
        json_array_append_new(records, one);
    }
    json_t *facts = json_pack("{s:s, s:s, s:b, s:o}", "domain", zone->domain, "host", zone->hostname, "hosted", zone->hosted, "records", records);
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(facts);
}

/* ---- the command ---- */

static int tell(struct zone *zone, const char *domain, bool check, bool json)
{
    struct error error = {0};
    if (!find_facts(zone, domain, &error))
        return command_fail(&dns_command, &error);
    list(zone);
    if (check && !check_all(zone, &error))
        return command_fail(&dns_command, &error);
    if (!zone->hosted)
        fprintf(stderr, "mailboat dns: %s is not hosted here yet; mailboat domain add %s makes it so\n", zone->domain, zone->domain);
    if (json)
        print_json(zone, check);
    else if (check)
        print_findings(zone);
    else
        print_zone(zone);
    return check ? verdict_of(zone) : EX_OK;
}

static int run(int argc, char **argv)
{
    static struct zone zone;
    const char *config_file = NULL;
    bool json = false, check = false;
    struct error error = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file}, {OPTION_FLAG, "json", 0, &json}, {OPTION_FLAG, "check", 0, &check}, {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&dns_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (arguments.count != 1)
        return command_usage(&dns_command, "say one DOMAIN");
    zone = (struct zone){0};
    if (!config_load_as_anybody(&zone.config, config_file, &error))
        return command_fail(&dns_command, &error);
    command_end_on_interrupt();
    int exit_code = tell(&zone, arguments.at[0], check, json);
    arena_clear(&zone.arena);
    config_free(&zone.config);
    return exit_code;
}

const struct command dns_command = {
    .name = "dns",
    .summary = "the DNS records that a domain needs, and whether it has them",
    .help = "usage: mailboat dns DOMAIN [--check] [--json]\n\n"
            "Prints the DNS records that mail for DOMAIN needs with this server, as a zone file\n"
            "has them, each with what it is for. With --check asks DNS and says of each whether\n"
            "it is right, missing or different, what is there, and what to do.\n\n"
            "      --check         compares with what DNS says\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          facts for programs\n\n"
            "exit codes: 0 printed, or all that is needed is right; 65 not a domain; 69 something\n"
            "needed is missing or different; 75 DNS did not answer; 78 a wrong configuration\n\n"
            "example: mailboat dns example.org --check\n",
    .run = run,
};
