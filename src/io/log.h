/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one event per line on stderr, logfmt or JSON (`time level process event key=value...`). Values are
 * escaped, which prevents log injection. A write(2) holds only whole lines, and at most PIPE_BUF octets,
 * so that lines of several processes never mix. Where stderr is the journal of systemd, each line begins with
 * its priority (log_priority).
 *
 * log_event(LOG_EVENT_INFO, "accepted", LOG_ID(id), LOG_BYTES("from", sender),
 *             LOG_U64("size", n), LOG_END);
 */
#ifndef MAILBOAT_IO_LOG_H
#define MAILBOAT_IO_LOG_H

#include "base/bytes.h"

enum log_format { LOG_LOGFMT, LOG_JSON };
enum log_level { LOG_EVENT_DEBUG, LOG_EVENT_INFO, LOG_EVENT_WARN, LOG_EVENT_ERROR };
enum { LOG_LINE_MAX = 4000, LOG_VALUE_MAX = 1000 }; /* octets; longer values are cut, with "..." */
enum { LOG_HELD_MAX = 1024 * 1024 };

/* `process` is the name on each line: "smtpd", "queue". */
void log_start(const char *process, enum log_format format, enum log_level least);
/* Returns what precedes a line of that level on stderr: its priority as "<4>" if stderr is the journal
 * (sd-daemon(3); the environment's JOURNAL_STREAM names it), otherwise "". Decided once, at the first
 * call. */
const char *log_priority(enum log_level level);

struct log_field {
    enum { LOG_FIELD_END, LOG_FIELD_BYTES, LOG_FIELD_U64, LOG_FIELD_ID, LOG_FIELD_BOOL } type;
    const char *key;
    struct bytes bytes;
    uint64_t number;
};
#define LOG_BYTES(k, b) ((struct log_field){LOG_FIELD_BYTES, (k), (b), 0})
#define LOG_TEXT(k, t) ((struct log_field){LOG_FIELD_BYTES, (k), bytes_of_text(t), 0})
#define LOG_U64(k, n) ((struct log_field){LOG_FIELD_U64, (k), {0}, (uint64_t)(n)})
#define LOG_FLAG(k, v) ((struct log_field){LOG_FIELD_BOOL, (k), {0}, (v) ? 1u : 0u})
/* id=..., the queue id as text (core/queue/queue_id.h) */
#define LOG_ID(i) ((struct log_field){LOG_FIELD_ID, "id", {0}, (i)})

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count);
/* Leaves out fields with empty bytes. */
#define log_event(level, event, ...)                                      \
    log_fields((level), (event), (const struct log_field[]){__VA_ARGS__}, \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* Buffers lines below the level error until log_release(): for a process whose lines report what a commit
 * makes true. Beyond LOG_HELD_MAX octets, lines are written without waiting. */
void log_hold(void);
/* Writes the buffered lines; or discards them if the commit failed. */
void log_release(bool happened);

/* Formats one line into `buffer` (LOG_LINE_MAX octets) and returns its length: the output of log_fields();
 * `epoch_ms` is the line's time. For tests. */
size_t log_format_line(char *buffer, enum log_format format, uint64_t epoch_ms, const char *process,
                       enum log_level level, const char *event, const struct log_field *fields, size_t count);

#endif
