/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vacation: the answer that mail gets in somebody's absence (RFC 3834).
 *
 * Once a message is in the mailbox, vacation_check_header() reads its header and
 * says whether a person wrote it to this person: nothing else is answered,
 * not lists, not reports, not other answers, not who hides in Bcc. Whom it
 * answered recently is in a memory of text lines that the queue keeps;
 * vacation_compose() writes the answer. It goes out with the null reverse
 * path, so that nothing ever comes back for it.
 */
#ifndef MAILBOAT_CORE_MESSAGE_VACATION_H
#define MAILBOAT_CORE_MESSAGE_VACATION_H

#include "base/arena.h"
#include "base/buffer.h"

enum vacation_limit {
    VACATION_DAYS = 7, /* a sender is answered once in so many, where nothing else is said */
    VACATION_DAYS_MAX = 365,
    VACATION_TEXT_MAX = 16 * 1024,    /* octets */
    VACATION_SUBJECT_MAX = 200,       /* octets of an own subject */
    VACATION_HEADER_MAX = 64 * 1024,  /* a longer header is no person's */
    VACATION_ASKER_SUBJECT_MAX = 400, /* octets of the subject that is answered; longer ones are left away */
    VACATION_SENDERS_MAX = 1000,      /* that are remembered for one user; more get no answer */
};

enum vacation_verdict {
    VACATION_DUE,
    VACATION_NO_SENDER,  /* the null reverse path: a report */
    VACATION_TO_ITSELF,  /* the user wrote it */
    VACATION_ROBOT,      /* its sender's name says that no person reads it */
    VACATION_AUTOMATIC,  /* Auto-Submitted, a report, or told not to */
    VACATION_LIST,       /* List-*, Precedence */
    VACATION_NOT_NAMED,  /* the user stands neither in To nor in Cc */
    VACATION_UNREADABLE, /* no end of the header within the limit */
    VACATION_VERDICTS
};
const char *vacation_verdict_name(enum vacation_verdict verdict); /* for the log */

/* What came, and for whom. */
struct vacation_input {
    struct bytes content;  /* its beginning, with the header */
    struct bytes sender;   /* of the envelope */
    struct bytes user;     /* whose mailbox it is in */
    struct bytes original; /* the address that RCPT said, where it is another one; else empty */
};

/* What the answer needs to know of it; in the arena. */
struct vacation_about {
    struct bytes message_id; /* with its brackets; empty where there is none fit to be shown */
    struct bytes subject;    /* one line of ASCII, encoded words as they were; may be empty */
};

enum vacation_verdict vacation_check_header(const struct vacation_input *input, struct arena *arena,
                                            struct vacation_about *about);

/* Was this sender answered at `since_ms` or later? */
bool vacation_remembers(struct bytes memory, struct bytes sender, uint64_t since_ms);
/* Appends the memory with this sender and without what is older
 * than `since_ms`. False, and nothing, when it is full. */
bool vacation_remember(struct buffer *out, struct bytes memory, struct bytes sender, uint64_t now_ms,
                       uint64_t since_ms);

struct vacation_answer {
    struct bytes from, to;   /* the user, the sender */
    struct bytes subject;    /* UTF-8; empty: "Auto: " and what was asked */
    struct bytes text;       /* UTF-8 */
    struct bytes message_id; /* without brackets */
    uint64_t date_ms;
    struct vacation_about about;
};
/* NULL when it can be written, else what is wrong with subject or text. */
const char *vacation_check(struct bytes subject, struct bytes text);
void vacation_compose(struct buffer *out, const struct vacation_answer *answer);

#endif
