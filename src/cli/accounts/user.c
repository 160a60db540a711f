/* SPDX-License-Identifier: Apache-2.0 */
/* user: the people who have a mailbox and may send. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/accounts/lockout.h"
#include "cli/accounts/quota.h"
#include "cli/accounts/vacation_options.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/setup/dovecot.h"

extern const struct command user_command;

struct user_options {
    const char *config, *password_file;
    bool json, password_stdin;
    const char *address;
};

/* Who reads mail under what does not hold any more signs in again, if they can. */
static void sign_out(const struct config *config, const char *address)
{
    struct buffer canonical = {0};
    if (accounts_canonical(&canonical, bytes_of_text(address)))
        dovecot_sign_out(config, buffer_text(&canonical));
    buffer_free(&canonical);
}

/* A verb that takes an address, and a password where it needs one. */
struct user_verb {
    const char *name;
    enum account_verb verb;
    bool with_password;
    const char *done_text;
};

static int change(const struct user_options *wish, const struct user_verb *verb)
{
    struct config config;
    struct buffer password = {0};
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&user_command, wish->config, &config, &exit_code))
        return exit_code;
    if (!verb->with_password || options_password(&user_command, wish->password_file, &password, &exit_code)) {
        struct ipc_account_change asked = {
            .verb = verb->verb, .name = bytes_of_text(wish->address), .value = buffer_bytes(&password)};
        if (account_client_change(&config, &asked, NULL, &error))
            printf("%s: %s\n", wish->address, verb->done_text);
        else
            exit_code = command_fail(&user_command, &error);
    }
    options_wipe(&password);
    if (exit_code == EX_OK)
        sign_out(&config, wish->address);
    config_free(&config);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static const char *const columns[] = {"address", "disabled?", "created", "forward",
                                          "keeps?",  "away?",     "quota#"};
    struct user_options wish = {0};
    struct vacation_options vacation = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_TEXT, "password-file", 0, &wish.password_file},
                                        {OPTION_FLAG, "password-stdin", 0, &wish.password_stdin},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_FLAG, "no-keep", 0, &vacation.no_keep},
                                        {OPTION_TEXT, "message", 0, &vacation.message},
                                        {OPTION_TEXT, "subject", 0, &vacation.subject},
                                        {OPTION_TEXT, "since", 0, &vacation.since},
                                        {OPTION_TEXT, "until", 0, &vacation.until},
                                        {OPTION_TEXT, "days", 0, &vacation.days},
                                        {OPTION_END, NULL, 0, NULL}};
    static const struct user_verb verbs[] = {
        {"add", ACCOUNT_USER_ADD, true, "added"},
        {"passwd", ACCOUNT_USER_PASSWORD, true, "has a new password"},
        {"disable", ACCOUNT_USER_DISABLE, false, "can no longer sign in"},
        {"enable", ACCOUNT_USER_ENABLE, false, "can sign in again"},
        {"remove", ACCOUNT_USER_REMOVE, false, "removed; the mailbox is kept"},
    };
    if (!options_read(&user_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (arguments.count == 1 && strcmp(arguments.at[0], "list") == 0)
        return listing_accounts(&user_command, wish.config, LIST_USERS, columns, ARRAY_LENGTH(columns),
                                wish.json);
    if (arguments.count == 1 && strcmp(arguments.at[0], "locks") == 0)
        return lockout_list(&user_command, wish.config, wish.json);
    if (arguments.count == 2 && strcmp(arguments.at[0], "unlock") == 0)
        return lockout_clear(&user_command, wish.config, arguments.at[1]);
    if ((arguments.count == 2 || arguments.count == 3) && strcmp(arguments.at[0], "quota") == 0)
        return quota_command(&user_command, wish.config, arguments.at[1],
                             arguments.count == 3 ? arguments.at[2] : NULL, wish.json);
    vacation.config = wish.config;
    if (arguments.count == 3 && strcmp(arguments.at[0], "forward") == 0)
        return vacation_forward(&user_command, &vacation, arguments.at[1], arguments.at[2]);
    bool off = arguments.count == 3 && strcmp(arguments.at[2], "off") == 0;
    if ((arguments.count == 2 || off) && strcmp(arguments.at[0], "vacation") == 0)
        return vacation_reply(&user_command, &vacation, arguments.at[1], off);
    for (size_t i = 0; arguments.count > 0 && i < ARRAY_LENGTH(verbs); i++) {
        if (strcmp(arguments.at[0], verbs[i].name) != 0)
            continue;
        if (arguments.count != 2)
            return command_usage(&user_command, "user %s requires one address", verbs[i].name);
        wish.address = arguments.at[1];
        return change(&wish, &verbs[i]);
    }
    return command_usage(&user_command, "use one of: add, passwd, list, disable, enable, remove, forward, "
                                        "vacation, quota, locks, unlock, with an ADDRESS");
}

const struct command user_command = {
    .name = "user",
    .summary = "users with a mailbox:  add, passwd, list, disable, enable, remove, forward, vacation, quota, "
               "locks, unlock",
    .help = "usage: mailboat user add ADDRESS\n"
            "       mailboat user passwd ADDRESS\n"
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
