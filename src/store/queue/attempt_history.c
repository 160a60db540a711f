/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/attempt_history.h"

/* ---- writing ---- */

/* Replaces control octets, which would end a field. */
static void add_field(struct buffer *out, struct bytes field, char end)
{
    for (size_t i = 0; i < field.length; i++)
        buffer_add_octet(out, (unsigned char)field.at[i] < 32 ? ' ' : field.at[i]);
    buffer_add_octet(out, end);
}

static size_t count_lines(struct bytes history)
{
    size_t lines = 0;
    for (size_t i = 0; i < history.length; i++)
        lines += history.at[i] == '\n';
    return lines;
}

void attempt_history_add(struct buffer *out, struct bytes before, const struct attempt_record *last)
{
    for (size_t lines = count_lines(before); lines >= STORE_ATTEMPTS_MAX - 1; lines--)
        bytes_split(&before, '\n');
    buffer_add(out, before);
    buffer_add_format(out, "%llu\t%u\t", (unsigned long long)last->when_ms, (unsigned)last->code);
    add_field(out, last->enhanced, '\t');
    add_field(out, last->peer, '\t');
    add_field(out, last->tls, '\t');
    add_field(out, bytes_first(last->text, STORE_PAST_REPLY_MAX), '\n');
}

/* ---- reading ---- */

static bool read_line(struct bytes line, struct attempt_record *reply)
{
    uint64_t code;
    if (!bytes_to_u64(bytes_split(&line, '\t'), UINT64_MAX, &reply->when_ms) ||
        !bytes_to_u64(bytes_split(&line, '\t'), UINT32_MAX, &code))
        return false;
    reply->code = (uint32_t)code;
    reply->enhanced = bytes_split(&line, '\t');
    reply->peer = bytes_split(&line, '\t');
    reply->tls = bytes_split(&line, '\t');
    reply->text = line;
    return true;
}

size_t attempt_history_read(struct bytes history, struct attempt_record *found)
{
    size_t count = 0;
    while (history.length > 0 && count < STORE_ATTEMPTS_MAX - 1)
        count += read_line(bytes_split(&history, '\n'), &found[count]);
    return count;
}
