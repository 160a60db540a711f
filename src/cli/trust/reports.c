/* SPDX-License-Identifier: Apache-2.0 */
/* reports: what other servers report of our mail: who sends as a domain, aligned or not, failures of TLS, and
 * complaints. */
#include "cli/trust/reports.h"

#include "cli/trust/reports_send.h"

static int send_all(const struct verb_call *call)
{
    const struct reports_wish *wish = call->wish;
    return reports_send(&reports_command, wish->config, wish->day, wish->json);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {{"show", "", "json domain since", reports_show},
                                                {"kept", "[NUMBER]", "json domain since", reports_kept},
                                                {"read", "FILE...", "json", reports_read},
                                                {"send", "", "json day", send_all},
                                                {.name = NULL}};
    struct reports_wish wish = {0};
    const struct option_rule rules[] = {
        {OPTION_TEXT, "config", 'c', &wish.config}, {OPTION_TEXT, "day", 0, &wish.day},
        {OPTION_TEXT, "domain", 0, &wish.domain},   {OPTION_TEXT, "since", 0, &wish.since},
        {OPTION_FLAG, "json", 0, &wish.json},       {OPTION_END, NULL, 0, NULL}};
    return options_run_verb_or(&reports_command, argc, argv, rules, verbs, &wish, "show");
}

const struct command reports_command = {
    .name = "reports",
    .summary = "show what other servers report: who sends as a domain, TLS failures, complaints",
    .help = "usage: mailboat reports [show] [--domain DOMAIN] [--since TIME] [--json]\n"
            "       mailboat reports kept [NUMBER] [--domain DOMAIN] [--since TIME] [--json]\n"
            "       mailboat reports read FILE... [--json]\n"
            "       mailboat reports send [--day DAY] [--json]\n"
            "\n"
            "Other servers send reports to the addresses that each hosted domain has for them:\n"
            "dmarc-reports@DOMAIN, tls-reports@DOMAIN and feedback-reports@DOMAIN. The records of\n"
            "mailboat dns name the first two; the third is for feedback loops. Reports are kept\n"
            "for 90 days, and one that arrives twice is counted once.\n"
            "\n"
            "show prints all of them as one: who sends as the domain, for each source the number\n"
            "of messages, whether DKIM or SPF aligned with the author, and what receivers did with\n"
            "them; TLS sessions that failed, by host; and complaints, by recipient.\n"
            "\n"
            "kept lists the messages to these addresses that could not be read as reports, and\n"
            "complaints that do not count, and why;\n"
            "with a NUMBER it prints that message.\n"
            "\n"
            "read reads reports in files: DMARC aggregate reports (RFC 9990, and the form before it),\n"
            "TLS reports (RFC 8460) and complaints (RFC 5965). FILE is the whole message, or the\n"
            "report alone, packed (gzip, zip) or not; '-' is standard input. One file that cannot\n"
            "be read does not stop the others.\n"
            "\n"
            "At most 10 MiB packed and 64 MiB unpacked, 100 times the packed size; XML with a DTD\n"
            "and archives inside of archives are refused.\n"
            "\n"
            "send hands the reports of a day that other domains want to the running server, without\n"
            "waiting for their time: those that trust.reports.send names. A report that was sent\n"
            "before is not sent again.\n"
            "\n"
            "  -c, --config FILE     configuration; default /etc/mailboat/mailboat.conf\n"
            "      --domain DOMAIN   only this domain and those below it\n"
            "      --since TIME      only what arrived since: 7d, 12h, or 2026-11-24 (UTC)\n"
            "      --day DAY         2026-11-30 (UTC); default: yesterday\n"
            "      --json            print JSON, with all rows\n"
            "\n"
            "exit codes: 0 printed; 65 a file is not a report, damaged or too large; 66 no such file\n"
            "or message; 69 no server is running; 77 only root or the owner of the data directory may\n"
            "read reports; 78 the configuration names no reports to send\n"
            "\n"
            "example: mailboat reports --domain example.org --since 7d\n",
    .run = run,
};
