/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client: what subcommands ask of the running queue and auth processes,
 * through their control sockets. control_client_open(), questions, control_client_close().
 * What fails is said in `error`: 69 when no server runs, 77 without the
 * permission, 75 when it gave no answer.
 */
#ifndef MAILBOAT_CLI_CONTROL_CLIENT_H
#define MAILBOAT_CLI_CONTROL_CLIENT_H

#include "base/error.h"
#include "ipc/channel.h"

struct control_client {
    struct channel channel;
    uint64_t request;
};

/* `folder` is DATA/queue. */
bool control_client_open(struct control_client *control, const char *folder, struct error *error);
bool control_client_open_auth(struct control_client *control, const char *data_dir, struct error *error);
void control_client_close(struct control_client *control);

/* Says it and waits for the answer, which must be of this kind; its texts live until the
 * next question. */
bool control_client_ask(struct control_client *control, enum ipc_kind kind, const void *asked,
                        enum ipc_kind answer_kind, union ipc_message *answer, struct error *error);

/* A person's word on one message (0: on all); `count` gets the recipients it touched. */
bool control_client_control(struct control_client *control, enum control_verb verb, uint64_t id,
                            uint64_t *count, struct error *error);
/* On these recipients, at most CHOSEN_MAX; adds to `count`. */
bool control_client_choose(struct control_client *control, enum control_verb verb, struct chosen *chosen,
                           size_t chosen_count, uint64_t *count, struct error *error);
/* What goes on; texts and arrays live until the next question. */
bool control_client_status(struct control_client *control, bool with_in_progress,
                           struct ipc_status_answer *answer, struct error *error);

/* Of auth: who is locked for guessing, until the next question; and to undo
 * it for an account or a client's address, `count` gets the locks that were. */
bool control_client_locks(struct control_client *control, struct ipc_locks_answer *answer,
                          struct error *error);
bool control_client_unlock(struct control_client *control, struct bytes who, uint64_t *count,
                           struct error *error);

/* Is this password right? Counted as a guess of the client's where it is not.
 * The account's address, where it is, lives until the next question. */
bool control_client_password(struct control_client *control, struct bytes user, struct bytes password,
                             struct bytes client_address, struct ipc_password_answer *answer,
                             struct error *error);

/* Recipients that are being delivered now; none where no server runs. */
struct in_progress {
    bool served; /* a server was asked, and answered */
    bool all_held, disk_full;
    struct chosen *chosen; /* in order */
    size_t count;
    struct arena arena;
};
void control_client_in_progress(struct in_progress *in_progress, const char *folder);
void control_client_in_progress_free(struct in_progress *in_progress);
bool control_client_in_progress_has(const struct in_progress *in_progress, uint64_t id, uint32_t number);
/* Any recipient of this message. */
bool control_client_in_progress_has_any(const struct in_progress *in_progress, uint64_t id);

#endif
