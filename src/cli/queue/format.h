/* SPDX-License-Identifier: Apache-2.0 */
/* format: how facts of the queue look to people, and as JSON. */
#ifndef MAILBOAT_CLI_QUEUE_FORMAT_H
#define MAILBOAT_CLI_QUEUE_FORMAT_H

#include "base/buffer.h"
#include "store/store.h"

#include <jansson.h>

enum { WORDS_AGE_ROOM = 32, WORDS_TIME_ROOM = 40 };

/* "90s", "5m", "3h", "2d"; "0s" when it runs backwards. */
const char *words_age(uint64_t from_ms, uint64_t to_ms, char room[WORDS_AGE_ROOM]);
/* "2026-11-23 10:12:13 +0100", where this machine is. */
const char *words_time(uint64_t epoch_ms, char room[WORDS_TIME_ROOM]);
/* "451 4.7.1 later", as far as it was said. */
void words_reply(struct buffer *out, const struct store_reply *reply);

/* Appends the text with what a terminal would obey as '?'. */
void words_add_clean(struct buffer *out, struct bytes text);
/* And to standard output. */
void words_print(struct bytes text);

/* Octets that are not UTF-8 become "(not UTF-8)". */
json_t *words_json(struct bytes text);
/* On one line, without its end; takes the value over. */
void words_print_json(json_t *value);

#endif
