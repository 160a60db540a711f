/* SPDX-License-Identifier: Apache-2.0 */
/* trust_log: `mailboat trust log`, what mail authentication found lately of the messages on port 25. */
#ifndef MAILBOAT_CLI_TRUST_TRUST_LOG_H
#define MAILBOAT_CLI_TRUST_TRUST_LOG_H

#include <stdbool.h>

enum { TRUST_LOG_SHOWN = 50 }; /* messages, unless --limit says another number */

struct trust_log_options {
    const char *config_file; /* NULL: the default */
    const char *domain;      /* only messages from it and its subdomains; NULL: all */
    const char *disposition; /* only this one, carried out or proposed; NULL: all */
    const char *limit;       /* as typed; NULL: TRUST_LOG_SHOWN */
    bool json, with_story;
};

/* Returns an exit code. */
int trust_log(const struct trust_log_options *options);

#endif
