/* SPDX-License-Identifier: Apache-2.0 */
/* port explain: facts about a port, a provider or a network, with source and confidence. */
#ifndef MAILBOAT_CLI_PORTS_PORT_EXPLAIN_H
#define MAILBOAT_CLI_PORTS_PORT_EXPLAIN_H

#include "base/error.h"

/* Prints the facts; "all": everything. False with a reason if the name is unknown. */
bool port_explain(const char *name, bool json, struct error *error);

#endif
