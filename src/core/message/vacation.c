/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/vacation.h"

#include "core/message/address_list.h"
#include "core/message/header.h"
#include "core/message/mime.h"
#include "core/smtp/address.h"

const char *vacation_verdict_name(enum vacation_verdict verdict)
{
    static const char *const names[VACATION_VERDICTS] = {[VACATION_DUE] = "due",
                                                         [VACATION_NO_SENDER] = "no sender",
                                                         [VACATION_TO_ITSELF] = "own",
                                                         [VACATION_ROBOT] = "sent by a program",
                                                         [VACATION_AUTOMATIC] = "automatic",
                                                         [VACATION_LIST] = "list",
                                                         [VACATION_NOT_NAMED] = "not named",
                                                         [VACATION_UNREADABLE] = "header too long"};
    return verdict < VACATION_VERDICTS ? names[verdict] : "unknown";
}

/* ---- the sender ---- */

/* True for local parts of automatic senders (RFC 3834 2, RFC 5230 4.6). */
static bool is_robot(struct bytes sender)
{
    static const char *const whole[] = {"mailer-daemon", "postmaster", "majordomo", "listserv", "bounce",
                                        "bounces",       "noreply",    "no-reply",  "no_reply", "donotreply",
                                        "do-not-reply",  "owner",      "nobody",    "root",     "daemon"};
    static const char *const first[] = {"owner-",    "bounce-",  "bounces-",  "bounces+",     "bounce+",
                                        "prvs=",     "msprvs1=", "srs0=",     "srs0+",        "noreply-",
                                        "no-reply-", "noreply+", "no-reply+", "mailer-daemon"};
    static const char *const last[] = {"-request", "-owner",    "-bounce", "-bounces",
                                       "-noreply", "-no-reply", "-errors"};
    struct bytes local, domain;
    if (!address_split(sender, &local, &domain))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(whole); i++)
        if (bytes_is_nocase(local, whole[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LENGTH(first); i++)
        if (bytes_starts_nocase(local, first[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LENGTH(last); i++)
        if (bytes_ends_nocase(local, last[i]))
            return true;
    return false;
}

/* ---- the header ---- */

/* Trims spaces and line ends, also those of folded lines. */
static struct bytes tidy(struct bytes value)
{
    while (value.length > 0 && strchr(" \t\r\n", value.at[0]) != NULL && value.at[0] != '\0')
        value = bytes_from(value, 1);
    while (value.length > 0 && strchr(" \t\r\n", value.at[value.length - 1]) != NULL &&
           value.at[value.length - 1] != '\0')
        value.length--;
    return value;
}

struct vacation_reader {
    const struct vacation_input *input;
    struct arena *arena;
    struct vacation_about *about;
    bool named, automatic, list;
};

static bool is_user(const struct vacation_input *input, struct bytes address)
{
    return bytes_equal_nocase(address, input->user) ||
           (input->original.length > 0 && bytes_equal_nocase(address, input->original));
}

static void read_addressees(struct vacation_reader *reading, struct bytes value)
{
    struct buffer scratch = {0};
    struct address_list_entry mailbox;
    while (!reading->named && address_list_next(&value, &scratch, &mailbox))
        reading->named = is_user(reading->input, mailbox.address);
    buffer_free(&scratch);
}

/* RFC 3834 5: any value except "no", which may be followed by parameters and comments. */
static void read_auto_submitted(struct vacation_reader *reading, struct bytes value)
{
    struct bytes word = tidy(value);
    bool no = bytes_starts_nocase(word, "no") &&
              (word.length == 2 || word.at[2] == ';' || word.at[2] == ' ' || word.at[2] == '(' ||
               word.at[2] == '\r');
    reading->automatic = reading->automatic || !no;
}

static void read_precedence(struct vacation_reader *reading, struct bytes value)
{
    struct bytes word = tidy(value);
    reading->list = reading->list || bytes_is_nocase(word, "bulk") || bytes_is_nocase(word, "list") ||
                    bytes_is_nocase(word, "junk") || bytes_is_nocase(word, "auto_reply");
}

/* Programs that want no reply send any value except "none" ([MS-OXCMAIL] 2.2.3.2.14). */
static void read_suppress(struct vacation_reader *reading, struct bytes value)
{
    reading->automatic = reading->automatic || !bytes_is_nocase(tidy(value), "none");
}

static void read_content_type(struct vacation_reader *reading, struct bytes value)
{
    reading->automatic = reading->automatic || bytes_starts_nocase(tidy(value), "multipart/report") ||
                         bytes_starts_nocase(tidy(value), "message/disposition-notification");
}

static void read_message_id(struct vacation_reader *reading, struct bytes value)
{
    enum { LONGEST = 900 };
    struct bytes id = tidy(value);
    bool fit = id.length > 2 && id.length <= LONGEST && id.at[0] == '<' && id.at[id.length - 1] == '>';
    for (size_t i = 0; fit && i < id.length; i++)
        fit = id.at[i] > ' ' && id.at[i] <= '~' &&
              ((id.at[i] != '<' && id.at[i] != '>') || i == 0 || i + 1 == id.length);
    if (fit)
        reading->about->message_id = arena_copy(reading->arena, id);
}

/* Copies the subject as one line: folds become a space. */
static void read_subject(struct vacation_reader *reading, struct bytes value)
{
    struct buffer line = {0};
    for (size_t i = 0; i < value.length; i++) {
        char octet = value.at[i] == '\t' ? ' ' : value.at[i];
        if (octet != '\r' && octet != '\n')
            buffer_add_octet(&line, octet);
    }
    struct bytes subject = tidy(buffer_bytes(&line));
    if (subject.length <= VACATION_ASKER_SUBJECT_MAX && bytes_is_ascii(subject) &&
        !bytes_has_control(subject))
        reading->about->subject = arena_copy(reading->arena, subject);
    buffer_free(&line);
}

static const struct {
    const char *name;
    void (*read)(struct vacation_reader *reading, struct bytes value);
} readers[] = {
    {"To", read_addressees},
    {"Cc", read_addressees},
    {"Bcc", read_addressees},
    {"Resent-To", read_addressees},
    {"Resent-Cc", read_addressees},
    {"Resent-Bcc", read_addressees},
    {"Auto-Submitted", read_auto_submitted},
    {"Precedence", read_precedence},
    {"X-Auto-Response-Suppress", read_suppress},
    {"Content-Type", read_content_type},
    {"Message-ID", read_message_id},
    {"Subject", read_subject},
};

static void read_field(struct vacation_reader *reading, struct bytes field)
{
    struct bytes name = header_field_name(field);
    if (name.length == 0)
        return;
    struct bytes value = bytes_from(field, name.length + 1);
    reading->list = reading->list || bytes_starts_nocase(name, "List-"); /* RFC 2369, RFC 2919 */
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++)
        if (bytes_is_nocase(name, readers[i].name))
            readers[i].read(reading, value);
}

/* Returns the header without its empty line; false if it does not end here. */
static bool header_of(struct bytes content, struct bytes *header)
{
    size_t end = bytes_search(content, BYTES("\r\n\r\n"));
    if (end == SIZE_MAX || end > VACATION_HEADER_MAX)
        return false;
    *header = bytes_first(content, end + 2);
    return true;
}

enum vacation_verdict vacation_check_header(const struct vacation_input *input, struct arena *arena,
                                            struct vacation_about *about)
{
    struct vacation_reader reading = {.input = input, .arena = arena, .about = about};
    struct bytes header;
    *about = (struct vacation_about){0};
    if (input->sender.length == 0)
        return VACATION_NO_SENDER;
    if (is_user(input, input->sender))
        return VACATION_TO_ITSELF;
    if (is_robot(input->sender))
        return VACATION_ROBOT;
    if (!header_of(input->content, &header))
        return VACATION_UNREADABLE;
    while (header.length > 0) {
        size_t lines;
        read_field(&reading, header_next_field(&header, &lines));
    }
    return reading.automatic ? VACATION_AUTOMATIC
           : reading.list    ? VACATION_LIST
           : reading.named   ? VACATION_DUE
                             : VACATION_NOT_NAMED;
}

/* ---- answered senders: "MILLISECONDS ADDRESS" lines, oldest first ---- */

static bool next_line(struct bytes *memory, uint64_t *when_ms, struct bytes *sender)
{
    if (memory->length == 0)
        return false;
    *sender = bytes_split(memory, '\n');
    if (!bytes_to_u64(bytes_split(sender, ' '), UINT64_MAX, when_ms))
        *when_ms = 0;
    return true;
}

bool vacation_remembers(struct bytes memory, struct bytes sender, uint64_t since_ms)
{
    struct bytes known;
    uint64_t when_ms;
    while (next_line(&memory, &when_ms, &known))
        if (when_ms >= since_ms && bytes_equal_nocase(known, sender))
            return true;
    return false;
}

static void add_line(struct buffer *out, uint64_t when_ms, struct bytes sender)
{
    buffer_add_format(out, "%llu ", (unsigned long long)when_ms);
    buffer_add(out, sender);
    buffer_add_octet(out, '\n');
}

bool vacation_remember(struct buffer *out, struct bytes memory, struct bytes sender, uint64_t now_ms,
                       uint64_t since_ms)
{
    size_t length = out->length, count = 0;
    struct bytes known;
    uint64_t when_ms;
    while (next_line(&memory, &when_ms, &known)) {
        if (when_ms < since_ms || bytes_equal_nocase(known, sender))
            continue;
        add_line(out, when_ms, known);
        count++;
    }
    add_line(out, now_ms, sender);
    if (count < VACATION_SENDERS_MAX)
        return true;
    out->length = length;
    return false;
}

/* ---- the reply ---- */

const char *vacation_check(struct bytes subject, struct bytes text)
{
    if (subject.length > VACATION_SUBJECT_MAX)
        return "the subject is longer than 200 bytes";
    if (!bytes_is_utf8(subject) || bytes_has_control(subject))
        return "the subject has a line break, or is not UTF-8";
    if (text.length > VACATION_TEXT_MAX)
        return "the text is longer than 16 KiB";
    if (tidy(text).length == 0)
        return "the text is empty";
    return bytes_is_utf8(text) && bytes_find(text, '\0') == SIZE_MAX ? NULL : "the text is not UTF-8";
}

void vacation_compose(struct buffer *out, const struct vacation_answer *answer)
{
    struct mime mime;
    struct buffer subject = {0};
    buffer_add_text(&subject, answer->subject.length > 0         ? ""
                              : answer->about.subject.length > 0 ? "Auto: "
                                                                 : "Automatic reply");
    buffer_add(&subject, answer->subject.length > 0 ? answer->subject : answer->about.subject);
    struct mime_input input = {.from = answer->from,
                               .to = &answer->to,
                               .to_count = 1,
                               .subject = buffer_bytes(&subject),
                               .subject_is_encoded = answer->subject.length == 0,
                               .text = answer->text,
                               .message_id = answer->message_id,
                               .date_ms = answer->date_ms};
    buffer_add_text(out, "Auto-Submitted: auto-replied\r\n"); /* RFC 3834 3.1.7 */
    if (answer->about.message_id.length > 0)
        buffer_add_format(out, "In-Reply-To: %.*s\r\nReferences: %.*s\r\n",
                          BYTES_ARG(answer->about.message_id), BYTES_ARG(answer->about.message_id));
    mime_begin(&mime, out, &input);
    mime_end(&mime, out);
    buffer_free(&subject);
}
