/* SPDX-License-Identifier: Apache-2.0 */
/* capability: the capabilities (capabilities(7)) that root has here: containers take some away. */
#ifndef MAILBOAT_RUN_CAPABILITY_H
#define MAILBOAT_RUN_CAPABILITY_H

#include "config/config.h"

/* `number` is one of CAP_CHOWN ... True if this process has it in effect. */
bool capability_is_held(int number);
/* For a server that is started as root: false if it could not start, with one sentence that names every
 * capability that it lacks. Otherwise appends one line with "\n" to `warnings` per capability without which
 * it does less. */
bool capability_check(const struct config *config, struct buffer *warnings, struct error *error);

#endif
