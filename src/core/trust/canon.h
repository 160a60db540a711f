/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canon: the canonical forms of header fields and bodies (RFC 6376 3.4), which signatures are made of and
 * which forgive what servers on the way may change.
 *
 * A body streams: octets go in in any pieces, canonical octets come out in blocks of the caller, who hashes
 * them. Any cut gives the same. Only CRLF ends a line; a single CR or LF is an octet like others.
 *
 *     canon_body_start(&body, CANON_RELAXED, CANON_WHOLE);
 *     while ((count = canon_body_fill(&body, &octets, block, sizeof(block))) > 0)    for each run of octets
 *         hash(block, count);
 *     while ((count = canon_body_finish(&body, block, sizeof(block))) > 0)           at the end
 *         hash(block, count);
 *
 * Memory: none but the struct. Time: linear, about that of copying.
 */
#ifndef MAILBOAT_CORE_TRUST_CANON_H
#define MAILBOAT_CORE_TRUST_CANON_H

#include "base/buffer.h"

enum canon_form { CANON_SIMPLE, CANON_RELAXED };

#define CANON_WHOLE UINT64_MAX /* no l=: the whole body */

enum { CANON_ROOM_MIN = 16 }; /* octets of a block */

struct canon_body {
    enum canon_form form;
    uint64_t limit;  /* l=: octets that come out at most */
    uint64_t length; /* canonical octets so far, those beyond the limit too; all of them when finished */
    uint64_t lines;  /* line ends that are held back: nothing may follow them */
    bool space;      /* relaxed: white space that is held back */
    bool cr;         /* a CR that is held back: LF may follow */
    bool ended;      /* the line end at the end of the body is written */
};

void canon_body_start(struct canon_body *body, enum canon_form form, uint64_t limit);
/* Takes octets off the front of *in and writes canonical ones; returns their number, at most `room` (at
 * least CANON_ROOM_MIN). 0: all of *in is taken. */
size_t canon_body_fill(struct canon_body *body, struct bytes *in, char *out, size_t room);
/* Ends the body: writes the octets that are missing, as canon_body_fill(). 0: the body is complete. */
size_t canon_body_finish(struct canon_body *body, char *out, size_t room);

/* Appends a header field in its canonical form, with CRLF at its end. `field` is a name, ":" and a value,
 * with or without its final CRLF. */
void canon_field(struct buffer *out, struct bytes field, enum canon_form form);
/* The same for the field of the signature itself (RFC 6376 3.7): without `hole`, octets of the field (the
 * value of its b=), and without CRLF at its end. */
void canon_signature_field(struct buffer *out, struct bytes field, struct bytes hole, enum canon_form form);

#endif
