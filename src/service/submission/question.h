/* SPDX-License-Identifier: Apache-2.0 */
/*
 * question: what a process asks auth or queue, and waits for.
 *
 * A process has one struct questions; whoever asks owns a struct question, one
 * for each thing that it may wait for at a time. question_ask() has it said at
 * once or, where the peer is not there (it is being restarted) or its channel
 * is full, lets it wait in line; without a peer for `patience_ms` it is told
 * unavailable(). questions_answered() finds who asked. A peer that is lost
 * takes its questions along: what can be asked twice is asked its successor.
 * question_forget() may come at any time; an answer will find no one.
 */
#ifndef MAILBOAT_SERVICE_SUBMISSION_QUESTION_H
#define MAILBOAT_SERVICE_SUBMISSION_QUESTION_H

#include "base/map.h"
#include "io/loop.h"
#include "ipc/ipc_message.h"

enum {
    QUESTION_RETRY_MS = 20, /* while a channel is full */
    QUESTION_PATIENCE_MS = 5 * 1000,
};

/* How a peer is spoken to: question_child_peers, or a test's. */
enum question_peer_state { QUESTION_PEER_GONE, QUESTION_PEER_FULL, QUESTION_PEER_READY };
struct question_peers {
    enum question_peer_state (*state)(void *context, enum process_role role);
    bool (*send)(void *context, enum process_role role, enum ipc_kind kind, const void *message);
};
/* By the channels of a process; its context is the struct child. */
extern const struct question_peers question_child_peers;

struct question;

struct question_rules {
    /* Sends it, under question->request; false where it cannot be sent. */
    bool (*say)(struct question *question);
    /* It is closed then. `attached`: a descriptor, the owner's now; or -1. */
    void (*answered)(struct question *question, const union ipc_message *answer, int attached);
    /* Nobody can tell now. It is closed then. */
    void (*unavailable)(struct question *question);
    /* Behind those two, where they came in a turn of their own; the question may be gone afterwards. */
    void (*go_on)(struct question *question);
};

struct question {
    struct questions *questions;
    const struct question_rules *rules;
    void *owner;
    enum ipc_kind kind; /* of the message that asks */
    bool open;
    uint64_t request; /* 0 while it waits in line */
    uint64_t since_ms;
    struct question *next, **link; /* link: what points to it */
};

struct question_list {
    struct question *first, **end;
};

struct questions {
    const struct question_peers *peers;
    void *context;
    uint32_t patience_ms; /* 0: what cannot be said at once is unavailable */
    uint64_t last_request;
    struct map asked; /* by request */
    struct question_list asked_auth, asked_queue, waiting;
    struct timer retry;
};

void questions_start(struct questions *questions, const struct question_peers *peers, void *context,
                     struct loop *loop, uint32_t patience_ms, uint64_t seed);
void questions_free(struct questions *questions);
/* A number for a question that somebody asks without all this. */
uint64_t questions_number(struct questions *questions);
/* Says something that nobody answers; false where it cannot be. */
bool questions_tell(struct questions *questions, enum ipc_kind kind, const void *message);
/* False when nobody waits for it: `attached` stays the caller's then. */
bool questions_answered(struct questions *questions, enum ipc_kind kind, const union ipc_message *message,
                        int attached);
void questions_peer_came(struct questions *questions);
void questions_peer_lost(struct questions *questions, enum process_role peer);
void questions_retry(void *questions);

void question_start(struct question *question, struct questions *questions,
                    const struct question_rules *rules, void *owner);
/* Told unavailable() before it returns where there is no patience. */
void question_ask(struct question *question, enum ipc_kind kind);
/* For rules->say(): under its number. */
bool question_send(struct question *question, const void *message);
void question_forget(struct question *question);

#endif
