/* SPDX-License-Identifier: Apache-2.0 */
/* reload: has the running server read its configuration and certificates again, and says how that went. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/options.h"
#include "run/reload_socket.h"

extern const struct command reload_command;

static int run(int argc, char **argv)
{
    const char *file = NULL;
    struct config config;
    struct error error = {0};
    struct arguments arguments;
    int exit_code = EX_OK;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &file}, {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&reload_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&reload_command, NULL, "", arguments.at, arguments.count))
        return EX_USAGE;
    if (!options_config(&reload_command, file, &config, &exit_code))
        return exit_code;
    if (reload_socket_ask(config.data_dir, &error))
        printf("%s: reloaded\n", config.file);
    else
        exit_code = command_fail(&reload_command, &error);
    config_free(&config);
    return exit_code;
}

const struct command reload_command = {
    .name = "reload",
    .summary = "have the running server read its configuration and certificates again",
    .help = "usage: mailboat reload [--config FILE]\n"
            "\n"
            "Has the running server read its configuration and certificates again, without\n"
            "dropping a session, and waits for the outcome. A configuration that cannot work\n"
            "changes nothing: the error says why, and the server goes on as before.\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "\n"
            "exit codes: 0 reloaded; 78 the configuration cannot work; 69 no server runs, or a\n"
            "port is in use; 77 not permitted; 75 the server starts, stops, or is not done in 60 s\n"
            "\n"
            "example: mailboat reload\n",
    .run = run,
};
