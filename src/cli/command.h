/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: one subcommand of `mailboat`. Each has a file of its own, named after it, that defines a `const
 * struct command NAME_command`; main.c lists them all.
 */
#ifndef MAILBOAT_CLI_COMMAND_H
#define MAILBOAT_CLI_COMMAND_H

#include <stdbool.h>

#include "base/error.h"

struct command {
    const char *name;    /* "ports" */
    const char *summary; /* one line for `mailboat --help` */
    const char *help;    /* the full text of `mailboat NAME --help`, with an example */
    /* argv[0] is the subcommand's name. Returns an exit code of sysexits.h. */
    int (*run)(int argc, char **argv);
    /* arguments of another program follow: --help is recognized only as the single argument */
    bool own_arguments;
    bool h_is_taken; /* -h is a flag of its own: it asks for help only as the single argument */
};

extern const struct command *const commands[]; /* ends with NULL */

/* Prints "mailboat NAME: text" to stderr, one line; returns error->exit_code. */
int command_fail(const struct command *command, const struct error *error);
/* The same from a format, with EX_USAGE and a pointer to --help. */
int command_usage(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* ^C ends the process with 130, with the cursor at the start of a line. */
void command_end_on_interrupt(void);

#endif
