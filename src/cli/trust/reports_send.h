/* SPDX-License-Identifier: Apache-2.0 */
/* reports_send: `mailboat reports send`: hands the reports of a day for other domains to the queue. */
#ifndef MAILBOAT_CLI_TRUST_REPORTS_SEND_H
#define MAILBOAT_CLI_TRUST_REPORTS_SEND_H

#include "cli/options.h"

/* `day`: "2026-11-30"; NULL: the last one that is over. Returns the exit code. */
int reports_send(const struct command *command, const char *config_file, const char *day, bool json);

#endif
