/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_form: the form in which a peer gets a content: unchanged, with line ends mended, or encoded for a
 * peer without 8BITMIME or BINARYMIME, and for lines that are too long. Peers with the same form get the
 * same octets.
 *
 * The session sends contents in this form (client_transaction.c); a signature is made of the same octets,
 * ahead of that:
 *
 *     content_formed_start(&formed, form);
 *     content_formed_add(&formed, &out, run);   for each run of the content
 *     content_formed_end(&formed, &out);
 *     content_formed_free(&formed);
 *
 * The doubling of dots and the missing end of the last line are not in its output: a reader of DATA undoes
 * the one, and BDAT lacks the other.
 */
#ifndef MAILBOAT_CORE_CLIENT_CONTENT_FORM_H
#define MAILBOAT_CORE_CLIENT_CONTENT_FORM_H

#include "core/client/encoder.h"
#include "core/message/transfer_encoding.h"

struct content_form {
    bool raw;                       /* binary content, sent octet by octet */
    bool encodes;                   /* the content passes through transfer_encoding, with: */
    bool binary;                    /* all of its parts are encoded, */
    bool short_lines, eight_passes; /* as there */
};

enum { CONTENT_FORMS = 32 };
/* Returns a number below CONTENT_FORMS: the same for equal forms alone. */
unsigned content_form_number(struct content_form form);

struct formed_content {
    struct content_form form;
    struct encoder encoder;
    struct transfer_encoding transfer_encoding;
    struct buffer encoded;
};

/* Prepares an encoding for a form that encodes. */
void content_form_start_encoding(struct content_form form, struct transfer_encoding *transfer_encoding);

void content_formed_start(struct formed_content *formed, struct content_form form);
void content_formed_add(struct formed_content *formed, struct buffer *out, struct bytes run);
void content_formed_end(struct formed_content *formed, struct buffer *out);
void content_formed_free(struct formed_content *formed);

#endif
