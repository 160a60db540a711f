/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/send/outgoing_message.h"

#include "core/message/address_list.h"
#include "core/message/mime.h"
#include "core/smtp/address.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
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

bool letter_add_recipient(struct letter *letter, struct bytes address, struct error *error)
{
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

bool letter_add_listed(struct letter *letter, struct bytes list, const char *domain, struct error *error)
{
    struct buffer room = {0};
    struct mailbox mailbox;
    bool done = true;
    while (done && mailbox_next(&list, &room, &mailbox)) {
        if (domain != NULL && mailbox_is_bare(mailbox.address))
            buffer_add_format(&room, "@%s", domain);
        done = letter_add_recipient(letter, buffer_bytes(&room), error);
    }
    buffer_free(&room);
    return done;
}

static bool add_recipients(struct letter *letter, const char *const *list, size_t count, const char *domain, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes said = bytes_of_text(list[i]);
        if (bytes_trim(said).length == 0)
            return error_set(error, EX_DATAERR, "a recipient is empty");
        if (domain == NULL ? !letter_add_recipient(letter, bare(said), error) : !letter_add_listed(letter, said, domain, error))
            return false;
    }
    return true;
}

/* ---- reading ---- */

/* In memory where there is no place for temporary files. */
static FILE *open_temporary(struct error *error)
{
    FILE *file = tmpfile();
    int memory = file == NULL ? memfd_create("letter", MFD_CLOEXEC) : -1;
    if (memory >= 0)
        file = fdopen(memory, "w+");
    if (file == NULL)
        error_set_errno(error, EX_CANTCREAT, "cannot make a temporary file");
    return file;
}

static FILE *open_text(const struct letter_parts *parts, struct error *error)
{
    if (parts->file == NULL || strcmp(parts->file, "-") == 0)
        return stdin;
    FILE *file = fopen(parts->file, "re");
    if (file == NULL)
        error_set_errno(error, EX_NOINPUT, "cannot read %s", parts->file);
    return file;
}

/* Up to a line of one dot, which a person may type. */
static void read_until_dot(FILE *file, struct buffer *text)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t length; text->length < TEXT_MAX && (length = getline(&line, &room, file)) > 0;) {
        if (strcmp(line, ".\n") == 0 || strcmp(line, ".\r\n") == 0 || strcmp(line, ".") == 0)
            break;
        buffer_add(text, bytes_of(line, (size_t)length));
    }
    free(line);
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
    if (parts->dot_ends)
        read_until_dot(file, text);
    for (size_t count; !parts->dot_ends && (count = fread(buffer_reserve(text, READ_ROOM), 1, READ_ROOM, file)) > 0 && text->length < TEXT_MAX;)
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

const char *letter_message_id(struct letter *letter, const struct letter_parts *parts)
{
    struct bytes sender = letter->envelope.sender;
    struct bytes domain = parts->domain != NULL ? bytes_of_text(parts->domain) : bytes_from(sender, bytes_find_last(sender, '@') + 1);
    return arena_format(&letter->arena, "%llx.%016llx@%.*s", (unsigned long long)parts->now_ms, (unsigned long long)parts->random, BYTES_ARG(domain));
}

static bool read_html(const struct letter_parts *parts, struct buffer *html, struct error *error)
{
    struct letter_parts file = {.file = parts->html};
    return parts->html == NULL || read_text(&file, html, error);
}

static bool write_letter(struct letter *letter, const struct letter_parts *parts, struct bytes text, struct bytes html, struct error *error)
{
    struct mime mime;
    struct buffer out = {0};
    struct mime_letter written = {
        .from = bytes_of_text(parts->from), .to = texts_of(&letter->arena, parts->to, parts->to_count), .to_count = parts->to_count,
        .cc = texts_of(&letter->arena, parts->cc, parts->cc_count), .cc_count = parts->cc_count, .subject = bytes_of_text(parts->subject), .text = text, .html = html,
        .message_id = bytes_of_text(letter_message_id(letter, parts)),
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

/* ---- the whole ---- */

static bool write_whole(struct letter *letter, const struct letter_parts *parts, struct bytes text, struct error *error)
{
    struct buffer out = {0};
    bool done = letter_take_whole(letter, parts, text, &out, error);
    if (!bytes_is_ascii(buffer_bytes(&out)))
        letter->envelope.body = BODY_8BITMIME;
    done = done && flush(letter, &out, error);
    buffer_free(&out);
    return done;
}

/* HTML alone has its text in it. */
static bool read_texts(const struct letter_parts *parts, struct buffer *text, struct buffer *html, struct error *error)
{
    if (!read_html(parts, html, error))
        return false;
    if (parts->html == NULL || parts->body != NULL || parts->file != NULL)
        return read_text(parts, text, error);
    mime_text_of_html(text, buffer_bytes(html));
    return true;
}

static bool compose(struct letter *letter, const struct letter_parts *parts, struct buffer *text, struct buffer *html, struct error *error)
{
    letter->envelope.sender = arena_copy(&letter->arena, parts->sender != NULL ? bytes_of_text(parts->sender) : bare(bytes_of_text(parts->from)));
    if (letter->envelope.sender.length > 0 && !check_address(letter->envelope.sender, &letter->envelope.smtputf8, error))
        return false;
    if (!add_recipients(letter, parts->to, parts->to_count, parts->domain, error) || !add_recipients(letter, parts->cc, parts->cc_count, parts->domain, error) ||
        !add_recipients(letter, parts->bcc, parts->bcc_count, parts->domain, error) || !read_texts(parts, text, html, error))
        return false;
    letter->file = open_temporary(error);
    if (letter->file == NULL)
        return false;
    bool whole = parts->read_recipients || parts->domain != NULL;
    if (whole ? !write_whole(letter, parts, buffer_bytes(text), error) : !write_letter(letter, parts, buffer_bytes(text), buffer_bytes(html), error))
        return false;
    if (letter->envelope.recipient_count == 0)
        return error_set(error, EX_DATAERR, "the message names no recipient in To, Cc or Bcc");
    letter->envelope.size = letter->size;
    rewind(letter->file);
    return true;
}

bool letter_compose(struct letter *letter, const struct letter_parts *parts, struct error *error)
{
    struct buffer text = {0}, html = {0};
    *letter = (struct letter){.file = NULL};
    bool done = compose(letter, parts, &text, &html, error);
    buffer_free(&text);
    buffer_free(&html);
    if (!done)
        letter_free(letter);
    return done;
}

bool letter_of_text(struct letter *letter, struct bytes sender, struct bytes recipient, struct bytes text, struct error *error)
{
    struct buffer out = {0};
    *letter = (struct letter){.file = open_temporary(error)};
    buffer_add(&out, text);
    letter->envelope.sender = arena_copy(&letter->arena, sender);
    letter->envelope.body = bytes_is_ascii(text) ? BODY_7BIT : BODY_8BITMIME;
    bool done = letter->file != NULL && letter_add_recipient(letter, recipient, error) && flush(letter, &out, error);
    letter->envelope.size = letter->size;
    buffer_free(&out);
    if (!done)
        letter_free(letter);
    else
        rewind(letter->file);
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
