/* SPDX-License-Identifier: Apache-2.0 */
/* dns: the DNS records that a hosted domain needs, and their check. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/setup/dns_table.h"

extern const struct command dns_command;

struct dns_options {
    const char *config;
    bool check, json, form;
};

static bool look_up(struct dns_lookup *lookup, const struct dns_options *wish, struct error *error)
{
    if (wish->check)
        return dns_lookup_ask(lookup, error);
    dns_lookup_policy(lookup);
    return true;
}

static int print(struct dns_lookup *lookup, const struct config *config, const char *domain,
                 const struct dns_options *wish)
{
    struct domain_record records[DOMAIN_RECORDS_MAX];
    struct error error = {0};
    if (!dns_lookup_start(lookup, config, domain, &error) || !look_up(lookup, wish, &error))
        return command_fail(&dns_command, &error);
    if (!lookup->hosted)
        fprintf(stderr, "mailboat dns: %s is not hosted here yet; add it with mailboat domain add %s\n",
                lookup->domain, lookup->domain);
    size_t count = domain_records(&lookup->facts, &lookup->arena, records);
    if (wish->json)
        dns_table_json(lookup, records, count, wish->check);
    else if (wish->check)
        dns_table_findings(lookup);
    else if (wish->form)
        dns_table_form(lookup, records, count);
    else
        dns_table_zone(lookup, records, count);
    return wish->check ? dns_lookup_exit_code(lookup) : EX_OK;
}

static int run(int argc, char **argv)
{
    struct dns_options wish = {0};
    struct config config;
    struct error error = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_FLAG, "check", 0, &wish.check},
                                        {OPTION_FLAG, "form", 0, &wish.form},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&dns_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&dns_command, NULL, "DOMAIN", arguments.at, arguments.count))
        return EX_USAGE;
    if (wish.form && (wish.check || wish.json)) {
        error_set(&error, EX_USAGE, "--form cannot be combined with --check or --json");
        return command_fail(&dns_command, &error);
    }
    if (!config_load_as_anybody(&config, wish.config, &error))
        return command_fail(&dns_command, &error);
    command_end_on_interrupt();
    struct dns_lookup *lookup = memory_new(sizeof *lookup);
    int exit_code = print(lookup, &config, arguments.at[0], &wish);
    dns_lookup_free(lookup);
    free(lookup);
    config_free(&config);
    return exit_code;
}

const struct command dns_command = {
    .name = "dns",
    .summary = "show the DNS records that a domain needs, and check them",
    .help = "usage: mailboat dns DOMAIN [--check] [--form] [--json]\n"
            "\n"
            "Prints the DNS records that mail for DOMAIN needs with this server, in zone file\n"
            "format, each with its purpose: MX, SPF of the domain and of the server's name,\n"
            "the DKIM keys, DMARC, TLS-RPT, TLSA, SRV, and MTA-STS once its policy is served.\n"
            "With --check looks all of it up, as receivers do, within 10 seconds: is this\n"
            "server allowed to send (SPF is evaluated, its lookups are counted), does DNS show\n"
            "the keys that sign, do reverse names lead back, can reports arrive. Prints for\n"
            "each record whether it is fine, missing or wrong, what DNS says, and what it\n"
            "should say; and whether Gmail, Yahoo and Microsoft accept mail of DOMAIN.\n"
            "\n"
            "      --check         compare with what DNS answers\n"
            "      --form          print the fields of a provider's web form\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          print JSON\n"
            "\n"
            "exit codes: 0 printed, or all required records are right; 65 not a domain; 69 a required\n"
            "record is missing or wrong; 75 DNS did not answer; 78 configuration error\n"
            "\n"
            "example: mailboat dns example.org --check\n",
    .run = run,
};
