/* SPDX-License-Identifier: Apache-2.0 */
/*
 * question: a pending question of a process to auth or queue.
 *
 * A process has one struct questions; an asker owns one struct question for each answer that it may wait
 * for at a time. question_ask() sends it immediately or, if the peer is missing (being restarted) or its
 * channel is full, queues it; after `patience_ms` without a peer unavailable() is called.
 * questions_answered() finds the asker. If a peer is lost, its pending questions are sent to its successor
 * if they can be repeated. question_forget() may be called at any time; a later answer is ignored.
 */
#ifndef MAILBOAT_SERVICE_SUBMISSION_QUESTION_H
#define MAILBOAT_SERVICE_SUBMISSION_QUESTION_H

#include "base/map.h"
#include "io/timer.h"
#include "ipc/ipc_message.h"

enum {
    QUESTION_RETRY_MS = 20, /* while a channel is full */
    QUESTION_PATIENCE_MS = 5 * 1000,
};

/* The channel to a peer: question_child_peers, or a test's. */
enum question_peer_state { QUESTION_PEER_GONE, QUESTION_PEER_FULL, QUESTION_PEER_READY };
struct question_peers {
    enum question_peer_state (*state)(void *context, enum process_role role);
    bool (*send)(void *context, enum process_role role, enum ipc_kind kind, const void *message);
};
/* Uses the channels of a process; its context is the struct child. */
extern const struct question_peers question_child_peers;

struct question;

struct question_rules {
    /* Sends it, with question->request; false on failure. */
    bool (*say)(struct question *question);
    /* The question is closed then. `attached`: a descriptor, now owned by the callee; or -1. */
    void (*answered)(struct question *question, const union ipc_message *answer, int attached);
    /* Temporary failure. The question is closed then. */
    void (*unavailable)(struct question *question);
    /* Called after those two, if they came in a turn of their own. The owner may end in it: the
     * loop frees it (loop_release()). */
    void (*go_on)(struct question *question);
};

struct question {
    struct questions *questions;
    const struct question_rules *rules;
    void *owner;
    enum ipc_kind kind; /* of the request message */
    bool open;
    uint64_t request; /* 0 while queued */
    uint64_t since_ms;
    struct question *next, **link; /* link: the pointer to it */
};

struct question_list {
    struct question *first, **end;
};

struct questions {
    const struct question_peers *peers;
    void *context;
    uint32_t patience_ms; /* 0: unavailable unless sent immediately */
    uint64_t last_request;
    struct map asked; /* by request */
    struct question_list asked_auth, asked_queue, waiting;
    struct timer retry;
};

void questions_start(struct questions *questions, const struct question_peers *peers, void *context,
                     struct loop *loop, uint32_t patience_ms, uint64_t seed);
void questions_free(struct questions *questions);
/* Returns a number for a question asked without this module. */
uint64_t questions_number(struct questions *questions);
/* Sends a message without an answer; false on failure. */
bool questions_tell(struct questions *questions, enum ipc_kind kind, const void *message);
/* False if no question waits for it: then the caller keeps `attached`. */
bool questions_answered(struct questions *questions, enum ipc_kind kind, const union ipc_message *message,
                        int attached);
void questions_peer_came(struct questions *questions);
void questions_peer_lost(struct questions *questions, enum process_role peer);
void questions_retry(void *questions);

void question_start(struct question *question, struct questions *questions,
                    const struct question_rules *rules, void *owner);
/* Without patience, unavailable() may be called before it returns. */
void question_ask(struct question *question, enum ipc_kind kind);
/* For rules->say(): sends it with its number. */
bool question_send(struct question *question, const void *message);
void question_forget(struct question *question);

#endif
