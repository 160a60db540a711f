/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field_writer: writes a header field of tags (tags.h) in lines below 78 columns (RFC 5322 2.1.1).
 *
 * A line is broken only where the relaxed canonical form (canon.h) has one space anyway: between tags; and
 * inside of lists and base64 if the writer is allowed to. A word that is longer than a line stays whole.
 */
#ifndef MAILBOAT_CORE_TRUST_FIELD_WRITER_H
#define MAILBOAT_CORE_TRUST_FIELD_WRITER_H

#include "base/buffer.h"

enum { FIELD_WRITER_COLUMNS_MAX = 77 };

struct field_writer {
    struct buffer *out;
    size_t line; /* where the last line begins, in the content of *out */
    bool folds_values;
    bool any; /* a tag was written */
};

/* Begins a field: appends its name and a colon. */
void field_writer_start(struct field_writer *writer, struct buffer *out, const char *name, bool folds_values);
/* Writes a word that is not broken, such as a tag "d=example.org". */
void field_writer_word(struct field_writer *writer, const char *tag, struct bytes value);
void field_writer_number(struct field_writer *writer, const char *tag, uint64_t value);
/* Writes a list of words with colons between them, broken behind a colon. */
void field_writer_list(struct field_writer *writer, const char *tag, struct bytes value);
/* Writes the octets in base64, broken anywhere; nothing behind "=" for none. */
void field_writer_base64(struct field_writer *writer, const char *tag, struct bytes octets);
/* Ends the field with CRLF. */
void field_writer_end(struct field_writer *writer);

#endif
