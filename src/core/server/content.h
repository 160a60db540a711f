/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content: reads a message's content off the wire, by DATA (RFC 5321 4.1.1.4,
 * 4.5.2) or BDAT (RFC 3030): each call gives one run to store, whatever its
 * lines are like. It is the input itself, not copied, unless dots were dropped
 * from it or line ends mended. CRLF is the only line end; <CRLF>.<CRLF> alone
 * ends DATA. What is wrong is remembered and told at the end, when the client
 * listens.
 */
#ifndef MAILBOAT_CORE_SERVER_CONTENT_H
#define MAILBOAT_CORE_SERVER_CONTENT_H

#include "base/buffer.h"

enum content_fault {
    CONTENT_FINE,
    CONTENT_BARE_NEWLINE,  /* a CR without LF, or a LF without CR: 550 5.6.0 */
    CONTENT_NUL,           /* the octet 0, which only the body of BODY=BINARYMIME may have: 550 5.6.0 */
    CONTENT_TOO_LARGE,     /* over the limit: 552 5.3.4 */
    CONTENT_LINE_TOO_LONG, /* over DATA_LINE_MAX: 550 5.6.0 */
    CONTENT_LOOPS,         /* RECEIVED_FIELDS_MAX fields: 554 5.4.6 */
};

struct content {
    uint64_t size, size_max;       /* octets to store so far, and at most */
    enum content_fault fault;      /* the first that was found; a bare newline wins over all others */
    bool binary;                   /* BODY=BINARYMIME: any octets */
    bool fix_bare_newlines;        /* a bare LF is stored as CRLF */
    bool inside_line;              /* DATA: the next octet does not begin a line */
    bool after_cr;                 /* BDAT: the last octet was CR */
    bool header_done, header_utf8; /* utf8: it is not all ASCII (RFC 6532) */
    bool header_cr;                /* the header's last octet so far was CR */
    uint32_t line_length;          /* of the line so far */
    uint32_t received_fields;
    char line_start[10]; /* of a header line, until we know what field it is */
    uint8_t line_start_length;
};

/* What to store now. */
struct content_run {
    struct bytes octets; /* may be empty */
    bool ended;          /* the end-of-data line was used up too */
};

void content_start(struct content *content, uint64_t size_max, bool binary, bool fix_bare_newlines);

/* DATA: uses up octets of `input` and says how many; 0 when more must come
 * before anything can be told. Once there is a fault no octets are given. The
 * run is of `input`, or where it differs of `changed`, which is emptied first
 * and then holds at most twice as many octets. */
size_t content_feed_data(struct content *content, struct bytes input, struct buffer *changed,
                         struct content_run *run);
/* BDAT: all of `input` belongs to the chunk and is used up. `last`: no octet
 * of the message follows. */
void content_feed_chunk(struct content *content, struct bytes input, bool last, struct content_run *run);

#endif
