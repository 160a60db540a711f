/* SPDX-License-Identifier: Apache-2.0 */
/* discover: runs the DNS and HTTPS queries of core/port/discovery. It blocks. */
#ifndef MAILBOAT_CLI_PORTS_DISCOVER_H
#define MAILBOAT_CLI_PORTS_DISCOVER_H

#include "base/error.h"
#include "core/port/discovery.h"

/* Finds the outgoing server of a mail address. False with a reason if none was found. */
bool discover(struct discovery *discovery, const char *address, const char *ca_file, struct error *error);

#endif
