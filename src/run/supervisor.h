/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: the first process. It reads the configuration, prepares the data directory, binds the ports,
 * starts the services of a list (service.h) and restarts them as needed until it is told to stop. It reads
 * no network input.
 */
#ifndef MAILBOAT_RUN_SUPERVISOR_H
#define MAILBOAT_RUN_SUPERVISOR_H

#include "run/service.h"

enum {
    STOP_LIMIT_MS = 30 * 1000, /* from SIGTERM until remaining processes are killed */
};

/* Runs the server with these services in the foreground. Returns the exit code: 0 after SIGTERM or SIGINT;
 * if it could not start, `error` has the reason and nothing runs. */
int supervisor_run(service_list *services, const char *config_file, struct error *error);

#endif
