/* SPDX-License-Identifier: Apache-2.0 */
#include "io/log.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "core/queue/queue_id.h"
#include "io/clock.h"

static struct {
    const char *process;
    enum log_format format;
    enum log_level least;
    enum { STREAM_UNKNOWN, STREAM_FILE, STREAM_JOURNAL } stream; /* stderr */
    bool holding;
    struct buffer held;
} settings = {.process = "mailboat", .least = LOG_EVENT_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
/* Of syslog, as sd-daemon(3) has them before a line. */
static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"};
enum { PRIORITY_LENGTH = 3 };

/* systemd.exec(5), JOURNAL_STREAM: the variable also reaches programs whose stderr leads elsewhere. */
static bool stream_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat facts;
    char end;
    return stream != NULL && sscanf(stream, "%llu:%llu%c", &device, &inode, &end) == 2 &&
           fstat(STDERR_FILENO, &facts) == 0 && facts.st_dev == device && facts.st_ino == inode;
}

const char *log_priority(enum log_level level)
{
    if (settings.stream == STREAM_UNKNOWN)
        settings.stream = stream_is_journal() ? STREAM_JOURNAL : STREAM_FILE;
    return settings.stream == STREAM_JOURNAL ? priorities[level] : "";
}

void log_start(const char *process, enum log_format format, enum log_level least)
{
    log_priority(LOG_EVENT_INFO); /* examined before a process is sealed */
    settings.process = process;
    settings.format = format;
    settings.least = least;
}

/* A line under construction; fields that do not fit are left out, never split. */
struct log_line {
    char *at;
    size_t length;
};

static_assert(LOG_LINE_MAX + PRIORITY_LENGTH <= PIPE_BUF, "a line is written in one piece");

enum { LINE_SIZE = LOG_LINE_MAX - 8 }; /* reserves room for the end of the line */

static bool line_add(struct log_line *line, const char *text, size_t length)
{
    if (line->length + length > LINE_SIZE)
        return false;
    memcpy(line->at + line->length, text, length);
    line->length += length;
    return true;
}

static void line_add_text(struct log_line *line, const char *text)
{
    line_add(line, text, strlen(text));
}

static size_t utf8_step(struct bytes b)
{
    for (size_t step = 1; step <= 4 && step <= b.length; step++)
        if (bytes_is_utf8(bytes_first(b, step)))
            return step;
    return 0;
}

/* Decodes a sequence of one to three octets. */
static unsigned code_point(struct bytes b, size_t step)
{
    unsigned code = (unsigned char)b.at[0] & (step == 1 ? 0x7fu : step == 2 ? 0x1fu : 0x0fu);
    for (size_t i = 1; i < step; i++)
        code = code << 6 | ((unsigned char)b.at[i] & 0x3fu);
    return code;
}

/* Returns the length of the prefix that needs no escape inside quotes and is ASCII. */
static size_t plain_length(struct bytes value)
{
    size_t length = 0;
    while (length < value.length && value.at[length] >= ' ' && value.at[length] <= '~' &&
           value.at[length] != '"' && value.at[length] != '\\')
        length++;
    return length;
}

/* Escapes inside quotes, in both formats as in JSON. */
static void line_add_escaped(struct log_line *line, struct bytes value)
{
    bool cut = value.length > LOG_VALUE_MAX;
    value = bytes_first(value, LOG_VALUE_MAX);
    while (value.length > 0) {
        size_t plain = plain_length(value), buffer = LINE_SIZE - line->length;
        if (plain > 0) {
            line_add(line, value.at, plain < buffer ? plain : buffer);
            value = bytes_from(value, plain);
            continue;
        }
        size_t step = utf8_step(value);
        unsigned char c = (unsigned char)value.at[0];
        char escape[8];
        int length = 0;
        if (step == 0) { /* not UTF-8: the replacement character */
            length = snprintf(escape, sizeof escape, "\xef\xbf\xbd");
            step = 1;
        } else if (c == '"' || c == '\\') {
            length = snprintf(escape, sizeof escape, "\\%c", c);
        } else if (bytes_control_length(value) > 0) {
            length = snprintf(escape, sizeof escape, "\\u%04x", code_point(value, step));
        }
        if (!line_add(line, length > 0 ? escape : value.at, length > 0 ? (size_t)length : step))
            return;
        value = bytes_from(value, step);
    }
    if (cut)
        line_add_text(line, "...");
}

static bool is_plain(struct bytes value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c <= 32 || c >= 127 || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return value.length > 0 && value.length <= LOG_VALUE_MAX;
}

static void line_add_value(struct log_line *line, enum log_format format, struct bytes value)
{
    if (line->length + 2 * value.length > LINE_SIZE && line->length + 8 > LINE_SIZE)
        return;
    if (format == LOG_LOGFMT && is_plain(value)) {
        line_add(line, value.at, value.length);
        return;
    }
    line_add_text(line, "\"");
    line_add_escaped(line, value);
    line->at[line->length++] = '"'; /* room for the closing quote is reserved */
}

static void line_add_key(struct log_line *line, enum log_format format, const char *key)
{
    line_add_text(line, format == LOG_JSON ? ",\"" : " ");
    line_add_text(line, key);
    line_add_text(line, format == LOG_JSON ? "\":" : "=");
}

static void line_add_field(struct log_line *line, enum log_format format, const struct log_field *field)
{
    char text[24];
    if (field->type == LOG_FIELD_END || (field->type == LOG_FIELD_BYTES && field->bytes.length == 0))
        return;
    if (line->length + strlen(field->key) + 40 > LINE_SIZE)
        return;
    line_add_key(line, format, field->key);
    switch (field->type) {
    case LOG_FIELD_END: break;
    case LOG_FIELD_BYTES: line_add_value(line, format, field->bytes); break;
    case LOG_FIELD_U64:
        snprintf(text, sizeof text, "%llu", (unsigned long long)field->number);
        line_add_text(line, text);
        break;
    case LOG_FIELD_ID:
        queue_id_text(field->number, text);
        line_add_value(line, format, bytes_of_text(text));
        break;
    case LOG_FIELD_BOOL: line_add_text(line, field->number != 0 ? "true" : "false"); break;
    }
}

size_t log_format_line(char *buffer, enum log_format format, uint64_t epoch_ms, const char *process,
                       enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    struct log_line line = {buffer, 0};
    time_t seconds = (time_t)(epoch_ms / 1000);
    struct tm calendar;
    char start[160], when[32];
    gmtime_r(&seconds, &calendar);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &calendar);
    snprintf(start, sizeof start,
             format == LOG_JSON
                 ? "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"process\":\"%s\",\"event\":\"%s\""
                 : "%s.%03uZ %s %s %s",
             when, (unsigned)(epoch_ms % 1000), level_names[level], process, event);
    line_add_text(&line, start);
    for (size_t i = 0; i < count; i++)
        line_add_field(&line, format, &fields[i]);
    if (format == LOG_JSON)
        buffer[line.length++] = '}';
    buffer[line.length++] = '\n';
    return line.length;
}

/* Writes as many whole lines at a time as a pipe accepts in one piece. */
static void write_held(void)
{
    struct bytes left = buffer_bytes(&settings.held);
    while (left.length > 0) {
        size_t length = left.length;
        if (length > PIPE_BUF)
            for (length = PIPE_BUF; left.at[length - 1] != '\n'; length--)
                ;
        (void)!write(STDERR_FILENO, left.at, length);
        left = bytes_from(left, length);
    }
}

static void hold(struct bytes line)
{
    if (settings.held.length + line.length > LOG_HELD_MAX) {
        write_held();
        buffer_clear(&settings.held);
    }
    buffer_add(&settings.held, line);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    if (level < settings.least)
        return;
    char buffer[PRIORITY_LENGTH + LOG_LINE_MAX];
    const char *priority = log_priority(level);
    size_t start = strlen(priority);
    memcpy(buffer, priority, start);
    size_t length = start + log_format_line(buffer + start, settings.format, clock_epoch_ms(),
                                            settings.process, level, event, fields, count);
    if (settings.holding && level < LOG_EVENT_ERROR)
        hold(bytes_of(buffer, length));
    else
        (void)!write(STDERR_FILENO, buffer, length);
}

void log_hold(void)
{
    settings.holding = true;
}

void log_release(bool happened)
{
    if (happened)
        write_held();
    buffer_clear(&settings.held);
}
