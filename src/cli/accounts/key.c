/* SPDX-License-Identifier: Apache-2.0 */
/* key: application passwords, one per program, which can be revoked. */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/setup/dovecot.h"

extern const struct command key_command;

static void show(const char *address, const char *secret, bool json)
{
    if (!json) {
        printf("%s\n", secret);
        fprintf(stderr, "This password is shown only once. User name: %s\n", address);
        return;
    }
    json_t *facts = json_pack("{s:s, s:s}", "user", address, "password", secret);
    json_dumpf(facts, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(facts);
}

/* Which sessions used the key is unknown: ends all, and programs with another password reconnect. */
static void say_done(const struct config *config, bool add, const char *what, bool json,
                     const struct account_outcome *outcome)
{
    if (add) {
        show(what, buffer_text(&outcome->secret), json);
        return;
    }
    if (outcome->user.length > 0)
        dovecot_sign_out(config, buffer_text(&outcome->user));
    printf("%s: revoked\n", what);
}

static int change(const char *config_file, bool add, const char *what, const char *name, bool json)
{
    struct config config;
    struct account_outcome outcome = {0};
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&key_command, config_file, &config, &exit_code))
        return exit_code;
    const struct ipc_account_change asked = {.verb = add ? ACCOUNT_KEY_ADD : ACCOUNT_KEY_REVOKE,
                                             .name = bytes_of_text(what),
                                             .value = bytes_of_text(name)};
    if (account_client_change(&config, &asked, &outcome, &error))
        say_done(&config, add, what, json, &outcome);
    else
        exit_code = command_fail(&key_command, &error);
    account_outcome_free(&outcome);
    config_free(&config);
    return exit_code;
}

struct key_options {
    const char *config, *name;
    bool json;
};

static int add(const struct verb_call *call)
{
    const struct key_options *wish = call->wish;
    if (!bytes_is_utf8(bytes_of_text(wish->name)) || bytes_has_control(bytes_of_text(wish->name)))
        return command_usage(&key_command, "--name: expected one line of UTF-8 text");
    return change(wish->config, true, call->arguments[0], wish->name, wish->json);
}

static int revoke_one(const struct verb_call *call)
{
    const struct key_options *wish = call->wish;
    return change(wish->config, false, call->arguments[0], wish->name, wish->json);
}

static int list(const struct verb_call *call)
{
    static const char *const columns[] = {"id", "user", "name", "created"};
    const struct key_options *wish = call->wish;
    return listing_accounts(&key_command, wish->config, LIST_KEYS, columns, ARRAY_LENGTH(columns),
                            wish->json);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {{"add", "ADDRESS", "name json", add},
                                                {"revoke", "ID", "", revoke_one},
                                                {"list", "", "json", list},
                                                {.name = NULL}};
    struct key_options wish = {.name = ""};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "name", 'n', &wish.name},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&key_command, argc, argv, rules, verbs, &wish);
}

const struct command key_command = {
    .name = "key",
    .summary = "manage application passwords: add, list, revoke",
    .help = "usage: mailboat key add ADDRESS [--name NAME]\n"
            "       mailboat key list [--json]\n"
            "       mailboat key revoke ID\n"
            "\n"
            "Makes an application password for one program (a web site, a printer) that signs\n"
            "in as ADDRESS. It is shown once, works until it is revoked, and is checked faster\n"
            "than a user's password. revoke closes the IMAP and POP3 connections of ADDRESS:\n"
            "programs with another password sign in again.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "  -n, --name NAME     a name for the list, such as the program's\n"
            "      --json          print JSON\n"
            "\n"
            "example: mailboat key add ada@example.org --name wordpress\n",
    .run = run,
};
