/* SPDX-License-Identifier: Apache-2.0 */
/* Anything as values of a log line: one line, nothing in it that acts, and a
 * second reading finds the same fields and no more. */
#include "choices.h"
#include "io/log.h"

/* Reads key=value pairs of logfmt as a collector does; the number of them. */
static size_t fields_of(struct bytes line)
{
    size_t fields = 0;
    while (line.length > 0) {
        size_t equals = bytes_find(line, '=');
        INSIST(equals != SIZE_MAX && equals > 0 && bytes_find(bytes_first(line, equals), ' ') == SIZE_MAX &&
               bytes_find(bytes_first(line, equals), '"') == SIZE_MAX);
        line = bytes_from(line, equals + 1);
        size_t end = 0;
        if (line.length > 0 && line.at[0] == '"') {
            for (end = 1; end < line.length && line.at[end] != '"'; end++)
                end += line.at[end] == '\\';
            INSIST(end < line.length);
            end++;
        } else {
            end = bytes_find(line, ' ') == SIZE_MAX ? line.length : bytes_find(line, ' ');
        }
        INSIST(end == line.length || line.at[end] == ' ');
        line = bytes_from(line, end == line.length ? end : end + 1);
        fields++;
    }
    return fields;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char room[LOG_LINE_MAX];
    struct bytes rest = bytes_of(data, size);
    struct log_field fields[4];
    size_t some = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        struct bytes value = i == 3 ? rest : bytes_split(&rest, '\0');
        fields[i] = (struct log_field)LOG_BYTES("key", value);
        some += value.length > 0;
    }
    for (enum log_format format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        size_t length = log_format_line(room, format, 1795435200000u, "smtpd", LOG_EVENT_INFO, "refused",
                                        fields, ARRAY_LENGTH(fields));
        INSIST(length > 0 && length <= LOG_LINE_MAX && room[length - 1] == '\n');
        struct bytes line = bytes_of(room, length - 1);
        INSIST(bytes_is_utf8(line) && !bytes_has_control_character(line));
        struct bytes words = line;
        for (int i = 0; i < 4 && format == LOG_LOGFMT; i++)
            bytes_split(&words, ' ');
        INSIST(format != LOG_LOGFMT ||
               (fields_of(words) <= some && (size > 2000 || fields_of(words) == some)));
    }
    return 0;
}
