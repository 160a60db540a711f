/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment: variables of the starting user, which may include a token for a command, are only for the
 * supervisor and the commands that it runs. All other processes wipe their copy first.
 */
#ifndef MAILBOAT_RUN_ENVIRONMENT_H
#define MAILBOAT_RUN_ENVIRONMENT_H

/* Wipes and removes all variables but the few that libraries need. */
void environment_forget(void);

#endif
