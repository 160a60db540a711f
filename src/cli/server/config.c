/* SPDX-License-Identifier: Apache-2.0 */
/* config: checks a configuration, or prints the effective one. */
#include <stdio.h>
#include <sysexits.h>

#include "base/count.h"
#include "cli/options.h"
#include "cli/server/config_machine.h"

extern const struct command config_command;

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

static size_t print_warnings(struct bytes lines)
{
    size_t count = 0;
    for (; lines.length > 0; count++) {
        struct bytes line = bytes_split(&lines, '\n');
        fprintf(stderr, "mailboat config: warning: %.*s\n", (int)line.length, line.at);
    }
    return count;
}

static int check(const struct verb_call *call)
{
    const char *const *file = call->wish;
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&config_command, *file, &config, &exit_code))
        return exit_code;
    struct buffer warnings = {0};
    if (!config_machine_check(&config, &warnings, &error))
        exit_code = command_fail(&config_command, &error);
    size_t count = print_warnings(buffer_bytes(&warnings));
    if (exit_code == EX_OK && count == 0)
        printf("%s: fine\n", config.file);
    else if (exit_code == EX_OK)
        printf("%s: the server can start; %s\n", config.file, COUNT_OF(count, "warning"));
    buffer_free(&warnings);
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
            "check validates the file, and everything else that can be known without starting:\n"
            "the certificate and its key, the data directory, the ports. An error, which\n"
            "would prevent the start, gives cause and hint, with exit code 78; 77 for a data\n"
            "directory that other users could replace or write to; 69 for a port that another\n"
            "program holds. Warnings, as of a certificate for another name, exit with 0.\n"
            "show prints the whole effective configuration with all defaults, without secrets; its output\n"
            "is a valid configuration. All keys: man mailboat.conf\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "\n"
            "example: mailboat config check --config ./mailboat.conf\n",
    .run = run,
};
