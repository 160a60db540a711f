/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime: composes a message (RFC 5322, RFC 2045 to 2047, RFC 2231) piece by piece, so that an attachment of
 * any size needs no memory.
 *
 * mime_check() rejects invalid input; then mime_begin() appends header and text, for each attachment
 * mime_attach(), mime_attach_some() once per piece, mime_attach_end(), and finally mime_end(). All lines
 * end in CRLF and are at most 998 octets; non-ASCII text is encoded, so that any server accepts it.
 */
#ifndef MAILBOAT_CORE_MESSAGE_MIME_H
#define MAILBOAT_CORE_MESSAGE_MIME_H

#include "base/buffer.h"

enum {
    MIME_LINE_MAX = 998,
    MIME_MAILBOX_MAX = 450, /* octets of a name with its address: quoted, it still fits into a line */
};

struct mime_input {
    struct bytes from;           /* an address, or "Name <address>" */
    const struct bytes *to, *cc; /* the same */
    size_t to_count, cc_count;
    struct bytes subject;    /* UTF-8 */
    bool subject_is_encoded; /* ASCII, possibly with encoded words that are kept */
    struct bytes text;       /* UTF-8, lines end in LF or CRLF */
    struct bytes html;       /* the same as HTML, as an alternative to the text; empty: none */
    struct bytes message_id; /* without brackets; also the boundary's seed */
    uint64_t date_ms;
    bool attachments; /* attachments will follow */
};

struct mime {
    char boundary[80];
    bool attachments;
    size_t column;   /* of the open base64 line */
    uint8_t rest[3]; /* octets that do not fill a group yet */
    size_t rest_count;
};

/* Returns NULL if it can be written, else the fault: a line break in the subject or an address, or text
 * that is not UTF-8. */
const char *mime_check(const struct mime_input *input);
/* The same for an attachment's name. */
const char *mime_check_name(struct bytes name);

/* Appends the readable text of an HTML document, without tags. */
void mime_text_of_html(struct buffer *out, struct bytes html);

void mime_begin(struct mime *mime, struct buffer *out, const struct mime_input *input);
void mime_attach(struct mime *mime, struct buffer *out, struct bytes name);
void mime_attach_some(struct mime *mime, struct buffer *out, struct bytes octets);
void mime_attach_end(struct mime *mime, struct buffer *out);
void mime_end(struct mime *mime, struct buffer *out);

/* Appends a field of mailboxes, each "Name <address>" or "address"; nothing for an empty list. */
void mime_add_mailboxes(struct buffer *out, const char *name, const struct bytes *mailboxes, size_t count);

/* Returns "image/png" for "a.png"; "application/octet-stream" for unknown types. */
const char *mime_type_of(struct bytes name);

#endif
