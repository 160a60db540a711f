/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/send/outgoing_message.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/message/address_list.h"
#include "core/message/mime.h"
#include "core/smtp/address.h"

enum { RECIPIENTS_FIRST = 16, INVALID_SHOWN_MAX = 200, READ_SIZE = 48 * 1024, TEXT_MAX = 64 * 1024 * 1024 };

/* ---- addresses ---- */

/* Returns the bare address of "Name <address>" or "address". */
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
        return error_set(error, EX_DATAERR, "'%.*s' is not a mail address",
                         BYTES_ARG(bytes_first(text, 200)));
    *utf8 = *utf8 || address.smtputf8;
    return true;
}

bool outgoing_message_add_recipient(struct outgoing_message *message, struct bytes address,
                                    struct error *error)
{
    struct envelope *e = &message->envelope;
    address = address_without_root_dot(address);
    if (!check_address(address, &e->smtputf8, error))
        return false;
    for (size_t i = 0; i < e->recipient_count; i++)
        if (bytes_equal(e->recipients[i].address, address))
            return true;
    if (e->recipient_count == message->capacity) {
        struct recipient *more = ARENA_ARRAY(&message->arena, struct recipient,
                                             message->capacity == 0 ? RECIPIENTS_FIRST
                                                                    : message->capacity * 2);
        if (e->recipient_count > 0)
            memcpy(more, e->recipients, e->recipient_count * sizeof *more);
        message->capacity = message->capacity == 0 ? RECIPIENTS_FIRST : message->capacity * 2;
        e->recipients = more;
    }
    e->recipients[e->recipient_count++] = (struct recipient){.address = arena_copy(&message->arena, address)};
    return true;
}

static void add_invalid(struct outgoing_message *message, struct bytes said)
{
    size_t count = message->invalid_count;
    if ((count & (count - 1)) == 0) { /* full at 0 and at each power of two */
        struct bytes *more = ARENA_ARRAY(&message->arena, struct bytes, count == 0 ? 1 : count * 2);
        if (count > 0)
            memcpy(more, message->invalid, count * sizeof *more);
        message->invalid = more;
    }
    char *shown = arena_text(&message->arena, bytes_first(said, INVALID_SHOWN_MAX));
    for (char *at = shown; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    message->invalid[message->invalid_count++] = bytes_of_text(shown);
}

bool outgoing_message_add_listed(struct outgoing_message *message, struct bytes list, const char *domain,
                                 struct error *error)
{
    struct buffer room = {0};
    struct address_list_entry mailbox;
    bool done = true;
    while (done && address_list_next(&list, &room, &mailbox)) {
        bool is_bare = address_list_is_bare(mailbox.address);
        if (domain != NULL && is_bare)
            buffer_add_format(&room, "@%s", domain);
        done = outgoing_message_add_recipient(message, buffer_bytes(&room), error);
        if (domain == NULL || done)
            continue;
        struct bytes said = buffer_bytes(&room);
        add_invalid(message, is_bare ? bytes_first(said, said.length - strlen(domain) - 1) : said);
        done = true;
    }
    buffer_free(&room);
    return done;
}

static bool add_recipients(struct outgoing_message *message, const char *const *list, size_t count,
                           const char *domain, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes said = bytes_of_text(list[i]);
        if (bytes_trim(said).length == 0 && domain == NULL)
            return error_set(error, EX_DATAERR, "a recipient is empty");
        if (bytes_trim(said).length == 0)
            add_invalid(message, said);
        else if (domain == NULL ? !outgoing_message_add_recipient(message, bare(said), error)
                                : !outgoing_message_add_listed(message, said, domain, error))
            return false;
    }
    return true;
}

/* ---- reading ---- */

/* Falls back to memory if there is no folder for temporary files. */
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

/* A user at a terminal must know that the program waits. */
static FILE *invite(const struct outgoing_parts *parts)
{
    if (parts->invitation != NULL && isatty(STDIN_FILENO))
        fprintf(stderr, "%s\n", parts->invitation);
    return stdin;
}

static FILE *open_text(const struct outgoing_parts *parts, struct error *error)
{
    if (parts->file == NULL || strcmp(parts->file, "-") == 0)
        return invite(parts);
    FILE *file = fopen(parts->file, "re");
    if (file == NULL)
        error_set_errno(error, EX_NOINPUT, "cannot read %s", parts->file);
    return file;
}

/* Reads up to a line with one dot, as typed by a user. */
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

static bool read_text(const struct outgoing_parts *parts, struct buffer *text, struct error *error)
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
    for (size_t count; !parts->dot_ends &&
                       (count = fread(buffer_reserve(text, READ_SIZE), 1, READ_SIZE, file)) > 0 &&
                       text->length < TEXT_MAX;) {
        buffer_written(text, count);
        if (feof(file)) /* a terminal would be asked for another ^D */
            break;
    }
    bool done = !ferror(file) || error_set_errno(error, EX_NOINPUT, "cannot read %s",
                                                 parts->file == NULL ? "standard input" : parts->file);
    if (text->length >= TEXT_MAX)
        done = error_set(error, EX_DATAERR, "the text is longer than %d MiB", TEXT_MAX / 1024 / 1024);
    if (file != stdin)
        fclose(file);
    return done;
}

static bool flush(struct outgoing_message *message, struct buffer *out, struct error *error)
{
    struct bytes octets = buffer_bytes(out);
    bool done = octets.length == 0 || fwrite(octets.at, 1, octets.length, message->file) == octets.length;
    message->size += octets.length;
    buffer_clear(out);
    return done || error_set_errno(error, EX_TEMPFAIL, "cannot write a temporary file");
}

/* ---- composing ---- */

static bool attach_one(struct outgoing_message *message, struct mime *mime, const char *path,
                       struct buffer *out, struct error *error)
{
    const char *slash = strrchr(path, '/');
    struct bytes name = bytes_of_text(slash == NULL ? path : slash + 1);
    const char *wrong = mime_check_name(name);
    char room[READ_SIZE];
    if (wrong != NULL)
        return error_set(error, EX_DATAERR, "%s: %s", path, wrong);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set_errno(error, EX_NOINPUT, "cannot read the attachment %s", path);
    bool done = true;
    mime_attach(mime, out, name);
    for (size_t count; done && (count = fread(room, 1, sizeof room, file)) > 0;) {
        mime_attach_some(mime, out, bytes_of(room, count));
        done = flush(message, out, error);
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

const char *outgoing_message_message_id(struct outgoing_message *message, const struct outgoing_parts *parts)
{
    struct bytes sender = message->envelope.sender;
    struct bytes domain = parts->domain != NULL ? bytes_of_text(parts->domain)
                                                : bytes_from(sender, bytes_find_last(sender, '@') + 1);
    return arena_format(&message->arena, "%llx.%016llx@%.*s", (unsigned long long)parts->now_ms,
                        (unsigned long long)parts->random, BYTES_ARG(domain));
}

static bool read_html(const struct outgoing_parts *parts, struct buffer *html, struct error *error)
{
    struct outgoing_parts file = {.file = parts->html};
    return parts->html == NULL || read_text(&file, html, error);
}

static bool write_message(struct outgoing_message *message, const struct outgoing_parts *parts,
                          struct bytes text, struct bytes html, struct error *error)
{
    struct mime mime;
    struct buffer out = {0};
    struct mime_input written = {.from = bytes_of_text(parts->from),
                                 .to = texts_of(&message->arena, parts->to, parts->to_count),
                                 .to_count = parts->to_count,
                                 .cc = texts_of(&message->arena, parts->cc, parts->cc_count),
                                 .cc_count = parts->cc_count,
                                 .subject = bytes_of_text(parts->subject),
                                 .text = text,
                                 .html = html,
                                 .message_id = bytes_of_text(outgoing_message_message_id(message, parts)),
                                 .date_ms = parts->now_ms,
                                 .attachments = parts->attach_count > 0};
    const char *wrong = mime_check(&written);
    if (wrong != NULL)
        return error_set(error, EX_DATAERR, "%s", wrong);
    mime_begin(&mime, &out, &written);
    bool done = true;
    for (size_t i = 0; i < parts->attach_count && done; i++)
        done = attach_one(message, &mime, parts->attach[i], &out, error);
    mime_end(&mime, &out);
    done = done && flush(message, &out, error);
    buffer_free(&out);
    return done;
}

/* ---- the message ---- */

static bool write_whole(struct outgoing_message *message, const struct outgoing_parts *parts,
                        struct bytes text, struct error *error)
{
    struct buffer out = {0};
    bool done = message_input_take(message, parts, text, &out, error);
    if (!bytes_is_ascii(buffer_bytes(&out)))
        message->envelope.body = BODY_8BITMIME;
    done = done && flush(message, &out, error);
    buffer_free(&out);
    return done;
}

/* HTML without text: the text is derived from it. */
static bool read_texts(const struct outgoing_parts *parts, struct buffer *text, struct buffer *html,
                       struct error *error)
{
    if (!read_html(parts, html, error))
        return false;
    if (parts->html == NULL || parts->body != NULL || parts->file != NULL)
        return read_text(parts, text, error);
    mime_text_of_html(text, buffer_bytes(html));
    return true;
}

static bool compose(struct outgoing_message *message, const struct outgoing_parts *parts, struct buffer *text,
                    struct buffer *html, struct error *error)
{
    message->envelope.sender = arena_copy(&message->arena, parts->sender != NULL
                                                               ? bytes_of_text(parts->sender)
                                                               : bare(bytes_of_text(parts->from)));
    if (message->envelope.sender.length > 0 &&
        !check_address(message->envelope.sender, &message->envelope.smtputf8, error))
        return false;
    if (!add_recipients(message, parts->to, parts->to_count, parts->domain, error) ||
        !add_recipients(message, parts->cc, parts->cc_count, parts->domain, error) ||
        !add_recipients(message, parts->bcc, parts->bcc_count, parts->domain, error) ||
        !read_texts(parts, text, html, error))
        return false;
    message->file = open_temporary(error);
    if (message->file == NULL)
        return false;
    bool whole = parts->read_recipients || parts->domain != NULL;
    if (whole ? !write_whole(message, parts, buffer_bytes(text), error)
              : !write_message(message, parts, buffer_bytes(text), buffer_bytes(html), error))
        return false;
    if (message->envelope.recipient_count == 0 && message->invalid_count == 0)
        return error_set(error, EX_DATAERR, "the message has no recipient in To, Cc or Bcc");
    message->envelope.size = message->size;
    rewind(message->file);
    return true;
}

bool outgoing_message_compose(struct outgoing_message *message, const struct outgoing_parts *parts,
                              struct error *error)
{
    struct buffer text = {0}, html = {0};
    *message = (struct outgoing_message){.file = NULL};
    bool done = compose(message, parts, &text, &html, error);
    buffer_free(&text);
    buffer_free(&html);
    if (!done)
        outgoing_message_free(message);
    return done;
}

bool outgoing_message_of_text(struct outgoing_message *message, struct bytes sender, struct bytes recipient,
                              struct bytes text, struct error *error)
{
    struct buffer out = {0};
    *message = (struct outgoing_message){.file = open_temporary(error)};
    buffer_add(&out, text);
    message->envelope.sender = arena_copy(&message->arena, sender);
    message->envelope.body = bytes_is_ascii(text) ? BODY_7BIT : BODY_8BITMIME;
    bool done = message->file != NULL && outgoing_message_add_recipient(message, recipient, error) &&
                flush(message, &out, error);
    message->envelope.size = message->size;
    buffer_free(&out);
    if (!done)
        outgoing_message_free(message);
    else
        rewind(message->file);
    return done;
}

void outgoing_message_free(struct outgoing_message *message)
{
    if (message->file != NULL)
        fclose(message->file);
    message->file = NULL;
    arena_clear(&message->arena);
}

struct envelope outgoing_message_envelope(const struct outgoing_message *message)
{
    return message->envelope;
}
