/* SPDX-License-Identifier: Apache-2.0 */
/* alias: addresses whose mail is sent to others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "cli/accounts/account_client.h"
#include "cli/listing.h"
#include "cli/options.h"

extern const struct command alias_command;

/* Targets to add or remove. */
struct alias_targets {
    struct arena arena;
    struct bytes *at;
    size_t count, capacity;
};

static void add_target(struct alias_targets *targets, struct bytes target)
{
    if (targets->count == targets->capacity) {
        targets->capacity = targets->capacity == 0 ? 64 : 2 * targets->capacity;
        targets->at = memory_resize(targets->at, targets->capacity * sizeof *targets->at);
    }
    targets->at[targets->count++] = arena_copy(&targets->arena, target);
}

static void targets_free(struct alias_targets *targets)
{
    free(targets->at);
    arena_clear(&targets->arena);
}

/* Reads one target per line; ignores empty lines and those that begin with #. */
static bool read_line(struct alias_targets *targets, struct bytes line, const char *file, size_t number,
                      struct error *error)
{
    struct buffer canonical = {0};
    while (line.length > 0 && (line.at[line.length - 1] == '\n' || line.at[line.length - 1] == '\r'))
        line.length--;
    line = bytes_trim(line);
    if (line.length == 0 || line.at[0] == '#')
        return true;
    bool fine = accounts_canonical(&canonical, line);
    buffer_free(&canonical);
    if (!fine)
        return error_set(error, EX_DATAERR,
                         "%s, line %zu: '%.*s' is not a mail address; expected one address per line, such as "
                         "ada@example.org",
                         file, number, BYTES_ARG(bytes_first(line, 100)));
    add_target(targets, line);
    return true;
}

static bool read_targets(struct alias_targets *targets, const char *file, struct error *error)
{
    bool is_input = strcmp(file, "-") == 0;
    FILE *from = is_input ? stdin : fopen(file, "re");
    const char *name = is_input ? "standard input" : file;
    char *line = NULL;
    size_t capacity = 0, number = 0;
    bool fine = from != NULL || error_set_errno(error, EX_NOINPUT, "cannot read %s", file);
    for (ssize_t length; fine && (length = getline(&line, &capacity, from)) >= 0;)
        fine = read_line(targets, bytes_of(line, (size_t)length), name, ++number, error);
    if (fine && ferror(from) != 0)
        fine = error_set_errno(error, EX_IOERR, "cannot read %s", name);
    if (fine && targets->count == 0)
        fine = error_set(error, EX_DATAERR, "%s has no addresses; expected one address per line", name);
    free(line);
    if (from != NULL && !is_input)
        fclose(from);
    return fine;
}

static void say_done(const char *address, const struct alias_targets *targets, size_t added, bool add)
{
    if (targets->count == 0)
        printf("%s: removed\n", address);
    else if (targets->count == 1)
        printf("%s: %s %.*s\n", address, add ? "its mail goes to" : "its mail no longer goes to",
               BYTES_ARG(targets->at[0]));
    else if (added < targets->count)
        printf("%s: added %s; %zu existed already\n", address, COUNT_OF(added, "target"),
               targets->count - added);
    else
        printf("%s: added %s\n", address, COUNT_OF(added, "target"));
}

static int change(const char *config_file, const char *address, const struct alias_targets *targets, bool add)
{
    struct config config;
    struct error error = {0};
    struct account_outcome outcome = {0};
    int exit_code = EX_OK;
    if (!options_config(&alias_command, config_file, &config, &exit_code))
        return exit_code;
    struct ipc_account_change asked = {.verb = add ? ACCOUNT_ALIAS_ADD : ACCOUNT_ALIAS_REMOVE,
                                       .name = bytes_of_text(address),
                                       .targets = targets->at,
                                       .target_count = targets->count};
    if (account_client_change(&config, &asked, &outcome, &error))
        say_done(address, targets, outcome.count, add);
    else
        exit_code = command_fail(&alias_command, &error);
    account_outcome_free(&outcome);
    config_free(&config);
    return exit_code;
}

struct alias_options {
    const char *config, *from;
    bool json;
};

static int add(const struct verb_call *call)
{
    const struct alias_options *wish = call->wish;
    struct alias_targets targets = {0};
    struct error error = {0};
    if (call->count == 1 && wish->from == NULL)
        return command_usage(&alias_command, "missing TARGET for add");
    for (size_t i = 1; i < call->count; i++)
        add_target(&targets, bytes_of_text(call->arguments[i]));
    int exit_code = wish->from != NULL && !read_targets(&targets, wish->from, &error)
                        ? command_fail(&alias_command, &error)
                        : change(wish->config, call->arguments[0], &targets, true);
    targets_free(&targets);
    return exit_code;
}

static int remove_target(const struct verb_call *call)
{
    const struct alias_options *wish = call->wish;
    struct alias_targets targets = {0};
    if (call->count == 2)
        add_target(&targets, bytes_of_text(call->arguments[1]));
    int exit_code = change(wish->config, call->arguments[0], &targets, false);
    targets_free(&targets);
    return exit_code;
}

static int list(const struct verb_call *call)
{
    static const char *const columns[] = {"address", "target"};
    const struct alias_options *wish = call->wish;
    return listing_accounts(&alias_command, wish->config, LIST_ALIASES, columns, ARRAY_LENGTH(columns),
                            wish->json);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {{"add", "ADDRESS [TARGET...]", "from", add},
                                                {"remove", "ADDRESS [TARGET]", "", remove_target},
                                                {"list", "", "json", list},
                                                {.name = NULL}};
    struct alias_options wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "from", 0, &wish.from},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&alias_command, argc, argv, rules, verbs, &wish);
}

const struct command alias_command = {
    .name = "alias",
    .summary = "manage aliases: add, list, remove",
    .help = "usage: mailboat alias add ADDRESS TARGET...\n"
            "       mailboat alias add ADDRESS --from FILE\n"
            "       mailboat alias remove ADDRESS [TARGET]\n"
            "       mailboat alias list [--json]\n"
            "\n"
            "Mail for ADDRESS goes to TARGET, a local or remote address; with several\n"
            "targets, it goes to each of them once. A target can be an alias itself. All are\n"
            "added or none: an unknown local address and a loop back to ADDRESS are rejected.\n"
            "A user that an alias leads to may send as it. @example.org as ADDRESS is the\n"
            "domain's catch-all: it receives mail for addresses that are neither a user nor\n"
            "an alias; no user may send as an address that only the catch-all covers.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --from FILE     read targets from a file, one per line; - is standard input\n"
            "      --json          print JSON\n"
            "\n"
            "example: mailboat alias add info@example.org ada@example.org\n",
    .run = run,
};
