/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vacation: automatic replies (RFC 3834).
 *
 * After a message is delivered, vacation_check_header() reads its header and decides whether a person
 * wrote it to this user. Lists, reports, other automatic replies, and mail that names the user in neither
 * To nor Cc get no reply. The queue stores the recently answered senders, one per line; vacation_compose()
 * writes the reply. It has the null reverse path, so that nothing is ever sent back for it.
 */
#ifndef MAILBOAT_CORE_MESSAGE_VACATION_H
#define MAILBOAT_CORE_MESSAGE_VACATION_H

#include "base/arena.h"
#include "base/buffer.h"

enum vacation_limit {
    VACATION_DAYS = 7, /* default: one reply per sender in so many days */
    VACATION_DAYS_MAX = 365,
    VACATION_TEXT_MAX = 16 * 1024,    /* octets */
    VACATION_SUBJECT_MAX = 200,       /* octets of a custom subject */
    VACATION_HEADER_MAX = 64 * 1024,  /* octets; mail with a longer header is not from a person */
    VACATION_ASKER_SUBJECT_MAX = 400, /* octets of the original subject; longer ones are left out */
    VACATION_SENDERS_MAX = 1000,      /* senders stored per user; more get no reply */
};

enum vacation_verdict {
    VACATION_DUE,
    VACATION_NO_SENDER,  /* the null reverse path: a report */
    VACATION_TO_ITSELF,  /* the user is the sender */
    VACATION_ROBOT,      /* the sender's local part is that of a program */
    VACATION_AUTOMATIC,  /* Auto-Submitted, a report, or replies suppressed */
    VACATION_LIST,       /* List-*, Precedence */
    VACATION_NOT_NAMED,  /* the user is in neither To nor Cc */
    VACATION_UNREADABLE, /* no end of the header within the limit */
    VACATION_VERDICTS
};
const char *vacation_verdict_name(enum vacation_verdict verdict); /* for the log */

/* The message and its recipient. */
struct vacation_input {
    struct bytes content;  /* its beginning, with the complete header */
    struct bytes sender;   /* of the envelope */
    struct bytes user;     /* owner of the mailbox */
    struct bytes original; /* the address of RCPT if different; else empty */
};

/* Facts about the message for the reply; in the arena. */
struct vacation_about {
    struct bytes message_id; /* with its brackets; empty if absent or unsafe */
    struct bytes subject;    /* one line of ASCII, encoded words unchanged; may be empty */
};

enum vacation_verdict vacation_check_header(const struct vacation_input *input, struct arena *arena,
                                            struct vacation_about *about);

/* True if this sender was answered at `since_ms` or later. */
bool vacation_remembers(struct bytes memory, struct bytes sender, uint64_t since_ms);
/* Appends the memory plus this sender, without entries older than `since_ms`. False, and appends nothing,
 * when full. */
bool vacation_remember(struct buffer *out, struct bytes memory, struct bytes sender, uint64_t now_ms,
                       uint64_t since_ms);

struct vacation_answer {
    struct bytes from, to;   /* the user, the sender */
    struct bytes subject;    /* UTF-8; empty: "Auto: " and the original subject */
    struct bytes text;       /* UTF-8 */
    struct bytes message_id; /* without brackets */
    uint64_t date_ms;
    struct vacation_about about;
};
/* Returns NULL if valid, else the fault of subject or text. */
const char *vacation_check(struct bytes subject, struct bytes text);
void vacation_compose(struct buffer *out, const struct vacation_answer *answer);

#endif
