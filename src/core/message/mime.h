/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime: composes a message (RFC 5322, RFC 2045 to 2047, RFC 2231) piece by
 * piece, so that an attachment of any size needs no memory.
 *
 * mime_check() says what cannot be written; then mime_begin() appends header
 * and text, for each attachment mime_attach(), mime_attach_some() as often as
 * there is more, mime_attach_end(), and at last mime_end(). All lines end in
 * CRLF and are at most 998 octets; what is not ASCII is encoded, so that any
 * server takes it.
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
    bool subject_is_encoded; /* it is ASCII, and may have encoded words that stay as they are */
    struct bytes text;       /* UTF-8, lines end in LF or CRLF */
    struct bytes html;       /* the same as HTML, as an alternative to the text; empty: none */
    struct bytes message_id; /* without brackets; also the boundary's seed */
    uint64_t date_ms;
    bool attachments; /* some will follow */
};

struct mime {
    char boundary[80];
    bool attachments;
    size_t column;   /* of the base64 line that is open */
    uint8_t rest[3]; /* octets that do not fill a group yet */
    size_t rest_count;
};

/* NULL when it can be written, else what is wrong: a line break in the
 * subject or an address, text that is not UTF-8. */
const char *mime_check(const struct mime_input *input);
/* The same for an attachment's name. */
const char *mime_check_name(struct bytes name);

/* Appends what a person reads of an HTML document: its text without tags. */
void mime_text_of_html(struct buffer *out, struct bytes html);

void mime_begin(struct mime *mime, struct buffer *out, const struct mime_input *input);
void mime_attach(struct mime *mime, struct buffer *out, struct bytes name);
void mime_attach_some(struct mime *mime, struct buffer *out, struct bytes octets);
void mime_attach_end(struct mime *mime, struct buffer *out);
void mime_end(struct mime *mime, struct buffer *out);

/* Appends a field of mailboxes, "Name <address>" or "address" each; nothing where there is none. */
void mime_add_mailboxes(struct buffer *out, const char *name, const struct bytes *mailboxes, size_t count);

/* "image/png" for "a.png"; "application/octet-stream" for what is not known. */
const char *mime_type_of(struct bytes name);

#endif
