/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: what waits, and a person's word on it. Lists read the store beside
 * the server; changes are asked of the running queue process, or made here
 * when no server runs.
 */
#include "cli/queue/queue.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/options.h"
#include "core/queue/queue_id.h"
#include "run/data_dir.h"

/* ---- what all verbs open ---- */

struct store *queue_open(const struct command *command, const struct store_place *place, int *exit_code)
{
    struct error error = {0};
    *exit_code = EX_OK;
    if (store_open_check(place) == ENOENT)
        return NULL;
    struct store *store = store_open(place, STORE_READ, &error);
    if (store == NULL)
        *exit_code = command_fail(command, &error);
    return store;
}

bool queue_read_id(const struct command *command, const char *text, uint64_t *id)
{
    if (queue_id_parse(bytes_of_text(text), id))
        return true;
    command_usage(command, "'%s' is not a queue ID such as 0q3k9d2m8w00", text);
    return false;
}

/* ---- the command ---- */

static int retry(const struct queue_call *call)
{
    return queue_action(call, CONTROL_RETRY, "tried again now");
}
static int hold(const struct queue_call *call)
{
    return queue_action(call, CONTROL_HOLD, "held");
}
static int release(const struct queue_call *call)
{
    return queue_action(call, CONTROL_RELEASE, "released");
}
static int remove_some(const struct queue_call *call)
{
    return queue_action(call, CONTROL_REMOVE, "removed");
}

static const struct queue_verb {
    const char *name;
    int (*run)(const struct queue_call *call);
    size_t ids_max;
    bool selects; /* filters mean something */
    bool changes; /* and one of them, or an id, must be there */
} verbs[] = {
    {"list", queue_list, 0, true, false},
    {"show", queue_show, 1, false, false},
    {"stats", queue_stats, 0, false, false},
    {"watch", queue_watch, 0, false, false},
    {"retry", retry, ARGUMENTS_MAX, true, true},
    {"hold", hold, ARGUMENTS_MAX, true, true},
    {"release", release, ARGUMENTS_MAX, true, true},
    {"remove", remove_some, ARGUMENTS_MAX, true, true},
};

static const struct queue_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* EX_OK, or what is wrong has been said. */
static int check(const struct queue_verb *verb, struct queue_call *call)
{
    bool unsaid = selection_is_unsaid(&call->selection);
    if (verb->changes && call->id_count == 1 && strcmp(call->ids[0], "all") == 0) {
        call->selection.all = true;
        call->id_count = 0;
        unsaid = false;
    }
    if (call->id_count > verb->ids_max)
        return command_usage(&queue_command, "%s: unexpected argument '%s'", verb->name,
                             call->ids[verb->ids_max]);
    if (verb->ids_max == 1 && call->id_count == 0)
        return command_usage(&queue_command, "a message ID is required: mailboat queue %s ID", verb->name);
    if (!verb->selects && !unsaid)
        return command_usage(&queue_command, "%s takes no filter such as --sender", verb->name);
    if (verb->changes && call->id_count == 0 && unsaid)
        return command_usage(&queue_command,
                             "IDs or a filter are required: mailboat queue %s ID, or a filter such as "
                             "--domain example.org, or --all",
                             verb->name);
    if (verb->changes && call->id_count > 0 && !unsaid)
        return command_usage(&queue_command, "%s: IDs and filters exclude each other", verb->name);
    if (call->postfix_json && verb->run != queue_list)
        return command_usage(&queue_command, "--postfix-json is only for list");
    return EX_OK;
}

static int run(int argc, char **argv)
{
    const char *config_file = NULL;
    struct selection_texts texts = {0};
    struct queue_call call = {0};
    struct arguments arguments;
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file},
                                        {OPTION_FLAG, "json", 0, &call.json},
                                        {OPTION_FLAG, "postfix-json", 0, &call.postfix_json},
                                        {OPTION_TEXT, "sender", 0, &texts.sender},
                                        {OPTION_TEXT, "recipient", 0, &texts.recipient},
                                        {OPTION_TEXT, "domain", 0, &texts.domain},
                                        {OPTION_TEXT, "older", 0, &texts.older},
                                        {OPTION_TEXT, "younger", 0, &texts.younger},
                                        {OPTION_TEXT, "reason", 0, &texts.reason},
                                        {OPTION_FLAG, "all", 0, &texts.all},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&queue_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    const struct queue_verb *verb = arguments.count > 0 ? find_verb(arguments.at[0]) : NULL;
    if (verb == NULL)
        return command_usage(&queue_command,
                             "use one of: list, show, stats, watch, retry, hold, release, remove");
    if (!selection_read(&call.selection, &texts, &error))
        return command_usage(&queue_command, "%s", error.text);
    call.ids = arguments.at + 1;
    call.id_count = arguments.count - 1;
    if ((exit_code = check(verb, &call)) != EX_OK ||
        !options_config(&queue_command, config_file, &config, &exit_code))
        return exit_code;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/queue", config.data_dir);
    call.folder = folder;
    call.place = (struct store_place){config.store, folder};
    call.config = &config;
    bool done = data_dir_act_in(folder, &error); /* the queue is its owner's: also when root asks */
    exit_code = done ? verb->run(&call) : command_fail(&queue_command, &error);
    config_free(&config);
    return exit_code;
}

const struct command queue_command = {
    .name = "queue",
    .summary = "list and manage queued mail: list, show, stats, watch, retry, hold, release, remove",
    .help = "usage: mailboat queue list [FILTER]... [--json|--postfix-json]\n"
            "       mailboat queue show ID [--json]\n"
            "       mailboat queue stats [--json]\n"
            "       mailboat queue watch [--json]\n"
            "       mailboat queue retry|hold|release|remove ID...|FILTER...|--all [--json]\n"
            "\n"
            "Messages that were accepted but not yet delivered. list prints one line per\n"
            "message, with the latest reason for its delay; show prints every recipient\n"
            "(mailboat explain has the details). stats counts by destination and by reason.\n"
            "watch shows activity while the server works, until ^C. retry retries now. hold\n"
            "stops attempts and expiry until release, which retries immediately. remove\n"
            "deletes messages without a report.\n"
            "\n"
            "Filters (a message must match all of them):\n"
            "      --sender A      from this address; @DOMAIN: any address there; '<>': reports\n"
            "      --recipient A   for this address; @DOMAIN: any address there\n"
            "      --domain D      for addresses in this domain\n"
            "      --older TIME    accepted at least this long ago: 30m, 2h, 5d\n"
            "      --younger TIME  accepted less than this long ago\n"
            "      --reason TEXT   the last reply contains this; case does not matter\n"
            "      --all           everything\n"
            "With --recipient, --domain or --reason a change applies to those recipients\n"
            "only; others of the same message are not affected.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          print JSON\n"
            "      --postfix-json  like Postfix's postqueue -j: one object per line\n"
            "\n"
            "example: mailboat queue retry --domain example.net\n"
            "         mailboat queue remove --sender shop@example.org --older 2d\n",
    .run = run,
};
