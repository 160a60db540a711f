/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing_message: a message that `mailboat send` or sendmail composes or reads, in a
 * temporary file, with its envelope. message_input.c has those that are given whole.
 */
#ifndef MAILBOAT_CLI_SEND_OUTGOING_MESSAGE_H
#define MAILBOAT_CLI_SEND_OUTGOING_MESSAGE_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "core/smtp/envelope.h"

struct outgoing_parts {
    /* NULL: not said; without body, file and html: standard input */
    const char *from, *subject, *body, *file;
    /* a file: the text as HTML; NULL: none. Without body and file the text is taken from it */
    const char *html;
    const char *const *to, *const *cc, *const *bcc, *const *attach;
    size_t to_count, cc_count, bcc_count, attach_count;
    bool read_recipients; /* the text is a whole message with its header, which says who gets it too */
    /* As sendmail takes it: */
    /* not NULL: the text is a whole message anyhow, addresses that name a user alone get
     * this domain, and what is no field ends the header instead of being an error */
    const char *domain;
    const char *sender; /* of the envelope, bare; NULL: the address in `from` */
    bool dot_ends;      /* a line of one dot ends the text */
    uint64_t now_ms, random;
};

struct outgoing_message {
    FILE *file; /* the message, CRLF lines, at its beginning */
    uint64_t size;
    struct arena arena;
    struct envelope envelope;
    size_t capacity; /* recipients there is room for */
};

/* False with a reason: an impossible address (65), a file that is not there (66). */
bool outgoing_message_compose(struct outgoing_message *message, const struct outgoing_parts *parts,
                              struct error *error);
void outgoing_message_free(struct outgoing_message *message);
/* Its recipients live as long as the message. */
struct envelope outgoing_message_envelope(const struct outgoing_message *message);
/* A message that is written already (CRLF lines), to one recipient. */
bool outgoing_message_of_text(struct outgoing_message *message, struct bytes sender, struct bytes recipient,
                              struct bytes text, struct error *error);

/* ---- what outgoing_message.c and message_input.c share ---- */

/* A bare address, once; false when it is none. */
bool outgoing_message_add_recipient(struct outgoing_message *message, struct bytes address,
                                    struct error *error);
/* All of a list, as header fields have them; `domain` as in outgoing_message_parts. */
bool outgoing_message_add_listed(struct outgoing_message *message, struct bytes list, const char *domain,
                                 struct error *error);
const char *outgoing_message_message_id(struct outgoing_message *message, const struct outgoing_parts *parts);
/* Appends a message that is given whole: recipients gathered, Bcc taken out, what is missing filled in. */
bool message_input_take(struct outgoing_message *message, const struct outgoing_parts *parts,
                        struct bytes text, struct buffer *out, struct error *error);

#endif
