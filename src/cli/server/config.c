/* SPDX-License-Identifier: Apache-2.0 */
/* config: checks a configuration, or prints the effective one. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/options.h"
#include "run/data_dir.h"
#include "service/services.h"

extern const struct command config_command;

/* Checks what else the server would reject: owners of the data directory, and missing users. */
static bool check_machine(const struct config *config, struct error *error)
{
    struct buffer warning = {0};
    bool fine = users_settle(config->user, &warning, error) && data_dir_check(config, services, error);
    if (fine && warning.length > 0)
        fprintf(stderr, "mailboat config: warning: %s; " USERS_HINT "\n", buffer_text(&warning));
    buffer_free(&warning);
    return fine;
}

static int show(const struct verb_call *call)
{
    const char *const *file = call->wish;
    struct config config;
    struct buffer text = {0};
    int exit_code = EX_OK;
    if (!options_config(&config_command, *file, &config, &exit_code))
        return exit_code;
    config_write(&config, &text);
    fputs(buffer_text(&text), stdout);
    buffer_free(&text);
    config_free(&config);
    return EX_OK;
}

static int check(const struct verb_call *call)
{
    const char *const *file = call->wish;
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&config_command, *file, &config, &exit_code))
        return exit_code;
    if (check_machine(&config, &error))
        printf("%s: fine\n", config.file);
    else
        exit_code = command_fail(&config_command, &error);
    config_free(&config);
    return exit_code;
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {
        {"check", "", "", check}, {"show", "", "", show}, {.name = NULL}};
    const char *file = NULL;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &file}, {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&config_command, argc, argv, rules, verbs, &file);
}

const struct command config_command = {
    .name = "config",
    .summary = "check or show the configuration: check, show",
    .help = "usage: mailboat config check [--config FILE]\n"
            "       mailboat config show [--config FILE]\n"
            "\n"
            "check validates the file: an error gives file, line, cause and hint, with exit\n"
            "code 78. A data directory that other users could replace or write to, or that\n"
            "contains directories of other users, is an error with exit code 77. show prints\n"
            "the whole effective configuration with all defaults, without secrets; its output\n"
            "is a valid configuration. All keys: man mailboat.conf\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "\n"
            "example: mailboat config check --config ./mailboat.conf\n",
    .run = run,
};
