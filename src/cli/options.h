/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: parses a subcommand's flags and arguments by one table each, and provides common resources: the
 * configuration, a password.
 *
 * Flags may precede, follow and separate arguments; "--" ends them; values follow as "--flag VALUE" or
 * "--flag=VALUE". Errors are one line that points to --help.
 */
#ifndef MAILBOAT_CLI_OPTIONS_H
#define MAILBOAT_CLI_OPTIONS_H

#include "cli/command.h"
#include "config/config.h"

enum { ARGUMENTS_MAX = 64, OPTION_LIST_MAX = 256 };

struct option_list {
    const char *at[OPTION_LIST_MAX];
    size_t count;
};

struct option_rule {
    enum { OPTION_END, OPTION_FLAG, OPTION_TEXT, OPTION_LIST } type;
    const char *name; /* without dashes */
    char letter;      /* a short form, or 0 */
    void *at;         /* bool, const char *, struct option_list */
};

enum { OPTION_RULES_MAX = 64 }; /* of one subcommand */

struct arguments {
    const char *at[ARGUMENTS_MAX];
    size_t count;
    uint64_t given; /* bit i: the flag of rules[i] */
};

/* Skips argv[0]. False after an error has been printed. */
bool options_read(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                  struct arguments *arguments);

/* True if the arguments match `wanted`: "ADDRESS TARGET...", where [TARGET] is optional and a trailing ...
 * allows any number. `whose` is the verb, or NULL. False after printing an error. */
bool options_arguments_fit(const struct command *command, const char *whose, const char *wanted,
                           const char *const *at, size_t count);

/* A verb of a subcommand, as `add` of `mailboat user`, with its arguments. */
struct command_verb;
struct verb_call {
    const struct command_verb *verb;
    void *wish; /* filled in by the flags */
    const char *const *arguments;
    size_t count;
};
struct command_verb {
    const char *name;      /* NULL ends the table */
    const char *arguments; /* as for options_arguments_fit() */
    const char *flags;     /* its own flags, by name, separated by spaces; --config is common */
    int (*run)(const struct verb_call *call); /* returns the exit code */
};
/* Reads the flags into `wish` by the rules and runs the verb; reports errors, including a flag of another
 * verb. Returns the exit code. */
int options_run_verb(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                     const struct command_verb *verbs, void *wish);
/* The same; without a verb it is `usual`. */
int options_run_verb_or(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                        const struct command_verb *verbs, void *wish, const char *usual);

/* Loads the configuration of --config, or the default one; reports errors. */
bool options_config(const struct command *command, const char *file, struct config *config, int *exit_code);
/* Reads a password: from `file`, by two prompts on a terminal, or the first line of standard input.
 * Appends to `out`; false after an error has been printed. */
bool options_password(const struct command *command, const char *file, struct buffer *out, int *exit_code);
/* The same for a password that exists already: by one prompt on a terminal. */
bool options_existing_password(const struct command *command, const char *file, struct buffer *out,
                               int *exit_code);
/* Overwrites and frees it. */
void options_wipe(struct buffer *secret);

#endif
