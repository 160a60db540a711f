/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: content as DATA wants it (RFC 5321 4.5.2): dots at the start of a
 * line doubled, every line ended by CRLF. A bare CR or LF becomes CRLF and
 * never leaves as it is: what we relay cannot be read in two ways. Chunks
 * (BDAT) of what is not binary have the same line ends, and single dots.
 */
#ifndef MAILBOAT_CORE_CLIENT_ENCODER_H
#define MAILBOAT_CORE_CLIENT_ENCODER_H

#include "base/buffer.h"

struct encoder {
    bool chunks;      /* for BDAT: dots stay single */
    bool inside_line; /* the next octet does not begin a line */
    bool after_cr;    /* the last octet was CR, and is not written yet */
};

/* Runs may be split anywhere. */
void encoder_add(struct encoder *encoder, struct buffer *out, struct bytes run);
/* Would it leave as it is? So it may, and encoder_add() need not copy it: true
 * where every CR and LF of the run is half of a CRLF within it. */
bool encoder_is_clean(const struct encoder *encoder, struct bytes run);
/* The missing end of the last line, and the lone dot; for chunks no more than
 * the LF of a CR that has none. */
void encoder_end(struct encoder *encoder, struct buffer *out);

#endif
