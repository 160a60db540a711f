/* SPDX-License-Identifier: Apache-2.0 */
/* serve: runs the server in the foreground, for systemd, containers, a terminal. */
#include "command.h"
#include "supervisor.h"

#include <getopt.h>
#include <stddef.h>
#include <sysexits.h>

extern const struct command serve_command;

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const char *file = NULL;
    struct error error = {0};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "+c:", options, NULL)) != -1;) {
        if (option != 'c')
            return command_usage(&serve_command, "unknown option, or one without its value: %s", argv[optind - 1]);
        file = optarg;
    }
    if (optind < argc)
        return command_usage(&serve_command, "unexpected argument '%s'", argv[optind]);
    int code = supervisor_run(file, &error);
    return error.text[0] == '\0' ? code : command_fail(&serve_command, &error);
}

const struct command serve_command = {
    .name = "serve",
    .summary = "run the mail server in the foreground",
    .help = "usage: mailboat serve [--config FILE]\n\n"
            "Runs the mail server in the foreground until SIGTERM or SIGINT; SIGHUP reads\n"
            "the configuration and the certificates again without dropping a session.\n"
            "Started as root it binds the ports and drops to users of its own; without\n"
            "root it needs ports above 1023. The log goes to stderr.\n\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n\n"
            "example: mailboat serve --config /etc/mailboat/mailboat.conf\n",
    .run = run,
};
