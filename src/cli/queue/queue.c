/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: lists queued mail, and applies operator actions. Lists read the store while the server runs;
 * changes are requested from the running queue process, or made here if no server runs.
 */
#include "cli/queue/queue.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/options.h"
#include "config/readers.h"
#include "core/queue/queue_id.h"
#include "run/data_dir.h"

/* ---- shared functions ---- */

/* False for a user without the right to read the queue, who is told who has it. */
static bool may_read(const struct store_place *place, struct error *error)
{
    char readers[READERS_MAX];
    if (store_open_check(place) != EACCES || !readers_explain(place->folder, readers, sizeof readers))
        return true;
    return error_set(error, EX_NOPERM, "%s; run the command as root (sudo)", readers);
}

struct store *queue_open(const struct command *command, const struct store_place *place, int *exit_code)
{
    struct error error = {0};
    *exit_code = EX_OK;
    if (store_open_check(place) == ENOENT)
        return NULL;
    struct store *store = may_read(place, &error) ? store_open(place, STORE_READ, &error) : NULL;
    if (store == NULL)
        *exit_code = command_fail(command, &error);
    return store;
}

bool queue_has_answered(const struct command *command, const struct store *store, int *exit_code)
{
    struct error error = {0};
    if (store == NULL || store_verdict(store, &error) == STORE_DONE)
        return true;
    *exit_code = command_fail(command, &error);
    return false;
}

bool queue_read_id(const struct command *command, const char *text, uint64_t *id)
{
    if (queue_id_parse(bytes_of_text(text), id))
        return true;
    command_usage(command, "'%s' is not a queue ID such as 0q3k9d2m8w00", text);
    return false;
}

/* ---- the command ---- */

struct queue_wish {
    const char *config;
    struct selection_texts texts;
    struct queue_call call;
};

/* Mail is private: root reads it, and the user whose server runs without root. */
static bool may_read_messages(const struct config *config, struct error *error)
{
    struct stat owner;
    uid_t user = geteuid();
    return user == 0 || (stat(config->data_dir, &owner) == 0 && owner.st_uid == user) ||
           error_set(error, EX_NOPERM, "only root may read queued messages");
}

/* Opens the resources of the verb, and runs it. */
static int run_in_queue(struct queue_wish *wish, int (*act)(const struct queue_call *call))
{
    struct config config;
    struct error error = {0};
    char folder[4096];
    int exit_code = EX_OK;
    if (!options_config(&queue_command, wish->config, &config, &exit_code))
        return exit_code;
    snprintf(folder, sizeof folder, "%s/queue", config.data_dir);
    wish->call.folder = folder;
    wish->call.place = (struct store_place){config.store, folder};
    wish->call.config = &config;
    if (wish->call.message && !may_read_messages(&config, &error)) {
        config_free(&config);
        return command_fail(&queue_command, &error);
    }
    /* the queue belongs to its owner, even if root calls */
    bool done = data_dir_act_in(folder, &error) && may_read(&wish->call.place, &error);
    exit_code = done ? act(&wish->call) : command_fail(&queue_command, &error);
    config_free(&config);
    return exit_code;
}

static int look(const struct verb_call *call, int (*act)(const struct queue_call *call))
{
    struct queue_wish *wish = call->wish;
    struct error error = {0};
    if (!selection_read(&wish->call.selection, &wish->texts, &error))
        return command_usage(&queue_command, "%s", error.text);
    wish->call.ids = call->arguments;
    wish->call.id_count = call->count;
    return run_in_queue(wish, act);
}

/* Changes require ids, a filter, or --all; ids exclude the others. */
static int change(const struct verb_call *call, int (*act)(const struct queue_call *call))
{
    struct queue_wish *wish = call->wish;
    struct error error = {0};
    bool all = call->count == 1 && strcmp(call->arguments[0], "all") == 0;
    wish->texts.all = wish->texts.all || all;
    if (!selection_read(&wish->call.selection, &wish->texts, &error))
        return command_usage(&queue_command, "%s", error.text);
    wish->call.ids = call->arguments;
    wish->call.id_count = all ? 0 : call->count;
    bool unsaid = selection_is_unsaid(&wish->call.selection);
    if (wish->call.id_count == 0 && unsaid)
        return command_usage(&queue_command,
                             "missing ID for %s, or a filter such as --domain example.org, or --all",
                             call->verb->name);
    if (wish->call.id_count > 0 && !unsaid)
        return command_usage(&queue_command, "%s takes ids or filters, not both", call->verb->name);
    return run_in_queue(wish, act);
}

static int list(const struct verb_call *call)
{
    return look(call, queue_list);
}

static int show(const struct verb_call *call)
{
    const struct queue_wish *wish = call->wish;
    if (wish->call.message && wish->call.json)
        return command_usage(&queue_command, "--message prints the message as it is, without --json");
    return look(call, queue_show);
}

static int stats(const struct verb_call *call)
{
    return look(call, queue_stats);
}

static int watch(const struct verb_call *call)
{
    return look(call, queue_watch);
}

static int act_retry(const struct queue_call *call)
{
    return queue_action(call, CONTROL_RETRY, "tried again now");
}

static int retry(const struct verb_call *call)
{
    return change(call, act_retry);
}

static int act_hold(const struct queue_call *call)
{
    return queue_action(call, CONTROL_HOLD, "held");
}

static int hold(const struct verb_call *call)
{
    return change(call, act_hold);
}

static int act_release(const struct queue_call *call)
{
    return queue_action(call, CONTROL_RELEASE, "released");
}

static int release(const struct verb_call *call)
{
    return change(call, act_release);
}

static int act_remove(const struct queue_call *call)
{
    return queue_action(call, CONTROL_REMOVE, "removed");
}

static int remove_some(const struct verb_call *call)
{
    return change(call, act_remove);
}

#define FILTERS "sender recipient domain older younger reason state all"

static const struct command_verb verbs[] = {
    {"list", "", "json postfix-json " FILTERS, list},
    {"show", "ID", "json message", show},
    {"stats", "", "json", stats},
    {"watch", "", "json", watch},
    {"retry", "[ID...]", "json " FILTERS, retry},
    {"hold", "[ID...]", "json " FILTERS, hold},
    {"release", "[ID...]", "json " FILTERS, release},
    {"remove", "[ID...]", "json " FILTERS, remove_some},
    {.name = NULL},
};

static int run(int argc, char **argv)
{
    struct queue_wish wish = {0};
    struct selection_texts *texts = &wish.texts;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_FLAG, "json", 0, &wish.call.json},
                                        {OPTION_FLAG, "message", 0, &wish.call.message},
                                        {OPTION_FLAG, "postfix-json", 0, &wish.call.postfix_json},
                                        {OPTION_TEXT, "sender", 0, &texts->sender},
                                        {OPTION_TEXT, "recipient", 0, &texts->recipient},
                                        {OPTION_TEXT, "domain", 0, &texts->domain},
                                        {OPTION_TEXT, "older", 0, &texts->older},
                                        {OPTION_TEXT, "younger", 0, &texts->younger},
                                        {OPTION_TEXT, "reason", 0, &texts->reason},
                                        {OPTION_TEXT, "state", 0, &texts->state},
                                        {OPTION_FLAG, "all", 0, &texts->all},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&queue_command, argc, argv, rules, verbs, &wish);
}

const struct command queue_command = {
    .name = "queue",
    .summary = "list and manage queued mail: list, show, stats, watch, retry, hold, release, remove",
    .help = "usage: mailboat queue list [FILTER]... [--json|--postfix-json]\n"
            "       mailboat queue show ID [--json|--message]\n"
            "       mailboat queue stats [--json]\n"
            "       mailboat queue watch [--json]\n"
            "       mailboat queue retry|hold|release|remove ID...|FILTER...|--all [--json]\n"
            "\n"
            "Messages that were accepted but not yet delivered. list prints one line per\n"
            "message, with the latest reason for its delay; show prints every recipient, with\n"
            "--message instead the header and text of the message, for root only (mailboat\n"
            "explain has the details). stats counts by destination and by reason.\n"
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
            "      --state STATE   in_progress, held, waiting (for its next attempt) or ready; or a\n"
            "                      reason as explain has it: retry, destination_backoff, no_server\n"
            "      --all           everything\n"
            "With --recipient, --domain, --reason or --state a change applies to those\n"
            "recipients only; others of the same message are not affected.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --json          print JSON\n"
            "      --postfix-json  like Postfix's postqueue -j: one object per line\n"
            "\n"
            "example: mailboat queue retry --domain example.net\n"
            "         mailboat queue remove --sender shop@example.org --older 2d\n",
    .run = run,
};
