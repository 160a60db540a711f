/* SPDX-License-Identifier: Apache-2.0 */
/* alias: addresses whose mail goes to others. */
#include "listing.h"
#include "options.h"

#include <stdio.h>
#include <sysexits.h>

extern const struct command alias_command;

static int change(const char *config_file, const char *address, const char *target, bool add)
{
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    struct accounts *accounts = options_accounts(&alias_command, config_file, &config, &exit_code);
    if (accounts == NULL)
        return exit_code;
    bool done = add ? accounts_alias_add(accounts, bytes_of_text(address), bytes_of_text(target), &error)
                    : accounts_alias_remove(accounts, bytes_of_text(address), bytes_of_text(target), &error);
    if (!done)
        exit_code = command_fail(&alias_command, &error);
    else if (target == NULL)
        printf("%s: removed\n", address);
    else
        printf("%s: %s %s\n", address, add ? "its mail goes to" : "its mail no longer goes to", target);
    accounts_close(accounts);
    config_free(&config);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static const char *const columns[] = {"address", "target"};
    const char *config_file = NULL;
    bool json = false;
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file}, {OPTION_FLAG, "json", 0, &json}, {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&alias_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    const char *verb = arguments.count > 0 ? arguments.at[0] : "";
    if (arguments.count == 1 && strcmp(verb, "list") == 0)
        return listing_accounts(&alias_command, config_file, LIST_ALIASES, columns, ARRAY_LENGTH(columns), json);
    if (arguments.count == 3 && strcmp(verb, "add") == 0)
        return change(config_file, arguments.at[1], arguments.at[2], true);
    if ((arguments.count == 2 || arguments.count == 3) && strcmp(verb, "remove") == 0)
        return change(config_file, arguments.at[1], arguments.count == 3 ? arguments.at[2] : NULL, false);
    return command_usage(&alias_command, "say: add ADDRESS TARGET, remove ADDRESS [TARGET], or list");
}

const struct command alias_command = {
    .name = "alias",
    .summary = "addresses whose mail goes to others: add, list, remove",
    .help = "usage: mailboat alias add ADDRESS TARGET\n"
            "       mailboat alias remove ADDRESS [TARGET]\n"
            "       mailboat alias list [--json]\n\n"
            "Mail for ADDRESS goes to TARGET, an address here or elsewhere; with several\n"
            "targets it goes to each. A user that an alias leads to may send as the alias.\n"
            "@example.org as ADDRESS is the domain's catch-all: it gets what neither a user\n"
            "nor an alias has; nobody may send as what it catches.\n\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          list for programs\n\n"
            "example: mailboat alias add info@example.org ada@example.org\n",
    .run = run,
};
