/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client: what subcommands ask of the running queue and auth processes,
 * through their control sockets. asking_open(), questions, asking_close().
 * What fails is said in `error`: 69 when no server runs, 77 without the
 * permission, 75 when it gave no answer.
 */
#ifndef MAILBOAT_CLI_CONTROL_CLIENT_H
#define MAILBOAT_CLI_CONTROL_CLIENT_H

#include "ipc/channel.h"
#include "base/error.h"

struct asking {
    struct channel channel;
    uint64_t request;
};

/* `folder` is DATA/queue. */
bool asking_open(struct asking *asking, const char *folder, struct error *error);
bool asking_open_auth(struct asking *asking, const char *data_dir, struct error *error);
void asking_close(struct asking *asking);

/* A person's word on one message (0: on all); `count` gets the recipients it touched. */
bool asking_control(struct asking *asking, enum control_verb verb, uint64_t id, uint64_t *count, struct error *error);
/* On these recipients, at most CHOSEN_MAX; adds to `count`. */
bool asking_choose(struct asking *asking, enum control_verb verb, struct chosen *chosen, size_t chosen_count, uint64_t *count, struct error *error);
/* What goes on; texts and arrays live until the next question. */
bool asking_status(struct asking *asking, bool with_under_way, struct ipc_status_answer *answer, struct error *error);

/* Of auth: who is locked for guessing, until the next question; and to undo
 * it for an account or a client's address, `count` gets the locks that were. */
bool asking_locks(struct asking *asking, struct ipc_locks_answer *answer, struct error *error);
bool asking_unlock(struct asking *asking, struct bytes who, uint64_t *count, struct error *error);

/* Is this password right? Counted as a guess of the client's where it is not.
 * The account's address, where it is, lives until the next question. */
bool asking_password(struct asking *asking, struct bytes user, struct bytes password, struct bytes client_address, struct ipc_password_answer *answer, struct error *error);

/* Recipients that are being delivered now; none where no server runs. */
struct under_way {
    bool served; /* a server was asked, and answered */
    bool all_held, disk_full;
    struct chosen *chosen; /* in order */
    size_t count;
    struct arena arena;
};
void under_way_ask(struct under_way *under_way, const char *folder);
void under_way_free(struct under_way *under_way);
bool under_way_has(const struct under_way *under_way, uint64_t id, uint32_t number);
/* Any recipient of this message. */
bool under_way_has_any(const struct under_way *under_way, uint64_t id);

#endif
