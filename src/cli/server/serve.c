/* SPDX-License-Identifier: Apache-2.0 */
/* serve: runs the server in the foreground, for systemd, containers, a terminal. */
#include <sysexits.h>

#include "cli/options.h"
#include "run/supervisor.h"
#include "service/services.h"

extern const struct command serve_command;

static int run(int argc, char **argv)
{
    const char *file = NULL;
    struct error error = {0};
    struct arguments arguments;
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &file}, {OPTION_END, NULL, 0, NULL}};
    if (!options_read(&serve_command, argc, argv, rules, &arguments))
        return EX_USAGE;
    if (!options_arguments_fit(&serve_command, NULL, "", arguments.at, arguments.count))
        return EX_USAGE;
    int code = supervisor_run(services, file, &error);
    return error.text[0] == '\0' ? code : command_fail(&serve_command, &error);
}

const struct command serve_command = {
    .name = "serve",
    .summary = "run the mail server in the foreground",
    .help = "usage: mailboat serve [--config FILE]\n\n"
            "Runs the mail server in the foreground until SIGTERM or SIGINT; SIGHUP reads\n"
            "the configuration and the certificates again without dropping a session, as does\n"
            "mailboat reload, which also says whether that worked.\n"
            "Started as root it binds the ports and drops to users of its own; without\n"
            "root it needs ports above 1023. The log goes to stderr.\n\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n\n"
            "example: mailboat serve --config /etc/mailboat/mailboat.conf\n",
    .run = run,
};
