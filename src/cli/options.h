/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: a subcommand's flags and arguments by one table each, and what
 * many subcommands begin with: the configuration, a password.
 *
 * Flags may stand before, between and behind arguments; "--" ends them;
 * values follow as "--flag VALUE" or "--flag=VALUE". What is wrong is said in
 * one line that points to --help.
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

/* argv[0] is skipped. False when something was wrong and has been said. */
bool options_read(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                  struct arguments *arguments);

/* What stands behind the flags is as `wanted` has it: "ADDRESS TARGET...", where
 * [TARGET] may be missing and what ends in ... may be there any number of times.
 * `whose` is the verb, or NULL. False when that has been said. */
bool options_arguments_fit(const struct command *command, const char *whose, const char *wanted,
                           const char *const *at, size_t count);

/* A verb of a subcommand, as `add` of `mailboat user`: all that it takes. */
struct command_verb;
struct verb_call {
    const struct command_verb *verb;
    void *wish; /* what the flags filled in */
    const char *const *arguments;
    size_t count;
};
struct command_verb {
    const char *name;      /* NULL ends a table */
    const char *arguments; /* as options_arguments_fit() wants them */
    const char *flags;     /* its own, by name, with a space between; --config is everybody's */
    int (*run)(const struct verb_call *call); /* returns the exit code */
};
/* Reads the flags into `wish` by the rules and runs the verb; says what is
 * wrong, a flag of another verb among it. Returns the exit code. */
int options_run_verb(const struct command *command, int argc, char **argv, const struct option_rule *rules,
                     const struct command_verb *verbs, void *wish);

/* The configuration of --config, or the default one; says what is wrong. */
bool options_config(const struct command *command, const char *file, struct config *config, int *exit_code);
/* A password: from `file`, prompted for twice on a terminal, or standard
 * input's first line. Appended to `out`; false when it has been said why not. */
bool options_password(const struct command *command, const char *file, struct buffer *out, int *exit_code);
/* Overwrites and frees it. */
void options_wipe(struct buffer *secret);

#endif
