/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submission: submits one message to queue, for a session of smtpd or a file of pickup.
 *
 * Its owner asks auth about it, one question at a time and in any order: whether the sender is allowed,
 * whether it fits the hourly limits, where each recipient goes. submission_begin() sets the envelope and
 * gives the message its queue id; submission_write() takes its content. Small content is sent with the
 * message; for larger content queue is asked for a file, and while submission_waits() the owner should
 * write no more. Its prefix is header fields that precede the content, and can be extended until the end,
 * since written content is not changed. submission_submit() hands it over: ended() reports whether it is
 * on disk. submission_drop() ends it at any time; it releases the file, and what was counted. Each answer
 * is an event, called before the function returns or later; in the latter case go_on() follows.
 *
 * If its process dies, queue cleans up; if queue dies, the file is lost: submission_queue_lost().
 */
#ifndef MAILBOAT_SERVICE_SUBMISSION_SUBMISSION_H
#define MAILBOAT_SERVICE_SUBMISSION_SUBMISSION_H

#include "base/buffer.h"
#include "core/queue/queue_id.h"
#include "core/server/server_session.h"
#include "core/trust/trust_record.h"
#include "io/log_throttle.h"
#include "service/accounts_version.h"
#include "service/recipient_cache.h"
#include "service/submission/question.h"

enum {
    SUBMISSION_GATHERED_OCTETS = 16 * 1024, /* of content in small pieces: written together */
};

/* Shared by all submissions of a process. */
struct submissions {
    struct questions questions;
    struct queue_id_maker ids;
    struct bytes hostname;
    /* Cached answers of auth, if the process can see that they are still valid: `accounts_version` is
     * auth's, or NULL. */
    const struct accounts_version *accounts_version;
    struct recipient_cache recipient_cache;
    bool cache_closed;
    struct buffer key; /* of the current question */
    struct log_throttle spooling;
};

/* Only the last of them may free the submission. */
struct submission_events {
    void (*sender)(void *owner, enum sender_verdict verdict);
    /* `number` as in ipc_limit_answer */
    void (*limit)(void *owner, enum limit_verdict verdict, uint32_t number);
    /* KNOWN has at least one target; they are valid until it returns. */
    void (*recipient)(void *owner, enum recipient_verdict verdict, const struct recipient *targets,
                      size_t count);
    /* DONE: `id` is on disk. The submission can begin the next message. */
    void (*ended)(void *owner, uint64_t id, enum store_verdict verdict);
    /* Called after each of those that came in a turn of its own, and when there is space for content
     * again. */
    void (*go_on)(void *owner);
};

enum submission_stage {
    SUBMISSION_NONE,    /* no message has begun */
    SUBMISSION_INLINE,  /* its content is in memory */
    SUBMISSION_WAITING, /* as before, and a file was requested */
    SUBMISSION_FILE,    /* it is in the file, the end perhaps still in memory */
    SUBMISSION_FAILED,  /* further content is skipped; submission_submit() will report `verdict` */
    SUBMISSION_GIVEN,   /* queue was asked to store it */
};

struct submission {
    struct submissions *all;
    const struct submission_events *events;
    void *owner;
    struct question question; /* the pending one */
    /* its subject, and for a recipient the message's sender; owned by the caller until the answer */
    struct bytes account, address, sender;
    uint64_t version;            /* of the accounts at the question */
    uint32_t recipients;         /* to check against limits; 0: nothing is counted */
    uint64_t counted;            /* the request that counted the message; 0: none */
    enum submission_stage stage; /* of the message, like the following fields */
    const struct envelope *envelope;
    const struct origin *origin;
    uint64_t id;
    uint64_t size;             /* octets of the prefix and the content so far */
    struct buffer prefix;      /* header fields to prepend, each with its CRLF */
    struct buffer content;     /* the content in memory */
    struct trust_record trust; /* with its texts in trust_texts; until the next message begins */
    struct buffer trust_texts;
    uint64_t spool; /* queue's number of the file; 0: none */
    int file;       /* -1: none */
    enum store_verdict verdict;
};

/* As questions_start(). Hostname, slot of the ids and accounts page are set afterwards. */
void submissions_start(struct submissions *all, const struct question_peers *peers, void *context,
                       struct loop *loop, uint32_t patience_ms, uint64_t seed);
void submissions_free(struct submissions *all);
/* Disables the cache, since auth's successor may answer differently. */
void submissions_close_cache(struct submissions *all);
/* Handles an answer to a submission or to another question of the process. */
void submissions_answered(struct submissions *all, enum ipc_kind kind, const union ipc_message *message,
                          int attached);

void submission_start(struct submission *submission, struct submissions *all,
                      const struct submission_events *events, void *owner);

/* ---- questions to auth; account, address and sender must not move until the answer ---- */
void submission_ask_sender(struct submission *submission, struct bytes account, struct bytes address);
/* recipients 0: would a message fit? Otherwise it is counted. */
void submission_ask_limit(struct submission *submission, struct bytes account, uint32_t recipients);
/* `sender` is that of the message; empty: the null sender. */
void submission_ask_recipient(struct submission *submission, struct bytes account, struct bytes address,
                              struct bytes sender);
/* Reports that the counted message was sent, or gives it back. */
void submission_settle(struct submission *submission, bool sent);

/* ---- the message; envelope and origin must not move until it ended ---- */
void submission_begin(struct submission *submission, const struct envelope *envelope,
                      const struct origin *origin);
/* Adds header fields, each with its CRLF, above those of the prefix. Beyond STORE_PREFIX_MAX the message
 * fails. */
void submission_add_prefix(struct submission *submission, struct bytes fields);
/* The same for this server's Received field. */
void submission_add_received(struct submission *submission);
/* Sets the findings of mail authentication; the texts are copied, and the story is cut to its limit. Without
 * them nothing was checked. */
void submission_set_trust(struct submission *submission, const struct trust_record *record);
void submission_write(struct submission *submission, struct bytes octets);
/* True from its begin to its end. */
bool submission_has_begun(const struct submission *submission);
/* Returns the content in memory. */
struct bytes submission_gathered(const struct submission *submission);
/* True while a question is pending. */
bool submission_waits(const struct submission *submission);
/* No question may be pending. envelope.size must be final. */
void submission_submit(struct submission *submission);
/* Discards the message; questions to auth continue, and counted messages stay counted. */
void submission_abandon(struct submission *submission);
/* Discards it without further events; gives back what was counted. */
void submission_drop(struct submission *submission);
/* Logs what ended() says of `id`, as an event: accepted, or not stored. */
void submission_log_end(uint64_t id, enum store_verdict verdict, const struct envelope *envelope,
                        const struct origin *origin, const struct trust_record *trust);
/* The queue process died, and its file is lost. ended() follows if the message was already handed over. */
void submission_queue_lost(struct submission *submission);

#endif
