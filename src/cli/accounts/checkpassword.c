/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpassword: verifies a user's password for another program, by the interface of that name: user and
 * password come on descriptor 3, each ended by NUL; if they are right the given program is run, with USER
 * in its environment. Dovecot uses it at each login, so that changes take effect there immediately.
 *
 * The running server verifies it, so that wrong passwords count in its login throttle; without a server
 * the accounts are read here, and nothing is counted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/accounts/account_client.h"
#include "cli/options.h"
#include "core/server/server_session.h"
#include "io/saslprep.h"
#include "run/subprocess.h"
#include "service/auth/account_store.h"
#include "service/control_client.h"
#include "service/local/maildir.h"

extern const struct command checkpassword_command;

/* Exit codes of the interface (https://cr.yp.to/checkpwd/interface.html). */
enum { CHECKPASSWORD_WRONG = 1, CHECKPASSWORD_MISUSED = 2, CHECKPASSWORD_LATER = 111 };
enum { ASKED_DESCRIPTOR = 3, ASKED_MAX = 2048 };

/* False unless it is two NUL-terminated texts. */
static bool read_asked(char buffer[ASKED_MAX], struct bytes *user, struct bytes *password)
{
    size_t length = 0;
    ssize_t count;
    while (length < ASKED_MAX && ((count = read(ASKED_DESCRIPTOR, buffer + length, ASKED_MAX - length)) > 0 ||
                                  (count < 0 && errno == EINTR)))
        length += count > 0 ? (size_t)count : 0;
    struct bytes rest = bytes_of(buffer, length);
    size_t first = bytes_find(rest, '\0');
    if (first == SIZE_MAX)
        return false;
    *user = bytes_first(rest, first);
    rest = bytes_from(rest, first + 1);
    size_t second = bytes_find(rest, '\0');
    if (second == SIZE_MAX)
        return false;
    *password = bytes_first(rest, second); /* room[] contains its NUL */
    return true;
}

/* Verifies an application password, or the user's own; unknown and disabled users take as long as wrong
 * passwords. */
static bool is_right(struct accounts *accounts, struct bytes user, struct bytes password, struct arena *arena,
                     struct account *account)
{
    if (accounts_find_key(accounts, user, password, arena, account) && !account->disabled)
        return true;
    bool usable = accounts_find(accounts, user, arena, account) && !account->disabled;
    const char *hash = usable ? arena_text(arena, account->password) : accounts_dummy_hash();
    return accounts_password_matches(hash, password.at) && usable;
}

/* Asks the running server. False if there is none. */
static bool ask_server(const struct config *config, struct bytes user, struct bytes password,
                       struct arena *arena, enum password_verdict *verdict, struct bytes *address)
{
    const char *client = getenv("TCPREMOTEIP"); /* set by tcpserver and Dovecot */
    struct control_client control;
    struct ipc_password_answer answer = {.verdict = PASSWORD_UNAVAILABLE};
    struct error error = {0};
    if (!control_client_open_auth(&control, config->data_dir, &error))
        return false;
    if (control_client_password(&control, user, password,
                                bytes_of_text(client == NULL || client[0] == '\0' ? "unknown" : client),
                                &answer, &error))
        *address = arena_copy(arena, answer.account);
    else
        command_fail(&checkpassword_command, &error);
    *verdict = (enum password_verdict)answer.verdict;
    control_client_close(&control);
    return true;
}

struct password_look {
    const struct config *config;
    struct bytes user, password;
};

/* In a short-lived process, as the owner of the accounts. Answers with the account's address if the
 * password is right. */
static bool look(void *owner, struct buffer *out, struct error *error)
{
    const struct password_look *wanted = owner;
    struct config config = *wanted->config;
    struct arena arena = {0};
    struct account account;
    char prepared[SASLPREP_MAX + 1];
    struct accounts *accounts = NULL;
    if (account_client_become_writer(&config, false, error))
        accounts = accounts_open(account_store_folder(&arena, config.data_dir), false, error);
    if (accounts == NULL)
        return false;
    accounts_host(accounts, config.domains, config.domain_count);
    if (is_right(accounts, wanted->user, saslprep(wanted->password, prepared), &arena, &account))
        buffer_add(out, account.address);
    bool read = !accounts_are_unreadable(accounts) ||
                error_set(error, EX_TEMPFAIL, "the accounts are temporarily unavailable; try again later");
    explicit_bzero(prepared, sizeof prepared);
    accounts_close(accounts);
    arena_clear(&arena);
    return read;
}

static enum password_verdict look_oneself(const struct config *config, struct bytes user,
                                          struct bytes password, struct arena *arena, struct bytes *address)
{
    struct password_look wanted = {config, user, password};
    struct buffer found = {0};
    struct error error = {0};
    if (!subprocess_run(look, &wanted, &found, &error)) {
        command_fail(&checkpassword_command, &error);
        return PASSWORD_UNAVAILABLE;
    }
    *address = arena_copy(arena, buffer_bytes(&found));
    buffer_free(&found);
    return address->length > 0 ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

static int exit_code_of(enum password_verdict verdict)
{
    switch (verdict) {
    case PASSWORD_RIGHT: return EX_OK;
    case PASSWORD_WRONG: return CHECKPASSWORD_WRONG;
    case PASSWORD_LOCKED: /* it may be the right one: programs must not prompt for another */
    case PASSWORD_UNAVAILABLE: break;
    }
    return CHECKPASSWORD_LATER;
}

static int check(const char *config_file, struct arena *arena, const char **address)
{
    static char buffer[ASKED_MAX];
    struct config config;
    struct bytes user, password, account = bytes_none();
    enum password_verdict verdict = PASSWORD_WRONG;
    int exit_code = EX_OK;
    if (!read_asked(buffer, &user, &password))
        return CHECKPASSWORD_MISUSED;
    if (!options_config(&checkpassword_command, config_file, &config, &exit_code))
        return CHECKPASSWORD_LATER;
    if (password.length <= PASSWORD_MAX && !ask_server(&config, user, password, arena, &verdict, &account))
        verdict = look_oneself(&config, user, password, arena, &account);
    /* its folder is not where Dovecot expects it */
    if (verdict == PASSWORD_RIGHT && !maildir_is_plain(account)) {
        fprintf(stderr,
                "mailboat checkpassword: %.*s cannot read mail here: choose an address without / and %%\n",
                BYTES_ARG(account));
        verdict = PASSWORD_WRONG;
    }
    *address = verdict == PASSWORD_RIGHT ? arena_text(arena, account) : NULL;
    explicit_bzero(buffer, sizeof buffer);
    config_free(&config);
    return exit_code_of(verdict);
}

static int run(int argc, char **argv)
{
    const char *config_file = NULL, *address = NULL;
    struct arena arena = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &config_file},
                                        {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&checkpassword_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (arguments.count == 0)
        return command_usage(&checkpassword_command,
                             "the program to run when the password is right is required");
    int exit_code = check(config_file, &arena, &address);
    if (exit_code != EX_OK)
        return exit_code;
    setenv("USER", address, 1);
    arguments.at[arguments.count < ARGUMENTS_MAX ? arguments.count : ARGUMENTS_MAX - 1] = NULL;
    execv(arguments.at[0], (char **)(uintptr_t)arguments.at);
    fprintf(stderr, "mailboat checkpassword: cannot run %s: %s\n", arguments.at[0], strerror(errno));
    return CHECKPASSWORD_LATER;
}

const struct command checkpassword_command = {
    .name = "checkpassword",
    .summary = "verify a password for another program, such as Dovecot",
    .help = "usage: mailboat checkpassword [--config FILE] PROGRAM [ARGUMENT]...\n"
            "\n"
            "Reads user and password from descriptor 3, each ended by NUL, and runs PROGRAM\n"
            "with USER in its environment when the password is right: the checkpassword\n"
            "interface. Application passwords are accepted as well. Exits 1 if the\n"
            "password is wrong, 2 on misuse, 111 if it cannot be checked now or the client is\n"
            "locked out.\n"
            "\n"
            "While a server is running, wrong passwords count as failed logins of the client\n"
            "whose address is in TCPREMOTEIP (see mailboat user locks).\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "\n"
            "example: printf 'ada@example.org\\0secret\\0' | mailboat checkpassword /bin/true 3<&0\n",
    .run = run,
};
