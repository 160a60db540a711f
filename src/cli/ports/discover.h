/* SPDX-License-Identifier: Apache-2.0 */
/* discover: asks DNS and HTTPS what core/port/discovery wants to know. It blocks. */
#ifndef MAILBOAT_CLI_PORTS_DISCOVER_H
#define MAILBOAT_CLI_PORTS_DISCOVER_H

#include "base/error.h"
#include "core/port/discovery.h"

/* The outgoing server of a mail address. False with a reason when none was found. */
bool discover(struct discovery *discovery, const char *address, const char *ca_file, struct error *error);

#endif
