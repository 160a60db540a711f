/* SPDX-License-Identifier: Apache-2.0 */
/* dns: the DNS records that a hosted domain needs, and their check. */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/setup/dns_lookup.h"

extern const struct command dns_command;

/* ---- output ---- */

static void print_record(const struct domain_record *record)
{
    printf("%.*s. IN %s %.*s\n", BYTES_ARG(record->name), dns_type_name(record->type),
           BYTES_ARG(record->value));
}

static void print_records(const struct dns_lookup *lookup)
{
    enum domain_subject before = DOMAIN_SUBJECTS;
    if (lookup->facts.address_count == 0)
        printf("; %s: this machine has no public address; publish A/AAAA for the address that others see, "
               "and have its PTR set\n",
               lookup->hostname);
    for (size_t i = 0; i < lookup->count; i++) {
        const struct domain_record *record = &lookup->checks[i].record;
        if (record->subject != before && record->subject != SUBJECT_PTR)
            printf("%s; %s: %s%s\n", i == 0 ? "" : "\n", domain_subject_name(record->subject),
                   domain_subject_use(record->subject), record->needed ? "" : " (recommended)");
        if (record->subject == SUBJECT_PTR)
            printf("; PTR: %s\n; ", domain_subject_use(SUBJECT_PTR));
        print_record(record);
        before = record->subject == SUBJECT_PTR ? before : record->subject;
        if (record->subject == SUBJECT_MTA_STS) {
            struct bytes policy = domain_sts_policy(&lookup->facts,
                                                    (struct arena *)(uintptr_t)&lookup->arena);
            while (policy.length > 0) {
                struct bytes line = bytes_split(&policy, '\n');
                printf(";   %.*s\n", BYTES_ARG(line));
            }
        }
    }
}

static void print_findings(const struct dns_lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++) {
        const struct dns_check *check = &lookup->checks[i];
        const struct domain_finding *f = &check->finding;
        bool optional = !check->record.needed && f->verdict == RECORD_MISSING;
        printf("%-10s %-8s ", optional ? "(missing)" : domain_verdict_name(f->verdict),
               domain_subject_name(check->record.subject));
        if (f->verdict == RECORD_RIGHT)
            printf("%.*s\n", BYTES_ARG(check->record.name));
        else
            print_record(&check->record);
        if (f->found.length > 0)
            printf("           found: %.*s\n", BYTES_ARG(f->found));
        if (f->hint.length > 0)
            printf("           %.*s\n", BYTES_ARG(f->hint));
    }
    int exit_code = dns_lookup_exit_code(lookup);
    printf("-> %s\n", exit_code == EX_OK ? "all required records exist; (missing) marks recommended ones"
                      : exit_code == EX_TEMPFAIL ? "some DNS lookups failed; try again later"
                                                 : "set the records that are missing or different");
}

static void print_json(const struct dns_lookup *lookup, bool checked)
{
    json_t *records = json_array();
    for (size_t i = 0; i < lookup->count; i++) {
        const struct dns_check *check = &lookup->checks[i];
        const struct domain_record *r = &check->record;
        json_t *one = json_pack("{s:s, s:s%, s:s, s:s%, s:b, s:s}", "subject",
                                domain_subject_name(r->subject), "name", r->name.at, r->name.length, "type",
                                dns_type_name(r->type), "value", r->value.at, r->value.length, "needed",
                                r->needed, "use", domain_subject_use(r->subject));
        if (checked)
            json_object_set_new(one, "verdict", json_string(domain_verdict_name(check->finding.verdict)));
        if (checked && check->finding.found.length > 0)
            json_object_set_new(one, "found",
                                json_stringn(check->finding.found.at, check->finding.found.length));
        if (checked && check->finding.hint.length > 0) {
            json_t *hint = json_stringn(check->finding.hint.at, check->finding.hint.length);
            json_object_set(one, "mend", hint); /* its name until release 0.2 */
            json_object_set_new(one, "hint", hint);
        }
        json_array_append_new(records, one);
    }
    json_t *facts = json_pack("{s:s, s:s, s:b, s:o}", "domain", lookup->domain, "host", lookup->hostname,
                              "hosted", lookup->hosted, "records", records);
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(facts);
}

/* ---- the command ---- */

static int print(struct dns_lookup *lookup, const struct config *config, const char *domain, bool check,
                 bool json)
{
    struct error error = {0};
    if (!dns_lookup_list(lookup, config, domain, &error) || (check && !dns_lookup_ask(lookup, &error)))
        return command_fail(&dns_command, &error);
    if (!lookup->hosted)
        fprintf(stderr, "mailboat dns: %s is not hosted here yet; add it with mailboat domain add %s\n",
                lookup->domain, lookup->domain);
    if (json)
        print_json(lookup, check);
    else if (check)
        print_findings(lookup);
    else
        print_records(lookup);
    return check ? dns_lookup_exit_code(lookup) : EX_OK;
}

static int run(int argc, char **argv)
{
    static struct dns_lookup lookup;
    const char *config_file = NULL;
    bool json = false, check = false;
    struct config config;
    struct error error = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file},
                                        {OPTION_FLAG, "json", 0, &json},
                                        {OPTION_FLAG, "check", 0, &check},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&dns_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&dns_command, NULL, "DOMAIN", arguments.at, arguments.count))
        return EX_USAGE;
    if (!config_load_as_anybody(&config, config_file, &error))
        return command_fail(&dns_command, &error);
    command_end_on_interrupt();
    int exit_code = print(&lookup, &config, arguments.at[0], check, json);
    dns_lookup_free(&lookup);
    config_free(&config);
    return exit_code;
}

const struct command dns_command = {
    .name = "dns",
    .summary = "show the DNS records that a domain needs, and check them",
    .help = "usage: mailboat dns DOMAIN [--check] [--json]\n"
            "\n"
            "Prints the DNS records that mail for DOMAIN needs with this server, in zone file\n"
            "format, each with its purpose. With --check looks each record up and reports\n"
            "whether it is right, missing or different, what was found, and what to do.\n"
            "\n"
            "      --check         compare with what DNS answers\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          print JSON\n"
            "\n"
            "exit codes: 0 printed, or all required records are right; 65 not a domain; 69 a required\n"
            "record is missing or different; 75 DNS did not answer; 78 configuration error\n"
            "\n"
            "example: mailboat dns example.org --check\n",
    .run = run,
};
