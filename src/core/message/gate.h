/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate: filters a message's content on its way into the queue, run by run. On submission (RFC 6409 8) the
 * header is held until it is complete and checked, and its authors are verified; then it passes, fixed,
 * followed by the body. Otherwise all content passes unchanged, but for one octet: content that begins with a
 * space or tab would continue the last field that this server puts before it, so it gets an empty line first
 * and is a body without a header (as Postfix has it).
 *
 * Call gate_start() and gate_stamp(); gate_feed() with each run; gate_end() at the end of the content
 * until it returns GATE_PASS; gate_answer() after each GATE_ASK, and no other function before it. The
 * verdict is about the run just fed: GATE_PASS gives a run to store. Observers see passed content, each
 * octet once.
 */
#ifndef MAILBOAT_CORE_MESSAGE_GATE_H
#define MAILBOAT_CORE_MESSAGE_GATE_H

#include "core/message/header.h"

enum { GATE_OBSERVERS_MAX = 8 };

enum gate_verdict {
    GATE_PASS,   /* store *run; it may be empty, and lives until the next call */
    GATE_HOLD,   /* nothing to store yet: the header is incomplete */
    GATE_ASK,    /* may the sender write as gate->author? gate_answer() */
    GATE_REFUSE, /* rejected: see gate->fault; no content passes any more */
};

enum gate_fault {
    GATE_FINE,
    GATE_BAD_HEADER, /* see gate->header.fault and .line */
    GATE_FORGED,     /* the sender may not write as the author in gate->author */
    GATE_UNKNOWN,    /* temporary failure: could not verify that the sender may write as gate->author */
};

enum gate_stage {
    GATE_CLOSED, /* all octets zero: content has not begun */
    GATE_HEADER, /* held until complete */
    GATE_ASKING, /* about gate->author */
    GATE_OPEN,   /* content passes */
    GATE_ENDED,
    GATE_REFUSED,
};

/* The part of a message; the empty line belongs to the header (RFC 5322 2.1). */
enum gate_part { GATE_PART_HEADER, GATE_PART_BODY, GATE_PART_END };

/* Sees the message as it is stored: the header's octets, then the body's, each in runs of any length and
 * in order, then once GATE_PART_END with no octets. A rejected message has no such end. An observer calls
 * nothing back: its owner reads the result from `state`, which the owner keeps. */
struct gate_observer {
    void (*see)(void *state, enum gate_part part, struct bytes octets);
    void *state;
};

struct gate_options {
    bool checks_header;   /* false: all content passes as it is */
    bool utf8_allowed;    /* SMTPUTF8 (RFC 6531) */
    bool author_required; /* see header.h */
    bool repairs;         /* only what passes is stored: header.h */
    struct bytes sender;  /* the envelope sender, already verified; lives as long as the gate is open */
    struct bytes domain;  /* see header_rules; lives as long as the gate is open */
};

struct gate {
    enum gate_stage stage;
    enum gate_fault fault;
    struct gate_options options;
    struct header header; /* held until checked, with the content after it */
    struct header_stamp stamp;
    size_t author_at;
    struct bytes author; /* the author asked about, now or last; lives in `header` */
    struct buffer fixed; /* the header as it passes, if it was held; the start of content that continues */
    uint64_t size;       /* octets passed */
    struct gate_observer observers[GATE_OBSERVERS_MAX];
    size_t observer_count;
    bool in_body;       /* the header's empty line has passed */
    size_t line_length; /* for that: octets of the current header line: 0, 1 or 2 (more) */
    bool line_is_cr;    /* that one octet is a CR */
};

void gate_start(struct gate *gate, const struct gate_options *options);
/* Adds an observer before content is fed; at most GATE_OBSERVERS_MAX. */
void gate_observe(struct gate *gate, struct gate_observer observer);
/* Sets the fields to add to headers that lack them; the texts live as long as the gate is open. */
void gate_stamp(struct gate *gate, const struct header_stamp *stamp);

enum gate_verdict gate_feed(struct gate *gate, struct bytes octets, struct bytes *run);
/* Ends the content. */
enum gate_verdict gate_end(struct gate *gate, struct bytes *run);
/* The answer to GATE_ASK. */
enum gate_author { GATE_AUTHOR_ALLOWED, GATE_AUTHOR_FORBIDDEN, GATE_AUTHOR_UNKNOWN };
enum gate_verdict gate_answer(struct gate *gate, enum gate_author answer, struct bytes *run);

static inline bool gate_is_asking(const struct gate *gate)
{
    return gate->stage == GATE_ASKING;
}

/* Frees its memory; closed, as before gate_start(). */
void gate_free(struct gate *gate);

#endif
