/* SPDX-License-Identifier: Apache-2.0 */
#include "letter.h"

#include "buffer.h"
#include "message/mime.h"
#include "smtp/address.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

enum { RECIPIENTS_ROOM = 16, READ_ROOM = 48 * 1024, TEXT_MAX = 64 * 1024 * 1024 };

/* ---- addresses ---- */

/* "Name <address>" or "address": the bare one. */
static struct bytes bare(struct bytes mailbox)
{
    size_t open = bytes_find_last(mailbox, '<'), close = bytes_find_last(mailbox, '>');
    if (open == SIZE_MAX || close == SIZE_MAX || close < open)
        return bytes_trim(mailbox);
    return bytes_trim(bytes_of(mailbox.at + open + 1, close - open - 1));
}

static bool check_address(struct bytes text, bool *utf8, struct error *error)
{
    struct address address;
    if (!address_parse(text, true, &address))
        return error_set(error, EX_DATAERR, "'%.*s' is not a mail address", BYTES_ARG(bytes_first(text, 200)));
    *utf8 = *utf8 || address.smtputf8;
    return true;
}

static bool add_recipient(struct letter *letter, struct bytes mailbox, struct error *error)
{
    struct bytes address = bare(mailbox);
    struct envelope *e = &letter->envelope;
    if (!check_address(address, &e->smtputf8, error))
        return false;
    for (size_t i = 0; i < e->recipient_count; i++)
        if (bytes_equal(e->recipients[i].address, address))
            return true;
    if (e->recipient_count == letter->room) {
        struct recipient *more = ARENA_ARRAY(&letter->arena, struct recipient, letter->room == 0 ? RECIPIENTS_ROOM : letter->room * 2);
        if (e->recipient_count > 0)
            memcpy(more, e->recipients, e->recipient_count * sizeof *more);
        letter->room = letter->room == 0 ? RECIPIENTS_ROOM : letter->room * 2;
        e->recipients = more;
    }
    e->recipients[e->recipient_count++] = (struct recipient){.address = arena_copy(&letter->arena, address)};
    return true;
}

static bool add_recipients(struct letter *letter, const char *const *list, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (!add_recipient(letter, bytes_of_text(list[i]), error))
            return false;
    return true;
}

/* Addresses of a header field, between commas that are not in quotes. */
static bool add_listed(struct letter *letter, struct bytes list, struct error *error)
{
    size_t start = 0;
    bool quoted = false;
    for (size_t i = 0; i <= list.length; i++) {
        if (i < list.length && list.at[i] == '"')
            quoted = !quoted;
        if (i < list.length && (list.at[i] != ',' || quoted))
            continue;
        struct bytes one = bytes_trim(bytes_of(list.at + start, i - start));
        start = i + 1;
        if (one.length > 0 && !add_recipient(letter, one, error))
            return false;
    }
    return true;
}

/* ---- reading ---- */

static FILE *open_text(const struct letter_parts *parts, struct error *error)
{
    if (parts->file == NULL || strcmp(parts->file, "-") == 0)
        return stdin;
    FILE *file = fopen(parts->file, "re");
    if (file == NULL)
        error_set_errno(error, EX_NOINPUT, "cannot read %s", parts->file);
    return file;
}

static bool read_text(const struct letter_parts *parts, struct buffer *text, struct error *error)
{
    if (parts->body != NULL) {
        buffer_add_text(text, parts->body);
        return true;
    }
    FILE *file = open_text(parts, error);
    if (file == NULL)
        return false;
    for (size_t count; (count = fread(buffer_reserve(text, READ_ROOM), 1, READ_ROOM, file)) > 0 && text->length < TEXT_MAX;)
        buffer_written(text, count);
    bool done = !ferror(file) || error_set_errno(error, EX_NOINPUT, "cannot read %s", parts->file == NULL ? "standard input" : parts->file);
    if (text->length >= TEXT_MAX)
        done = error_set(error, EX_DATAERR, "the text is longer than %d MiB", TEXT_MAX / 1024 / 1024);
    if (file != stdin)
        fclose(file);
    return done;
}

static bool flush(struct letter *letter, struct buffer *out, struct error *error)
{
    struct bytes octets = buffer_bytes(out);
    bool done = octets.length == 0 || fwrite(octets.at, 1, octets.length, letter->file) == octets.length;
    letter->size += octets.length;
    buffer_clear(out);
    return done || error_set_errno(error, EX_TEMPFAIL, "cannot write a temporary file");
}

/* ---- composing ---- */

static bool attach_one(struct letter *letter, struct mime *mime, const char *path, struct buffer *out, struct error *error)
{
    const char *slash = strrchr(path, '/');
    struct bytes name = bytes_of_text(slash == NULL ? path : slash + 1);
    const char *wrong = mime_check_name(name);
    char room[READ_ROOM];
    if (wrong != NULL)
        return error_set(error, EX_DATAERR, "%s: %s", path, wrong);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set_errno(error, EX_NOINPUT, "cannot read the attachment %s", path);
    bool done = true;
    mime_attach(mime, out, name);
    for (size_t count; done && (count = fread(room, 1, sizeof room, file)) > 0;) {
        mime_attach_some(mime, out, bytes_of(room, count));
        done = flush(letter, out, error);
    }
    if (done && ferror(file))
        done = error_set_errno(error, EX_NOINPUT, "cannot read the attachment %s", path);
    fclose(file);
    mime_attach_end(mime, out);
    return done;
}

static struct bytes *texts_of(struct arena *arena, const char *const *list, size_t count)
{
    struct bytes *texts = ARENA_ARRAY(arena, struct bytes, count + 1);
    for (size_t i = 0; i < count; i++)
        texts[i] = bytes_of_text(list[i]);
    return texts;
}

static bool write_letter(struct letter *letter, const struct letter_parts *parts, struct bytes text, struct error *error)
{
    struct mime mime;
    struct buffer out = {0};
    struct bytes domain = bytes_from(letter->envelope.sender, bytes_find_last(letter->envelope.sender, '@') + 1);
    struct mime_letter written = {
        .from = bytes_of_text(parts->from), .to = texts_of(&letter->arena, parts->to, parts->to_count), .to_count = parts->to_count,
        .cc = texts_of(&letter->arena, parts->cc, parts->cc_count), .cc_count = parts->cc_count, .subject = bytes_of_text(parts->subject), .text = text,
        .message_id = bytes_of_text(arena_format(&letter->arena, "%llx.%016llx@%.*s", (unsigned long long)parts->now_ms, (unsigned long long)parts->random, BYTES_ARG(domain))),
        .date_ms = parts->now_ms, .attachments = parts->attach_count > 0};
    const char *wrong = mime_check(&written);
    if (wrong != NULL)
        return error_set(error, EX_DATAERR, "%s", wrong);
    mime_begin(&mime, &out, &written);
    bool done = true;
    for (size_t i = 0; i < parts->attach_count && done; i++)
        done = attach_one(letter, &mime, parts->attach[i], &out, error);
    mime_end(&mime, &out);
    done = done && flush(letter, &out, error);
    buffer_free(&out);
    return done;
}

/* ---- a message that is given whole ---- */

/* The field at the start of `rest`, folded lines and all. */
static struct bytes next_field(struct bytes *rest)
{
    struct bytes all = *rest;
    do
        bytes_split(rest, '\n');
    while (rest->length > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'));
    return bytes_first(all, all.length - rest->length);
}

static bool take_field(struct letter *letter, struct bytes field, bool *bcc, struct error *error)
{
    struct bytes value = field;
    struct bytes name = bytes_trim(bytes_split(&value, ':'));
    *bcc = bytes_is_nocase(name, "bcc");
    if (!*bcc && !bytes_is_nocase(name, "to") && !bytes_is_nocase(name, "cc"))
        return true;
    char *text = arena_text(&letter->arena, value);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\r' || *c == '\n' || *c == '\t')
            *c = ' ';
    return add_listed(letter, bytes_trim(bytes_of_text(text)), error);
}

static void add_lines(struct buffer *out, struct bytes text)
{
    while (text.length > 0) {
        struct bytes line = bytes_split(&text, '\n');
        if (line.length > 0 && line.at[line.length - 1] == '\r')
            line.length--;
        buffer_add(out, line);
        buffer_add_text(out, "\r\n");
    }
}

static bool take_whole(struct letter *letter, struct bytes text, struct error *error)
{
    struct buffer out = {0};
    bool bcc = false, done = true;
    while (done && text.length > 0 && text.at[0] != '\n' && text.at[0] != '\r') {
        struct bytes field = next_field(&text);
        if (bytes_find(field, ':') == SIZE_MAX) {
            done = error_set(error, EX_DATAERR, "with -t the message begins with its header; '%.*s' is no field of one", BYTES_ARG(bytes_first(bytes_trim(field), 60)));
            break;
        }
        done = take_field(letter, field, &bcc, error);
        if (!bcc)
            add_lines(&out, field);
    }
    add_lines(&out, text);
    if (!bytes_is_ascii(buffer_bytes(&out)))
        letter->envelope.body = BODY_8BITMIME;
    done = done && flush(letter, &out, error);
    buffer_free(&out);
    return done;
}

/* ---- the whole ---- */

static bool compose(struct letter *letter, const struct letter_parts *parts, struct buffer *text, struct error *error)
{
    letter->envelope.sender = arena_copy(&letter->arena, bare(bytes_of_text(parts->from)));
    if (letter->envelope.sender.length > 0 && !check_address(letter->envelope.sender, &letter->envelope.smtputf8, error))
        return false;
    if (!add_recipients(letter, parts->to, parts->to_count, error) || !add_recipients(letter, parts->cc, parts->cc_count, error) ||
        !add_recipients(letter, parts->bcc, parts->bcc_count, error) || !read_text(parts, text, error))
        return false;
    letter->file = tmpfile();
    if (letter->file == NULL)
        return error_set_errno(error, EX_CANTCREAT, "cannot make a temporary file");
    if (parts->read_recipients ? !take_whole(letter, buffer_bytes(text), error) : !write_letter(letter, parts, buffer_bytes(text), error))
        return false;
    if (letter->envelope.recipient_count == 0)
        return error_set(error, EX_DATAERR, "the message names no recipient in To, Cc or Bcc");
    letter->envelope.size = letter->size;
    rewind(letter->file);
    return true;
}

bool letter_compose(struct letter *letter, const struct letter_parts *parts, struct error *error)
{
    struct buffer text = {0};
    *letter = (struct letter){.file = NULL};
    bool done = compose(letter, parts, &text, error);
    buffer_free(&text);
    if (!done)
        letter_free(letter);
    return done;
}

void letter_free(struct letter *letter)
{
    if (letter->file != NULL)
        fclose(letter->file);
    letter->file = NULL;
    arena_clear(&letter->arena);
}

struct envelope letter_envelope(const struct letter *letter)
{
    return letter->envelope;
}
