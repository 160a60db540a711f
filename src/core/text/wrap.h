/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wrap: breaks a line of text for a terminal of a given width. Lines break at spaces; a word that is longer
 * than a line is cut. Nothing is left out.
 */
#ifndef MAILBOAT_CORE_TEXT_WRAP_H
#define MAILBOAT_CORE_TEXT_WRAP_H

#include "base/buffer.h"

/* Returns the columns of a text on a terminal: one for each character, two for the wide ones of East Asia
 * and for pictures, none for a colour ("\033[31m"). Octets that are not UTF-8 count as one each. */
size_t wrap_columns(struct bytes text);

/* Appends the text, which has no line end, and a line end. `width` is in columns, 0 for no limit;
 * continuation lines begin with `indent` spaces, with none where the width is less than twice that. */
void wrap_add(struct buffer *out, struct bytes text, size_t indent, size_t width);

#endif
