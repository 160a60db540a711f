/* SPDX-License-Identifier: Apache-2.0 */
/* key: random passwords for programs, one each, that can be taken back. */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

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

struct key_owner {
    const char *id;
    struct buffer user;
};

static void see_key(void *owner, const char *const *columns, size_t count)
{
    struct key_owner *whose = owner;
    if (count >= 2 && columns[0] != NULL && columns[1] != NULL && strcmp(columns[0], whose->id) == 0)
        buffer_add_text(&whose->user, columns[1]);
}

/* Which of the user's sessions were opened with it nobody knows:
 * all end, and programs with another password come back. */
static bool revoke(struct accounts *accounts, const struct config *config, const char *id,
                   struct error *error)
{
    struct key_owner whose = {.id = id};
    bool done = accounts_each(accounts, LIST_KEYS, see_key, &whose, error) &&
                accounts_key_revoke(accounts, bytes_of_text(id), error);
    if (done && whose.user.length > 0)
        dovecot_sign_out(config, buffer_text(&whose.user));
    buffer_free(&whose.user);
    return done;
}

static int change(const char *config_file, bool add, const char *what, const char *name, bool json)
{
    struct config config;
    struct buffer secret = {0};
    struct error error = {0};
    int exit_code = EX_OK;
    struct accounts *accounts = options_accounts(&key_command, config_file, &config, &exit_code);
    if (accounts == NULL)
        return exit_code;
    bool done = add ? accounts_key_add(accounts, bytes_of_text(what), bytes_of_text(name), &secret, &error)
                    : revoke(accounts, &config, what, &error);
    if (!done)
        exit_code = command_fail(&key_command, &error);
    else if (add)
        show(what, buffer_text(&secret), json);
    else
        printf("%s: revoked\n", what);
    buffer_free(&secret);
    accounts_close(accounts);
    config_free(&config);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static const char *const columns[] = {"id", "user", "name", "created"};
    const char *config_file = NULL, *name = "";
    bool json = false;
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file},
                                        {OPTION_TEXT, "name", 'n', &name},
                                        {OPTION_FLAG, "json", 0, &json},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&key_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!bytes_is_utf8(bytes_of_text(name)) || bytes_has_control(bytes_of_text(name)))
        return command_usage(&key_command, "--name: expected one line of UTF-8 text");
    const char *verb = arguments.count > 0 ? arguments.at[0] : "";
    if (arguments.count == 1 && strcmp(verb, "list") == 0)
        return listing_accounts(&key_command, config_file, LIST_KEYS, columns, ARRAY_LENGTH(columns), json);
    if (arguments.count == 2 && (strcmp(verb, "add") == 0 || strcmp(verb, "revoke") == 0))
        return change(config_file, verb[0] == 'a', arguments.at[1], name, json);
    return command_usage(&key_command, "use one of: add ADDRESS [--name NAME], revoke ID, list");
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
