/* SPDX-License-Identifier: Apache-2.0 */
/* format: prints facts of the queue to a terminal and as JSON; core/text/quantity has their units. */
#ifndef MAILBOAT_CLI_QUEUE_FORMAT_H
#define MAILBOAT_CLI_QUEUE_FORMAT_H

#include <jansson.h>

#include "base/buffer.h"
#include "store/queue/store.h"

enum { FORMAT_TIME_SIZE = 40 };

/* Returns "2026-11-23 10:12:13 +0100", in local time. */
const char *format_time(uint64_t epoch_ms, char buffer[FORMAT_TIME_SIZE]);
/* Appends "451 4.7.1 later", without absent parts. */
void format_reply(struct buffer *out, const struct attempt_record *reply);

/* Appends the text with terminal control characters replaced by '?'. */
void format_add_clean(struct buffer *out, struct bytes text);
/* Prints it so. */
void format_print(struct bytes text);

/* Invalid UTF-8 becomes "(not UTF-8)". */
json_t *format_json(struct bytes text);
/* Prints a text as JSON. */
void format_print_json_text(struct bytes text);
/* Prints one line, without its end; takes ownership of the value. */
void format_print_json(json_t *value);

#endif
