/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/format.h"

#include <stdio.h>
#include <time.h>

#include "core/smtp/status.h"

const char *format_time(uint64_t epoch_ms, char buffer[FORMAT_TIME_SIZE])
{
    time_t seconds = (time_t)(epoch_ms / 1000);
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL ||
        strftime(buffer, FORMAT_TIME_SIZE, "%Y-%m-%d %H:%M:%S %z", &parts) == 0)
        snprintf(buffer, FORMAT_TIME_SIZE, "%llu ms", (unsigned long long)epoch_ms);
    return buffer;
}

void format_reply(struct buffer *out, const struct attempt_record *reply)
{
    status_add_said(out, reply->code, reply->enhanced, reply->text);
}

void format_add_clean(struct buffer *out, struct bytes text)
{
    buffer_add_clean(out, text, true);
}

void format_print(struct bytes text)
{
    struct buffer clean = {0};
    format_add_clean(&clean, text);
    fwrite(buffer_text(&clean), 1, clean.length, stdout);
    buffer_free(&clean);
}

json_t *format_json(struct bytes text)
{
    json_t *value = json_stringn(text.at == NULL ? "" : text.at, text.length);
    return value != NULL ? value : json_string("(not UTF-8)");
}

void format_print_json_text(struct bytes text)
{
    json_t *value = format_json(text);
    json_dumpf(value, stdout, JSON_ENCODE_ANY);
    json_decref(value);
}

void format_print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    json_decref(value);
}
