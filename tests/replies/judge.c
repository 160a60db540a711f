/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge: reads replies of servers, one JSON object a line with "reply" and "peer", and prints what each means
 * as a line of JSON, for tests/replies-table. A reply is read as the client reads it from a connection.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "core/reply/reply_meaning.h"
#include "core/smtp/reply.h"

static struct bytes row_text(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_string(value) ? bytes_of(json_string_value(value), json_string_length(value))
                                 : bytes_none();
}

/* A reply from a collection as a connection would have it: each line with its code. */
static void add_raw(struct buffer *raw, struct bytes reply)
{
    struct bytes code = bytes_first(reply, 3);
    while (reply.length > 0) {
        struct bytes line = bytes_split(&reply, '\n');
        if (line.length >= 3 && memcmp(line.at, code.at, 3) == 0)
            line = bytes_from(line, line.length > 3 && (line.at[3] == '-' || line.at[3] == ' ') ? 4 : 3);
        if (line.length > 0 && line.at[line.length - 1] == '\r')
            line.length--;
        buffer_add_format(raw, "%.*s%c", BYTES_ARG(code), reply.length > 0 ? '-' : ' ');
        buffer_add(raw, line);
        buffer_add_text(raw, "\r\n");
    }
}

static json_t *judge(const json_t *row)
{
    struct buffer raw = {0}, text = {0};
    struct smtp_reply reply;
    size_t used;
    json_t *verdict = NULL;
    add_raw(&raw, row_text(row, "reply"));
    if (reply_parse(buffer_bytes(&raw), &reply, &used) == REPLY_COMPLETE) {
        reply_text(&text, &reply);
        struct reply_facts facts = {.code = reply.code,
                                    .enhanced = reply_enhanced(&reply),
                                    .text = buffer_bytes(&text),
                                    .peer = row_text(row, "peer")};
        const struct reply_meaning *meaning = reply_meaning_find(&facts);
        if (meaning != NULL)
            verdict = json_pack(
                "{s:s, s:s, s:s, s:s, s:s}", "class", reply_meaning_class_name(meaning->class), "about",
                reply_meaning_about_name(meaning->about), "retry", reply_meaning_retry_name(meaning->retry),
                "suppress", reply_meaning_suppress_name(meaning->suppress), "row", meaning->row);
    }
    buffer_free(&raw);
    buffer_free(&text);
    return verdict != NULL ? verdict : json_pack("{s:s}", "class", "none");
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        json_error_t error;
        json_t *row = json_loadb(line, (size_t)length, JSON_ALLOW_NUL, &error);
        if (row == NULL) {
            fprintf(stderr, "replies-judge: %s\n", error.text);
            return 65;
        }
        json_t *verdict = judge(row);
        json_dumpf(verdict, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(verdict);
        json_decref(row);
    }
    free(line);
    return 0;
}
