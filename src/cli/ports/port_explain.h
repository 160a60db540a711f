/* SPDX-License-Identifier: Apache-2.0 */
/* port explain: what is known of a port, a provider or a network, with source and confidence. */
#ifndef MAILBOAT_CLI_PORTS_PORT_EXPLAIN_H
#define MAILBOAT_CLI_PORTS_PORT_EXPLAIN_H

#include "base/error.h"

/* Prints it; "all": everything. False with a reason when the name is unknown. */
bool port_explain(const char *name, bool json, struct error *error);

#endif
