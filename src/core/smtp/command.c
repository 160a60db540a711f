/* SPDX-License-Identifier: Apache-2.0 */
#include "core/smtp/command.h"

static const char *const verb_names[VERBS] = {
    [VERB_UNKNOWN] = "",  [VERB_HELO] = "HELO", [VERB_EHLO] = "EHLO", [VERB_STARTTLS] = "STARTTLS",
    [VERB_AUTH] = "AUTH", [VERB_MAIL] = "MAIL", [VERB_RCPT] = "RCPT", [VERB_DATA] = "DATA",
    [VERB_BDAT] = "BDAT", [VERB_RSET] = "RSET", [VERB_NOOP] = "NOOP", [VERB_VRFY] = "VRFY",
    [VERB_EXPN] = "EXPN", [VERB_HELP] = "HELP", [VERB_QUIT] = "QUIT",
};

const char *command_verb_name(enum verb verb)
{
    return verb_names[verb];
}

enum verb command_verb(struct bytes line, struct bytes *argument)
{
    struct bytes rest = line;
    struct bytes word = bytes_split(&rest, ' ');
    *argument = bytes_trim(rest);
    for (int verb = VERB_UNKNOWN + 1; verb < VERBS; verb++)
        if (bytes_is_nocase(word, verb_names[verb]))
            return (enum verb)verb;
    return VERB_UNKNOWN;
}

static bool is_xtext_hex(char c)
{
    return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

bool command_xtext_is_valid(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 33 || c > 126 || c == '=')
            return false;
        if (c == '+') {
            if (i + 2 >= text.length || !is_xtext_hex(text.at[i + 1]) || !is_xtext_hex(text.at[i + 2]))
                return false;
            i += 2;
        }
    }
    return true;
}

/* ---- parameters ---- */

struct parameter {
    const char *name;
    bool (*read)(struct bytes value, bool has_value, void *into); /* false: invalid value */
};

static bool read_size(struct bytes value, bool has_value, void *into)
{
    struct mail_argument *mail = into;
    return has_value && bytes_to_u64(value, UINT64_MAX, &mail->parameters.size);
}

static bool read_body(struct bytes value, bool has_value, void *into)
{
    static const char *const names[] = {
        [BODY_7BIT] = "7BIT", [BODY_8BITMIME] = "8BITMIME", [BODY_BINARYMIME] = "BINARYMIME"};
    struct mail_argument *mail = into;
    for (size_t i = 0; has_value && i < ARRAY_LENGTH(names); i++)
        if (bytes_is_nocase(value, names[i])) {
            mail->parameters.body = (enum body_type)i;
            return true;
        }
    return false;
}

static bool read_ret(struct bytes value, bool has_value, void *into)
{
    struct mail_argument *mail = into;
    bool full = bytes_is_nocase(value, "FULL");
    mail->parameters.ret = full ? RET_FULL : RET_HEADERS;
    return has_value && (full || bytes_is_nocase(value, "HDRS"));
}

static bool read_envid(struct bytes value, bool has_value, void *into)
{
    struct mail_argument *mail = into;
    mail->parameters.envid = value;
    return has_value && value.length > 0 && value.length <= ENVID_MAX && command_xtext_is_valid(value);
}

static bool read_smtputf8(struct bytes value, bool has_value, void *into)
{
    struct mail_argument *mail = into;
    mail->parameters.smtputf8 = true;
    return !has_value;
}

static bool read_requiretls(struct bytes value, bool has_value, void *into)
{
    struct mail_argument *mail = into;
    mail->parameters.requiretls = true;
    return !has_value;
}

/* Checks AUTH=, the original submitter (RFC 4954 5); the value is not trusted. */
static bool read_auth(struct bytes value, bool has_value, void *into)
{
    return has_value && value.length > 0 && command_xtext_is_valid(value);
}

static const struct {
    const char *name;
    uint8_t flag;
} notify_words[] = {{"NEVER", NOTIFY_NEVER},
                    {"SUCCESS", NOTIFY_SUCCESS},
                    {"FAILURE", NOTIFY_FAILURE},
                    {"DELAY", NOTIFY_DELAY}};

bool command_parse_notify(struct bytes value, uint8_t *notify)
{
    *notify = NOTIFY_UNSAID;
    while (value.length > 0) {
        struct bytes word = bytes_split(&value, ',');
        size_t i = 0;
        while (i < ARRAY_LENGTH(notify_words) && !bytes_is_nocase(word, notify_words[i].name))
            i++;
        if (i == ARRAY_LENGTH(notify_words))
            return false;
        *notify |= notify_words[i].flag;
    }
    /* NEVER excludes all others (RFC 3461 4.1). */
    return *notify != 0 && ((*notify & NOTIFY_NEVER) == 0 || *notify == NOTIFY_NEVER);
}

static bool read_notify(struct bytes value, bool has_value, void *into)
{
    struct rcpt_argument *rcpt = into;
    return has_value && command_parse_notify(value, &rcpt->notify);
}

static bool read_orcpt(struct bytes value, bool has_value, void *into)
{
    struct rcpt_argument *rcpt = into;
    rcpt->orcpt = value;
    struct bytes address = value;
    struct bytes type = bytes_split(&address, ';');
    bool utf8 = bytes_is_nocase(type, "utf-8"); /* RFC 6533 3: UTF-8 may be unencoded */
    return has_value && value.length <= ORCPT_MAX && type.length > 0 && address.length > 0 &&
           !bytes_has_control_character(value) &&
           (utf8 ? bytes_is_utf8(value) : command_xtext_is_valid(address));
}

static const struct parameter mail_parameters[] = {
    {"SIZE", read_size},   {"BODY", read_body},         {"RET", read_ret},
    {"ENVID", read_envid}, {"SMTPUTF8", read_smtputf8}, {"REQUIRETLS", read_requiretls},
    {"AUTH", read_auth},
};
static const struct parameter rcpt_parameters[] = {{"NOTIFY", read_notify}, {"ORCPT", read_orcpt}};

static enum argument_verdict read_parameters(struct bytes text, const struct parameter *known,
                                             size_t known_count, void *into, bool *any)
{
    unsigned seen = 0;
    for (text = bytes_trim(text); text.length > 0; text = bytes_trim(text)) {
        struct bytes word = bytes_split(&text, ' ');
        bool has_value = bytes_find(word, '=') != SIZE_MAX;
        struct bytes value = word;
        struct bytes name = bytes_split(&value, '=');
        size_t i = 0;
        while (i < known_count && !bytes_is_nocase(name, known[i].name))
            i++;
        if (i == known_count)
            return ARGUMENT_UNKNOWN;
        if ((seen & (1u << i)) != 0)
            return ARGUMENT_TWICE;
        seen |= 1u << i;
        *any = true;
        if (!known[i].read(value, has_value, into))
            return ARGUMENT_VALUE;
    }
    return ARGUMENT_FINE;
}

/* Reads "FROM:" or "TO:" and the path after it. Some clients send a space between them; it is harmless. */
static enum argument_verdict read_path(struct bytes *argument, const char *keyword, enum path_kind *kind,
                                       struct bytes *address)
{
    size_t used = 0;
    if (!bytes_starts_nocase(*argument, keyword))
        return ARGUMENT_SYNTAX;
    struct bytes path = bytes_trim(bytes_from(*argument, strlen(keyword)));
    *kind = address_parse_path(path, true, address, &used);
    if (*kind == PATH_MALFORMED)
        return ARGUMENT_ADDRESS;
    *argument = bytes_from(path, used);
    return argument->length == 0 || argument->at[0] == ' ' ? ARGUMENT_FINE : ARGUMENT_SYNTAX;
}

enum argument_verdict command_parse_mail(struct bytes argument, struct mail_argument *mail)
{
    enum path_kind kind;
    *mail = (struct mail_argument){0};
    enum argument_verdict verdict = read_path(&argument, "FROM:", &kind, &mail->sender);
    if (verdict != ARGUMENT_FINE)
        return verdict;
    verdict = read_parameters(argument, mail_parameters, ARRAY_LENGTH(mail_parameters), mail,
                              &mail->has_parameters);
    if (verdict == ARGUMENT_FINE && !bytes_is_ascii(mail->sender) && !mail->parameters.smtputf8)
        return ARGUMENT_NEEDS_UTF8;
    /* only RCPT has postmaster without a domain (RFC 5321 4.1.1.3) */
    bool local = kind == PATH_LOCAL || kind == PATH_POSTMASTER;
    return verdict == ARGUMENT_FINE && local ? ARGUMENT_LOCAL : verdict;
}

enum argument_verdict command_parse_rcpt(struct bytes argument, bool utf8_allowed, struct rcpt_argument *rcpt)
{
    enum path_kind kind;
    *rcpt = (struct rcpt_argument){0};
    enum argument_verdict verdict = read_path(&argument, "TO:", &kind, &rcpt->address);
    if (verdict != ARGUMENT_FINE)
        return verdict;
    if (kind == PATH_NULL)
        return ARGUMENT_ADDRESS;
    if (!utf8_allowed && !bytes_is_ascii(rcpt->address))
        return ARGUMENT_NEEDS_UTF8;
    verdict = read_parameters(argument, rcpt_parameters, ARRAY_LENGTH(rcpt_parameters), rcpt,
                              &rcpt->has_parameters);
    /* otherwise it must be xtext (RFC 6533 3) */
    if (verdict == ARGUMENT_FINE && !utf8_allowed && !bytes_is_ascii(rcpt->orcpt))
        return ARGUMENT_NEEDS_UTF8;
    return verdict == ARGUMENT_FINE && kind == PATH_LOCAL ? ARGUMENT_LOCAL : verdict;
}

void command_add_mail(struct buffer *out, const struct envelope *e)
{
    static const char *const bodies[] = {"", " BODY=8BITMIME", " BODY=BINARYMIME"};
    static const char *const returns[] = {"", " RET=HDRS", " RET=FULL"};
    buffer_add_format(out, "MAIL FROM:<%.*s>", BYTES_ARG(e->sender));
    if (e->size > 0)
        buffer_add_format(out, " SIZE=%llu", (unsigned long long)e->size);
    buffer_add_text(out, bodies[e->body]);
    if (e->smtputf8)
        buffer_add_text(out, " SMTPUTF8");
    if (e->requiretls)
        buffer_add_text(out, " REQUIRETLS");
    buffer_add_text(out, returns[e->ret]);
    if (e->envid.length > 0)
        buffer_add_format(out, " ENVID=%.*s", BYTES_ARG(e->envid));
}

void command_add_rcpt(struct buffer *out, const struct recipient *r)
{
    const char *before = " NOTIFY=";
    buffer_add_format(out, "RCPT TO:<%.*s>", BYTES_ARG(r->address));
    for (size_t i = 0; i < ARRAY_LENGTH(notify_words); i++) {
        if ((r->notify & notify_words[i].flag) == 0)
            continue;
        buffer_add_format(out, "%s%s", before, notify_words[i].name);
        before = ",";
    }
    if (r->orcpt.length > 0)
        buffer_add_format(out, " ORCPT=%.*s", BYTES_ARG(r->orcpt));
}

bool command_parse_bdat(struct bytes argument, uint64_t *size, bool *last)
{
    struct bytes rest = argument;
    struct bytes number = bytes_split(&rest, ' ');
    rest = bytes_trim(rest);
    *last = bytes_is_nocase(rest, "LAST");
    return bytes_to_u64(number, INT64_MAX, size) && (*last || rest.length == 0);
}
