/* SPDX-License-Identifier: Apache-2.0 */
/* user: users with a mailbox, who can also send. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/accounts/lockout.h"
#include "cli/accounts/quota.h"
#include "cli/accounts/vacation_options.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/setup/dovecot.h"
#include "core/import/stored_password.h"

extern const struct command user_command;

struct user_options {
    const char *config, *password_file;
    bool json, password_stdin, hash;
    struct vacation_options vacation;
};

/* Ends the user's IMAP and POP3 sessions, whose credentials may be outdated; clients log in again if they
 * can. */
static void sign_out(const struct config *config, const char *address)
{
    struct buffer canonical = {0};
    if (accounts_canonical(&canonical, bytes_of_text(address)))
        dovecot_sign_out(config, buffer_text(&canonical));
    buffer_free(&canonical);
}

/* With --hash the secret must be a hash, and loses its {SCHEME}; without, it must not be one. */
static bool check_secret(const struct user_options *wish, struct buffer *secret, int *exit_code)
{
    struct stored_password stored = stored_password_read(buffer_bytes(secret), false);
    struct error error = {0};
    if (!wish->hash && stored.kind == STORED_NOT)
        return true;
    if (!wish->hash)
        error_set(&error, EX_DATAERR, "that is a stored password (%.*s), not the password itself; %s",
                  BYTES_ARG(stored.scheme),
                  stored.kind == STORED_HASH    ? "add --hash to store it as it is"
                  : stored.kind == STORED_PLAIN ? "give the password without the scheme in front"
                                                : "give the password");
    else if (stored.kind != STORED_HASH)
        error_set(&error, EX_DATAERR,
                  "--hash: expected a hash that crypt(3) can check, such as {SHA512-CRYPT}$6$...%s%.*s%s",
                  stored.kind == STORED_FOREIGN ? "; " : "",
                  BYTES_ARG(stored.kind == STORED_FOREIGN ? stored.scheme : bytes_none()),
                  stored.kind == STORED_FOREIGN ? " cannot be checked here" : "");
    else
        buffer_consume(secret, (size_t)(stored.value.at - buffer_bytes(secret).at));
    if (error.exit_code != 0)
        *exit_code = command_fail(&user_command, &error);
    return error.exit_code == 0;
}

/* Guessing finds a shorter one in spite of all limits. Existing ones stay valid. */
static bool is_long_enough(struct bytes password, int *exit_code)
{
    struct error error;
    if (password.length >= PASSWORD_MIN)
        return true;
    error_set(&error, EX_DATAERR,
              "the password is too short (at least %d characters); nothing was changed. A good one: openssl "
              "rand -base64 12",
              PASSWORD_MIN);
    *exit_code = command_fail(&user_command, &error);
    return false;
}

static int change(const struct verb_call *call, enum account_verb verb, bool with_password,
                  const char *done_text)
{
    const struct user_options *wish = call->wish;
    const char *address = call->arguments[0];
    struct config config;
    struct buffer password = {0};
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&user_command, wish->config, &config, &exit_code))
        return exit_code;
    if (!with_password ||
        (options_password(&user_command, wish->password_file, &password, &exit_code) &&
         is_long_enough(buffer_bytes(&password), &exit_code) && check_secret(wish, &password, &exit_code))) {
        struct ipc_account_change asked = {.verb = verb,
                                           .name = bytes_of_text(address),
                                           .value = buffer_bytes(&password),
                                           .flag = with_password && wish->hash};
        if (account_client_change(&config, &asked, NULL, &error))
            printf("%s: %s\n", address, done_text);
        else
            exit_code = command_fail(&user_command, &error);
    }
    options_wipe(&password);
    if (exit_code == EX_OK)
        sign_out(&config, address);
    config_free(&config);
    return exit_code;
}

static int run_add(const struct verb_call *call)
{
    return change(call, ACCOUNT_USER_ADD, true, "added");
}

static int run_passwd(const struct verb_call *call)
{
    return change(call, ACCOUNT_USER_PASSWORD, true, "has a new password");
}

static int run_disable(const struct verb_call *call)
{
    return change(call, ACCOUNT_USER_DISABLE, false, "can no longer sign in");
}

static int run_enable(const struct verb_call *call)
{
    return change(call, ACCOUNT_USER_ENABLE, false, "can sign in again");
}

static int run_remove(const struct verb_call *call)
{
    return change(call, ACCOUNT_USER_REMOVE, false, "removed; the mailbox is kept");
}

static int run_list(const struct verb_call *call)
{
    static const char *const columns[] = {"address", "disabled?", "created", "forward",
                                          "keeps?",  "away?",     "quota#"};
    const struct user_options *wish = call->wish;
    return listing_accounts(&user_command, wish->config, LIST_USERS, columns, ARRAY_LENGTH(columns),
                            wish->json);
}

static int run_forward(const struct verb_call *call)
{
    struct user_options *wish = call->wish;
    wish->vacation.config = wish->config;
    return vacation_forward(&user_command, &wish->vacation, call->arguments[0], call->arguments[1]);
}

static int run_vacation(const struct verb_call *call)
{
    struct user_options *wish = call->wish;
    bool off = call->count == 2 && strcmp(call->arguments[1], "off") == 0;
    if (call->count == 2 && !off)
        return command_usage(&user_command, "unexpected argument '%s' for vacation", call->arguments[1]);
    wish->vacation.config = wish->config;
    return vacation_reply(&user_command, &wish->vacation, call->arguments[0], off);
}

static int run_quota(const struct verb_call *call)
{
    const struct user_options *wish = call->wish;
    return quota_command(&user_command, wish->config, call->arguments[0],
                         call->count == 2 ? call->arguments[1] : NULL, wish->json);
}

static int run_locks(const struct verb_call *call)
{
    const struct user_options *wish = call->wish;
    return lockout_list(&user_command, wish->config, wish->json);
}

static int run_unlock(const struct verb_call *call)
{
    const struct user_options *wish = call->wish;
    return lockout_clear(&user_command, wish->config, call->arguments[0]);
}

static const struct command_verb verbs[] = {
    {"add", "ADDRESS", "password-file password-stdin hash", run_add},
    {"passwd", "ADDRESS", "password-file password-stdin hash", run_passwd},
    {"list", "", "json", run_list},
    {"disable", "ADDRESS", "", run_disable},
    {"enable", "ADDRESS", "", run_enable},
    {"remove", "ADDRESS", "", run_remove},
    {"forward", "ADDRESS TO|off", "no-keep", run_forward},
    {"vacation", "ADDRESS [off]", "message subject since until days", run_vacation},
    {"quota", "ADDRESS [SIZE|off|default]", "json", run_quota},
    {"locks", "", "json", run_locks},
    {"unlock", "ADDRESS", "", run_unlock},
    {.name = NULL},
};

static int run(int argc, char **argv)
{
    struct user_options wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "password-file", 0, &wish.password_file},
                                        {OPTION_FLAG, "password-stdin", 0, &wish.password_stdin},
                                        {OPTION_FLAG, "hash", 0, &wish.hash},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_FLAG, "no-keep", 0, &wish.vacation.no_keep},
                                        {OPTION_TEXT, "message", 0, &wish.vacation.message},
                                        {OPTION_TEXT, "subject", 0, &wish.vacation.subject},
                                        {OPTION_TEXT, "since", 0, &wish.vacation.since},
                                        {OPTION_TEXT, "until", 0, &wish.vacation.until},
                                        {OPTION_TEXT, "days", 0, &wish.vacation.days},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&user_command, argc, argv, rules, verbs, &wish);
}

const struct command user_command = {
    .name = "user",
    .summary = "manage users: add, passwd, list, disable, enable, remove, forward, vacation, quota, "
               "locks, unlock",
    .help = "usage: mailboat user add ADDRESS [--hash]\n"
            "       mailboat user passwd ADDRESS [--hash]\n"
            "       mailboat user disable|enable|remove ADDRESS\n"
            "       mailboat user list [--json]\n"
            "       mailboat user forward ADDRESS TO [--no-keep] | off\n"
            "       mailboat user vacation ADDRESS [--message FILE [--subject S] [--since DATE]\n"
            "                                       [--until DATE] [--days N]] | off\n"
            "       mailboat user quota ADDRESS [SIZE | off | default] [--json]\n"
            "       mailboat user locks [--json]\n"
            "       mailboat user unlock ADDRESS\n"
            "\n"
            "A user has a mailbox and may send after signing in with the address and the\n"
            "password. A terminal asks for the password twice; otherwise it is the first line\n"
            "of standard input, never an argument. For programs, use application passwords:\n"
            "mailboat key --help\n"
            "\n"
            "forward forwards mail, and keeps a copy in the mailbox unless --no-keep. vacation\n"
            "replies to each sender at most once in 7 days, not to lists or programs; without\n"
            "--message it shows the vacation reply.\n"
            "\n"
            "quota sets the size limit of a mailbox, all folders together: 800KiB, 1GiB; off:\n"
            "no limit; default: mailboxes.quota in the configuration. Without a size it shows\n"
            "usage and quota. The user is warned at 80% and 95%; messages that do not fit are\n"
            "returned to their senders.\n"
            "\n"
            "Repeated wrong passwords lock out the client/user pair, the client address, and\n"
            "the user (for clients that never signed in as that user), for longer each time,\n"
            "up to 15 minutes. locks lists the current lockouts; unlock clears those of a\n"
            "user's address or of a client's IP address (for IPv6, of its /64 and its /48).\n"
            "\n"
            "  -c, --config FILE        configuration; default /etc/mailboat/mailboat.conf\n"
            "      --password-file FILE read the password from the file's first line\n"
            "      --password-stdin     read the password from standard input's first line\n"
            "      --hash               the password is a hash of another server, with its scheme or\n"
            "                           without: {SHA512-CRYPT}$6$...; it is stored as it is\n"
            "      --no-keep            keep no copy of forwarded mail in the mailbox\n"
            "      --message FILE       the reply's text; - is standard input\n"
            "      --subject TEXT       its subject; default: Auto: and the subject of the message\n"
            "      --since DATE         first day of replies (2026-12-24, UTC)\n"
            "      --until DATE         last day of replies\n"
            "      --days N             reply to each sender at most once in N days; default 7\n"
            "      --json               print JSON (list, locks, quota)\n"
            "\n"
            "example: mailboat user add ada@example.org\n",
    .run = run,
};
