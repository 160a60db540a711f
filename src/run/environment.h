/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment: what the one who started the server put into the environment,
 * a token for a command perhaps, is for the supervisor and the commands that
 * it runs. All other processes wipe their copy, first of all.
 */
#ifndef MAILBOAT_RUN_ENVIRONMENT_H
#define MAILBOAT_RUN_ENVIRONMENT_H

/* Wipes and removes every variable but the few that libraries look at. */
void environment_forget(void);

#endif
