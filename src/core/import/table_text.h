/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_text: the text form that Postfix's main.cf, its tables (postmap(1)) and aliases(5) share. A line that
 * begins with a space or tab continues the one before; empty lines, and those whose first character is #, do
 * not count. table_text_start(), then table_text_next() for each line that counts; one of the splits follows.
 */
#ifndef MAILBOAT_CORE_IMPORT_TABLE_TEXT_H
#define MAILBOAT_CORE_IMPORT_TABLE_TEXT_H

#include "base/buffer.h"

struct table_text {
    struct bytes left;  /* borrowed */
    size_t read;        /* physical lines */
    struct buffer line; /* the logical line */
};

void table_text_start(struct table_text *table, struct bytes text);
void table_text_free(struct table_text *table);
/* Gets the next logical line, joined with single spaces; it lives until the next call. `number`: its first
 * physical line, from 1. False at the end. */
bool table_text_next(struct table_text *table, struct bytes *line, size_t *number);

/* Splits "key value" of a table. A key in double quotes loses them, unless it has backslashes: see
 * table_text_unquoted(). False without a value. */
bool table_text_split(struct bytes line, struct bytes *key, struct bytes *value);
/* The same for "name: value" of aliases(5). False without a colon or a name. */
bool table_text_split_alias(struct bytes line, struct bytes *name, struct bytes *value);
/* Returns the name without quotes and backslashes ("john \"q\" doe", john\ doe, "john doe"@example.org), in
 * `room`, which is cleared first. */
struct bytes table_text_unquoted(struct bytes name, struct buffer *room);
/* Splits "name = value" of main.cf. False without an equals sign or a name. */
bool table_text_split_parameter(struct bytes line, struct bytes *name, struct bytes *value);

#endif
