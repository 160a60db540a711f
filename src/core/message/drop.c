/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/drop.h"

#include <assert.h>

#include "core/smtp/command.h"

static const char first_line[] = "MAILBOAT-DROP 1", last_line[] = "DATA";

void drop_head_add(struct buffer *out, const struct envelope *envelope)
{
    assert(envelope->size > 0 && envelope->recipient_count > 0 &&
           envelope->recipient_count <= DROP_RECIPIENTS_MAX);
    buffer_add_format(out, "%s\n", first_line);
    command_add_mail(out, envelope);
    buffer_add_octet(out, '\n');
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        command_add_rcpt(out, &envelope->recipients[i]);
        buffer_add_octet(out, '\n');
    }
    buffer_add_format(out, "%s\n", last_line);
}

/* ---- reading ---- */

/* Returns the next line without its LF; false if it is incomplete or cannot be a command. */
static bool next_line(struct bytes *rest, struct bytes *line)
{
    size_t end = bytes_find(bytes_first(*rest, DROP_LINE_MAX), '\n');
    if (end == SIZE_MAX)
        return false;
    *line = bytes_first(*rest, end);
    *rest = bytes_from(*rest, end + 1);
    return !bytes_has_control(*line);
}

static bool take_word(struct bytes *line, const char *word)
{
    struct bytes wanted = bytes_of_text(word);
    if (!bytes_equal(bytes_first(*line, wanted.length), wanted))
        return false;
    *line = bytes_from(*line, wanted.length);
    return true;
}

static const char *read_mail(struct bytes line, struct arena *arena, struct envelope *envelope)
{
    struct mail_argument mail;
    if (!take_word(&line, "MAIL ") || command_parse_mail(line, &mail) != ARGUMENT_FINE)
        return "its second line is not a MAIL command";
    if (mail.parameters.size == 0)
        return "its MAIL command gives no SIZE";
    if (mail.parameters.requiretls || mail.parameters.body == BODY_BINARYMIME)
        return "its MAIL command asks for what is not done";
    *envelope = mail.parameters;
    envelope->envid = arena_copy(arena, mail.parameters.envid);
    envelope->sender = arena_copy(arena, mail.sender);
    return NULL;
}

static const char *read_recipient(struct bytes line, struct arena *arena, struct envelope *envelope,
                                  size_t *capacity)
{
    struct rcpt_argument rcpt;
    if (!take_word(&line, "RCPT ") || command_parse_rcpt(line, envelope->smtputf8, &rcpt) != ARGUMENT_FINE)
        return "a line of its head is not a RCPT command";
    if (envelope->recipient_count == DROP_RECIPIENTS_MAX)
        return "it has too many recipients";
    if (envelope->recipient_count == *capacity) {
        *capacity = *capacity == 0 ? 4 : *capacity * 4;
        struct recipient *larger = ARENA_ARRAY(arena, struct recipient, *capacity);
        if (envelope->recipient_count > 0)
            memcpy(larger, envelope->recipients, envelope->recipient_count * sizeof *larger);
        envelope->recipients = larger;
    }
    envelope->recipients[envelope->recipient_count++] = (struct recipient){
        .address = arena_copy(arena, rcpt.address),
        .orcpt = arena_copy(arena, rcpt.orcpt),
        .notify = rcpt.notify};
    return NULL;
}

static const char *read_head(struct bytes *rest, struct arena *arena, struct envelope *envelope)
{
    struct bytes line;
    size_t capacity = 0;
    if (!next_line(rest, &line) || !bytes_is(line, first_line))
        return "it does not begin as a dropped message does";
    const char *wrong = next_line(rest, &line) ? read_mail(line, arena, envelope)
                                               : "its second line is not a MAIL command";
    while (wrong == NULL) {
        if (!next_line(rest, &line))
            return "its head has no end";
        if (bytes_is(line, last_line))
            return envelope->recipient_count > 0 ? NULL : "it has no recipient";
        wrong = read_recipient(line, arena, envelope, &capacity);
    }
    return wrong;
}

bool drop_head_parse(struct bytes text, struct arena *arena, struct envelope *envelope, size_t *used,
                     const char **wrong)
{
    struct bytes all = bytes_first(text, DROP_HEAD_MAX), rest = all;
    *envelope = (struct envelope){0};
    *wrong = read_head(&rest, arena, envelope);
    *used = all.length - rest.length;
    return *wrong == NULL;
}
