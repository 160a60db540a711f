/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: the first process. It reads the configuration, prepares the
 * data folder, binds the ports, starts the services of a list (service.h) and
 * looks after them until it is told to end. It reads nothing from outside.
 */
#ifndef MAILBOAT_RUN_SUPERVISOR_H
#define MAILBOAT_RUN_SUPERVISOR_H

#include "run/service.h"

enum {
    STOP_LIMIT_MS = 30 * 1000, /* from SIGTERM until what still runs is killed */
};

/* Runs the server with these services in the foreground. Returns the exit code: 0 after SIGTERM
 * or SIGINT; when it could not start, `error` says why and nothing runs. */
int supervisor_run(service_list *services, const char *config_file, struct error *error);

#endif
