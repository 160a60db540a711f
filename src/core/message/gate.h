/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate: what a message's content passes on its way into the queue, run by run.
 * Where the header is checked (submission, RFC 6409 8), it is held until it is
 * whole; its authors are asked about; then it passes, fixed, and the body
 * behind it. Elsewhere everything passes as it came.
 *
 * gate_start() and gate_stamp(); gate_feed() with each run; gate_end() when the
 * content has ended, until it says GATE_PASS; gate_answer() after each GATE_ASK,
 * and nothing else before it. The verdict says what became of what was fed:
 * GATE_PASS gives a run to store. Observers see what passes, each octet once.
 */
#ifndef MAILBOAT_CORE_MESSAGE_GATE_H
#define MAILBOAT_CORE_MESSAGE_GATE_H

#include "core/message/header.h"

enum { GATE_OBSERVERS_MAX = 8 };

enum gate_verdict {
    GATE_PASS,   /* *run is to be stored; it may be empty, and lives until the next call */
    GATE_HOLD,   /* nothing passes yet: the header is not whole */
    GATE_ASK,    /* may the sender write as gate->author? gate_answer() */
    GATE_REFUSE, /* gate->fault says why; nothing passes any more */
};

enum gate_fault {
    GATE_FINE,
    GATE_BAD_HEADER, /* gate->header.fault and .line say what */
    GATE_FORGED,     /* it names an author, still in gate->author, whom the sender may not write as */
    GATE_UNKNOWN, /* whether the sender may write as gate->author could not be found out: a temporary failure
                   */
};

enum gate_stage {
    GATE_CLOSED, /* all octets zero: no content has begun */
    GATE_HEADER, /* held until it is whole */
    GATE_ASKING, /* about gate->author */
    GATE_OPEN,   /* what comes passes */
    GATE_ENDED,
    GATE_REFUSED,
};

/* Which part of a message octets belong to; the empty line is the header's (RFC 5322 2.1). */
enum gate_part { GATE_PART_HEADER, GATE_PART_BODY, GATE_PART_END };

/* Sees the message as it is stored: the header's octets, the body's, each in
 * runs of any length and in order, then once GATE_PART_END with none. Of a
 * message that is refused it sees no end. It calls nothing back: what it has
 * found its owner reads from `state`, which is the owner's. */
struct gate_observer {
    void (*see)(void *state, enum gate_part part, struct bytes octets);
    void *state;
};

struct gate_options {
    bool checks_header;  /* else everything passes as it comes */
    bool utf8_allowed;   /* SMTPUTF8 (RFC 6531) */
    struct bytes sender; /* the envelope's: was asked about already; lives as long as the gate is open */
};

struct gate {
    enum gate_stage stage;
    enum gate_fault fault;
    struct gate_options options;
    struct header header; /* held until it is checked, with what came behind it */
    struct header_stamp stamp;
    size_t author_at;
    struct bytes author; /* the one that is, or was last, asked about; lives in `header` */
    struct buffer fixed; /* the header as it passes, where it was held */
    uint64_t size;       /* octets that have passed */
    struct gate_observer observers[GATE_OBSERVERS_MAX];
    size_t observer_count;
    bool in_body;       /* the header's empty line has passed */
    size_t line_length; /* of the header's line so far, for that: 0, 1 or 2 (more) */
    bool line_is_cr;    /* and it is a lone CR */
};

void gate_start(struct gate *gate, const struct gate_options *options);
/* Before content is fed; at most GATE_OBSERVERS_MAX. */
void gate_observe(struct gate *gate, struct gate_observer observer);
/* What a header that lacks them gets; the texts live as long as the gate is open. */
void gate_stamp(struct gate *gate, const struct header_stamp *stamp);

enum gate_verdict gate_feed(struct gate *gate, struct bytes octets, struct bytes *run);
/* No more content follows. */
enum gate_verdict gate_end(struct gate *gate, struct bytes *run);
/* To GATE_ASK. */
enum gate_author { GATE_AUTHOR_ALLOWED, GATE_AUTHOR_FORBIDDEN, GATE_AUTHOR_UNKNOWN };
enum gate_verdict gate_answer(struct gate *gate, enum gate_author answer, struct bytes *run);

static inline bool gate_is_asking(const struct gate *gate)
{
    return gate->stage == GATE_ASKING;
}

/* Closed, as before gate_start(); its memory is given back. */
void gate_free(struct gate *gate);

#endif
