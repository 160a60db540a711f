/* SPDX-License-Identifier: Apache-2.0 */
/* reports: the verbs of `mailboat reports`. reports_read.c reads files, reports_stored.c what has arrived. */
#ifndef MAILBOAT_CLI_TRUST_REPORTS_H
#define MAILBOAT_CLI_TRUST_REPORTS_H

#include "cli/options.h"

extern const struct command reports_command;

struct reports_wish {
    const char *config, *domain, *since, *day;
    bool json;
};

int reports_read(const struct verb_call *call);
int reports_show(const struct verb_call *call);
int reports_kept(const struct verb_call *call);

#endif
