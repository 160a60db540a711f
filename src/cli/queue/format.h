/* SPDX-License-Identifier: Apache-2.0 */
/* format: how facts of the queue look to people, and as JSON. */
#ifndef MAILBOAT_CLI_QUEUE_FORMAT_H
#define MAILBOAT_CLI_QUEUE_FORMAT_H

#include <jansson.h>

#include "base/buffer.h"
#include "store/queue/store.h"

enum { FORMAT_AGE_SIZE = 32, FORMAT_TIME_SIZE = 40 };

/* "90s", "5m", "3h", "2d"; "0s" when it runs backwards. */
const char *format_age(uint64_t from_ms, uint64_t to_ms, char buffer[FORMAT_AGE_SIZE]);
/* "2026-11-23 10:12:13 +0100", where this machine is. */
const char *format_time(uint64_t epoch_ms, char buffer[FORMAT_TIME_SIZE]);
/* "451 4.7.1 later", as far as it was said. */
void format_reply(struct buffer *out, const struct attempt_record *reply);

/* Appends the text with what a terminal would obey as '?'. */
void format_add_clean(struct buffer *out, struct bytes text);
/* And to standard output. */
void format_print(struct bytes text);

/* Octets that are not UTF-8 become "(not UTF-8)". */
json_t *format_json(struct bytes text);
/* On one line, without its end; takes the value over. */
void format_print_json(json_t *value);

#endif
