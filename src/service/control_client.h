/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client: requests of subcommands to the running queue and auth processes, through their control
 * sockets. control_client_open(), requests, control_client_close(). Failures are reported in `error`: 69
 * if no server runs, 77 without permission, 75 if it did not answer.
 */
#ifndef MAILBOAT_SERVICE_CONTROL_CLIENT_H
#define MAILBOAT_SERVICE_CONTROL_CLIENT_H

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

/* Sends a request and waits for the answer, which must be of this kind; its texts live until the next
 * request. */
bool control_client_ask(struct control_client *control, enum ipc_kind kind, const void *asked,
                        enum ipc_kind answer_kind, union ipc_message *answer, struct error *error);

/* Applies an operator action to one message (0: to all); `count` gets the affected recipients. */
bool control_client_control(struct control_client *control, enum control_verb verb, uint64_t id,
                            uint64_t *count, struct error *error);
/* Applies it to these recipients, at most CHOSEN_MAX; adds to `count`. */
bool control_client_choose(struct control_client *control, enum control_verb verb, struct chosen *chosen,
                           size_t chosen_count, uint64_t *count, struct error *error);
/* Gets the queue's activity; texts and arrays live until the next request. */
bool control_client_status(struct control_client *control, bool with_in_progress,
                           struct ipc_status_answer *answer, struct error *error);

/* For auth: lists lockouts, valid until the next request; and clears those of an account or client
 * address, `count` gets their number. */
bool control_client_locks(struct control_client *control, struct ipc_locks_answer *answer,
                          struct error *error);
bool control_client_unlock(struct control_client *control, struct bytes who, uint64_t *count,
                           struct error *error);

/* Verifies a password; a wrong one counts as the client's failure. The account's address, if it is right,
 * lives until the next request. */
bool control_client_password(struct control_client *control, struct bytes user, struct bytes password,
                             struct bytes client_address, struct ipc_password_answer *answer,
                             struct error *error);

/* Recipients of deliveries in progress; none if no server runs. */
struct in_progress {
    bool served; /* a server answered */
    bool all_held, disk_full;
    struct chosen *chosen; /* sorted */
    size_t count;
    struct arena arena;
};
void control_client_in_progress(struct in_progress *in_progress, const char *folder);
void control_client_in_progress_free(struct in_progress *in_progress);
bool control_client_in_progress_has(const struct in_progress *in_progress, uint64_t id, uint32_t number);
/* True for any recipient of this message. */
bool control_client_in_progress_has_any(const struct in_progress *in_progress, uint64_t id);

#endif
