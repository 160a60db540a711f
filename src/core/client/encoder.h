/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: encodes content for DATA (RFC 5321 4.5.2): dots at the start of a line doubled, every line
 * ended by CRLF. A bare CR or LF becomes CRLF: relayed mail allows no SMTP smuggling. Chunks (BDAT) of
 * non-binary content get the same line ends, and single dots.
 */
#ifndef MAILBOAT_CORE_CLIENT_ENCODER_H
#define MAILBOAT_CORE_CLIENT_ENCODER_H

#include "base/buffer.h"

struct encoder {
    bool chunks;      /* for BDAT: dots stay single */
    bool inside_line; /* the next octet does not begin a line */
    bool after_cr;    /* the last octet was CR, and is not written yet */
};

/* Encodes a run; runs may be split anywhere. */
void encoder_add(struct encoder *encoder, struct buffer *out, struct bytes run);
/* True if encoder_add() would not change the run, which then need not be copied: every CR and LF of it is
 * half of a CRLF within it. */
bool encoder_is_clean(const struct encoder *encoder, struct bytes run);
/* Appends the missing end of the last line, and the final dot; for chunks only the LF of a lone CR. */
void encoder_end(struct encoder *encoder, struct buffer *out);

#endif
