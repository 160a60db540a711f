/* SPDX-License-Identifier: Apache-2.0 */
/* config: checks a configuration, or shows the whole effective one. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/options.h"
#include "run/data_dir.h"
#include "service/services.h"

extern const struct command config_command;

/* What the server would refuse beside the file: the owners of the data directory, and missing users. */
static bool check_machine(const struct config *config, struct error *error)
{
    struct buffer warning = {0};
    bool fine = users_settle(config->user, &warning, error) && data_dir_check(config, services, error);
    if (fine && warning.length > 0)
        fprintf(stderr, "mailboat config: warning: %s; " USERS_HINT "\n", buffer_text(&warning));
    buffer_free(&warning);
    return fine;
}

static int run(int argc, char **argv)
{
    const char *file = NULL;
    struct arguments arguments;
    struct config config;
    struct buffer text = {0};
    struct error error = {0};
    int exit_code = EX_OK;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &file}, {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&config_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    bool show = arguments.count == 1 && strcmp(arguments.at[0], "show") == 0;
    if (!show && !(arguments.count == 1 && strcmp(arguments.at[0], "check") == 0))
        return command_usage(&config_command, "use one of: check, show");
    if (!options_config(&config_command, file, &config, &exit_code))
        return exit_code;
    if (show) {
        config_write(&config, &text);
        fputs(buffer_text(&text), stdout);
    } else if (check_machine(&config, &error)) {
        printf("%s: fine\n", config.file);
    } else {
        exit_code = command_fail(&config_command, &error);
    }
    buffer_free(&text);
    config_free(&config);
    return exit_code;
}

const struct command config_command = {
    .name = "config",
    .summary = "check or show the configuration: check, show",
    .help = "usage: mailboat config check [--config FILE]\n"
            "       mailboat config show [--config FILE]\n"
            "\n"
            "check validates the file: an error gives file, line, cause and hint, with exit\n"
            "code 78; a data directory that other\n"
            "users could replace or write to, or whose folders belong to others, is an error\n"
            "too, with exit code 77. show prints the whole\n"
            "effective configuration, defaults filled in, without secrets; it can be used\n"
            "as a configuration itself. All keys: man mailboat.conf\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "\n"
            "example: mailboat config check --config ./mailboat.conf\n",
    .run = run,
};
