/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_cache: which port of a server won the race last, by server and by
 * the network this machine was on, in the user's state folder
 * ($XDG_STATE_HOME/mailboat/ports.json). It is tried first the next time,
 * with the race right behind it; it expires, and is forgotten when it fails.
 * All is best effort: without a state folder nothing is remembered.
 */
#ifndef MAILBOAT_CLI_PORTS_PORT_CACHE_H
#define MAILBOAT_CLI_PORTS_PORT_CACHE_H

#include "core/port/race.h"

enum {
    PORT_CACHE_MAX = 64,          /* servers; the oldest goes */
    PORT_CACHE_S = 3 * 24 * 3600, /* how long one is believed */
};

/* The way that won for this host here and now; false when none is known. */
bool port_cache_find(const char *host, struct race_port *port);
void port_cache_remember(const char *host, const struct race_port *port);
void port_cache_forget(const char *host);

#endif
