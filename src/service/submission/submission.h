/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submission: one message on its way to queue, whoever brings it: a session of
 * smtpd, a file of pickup.
 *
 * Its owner asks auth about it, one thing at a time and in any order: may it
 * be from this sender, does it fit into the limits an hour, where does each
 * recipient go. submission_begin() names the envelope and gives the message
 * its queue id; submission_write() takes its content. A small one travels with
 * the message; for a larger one queue is asked for a file, and while
 * submission_waits() the owner should write no more. Header fields that go
 * before the content are its prefix, to which may be added until the end:
 * what is written already stays as it is. submission_submit() hands
 * it over: ended() says whether it is on disk. submission_drop() ends it at
 * any time; what was taken elsewhere is given back: the file, and what was
 * counted. Each answer is an event, told before the call returns or later; in
 * the latter case go_on() follows.
 *
 * Of a process that dies nothing is left in queue, and of a queue that dies
 * no file: submission_queue_lost().
 */
#ifndef MAILBOAT_SERVICE_SUBMISSION_SUBMISSION_H
#define MAILBOAT_SERVICE_SUBMISSION_SUBMISSION_H

#include "base/buffer.h"
#include "core/queue/queue_id.h"
#include "core/server/server_session.h"
#include "io/log_throttle.h"
#include "service/accounts_version.h"
#include "service/recipient_cache.h"
#include "service/submission/question.h"

enum {
    SUBMISSION_GATHERED_OCTETS = 16 * 1024, /* of what arrives in small pieces: written together */
};

/* Those of one process. */
struct submissions {
    struct questions questions;
    struct queue_id_maker ids;
    struct bytes hostname;
    /* What auth told before, where the process can see that it holds still:
     * `accounts_version` is auth's, or NULL. */
    const struct accounts_version *accounts_version;
    struct recipient_cache recipient_cache;
    bool cache_closed;
    struct buffer key; /* of the question at hand */
    struct log_throttle spooling;
};

/* None of them may free the submission but the last. */
struct submission_events {
    void (*sender)(void *owner, enum sender_verdict verdict);
    /* `number` as in ipc_limit_answer */
    void (*limit)(void *owner, enum limit_verdict verdict, uint32_t number);
    /* KNOWN has at least one target; they live until the return. */
    void (*recipient)(void *owner, enum recipient_verdict verdict, const struct recipient *targets,
                      size_t count);
    /* DONE: `id` is on disk. The submission can begin with the next message. */
    void (*ended)(void *owner, uint64_t id, enum store_verdict verdict);
    /* Behind each of those that came in a turn of its own, and when there is room for content again. */
    void (*go_on)(void *owner);
};

enum submission_stage {
    SUBMISSION_NONE,    /* no message began */
    SUBMISSION_INLINE,  /* its content is in memory */
    SUBMISSION_WAITING, /* as before, and a file was asked for */
    SUBMISSION_FILE,    /* it is in the file; the last of it perhaps in memory still */
    SUBMISSION_FAILED,  /* the rest is swallowed; submission_submit() will say `verdict` */
    SUBMISSION_GIVEN,   /* queue is asked to store it */
};

struct submission {
    struct submissions *all;
    const struct submission_events *events;
    void *owner;
    struct question question;      /* the one that is open */
    struct bytes account, address; /* whom it is about; the owner's, until it is answered */
    uint64_t version;              /* of the accounts when it was asked */
    uint32_t recipients;           /* that are asked about limits for; 0: nothing is counted */
    uint64_t counted;              /* the request by which the message was counted; 0: it was not */
    enum submission_stage stage;   /* of the message, as all that follows */
    const struct envelope *envelope;
    const struct origin *origin;
    uint64_t id;
    uint64_t size;         /* octets of the prefix and of what was written so far */
    struct buffer prefix;  /* header fields before the content, each with its CRLF */
    struct buffer content; /* what is in memory of the content */
    uint64_t spool;        /* queue's name for the file; 0: there is none */
    int file;              /* -1: there is none */
    enum store_verdict verdict;
};

/* As questions_start(). Hostname, slot of the ids and accounts page are set behind it. */
void submissions_start(struct submissions *all, const struct question_peers *peers, void *context,
                       struct loop *loop, uint32_t patience_ms, uint64_t seed);
void submissions_free(struct submissions *all);
/* From now on auth is asked each time: its successor may know better. */
void submissions_close_cache(struct submissions *all);
/* An answer to a submission or to another question of the process. */
void submissions_answered(struct submissions *all, enum ipc_kind kind, const union ipc_message *message,
                          int attached);

void submission_start(struct submission *submission, struct submissions *all,
                      const struct submission_events *events, void *owner);

/* ---- what auth is asked; account and address stay where they are until the answer ---- */
void submission_ask_sender(struct submission *submission, struct bytes account, struct bytes address);
/* recipients 0: would anything fit? Else the message is counted. */
void submission_ask_limit(struct submission *submission, struct bytes account, uint32_t recipients);
void submission_ask_recipient(struct submission *submission, struct bytes account, struct bytes address);
/* The message that was counted was sent, or not: then it is given back. */
void submission_settle(struct submission *submission, bool sent);

/* ---- the message; envelope and origin stay where they are until it ended ---- */
void submission_begin(struct submission *submission, const struct envelope *envelope,
                      const struct origin *origin);
/* Header fields, each with its CRLF, above those that are in the prefix. One that grows
 * past STORE_PREFIX_MAX fails the message. */
void submission_add_prefix(struct submission *submission, struct bytes fields);
/* The same of our Received field. */
void submission_add_received(struct submission *submission);
void submission_write(struct submission *submission, struct bytes octets);
/* It has begun, and not ended. */
bool submission_has_begun(const struct submission *submission);
/* What is in memory of the content. */
struct bytes submission_gathered(const struct submission *submission);
/* A question is open. */
bool submission_waits(const struct submission *submission);
/* No question is open. envelope.size is what was said by then. */
void submission_submit(struct submission *submission);
/* The message is dropped; what auth is asked goes on, and what was counted stays so. */
void submission_abandon(struct submission *submission);
/* Nobody is told anything any more; what was counted is given back. */
void submission_drop(struct submission *submission);
/* The queue process died, and what was in its file with it. ended() follows where it was given already. */
void submission_queue_lost(struct submission *submission);

#endif
