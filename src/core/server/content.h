/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content: decodes a message's content from DATA (RFC 5321 4.1.1.4, 4.5.2) or BDAT (RFC 3030): each call
 * returns one run to store, regardless of line lengths. The run is the input itself, not copied, unless
 * dots were removed or line ends fixed. CRLF is the only line end; only <CRLF>.<CRLF> ends DATA. Faults
 * are recorded and reported at the end, when the client reads replies.
 */
#ifndef MAILBOAT_CORE_SERVER_CONTENT_H
#define MAILBOAT_CORE_SERVER_CONTENT_H

#include "base/buffer.h"

enum content_fault {
    CONTENT_FINE,
    CONTENT_BARE_NEWLINE,  /* a CR without LF, or a LF without CR: 550 5.6.0 */
    CONTENT_NUL,           /* the octet 0, allowed only in the body of BODY=BINARYMIME: 550 5.6.0 */
    CONTENT_TOO_LARGE,     /* over the limit: 552 5.3.4 */
    CONTENT_LINE_TOO_LONG, /* over DATA_LINE_MAX: 550 5.6.0 */
    CONTENT_LOOPS,         /* RECEIVED_FIELDS_MAX fields: 554 5.4.6 */
};

struct content {
    uint64_t size, size_max;       /* octets to store so far, and at most */
    enum content_fault fault;      /* first fault found; a bare newline overrides all others */
    bool binary;                   /* BODY=BINARYMIME: any octets */
    bool fix_bare_newlines;        /* a bare LF is stored as CRLF */
    bool inside_line;              /* DATA: the next octet does not begin a line */
    bool after_cr;                 /* BDAT: the last octet was a CR */
    bool header_done, header_utf8; /* utf8: not all ASCII (RFC 6532) */
    bool header_cr;                /* the header's last octet so far was CR */
    bool long_lines;               /* one has more than LINE_OCTETS_MAX octets; not known if binary */
    uint32_t line_length;          /* of the line so far */
    uint32_t received_fields;
    char line_start[10]; /* start of a header line, until its field name is known */
    uint8_t line_start_length;
};

/* Octets to store now. */
struct content_run {
    struct bytes octets; /* may be empty */
    bool ended;          /* the end-of-data line was consumed too */
};

void content_start(struct content *content, uint64_t size_max, bool binary, bool fix_bare_newlines);

/* DATA: consumes octets of `input` and returns their number; 0 if more input is needed. After a fault no
 * octets are returned. The run points into `input`, or if it differs into `changed`, which is cleared
 * first and then holds at most twice as many octets. */
size_t content_feed_data(struct content *content, struct bytes input, struct buffer *changed,
                         struct content_run *run);
/* BDAT: consumes all of `input`, which belongs to the chunk. `last`: the message ends with it. */
void content_feed_chunk(struct content *content, struct bytes input, bool last, struct content_run *run);

#endif
