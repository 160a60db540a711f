/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/log.h"

static void interrupted(int signal)
{
    enum { ENDED_BY_INTERRUPT = 128 + SIGINT };
    if (isatty(STDERR_FILENO))
        (void)!write(STDERR_FILENO, "\n", 1);
    _exit(ENDED_BY_INTERRUPT);
}

void command_end_on_interrupt(void)
{
    struct sigaction before, action = {.sa_handler = interrupted};
    /* keeps the handling of a calling subcommand */
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction(SIGINT, &action, NULL);
}

int command_fail(const struct command *command, const struct error *error)
{
    fprintf(stderr, "%smailboat %s: %s\n", log_priority(LOG_EVENT_ERROR), command->name, error->text);
    return error->exit_code;
}

int command_usage(const struct command *command, const char *format, ...)
{
    struct error error;
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&error, EX_USAGE, "%s (see: mailboat %s --help)", text, command->name);
    return command_fail(command, &error);
}
