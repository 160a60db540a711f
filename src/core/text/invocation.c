/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/invocation.h"

#include <string.h>
#include <sysexits.h>

#include "core/smtp/command.h"

/* ---- values of flags ---- */

typedef bool read_value(struct invocation *invocation, const char *value, struct error *error);

static bool read_config(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->config = value;
    return true;
}

static bool read_sender(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->sender = value;
    return true;
}

static bool read_full_name(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->full_name = value;
    return true;
}

static bool read_errors(struct invocation *invocation, const char *value, struct error *error)
{
    switch (value[0]) {
    case 'p':
    case 'w': invocation->errors = ERRORS_PRINTED; return true;
    case 'm': invocation->errors = ERRORS_MAILED; return true;
    case 'e': invocation->errors = ERRORS_MAILED_ALWAYS; return true;
    case 'q': invocation->errors = ERRORS_QUIET; return true;
    default:
        return error_set(error, EX_USAGE,
                         "-oe%s is not known: say -oem (mail errors back), -oep (print them), -oeq or -oee",
                         value);
    }
}

/* Handles -oi and -oe..; ignores the other options of -o. */
static bool read_option(struct invocation *invocation, const char *value, struct error *error)
{
    if (value[0] == 'e')
        return read_errors(invocation, value + 1, error);
    if (strcmp(value, "i") == 0)
        invocation->dot_is_text = true;
    return true;
}

static bool read_body(struct invocation *invocation, const char *value, struct error *error)
{
    struct bytes body = bytes_of_text(value);
    return bytes_is_nocase(body, "7BIT") || bytes_is_nocase(body, "8BITMIME") ||
           error_set(error, EX_USAGE, "-B is 7BIT or 8BITMIME, not '%s'", value);
}

static bool read_notify(struct invocation *invocation, const char *value, struct error *error)
{
    return command_parse_notify(bytes_of_text(value), &invocation->notify) ||
           error_set(error, EX_USAGE, "-N is never, or some of success,failure,delay; not '%s'", value);
}

static bool read_ret(struct invocation *invocation, const char *value, struct error *error)
{
    bool full = bytes_is_nocase(bytes_of_text(value), "full");
    invocation->ret = full ? RET_FULL : RET_HEADERS;
    return full || bytes_is_nocase(bytes_of_text(value), "hdrs") ||
           error_set(error, EX_USAGE, "-R is full or hdrs, not '%s'", value);
}

static bool read_envid(struct invocation *invocation, const char *value, struct error *error)
{
    struct bytes envid = bytes_of_text(value);
    invocation->envid = value;
    return (envid.length > 0 && envid.length <= ENVID_MAX && command_xtext_is_valid(envid)) ||
           error_set(error, EX_USAGE, "-V is an envelope id of 1 to %d letters, digits and signs, not '%s'",
                     ENVID_MAX, value);
}

static bool read_mode(struct invocation *invocation, const char *value, struct error *error)
{
    static const struct {
        char letter;
        enum invocation_mode mode;
    } modes[] = {{'m', INVOCATION_DELIVER},
                 {'s', INVOCATION_SMTP},
                 {'p', INVOCATION_LIST},
                 {'i', INVOCATION_ALIASES},
                 {'v', INVOCATION_VERIFY}};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++)
        if (value[0] == modes[i].letter && value[1] == '\0') {
            invocation->mode = modes[i].mode;
            return true;
        }
    if (strcmp(value, "d") == 0 || strcmp(value, "D") == 0)
        return error_set(error, EX_USAGE, "-b%s: the server is started by: mailboat serve", value);
    return error_set(error, EX_USAGE, "-b%s is not known: say -bm, -bs, -bp, -bi or -bv", value);
}

static bool forget(struct invocation *invocation, const char *value, struct error *error)
{
    return true;
}

/* ---- the table ---- */

static bool set_recipients(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->read_recipients = true;
    return true;
}

static bool set_dot(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->dot_is_text = true;
    return true;
}

static bool set_aliases(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->mode = INVOCATION_ALIASES;
    return true;
}

/* "-q" or "-q30m": the whole queue; "-qI" with an id: one message. */
static bool run_queue(struct invocation *invocation, const char *value, struct error *error)
{
    invocation->mode = INVOCATION_RUN_QUEUE;
    if (value[0] == 'I')
        invocation->queue_id = value + 1;
    return true;
}

enum flag_takes { NO_VALUE, VALUE, GLUED_VALUE /* or none */ };

static const struct sendmail_flag {
    char letter;
    enum flag_takes takes;
    read_value *read;
} flags[] = {
    {'t', NO_VALUE, set_recipients},
    {'i', NO_VALUE, set_dot},
    {'f', VALUE, read_sender},
    {'r', VALUE, read_sender},
    {'F', VALUE, read_full_name},
    {'o', VALUE, read_option},
    {'e', VALUE, read_errors},
    {'b', VALUE, read_mode},
    {'q', GLUED_VALUE, run_queue},
    {'C', VALUE, read_config},
    {'B', VALUE, read_body},
    {'N', VALUE, read_notify},
    {'R', VALUE, read_ret},
    {'V', VALUE, read_envid},
    {'I', NO_VALUE, set_aliases},
    /* Accepted and ignored: */
    {'A', VALUE, forget},
    {'h', VALUE, forget},
    {'L', VALUE, forget},
    {'M', VALUE, forget},
    {'O', VALUE, forget},
    {'p', VALUE, forget},
    {'X', VALUE, forget},
    {'d', GLUED_VALUE, forget},
    {'G', NO_VALUE, forget},
    {'U', NO_VALUE, forget},
    {'c', NO_VALUE, forget},
    {'m', NO_VALUE, forget},
    {'n', NO_VALUE, forget},
    {'v', NO_VALUE, forget},
    {'x', NO_VALUE, forget},
};

static const struct sendmail_flag *find(char letter)
{
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
        if (flags[i].letter == letter)
            return &flags[i];
    return NULL;
}

/* Reads the flags in argv[*at]; the last one's value may be the next argument. */
static bool read_word(struct invocation *invocation, int argc, char **argv, int *at, struct error *error)
{
    for (const char *c = argv[*at] + 1; *c != '\0'; c++) {
        const struct sendmail_flag *flag = find(*c);
        if (flag == NULL && *c == '-')
            return error_set(error, EX_USAGE, "unknown option %s (another configuration is -C FILE)",
                             argv[*at]);
        if (flag == NULL)
            return error_set(error, EX_USAGE, "unknown option -%c", *c);
        if (flag->takes == NO_VALUE) {
            flag->read(invocation, NULL, error);
            continue;
        }
        const char *value = c + 1;
        if (flag->takes == VALUE && *value == '\0') {
            if (*at + 1 >= argc)
                return error_set(error, EX_USAGE, "-%c requires a value", *c);
            value = argv[++*at];
        }
        return flag->read(invocation, value, error);
    }
    return true;
}

/* Rejects line breaks, with which an argument could inject header or envelope lines. */
static bool check_lines(int argc, char **argv, struct error *error)
{
    for (int i = 1; i < argc; i++)
        if (strpbrk(argv[i], "\r\n") != NULL)
            return error_set(error, EX_USAGE, "argument %d has a line break in it: %s", i, argv[i]);
    return true;
}

static enum invocation_mode mode_of_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    return strcmp(name, "mailq") == 0        ? INVOCATION_LIST
           : strcmp(name, "newaliases") == 0 ? INVOCATION_ALIASES
                                             : INVOCATION_DELIVER;
}

bool invocation_read(struct invocation *invocation, int argc, char **argv, struct error *error)
{
    *invocation = (struct invocation){.mode = argc > 0 ? mode_of_name(argv[0]) : INVOCATION_DELIVER};
    if (!check_lines(argc, argv, error))
        return false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!read_word(invocation, argc, argv, &at, error))
            return false;
    }
    if (at < argc) {
        invocation->recipients = (const char *const *)(argv + at);
        invocation->recipient_count = (size_t)(argc - at);
    }
    return true;
}
