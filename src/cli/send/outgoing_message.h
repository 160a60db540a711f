/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing_message: a message that `mailboat send` or sendmail composes or reads, in a temporary file,
 * with its envelope. message_input.c handles complete messages.
 */
#ifndef MAILBOAT_CLI_SEND_OUTGOING_MESSAGE_H
#define MAILBOAT_CLI_SEND_OUTGOING_MESSAGE_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "core/smtp/envelope.h"

struct outgoing_parts {
    /* NULL: not given; without body, file and html: standard input */
    const char *from, *subject, *body, *file;
    /* a file: the text as HTML; NULL: none. Without body and file the text is derived from it */
    const char *html;
    const char *const *to, *const *cc, *const *bcc, *const *attach;
    size_t to_count, cc_count, bcc_count, attach_count;
    bool read_recipients; /* the text is a complete message with its header, which lists recipients too */
    /* For sendmail: */
    /* not NULL: the text is a complete message in any case, addresses without a domain get this one, and a
     * line that is not a field ends the header instead of being an error */
    const char *domain;
    const char *sender;     /* of the envelope, bare; NULL: the address in `from` */
    bool dot_ends;          /* a line with one dot ends the text */
    const char *invitation; /* printed before the text is read from a terminal; NULL: nothing is */
    uint64_t now_ms, random;
};

struct outgoing_message {
    FILE *file; /* the message, CRLF lines, positioned at its start */
    uint64_t size;
    struct arena arena;
    struct envelope envelope;
    size_t capacity; /* recipients there is room for */
    /* of sendmail: recipients that are not mail addresses, which do not stop the others; shown as ASCII */
    struct bytes *invalid;
    size_t invalid_count;
};

/* False with a reason: an invalid address (65), a missing file (66). Of sendmail's recipients an invalid one
 * is in `invalid` instead. */
bool outgoing_message_compose(struct outgoing_message *message, const struct outgoing_parts *parts,
                              struct error *error);
void outgoing_message_free(struct outgoing_message *message);
/* Its recipients live as long as the message. */
struct envelope outgoing_message_envelope(const struct outgoing_message *message);
/* A complete message (CRLF lines), for one recipient. */
bool outgoing_message_of_text(struct outgoing_message *message, struct bytes sender, struct bytes recipient,
                              struct bytes text, struct error *error);

/* ---- shared by outgoing_message.c and message_input.c ---- */

/* Adds a bare address, once; false if it is invalid. */
bool outgoing_message_add_recipient(struct outgoing_message *message, struct bytes address,
                                    struct error *error);
/* Adds all of a list in header syntax; `domain` as in outgoing_message_parts. */
bool outgoing_message_add_listed(struct outgoing_message *message, struct bytes list, const char *domain,
                                 struct error *error);
const char *outgoing_message_message_id(struct outgoing_message *message, const struct outgoing_parts *parts);
/* Appends a complete message: collects recipients, removes Bcc, fills in missing fields. */
bool message_input_take(struct outgoing_message *message, const struct outgoing_parts *parts,
                        struct bytes text, struct buffer *out, struct error *error);

#endif
