/* SPDX-License-Identifier: Apache-2.0 */
/*
 * long_field: folds header fields whose lines are longer than SMTP allows (RFC 5322 2.1.1, 2.2.3).
 *
 * transfer_encoding.c calls it for the headers of a message and of its parts.
 */
#ifndef MAILBOAT_CORE_MESSAGE_LONG_FIELD_H
#define MAILBOAT_CORE_MESSAGE_LONG_FIELD_H

#include "base/buffer.h"

/* Appends header fields (CRLF lines), folded so that no line has more than LINE_OCTETS_MAX octets without
 * its CRLF: before a space, so that the field reads the same; else after a comma, semicolon or bracket; else
 * anywhere between two characters, as Postfix does. */
void long_field_fold(struct buffer *out, struct bytes fields);

#endif
