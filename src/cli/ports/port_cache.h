/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_cache: the port of a server that last won the race, per server and per network of this machine, in
 * the user's state folder ($XDG_STATE_HOME/mailboat/ports.json). It is tried first the next time, with the
 * race directly after it; it expires, and is removed when it fails. All is best effort: without a state
 * folder nothing is remembered.
 */
#ifndef MAILBOAT_CLI_PORTS_PORT_CACHE_H
#define MAILBOAT_CLI_PORTS_PORT_CACHE_H

#include "core/port/race.h"

enum {
    PORT_CACHE_MAX = 64,          /* servers; the oldest is replaced */
    PORT_CACHE_S = 3 * 24 * 3600, /* lifetime of an entry */
};

/* Finds the last winner for this host on this network; false if unknown. */
bool port_cache_find(const char *host, struct race_port *port);
void port_cache_remember(const char *host, const struct race_port *port);
void port_cache_forget(const char *host);

#endif
