/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "core/text/near_word.h"
#include "store/accounts.h"

/* ---- flags ---- */

static const struct option_rule *find_long(const struct option_rule *rules, struct bytes name)
{
    for (; rules->type != OPTION_END; rules++)
        if (bytes_is(name, rules->name))
            return rules;
    return NULL;
}

static const struct option_rule *find_short(const struct option_rule *rules, char letter)
{
    for (; rules->type != OPTION_END; rules++)
        if (rules->letter == letter && letter != '\0')
            return rules;
    return NULL;
}

static bool take_value(const struct command *command, const struct option_rule *rule, const char *value)
{
    struct option_list *list = rule->at;
    if (rule->type == OPTION_TEXT) {
        *(const char **)rule->at = value;
        return true;
    }
    if (list->count == OPTION_LIST_MAX) {
        command_usage(command, "--%s: at most %d times", rule->name, OPTION_LIST_MAX);
        return false;
    }
    list->at[list->count++] = value;
    return true;
}

static void fail_unknown(const struct command *command, const char *text, const struct option_rule *rules)
{
    struct bytes name = bytes_from(bytes_of_text(text), text[1] == '-' ? 2 : 1);
    name = bytes_split(&name, '=');
    while (rules->type != OPTION_END && !near_word_fits(name, bytes_of_text(rules->name)))
        rules++;
    if (rules->type == OPTION_END)
        command_usage(command, "unknown option %s", text);
    else
        command_usage(command, "unknown option %s; did you mean --%s?", text, rules->name);
}

/* Reads the flag argv[*at]; its value may be in it or in the next argument. */
static bool read_flag(const struct command *command, int argc, char **argv, int *at,
                      const struct option_rule *rules, uint64_t *given)
{
    const char *text = argv[*at];
    bool is_long = text[1] == '-';
    struct bytes rest = bytes_of_text(text + (is_long ? 2 : 1));
    bool has_value = is_long ? bytes_find(rest, '=') != SIZE_MAX : rest.length > 1;
    const struct option_rule *rule = is_long ? find_long(rules, bytes_split(&rest, '='))
                                             : find_short(rules, text[1]);
    const char *value = is_long ? rest.at : text + 2;
    if (rule == NULL) {
        fail_unknown(command, text, rules);
        return false;
    }
    assert(rule - rules < OPTION_RULES_MAX);
    *given |= UINT64_C(1) << (rule - rules);
    if (rule->type == OPTION_FLAG) {
        if (has_value) {
            command_usage(command, "--%s takes no value", rule->name);
            return false;
        }
        *(bool *)rule->at = true;
        return true;
    }
    if (!has_value && *at + 1 >= argc) {
        command_usage(command, "%s requires a value", text);
        return false;
    }
    return take_value(command, rule, has_value ? value : argv[++*at]);
}

bool options_read(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                  struct arguments *arguments)
{
    bool flags_over = false;
    *arguments = (struct arguments){.count = 0};
    for (int i = 1; i < argc; i++) {
        if (!flags_over && strcmp(argv[i], "--") == 0) {
            flags_over = true;
        } else if (!flags_over && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!read_flag(command, argc, argv, &i, rules, &arguments->given))
                return false;
        } else if (arguments->count == ARGUMENTS_MAX) {
            command_usage(command, "at most %d arguments", ARGUMENTS_MAX);
            return false;
        } else {
            arguments->at[arguments->count++] = argv[i];
        }
    }
    return true;
}

/* ---- arguments and verbs ---- */

/* Returns the next word of "ADDRESS [TARGET...]"; empty at the end. */
static struct bytes next_word(struct bytes *rest)
{
    return bytes_split(rest, ' ');
}

bool options_arguments_fit(const struct command *command, const char *whose, const char *wanted,
                           const char *const *at, size_t count)
{
    const char *of = whose == NULL ? "" : " for ", *verb = whose == NULL ? "" : whose;
    struct bytes rest = bytes_of_text(wanted);
    size_t most = 0;
    for (struct bytes word = next_word(&rest); word.length > 0; word = next_word(&rest), most++) {
        if (count <= most && word.at[0] != '[') {
            command_usage(command, "missing %.*s%s%s", BYTES_ARG(word), of, verb);
            return false;
        }
        if (bytes_search(word, BYTES("...")) != SIZE_MAX)
            return true;
    }
    if (count > most)
        command_usage(command, "unexpected argument '%s'%s%s", at[most], of, verb);
    return count <= most;
}

static bool verb_takes(const struct command_verb *verb, const char *flag)
{
    struct bytes rest = bytes_of_text(verb->flags);
    for (struct bytes word = next_word(&rest); word.length > 0; word = next_word(&rest))
        if (bytes_is(word, flag))
            return true;
    return strcmp(flag, "config") == 0;
}

static bool flags_fit(const struct command *command, const struct command_verb *verb,
                      const struct option_rule *rules, uint64_t given)
{
    for (size_t i = 0; rules[i].type != OPTION_END; i++)
        if ((given >> i & 1) != 0 && !verb_takes(verb, rules[i].name)) {
            command_usage(command, "unexpected option --%s for %s", rules[i].name, verb->name);
            return false;
        }
    return true;
}

static int usage_of_verbs(const struct command *command, const char *said, const struct command_verb *verbs)
{
    struct buffer text = {0};
    const char *near = NULL;
    for (const struct command_verb *verb = verbs; said != NULL && near == NULL && verb->name != NULL; verb++)
        if (near_word_fits(bytes_of_text(said), bytes_of_text(verb->name)))
            near = verb->name;
    for (const struct command_verb *verb = verbs; verb->name != NULL; verb++)
        buffer_add_format(&text, "%s%s%s%s", verb == verbs ? "" : ", ", verb->name,
                          verb->arguments[0] == '\0' ? "" : " ", verb->arguments);
    int exit_code = said == NULL ? command_usage(command, "missing verb; use one of: %s", buffer_text(&text))
                    : near != NULL
                        ? command_usage(command, "unknown verb '%s'; did you mean '%s'?", said, near)
                        : command_usage(command, "unknown verb '%s'; use one of: %s", said,
                                        buffer_text(&text));
    buffer_free(&text);
    return exit_code;
}

int options_run_verb(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                     const struct command_verb *verbs, void *wish)
{
    return options_run_verb_or(command, argc, argv, rules, verbs, wish, NULL);
}

int options_run_verb_or(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                        const struct command_verb *verbs, void *wish, const char *usual)
{
    struct arguments arguments;
    if (!options_read(command, argc, argv, rules, &arguments))
        return EX_USAGE;
    const char *said = arguments.count > 0 ? arguments.at[0] : usual;
    const struct command_verb *verb = verbs;
    while (said != NULL && verb->name != NULL && strcmp(verb->name, said) != 0)
        verb++;
    if (said != NULL && verb->name == NULL && strcmp(said, "help") == 0)
        return fputs(command->help, stdout) < 0 ? EX_IOERR : EX_OK;
    if (said == NULL || verb->name == NULL)
        return usage_of_verbs(command, said, verbs);
    struct verb_call call = {.verb = verb,
                             .wish = wish,
                             .arguments = arguments.at + 1,
                             .count = arguments.count > 0 ? arguments.count - 1 : 0};
    if (!flags_fit(command, verb, rules, arguments.given) ||
        !options_arguments_fit(command, verb->name, verb->arguments, call.arguments, call.count))
        return EX_USAGE;
    return verb->run(&call);
}

/* ---- resources ---- */

bool options_config(const struct command *command, const char *file, struct config *config, int *exit_code)
{
    struct error error = {0};
    if (config_load(config, file, &error))
        return true;
    *exit_code = command_fail(command, &error);
    return false;
}

/* ---- passwords ---- */

/* Reads the first line, up to one octet more than the limit of a password: a longer one is rejected, never
 * cut. */
static bool read_line(FILE *from, struct buffer *out)
{
    int c = EOF;
    buffer_reserve(out, PASSWORD_MAX + 2); /* growing would leave copies behind */
    while (out->length <= PASSWORD_MAX && (c = getc(from)) != EOF && c != '\n')
        buffer_add_octet(out, (char)c);
    bool got = out->length > 0 || c == '\n';
    if (out->length > 0 && out->at[out->length - 1] == '\r')
        out->length--;
    return got;
}

void options_wipe(struct buffer *secret)
{
    if (secret->at != NULL)
        explicit_bzero(secret->at, secret->capacity);
    buffer_free(secret);
}

static volatile sig_atomic_t interrupted_by;

static void interrupted(int number)
{
    interrupted_by = number;
}

/* Waits for a line; false if a signal came first. Signals are enabled only here, so that none is missed
 * between the prompt and the wait. */
static bool line_is_there(const sigset_t *open)
{
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    while (interrupted_by == 0)
        if (ppoll(&terminal, 1, NULL, open) > 0)
            return true;
    return false;
}

/* Prompts without echo; restores the terminal also on ^C. */
static bool ask(const char *prompt, struct buffer *out)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction catch = {.sa_handler = interrupted}, kept[ARRAY_LENGTH(signals)];
    struct termios before, silent;
    sigset_t shut, open;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    sigemptyset(&shut);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        sigaddset(&shut, signals[i]);
    sigprocmask(SIG_BLOCK, &shut, &open);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        sigaction(signals[i], &catch, &kept[i]);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fputs(prompt, stderr);
    bool got = line_is_there(&open) && read_line(stdin, out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputs("\n", stderr);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        sigaction(signals[i], &kept[i], NULL);
    sigprocmask(SIG_SETMASK, &open, NULL);
    if (interrupted_by != 0)
        raise(interrupted_by);
    return got;
}

static bool ask_twice(struct buffer *out, struct error *error)
{
    struct buffer again = {0};
    bool got = ask("New password: ", out) && ask("Once more: ", &again);
    bool same = got && bytes_equal(buffer_bytes(out), buffer_bytes(&again));
    options_wipe(&again);
    return same ||
           error_set(error, EX_DATAERR,
                     got ? "the passwords do not match; nothing was changed" : "no password was given");
}

static bool read_password_file(const char *file, struct buffer *out, struct error *error)
{
    FILE *from = fopen(file, "re");
    if (from == NULL)
        return error_set_errno(error, EX_NOINPUT, "cannot read %s", file);
    bool got = read_line(from, out);
    fclose(from);
    return got || error_set(error, EX_DATAERR, "%s is empty: its first line is the password", file);
}

static bool ask_once(struct buffer *out, struct error *error)
{
    clearerr(stdin); /* a text that was typed before ended with ^D */
    return ask("Password: ", out) || error_set(error, EX_DATAERR, "no password was given");
}

static bool read_password(const struct command *command, const char *file, bool exists, struct buffer *out,
                          int *exit_code)
{
    struct error error = {0};
    bool got = file != NULL ? read_password_file(file, out, &error)
               : isatty(STDIN_FILENO)
                   ? (exists ? ask_once : ask_twice)(out, &error)
                   : read_line(stdin, out) ||
                         error_set(&error, EX_DATAERR,
                                   "no password on standard input: its first line is the password");
    if (got &&
        (out->length == 0 || out->length > PASSWORD_MAX || bytes_find(buffer_bytes(out), '\0') != SIZE_MAX))
        got = error_set(&error, EX_DATAERR, "a password must be 1 to %d bytes long, without NUL",
                        PASSWORD_MAX);
    if (!got) {
        options_wipe(out);
        *exit_code = command_fail(command, &error);
    }
    return got;
}

bool options_password(const struct command *command, const char *file, struct buffer *out, int *exit_code)
{
    return read_password(command, file, false, out, exit_code);
}

bool options_existing_password(const struct command *command, const char *file, struct buffer *out,
                               int *exit_code)
{
    return read_password(command, file, true, out, exit_code);
}
