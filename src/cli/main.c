/* SPDX-License-Identifier: Apache-2.0 */
/* main: finds the subcommand in the table and runs it. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/bytes.h"
#include "cli/command.h"
#include "core/text/near_word.h"

extern const struct command alias_command, checkpassword_command, config_command, demo_command, dkim_command,
    dns_command, doctor_command, domain_command, explain_command, import_command, key_command,
    mailboxes_command, ports_command, queue_command, reload_command, reports_command, send_command,
    sendmail_command, serve_command, settings_command, trust_command, user_command;

const struct command *const commands[] = {
    &demo_command,
    &doctor_command,
    &ports_command,
    &send_command,
    &serve_command,
    &settings_command,
    &reload_command,
    &config_command,
    &domain_command,
    &dns_command,
    &dkim_command,
    &user_command,
    &alias_command,
    &key_command,
    &import_command,
    &mailboxes_command,
    &queue_command,
    &explain_command,
    &trust_command,
    &reports_command,
    &sendmail_command,
    &checkpassword_command,
    NULL,
};

static int print_help(void)
{
    printf("mailboat: a mail server and client that picks the port that works\n\nusage: mailboat COMMAND "
           "[--help]\n\n");
    for (size_t i = 0; commands[i] != NULL; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n  help COMMAND, version\n");
    return EX_OK;
}

static bool asks_for_help(const struct command *command, int argc, char **argv)
{
    if (command->own_arguments)
        return argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        return true;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || (strcmp(argv[i], "-h") == 0 && !command->h_is_taken))
            return true;
    return false;
}

static const struct command *command_named(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
    return NULL;
}

static int fail_unknown(const char *name)
{
    struct error error;
    const char *near = NULL;
    for (size_t i = 0; commands[i] != NULL && near == NULL; i++)
        if (near_word_fits(bytes_of_text(name), bytes_of_text(commands[i]->name)))
            near = commands[i]->name;
    error_set(&error, EX_USAGE, "unknown command '%s'%s%s%s (see: mailboat --help)", name,
              near == NULL ? "" : "; did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
    fprintf(stderr, "mailboat: %s\n", error.text);
    return error.exit_code;
}

/* "help", "help ports" */
static int run_help(int argc, char **argv)
{
    if (argc < 3)
        return print_help();
    const struct command *command = command_named(argv[2]);
    return command == NULL ? fail_unknown(argv[2]) : fputs(command->help, stdout) < 0 ? EX_IOERR : EX_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
    if (asks_for_help(command, argc, argv))
        return fputs(command->help, stdout) < 0 ? EX_IOERR : EX_OK;
    return command->run(argc, argv);
}

/* True if called through a link named like a program of sendmail's. */
static bool is_sendmail(const char *path)
{
    static const char *const names[] = {"sendmail", "mailq", "newaliases"};
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(slash == NULL ? path : slash + 1, names[i]) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    if (argc > 0 && is_sendmail(argv[0]))
        return run(&sendmail_command, argc, argv);
    if (argc < 2) {
        fprintf(stderr, "mailboat: a command is missing (see: mailboat --help)\n");
        return EX_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help();
    if (strcmp(argv[1], "help") == 0)
        return run_help(argc, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0 || strcmp(argv[1], "-V") == 0)
        return printf("mailboat %s\n", MAILBOAT_VERSION) < 0 ? EX_IOERR : EX_OK;
    const struct command *command = command_named(argv[1]);
    return command == NULL ? fail_unknown(argv[1]) : run(command, argc - 1, argv + 1);
}
