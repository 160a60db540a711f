/* SPDX-License-Identifier: Apache-2.0 */
/* import: takes over the domains, users and aliases of Postfix and Dovecot. */
#include "cli/setup/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/options.h"

struct import_options {
    const char *config, *main_cf, *dovecot, *domain;
    bool json, dry_run;
};

/* ---- what is here ---- */

static void know_domain(void *owner, const char *const *columns, size_t count)
{
    struct import_run *run = owner;
    import_plan_know(&run->plan, IMPORT_DOMAIN, bytes_of_text(columns[0]), bytes_none());
}

static void know_user(void *owner, const char *const *columns, size_t count)
{
    struct import_run *run = owner;
    import_plan_know(&run->plan, IMPORT_USER, bytes_of_text(columns[0]), bytes_none());
}

static void know_alias(void *owner, const char *const *columns, size_t count)
{
    struct import_run *run = owner;
    import_plan_know(&run->plan, IMPORT_ALIAS, bytes_of_text(columns[0]), bytes_of_text(columns[1]));
}

static bool know_all(struct import_run *run, struct error *error)
{
    struct stat facts;
    for (size_t i = 0; i < run->config->domain_count; i++)
        import_plan_know(&run->plan, IMPORT_DOMAIN, bytes_of_text(run->config->domains[i]), bytes_none());
    const char *file = arena_format(&run->arena, "%s/accounts/accounts.db", run->config->data_dir);
    if (stat(file, &facts) != 0)
        return true; /* no accounts yet; if it cannot be looked at, the change will say so */
    return account_client_look(run->config, LIST_DOMAINS, know_domain, run, error) &&
           account_client_look(run->config, LIST_USERS, know_user, run, error) &&
           account_client_look(run->config, LIST_ALIASES, know_alias, run, error);
}

/* ---- carrying it out ---- */

static bool add_item(struct import_run *run, const struct import_entry *entry, struct bytes *item,
                     struct error *error)
{
    static const char kinds[] = {[IMPORT_DOMAIN] = ACCOUNTS_IMPORT_DOMAIN,
                                 [IMPORT_USER] = ACCOUNTS_IMPORT_USER,
                                 [IMPORT_ALIAS] = ACCOUNTS_IMPORT_ALIAS};
    struct buffer text = {0};
    buffer_add_octet(&text, kinds[entry->kind]);
    buffer_add(&text, entry->name);
    buffer_add_octet(&text, '\0');
    buffer_add(&text, entry->target);
    if (entry->password == IMPORT_PASSWORD_HASHED)
        buffer_add(&text, entry->secret);
    bool done = entry->password != IMPORT_PASSWORD_PLAIN ||
                accounts_hash_password(entry->secret, &text, error) ||
                error_prefix(error, "%.*s: ", BYTES_ARG(entry->name));
    *item = arena_copy(&run->plan.arena, buffer_bytes(&text));
    buffer_wipe(&text);
    return done;
}

static bool carry_out(struct import_run *run, struct error *error)
{
    struct bytes *items = memory_new((run->plan.count + 1) * sizeof *items);
    size_t count = 0;
    bool done = true;
    for (size_t i = 0; done && i < run->plan.count; i++)
        if (run->plan.entries[i].verdict == IMPORT_NEW)
            done = add_item(run, &run->plan.entries[i], &items[count++], error);
    struct ipc_account_change asked = {.verb = ACCOUNT_IMPORT, .targets = items, .target_count = count};
    done = done && (count == 0 || account_client_change(run->config, &asked, NULL, error));
    free(items);
    return done;
}

/* ---- the command ---- */

typedef bool import_reader(struct import_run *run, const char *path, struct error *error);

static bool choose_domain(struct import_run *run, const char *said, bool decides_later, struct error *error)
{
    struct buffer domain = {0};
    const struct config *config = run->config;
    if (said != NULL && !accounts_domain(&domain, bytes_of_text(said))) {
        buffer_free(&domain);
        return error_set(error, EX_USAGE, "--domain: '%s' is not a domain name", said);
    }
    if (said == NULL && !decides_later && config->domain_count > 0)
        buffer_add_text(&domain, config->domains[0]);
    run->domain = arena_copy(&run->arena, buffer_bytes(&domain));
    buffer_free(&domain);
    return true;
}

static void run_free(struct import_run *run)
{
    import_plan_free(&run->plan);
    arena_wipe(&run->arena);
    free(run->notes);
    buffer_free(&run->yaml);
}

static int import(const struct verb_call *call, const char *path, import_reader *reader, bool decides_later)
{
    const struct import_options *wish = call->wish;
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&import_command, wish->config, &config, &exit_code))
        return exit_code;
    struct import_run run = {.config = &config, .json = wish->json, .dry_run = wish->dry_run};
    import_plan_start(&run.plan);
    bool done = choose_domain(&run, wish->domain, decides_later, &error) && reader(&run, path, &error) &&
                (wish->dovecot == NULL || import_passwd(&run, wish->dovecot, &error)) &&
                know_all(&run, &error);
    if (done)
        import_plan_make(&run.plan);
    done = done && (run.dry_run || carry_out(&run, &error));
    if (done)
        import_print(&run, !run.dry_run);
    else
        exit_code = command_fail(&import_command, &error);
    run_free(&run);
    config_free(&config);
    return exit_code;
}

static int run_postfix(const struct verb_call *call)
{
    const struct import_options *wish = call->wish;
    return import(call, wish->main_cf != NULL ? wish->main_cf : "/etc/postfix/main.cf", import_postfix, true);
}

static int run_dovecot(const struct verb_call *call)
{
    return import(call, call->arguments[0], import_passwd, false);
}

static int run_aliases(const struct verb_call *call)
{
    return import(call, call->arguments[0], import_aliases, false);
}

static int run_virtual(const struct verb_call *call)
{
    return import(call, call->arguments[0], import_virtual, false);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {
        {"postfix", "", "main-cf dovecot domain dry-run json", run_postfix},
        {"dovecot", "FILE", "domain dry-run json", run_dovecot},
        {"aliases", "FILE", "domain dry-run json", run_aliases},
        {"virtual", "FILE", "domain dry-run json", run_virtual},
        {.name = NULL}};
    struct import_options wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "main-cf", 0, &wish.main_cf},
                                        {OPTION_TEXT, "dovecot", 0, &wish.dovecot},
                                        {OPTION_TEXT, "domain", 0, &wish.domain},
                                        {OPTION_FLAG, "dry-run", 'n', &wish.dry_run},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&import_command, argc, argv, rules, verbs, &wish);
}

const struct command import_command = {
    .name = "import",
    .summary = "take over domains, users and aliases: postfix, dovecot, aliases, virtual",
    .help = "usage: mailboat import postfix [--main-cf FILE] [--dovecot FILE] [--dry-run] [--json]\n"
            "       mailboat import dovecot FILE [--domain D] [--dry-run] [--json]\n"
            "       mailboat import aliases|virtual FILE [--domain D] [--dry-run] [--json]\n"
            "\n"
            "postfix reads main.cf and the tables that it names: domains, virtual addresses,\n"
            "mailboxes and /etc/aliases are added to the accounts; relayhost, transports and\n"
            "sender logins are printed as lines for the configuration. dovecot reads users and\n"
            "their hashes from a passwd-file; users keep their passwords where crypt(3) can\n"
            "check the hash, and have none yet otherwise. aliases reads a file like\n"
            "/etc/aliases, virtual one like Postfix's virtual(5).\n"
            "\n"
            "All is added in one transaction, or nothing. What exists stays as it is, so that\n"
            "the command can be repeated. What cannot be taken over, such as a program or a\n"
            "target that does not exist, is listed with its file, its line and the reason.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --main-cf FILE  default /etc/postfix/main.cf\n"
            "      --dovecot FILE  read the users of this passwd-file, too\n"
            "      --domain D      domain of names without one; default: myorigin of main.cf,\n"
            "                      or the first domain of the configuration\n"
            "  -n, --dry-run       show what would be done, and change nothing\n"
            "      --json          print JSON\n"
            "\n"
            "example: mailboat import postfix --dovecot /etc/dovecot/users --dry-run\n",
    .run = run,
};
