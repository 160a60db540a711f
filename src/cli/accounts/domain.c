/* SPDX-License-Identifier: Apache-2.0 */
/* domain: the hosted domains. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/dkim/dkim.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "core/trust/report_address.h"
#include "store/report_store.h"

extern const struct command domain_command;

static bool ask(const struct config *config, enum account_verb verb, const char *domain, const char *same_as,
                struct error *error)
{
    const struct ipc_account_change asked = {
        .verb = verb, .name = bytes_of_text(domain), .value = bytes_of_text(same_as)};
    return account_client_change(config, &asked, NULL, error);
}

static bool add_domain(const struct config *config, const char *domain, const char *same_as,
                       struct error *error)
{
    if (same_as == NULL && listing_is_configured(config, domain))
        return error_set(error, EX_DATAERR, "%s is hosted already: it is listed under domains in %s", domain,
                         config->file);
    return ask(config, ACCOUNT_DOMAIN_ADD, domain, same_as, error);
}

/* Removes it from the accounts only; one in the configuration stays. */
static bool remove_domain(const struct config *config, const char *domain, struct error *error)
{
    bool configured = listing_is_configured(config, domain);
    bool removed = ask(config, ACCOUNT_DOMAIN_REMOVE, domain, NULL, error);
    if (configured && (removed || error->exit_code == EX_NOUSER))
        return error_set(error, EX_DATAERR,
                         "%s is listed under domains in %s; remove it there and reload the server", domain,
                         config->file);
    return removed;
}

struct domain_options {
    const char *config, *same_as;
    bool json;
};

static void say_added(const char *domain, const char *same_as)
{
    if (same_as == NULL)
        printf("%s: its mail is now delivered here\n", domain);
    else
        printf("%s: is now %s: each address that is not a user or alias there is the same one here\n", domain,
               same_as);
    printf("%s: other servers report to %s@, %s@ and %s@%s; mailboat reports shows what arrives\n", domain,
           report_address_name(REPORT_ADDRESS_DMARC), report_address_name(REPORT_ADDRESS_TLS),
           report_address_name(REPORT_ADDRESS_COMPLAINTS), domain);
}

static void say_removed(const struct config *config, const char *domain)
{
    printf("%s: no longer here, with its addresses for reports; reports that have arrived stay for %d days\n",
           domain, REPORT_STORE_DAYS);
    dkim_tell_keys_left(config, domain);
}

static int change(const struct domain_options *wish, const char *domain, bool add)
{
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&domain_command, wish->config, &config, &exit_code))
        return exit_code;
    bool done = add ? add_domain(&config, domain, wish->same_as, &error)
                    : remove_domain(&config, domain, &error);
    if (done && add) {
        say_added(domain, wish->same_as);
        dkim_make_keys(&domain_command, &config, domain);
    }
    if (done && !add)
        say_removed(&config, domain);
    else if (!done)
        exit_code = command_fail(&domain_command, &error);
    config_free(&config);
    return exit_code;
}

static int add(const struct verb_call *call)
{
    const struct domain_options *wish = call->wish;
    return change(wish, call->arguments[0], true);
}

static int remove_one(const struct verb_call *call)
{
    const struct domain_options *wish = call->wish;
    return change(wish, call->arguments[0], false);
}

static int list(const struct verb_call *call)
{
    static const char *const columns[] = {"name", "configuration?"};
    const struct domain_options *wish = call->wish;
    return listing_accounts(&domain_command, wish->config, LIST_DOMAINS, columns, ARRAY_LENGTH(columns),
                            wish->json);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {{"add", "DOMAIN", "same-as", add},
                                                {"remove", "DOMAIN", "", remove_one},
                                                {"list", "", "json", list},
                                                {.name = NULL}};
    struct domain_options wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "same-as", 0, &wish.same_as},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&domain_command, argc, argv, rules, verbs, &wish);
}

const struct command domain_command = {
    .name = "domain",
    .summary = "manage the domains whose mail is delivered here: add, list, remove",
    .help = "usage: mailboat domain add DOMAIN [--same-as OTHER]\n"
            "       mailboat domain remove DOMAIN\n"
            "       mailboat domain list [--json]\n"
            "\n"
            "Mail for these domains is delivered into mailboxes here; mail for any other is\n"
            "rejected on port 25. Domains under `domains:` in the configuration count too.\n"
            "add makes the domain's signing key, and prints its DNS record: see mailboat dkim.\n"
            "Each domain has the addresses dmarc-reports@, tls-reports@ and feedback-reports@ for\n"
            "reports of other servers: see mailboat reports. remove takes these away, and says\n"
            "which signing keys stay until mailboat dkim retire ends them.\n"
            "\n"
            "With --same-as DOMAIN is OTHER: mail for ada@DOMAIN goes where mail for ada@OTHER\n"
            "goes, unknown addresses are rejected, and who may send as ada@OTHER may send as\n"
            "ada@DOMAIN. A user or alias of DOMAIN itself comes first. mailboat alias list shows\n"
            "it as @DOMAIN @OTHER; mailboat alias remove @DOMAIN ends it.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --same-as OTHER DOMAIN is this domain, which is hosted here\n"
            "      --json          print JSON\n"
            "\n"
            "example: mailboat domain add example.org\n",
    .run = run,
};
