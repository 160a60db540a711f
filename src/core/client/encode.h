/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode: content as DATA wants it (RFC 5321 4.5.2): dots at the start of a
 * line doubled, every line ended by CRLF. A bare CR or LF becomes CRLF and
 * never leaves as it is: what we relay cannot be read in two ways.
 */
#ifndef MAILBOAT_CLIENT_ENCODE_H
#define MAILBOAT_CLIENT_ENCODE_H

#include "buffer.h"

struct encoder {
    bool inside_line; /* the next octet does not begin a line */
    bool after_cr;    /* the last octet was CR, and is not written yet */
};

/* Runs may be split anywhere. */
void encoder_add(struct encoder *encoder, struct buffer *out, struct bytes run);
/* The missing end of the last line, and the lone dot. */
void encoder_end(struct encoder *encoder, struct buffer *out);

#endif
