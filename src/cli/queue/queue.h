/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: what the files of `mailboat queue` share. queue.c reads the command
 * line; queue_list.c lists and shows, queue_action.c carries out a person's
 * word, queue_stats.c counts, queue_watch.c looks on.
 */
#ifndef MAILBOAT_CLI_QUEUE_QUEUE_H
#define MAILBOAT_CLI_QUEUE_QUEUE_H

#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/queue/selection.h"
#include "config/config.h"
#include "store/queue/store.h"
#include "store/store_open.h"

extern const struct command queue_command;

/* One call of the subcommand, as it was typed. */
struct queue_call {
    const char *folder; /* DATA/queue: the server's socket is there */
    struct store_place place;
    const struct config *config;
    struct selection selection;
    bool json, postfix_json;
    const char *const *ids; /* what stands behind the verb */
    size_t id_count;
};

/* All return an exit code. */
int queue_list(const struct queue_call *call);
int queue_show(const struct queue_call *call);
int queue_stats(const struct queue_call *call);
int queue_watch(const struct queue_call *call);
int queue_action(const struct queue_call *call, enum control_verb verb, const char *done);

/* The store beside the server, for reading. NULL with *exit_code: 0 when there
 * is none yet, so that nothing waits; else the reason has been said. */
struct store *queue_open(const struct command *command, const struct store_place *place, int *exit_code);
/* Did it answer whatever was asked of it? What it did not find is not there only
 * then. Else the reason is said, and the exit code EX_TEMPFAIL while the store is
 * away. NULL is a queue without messages, which answers. */
bool queue_has_answered(const struct command *command, const struct store *store, int *exit_code);
/* The id; false when it is none, and that has been said. */
bool queue_read_id(const struct command *command, const char *text, uint64_t *id);

#endif
