/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply: one reply of a server as a client reads it (RFC 5321 4.2): three digits, one or more lines. A
 * lone LF ends a line too: some servers send it, and in a reply it allows no smuggling.
 */
#ifndef MAILBOAT_CORE_SMTP_REPLY_H
#define MAILBOAT_CORE_SMTP_REPLY_H

#include "base/buffer.h"

enum reply_limit {
    REPLY_LINE_MAX = 4096,        /* octets of one line; RFC 5321 4.5.3.1.5 says 512 */
    REPLY_LINES_MAX = 128,        /* lines of one reply */
    REPLY_OCTETS_MAX = 32 * 1024, /* of one reply: less than a connection buffers */
    REPLY_TEXT_KEPT_MAX = 1024,   /* octets of a reply's text that are kept */
};

enum reply_verdict { REPLY_INCOMPLETE, REPLY_COMPLETE, REPLY_MALFORMED };

struct smtp_reply {
    unsigned code;    /* 200 to 599 */
    struct bytes raw; /* all its lines, as received */
};

/* Parses one reply at the start of `input`; *used gets its octets if complete. */
enum reply_verdict reply_parse(struct bytes input, struct smtp_reply *reply, size_t *used);

/* Returns the next line's text without code in *text; *raw starts as reply.raw. */
bool reply_next_line(struct bytes *raw, struct bytes *text);

/* Returns the enhanced status code (RFC 3463) at the start of the first line, if well-formed; empty
 * otherwise. Its class may contradict the code's. */
struct bytes reply_enhanced(const struct smtp_reply *reply);

/* Appends the text for users: lines joined by spaces, without the enhanced code, control octets and broken
 * UTF-8 replaced, cut at the limit. */
void reply_text(struct buffer *out, const struct smtp_reply *reply);

#endif
