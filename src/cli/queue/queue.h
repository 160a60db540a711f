/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: shared declarations of `mailboat queue`. queue.c parses the command line; queue_list.c lists,
 * queue_show.c shows one message, queue_action.c applies operator actions, queue_stats.c counts,
 * queue_watch.c shows activity.
 */
#ifndef MAILBOAT_CLI_QUEUE_QUEUE_H
#define MAILBOAT_CLI_QUEUE_QUEUE_H

#include "cli/command.h"
#include "config/config.h"
#include "core/text/selection.h"
#include "service/control_client.h"
#include "store/queue/store.h"
#include "store/store_open.h"

extern const struct command queue_command;

/* A call of the subcommand, as typed. */
struct queue_call {
    const char *folder; /* DATA/queue, with the server's socket */
    struct store_place place;
    const struct config *config;
    struct selection selection;
    bool json, postfix_json;
    bool message;           /* show: the message itself */
    const char *const *ids; /* arguments after the verb */
    size_t id_count;
};

/* All return an exit code. */
int queue_list(const struct queue_call *call);
int queue_show(const struct queue_call *call);
int queue_stats(const struct queue_call *call);
int queue_watch(const struct queue_call *call);
int queue_action(const struct queue_call *call, enum control_verb verb, const char *done);

/* Opens the store for reading while the server runs. NULL with *exit_code: 0 if there is none yet, so the
 * queue is empty; otherwise the reason has been printed. */
struct store *queue_open(const struct command *command, const struct store_place *place, int *exit_code);
/* True if the store answered all queries: only then is a missing row really missing. Otherwise prints the
 * reason, with exit code EX_TEMPFAIL while the store is unreachable. NULL is a queue without messages,
 * which answers. */
bool queue_has_answered(const struct command *command, const struct store *store, int *exit_code);
/* Parses the id; false if it is invalid, after printing that. */
bool queue_read_id(const struct command *command, const char *text, uint64_t *id);

#endif
