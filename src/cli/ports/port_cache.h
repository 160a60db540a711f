/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_cache: the port of a server that last won the race, per server and per network of this machine, in
 * the user's state folder ($XDG_STATE_HOME/mailboat/ports.json), with the round trip to the server. For half
 * a day it is tried first, with the race directly after it; then the race looks again at the better ports,
 * so that a block that is gone costs no more than that. It expires, and is removed when it fails. All is
 * best effort: without a state folder nothing is remembered.
 */
#ifndef MAILBOAT_CLI_PORTS_PORT_CACHE_H
#define MAILBOAT_CLI_PORTS_PORT_CACHE_H

#include "core/port/race.h"

enum {
    PORT_CACHE_MAX = 64,            /* servers; the oldest is replaced */
    PORT_CACHE_S = 3 * 24 * 3600,   /* lifetime of an entry */
    PORT_CACHE_FIRST_S = 12 * 3600, /* so long it is tried first */
    PORT_CACHE_ROUND_TRIP_MAX_MS = 10 * 1000,
};

struct port_cache_entry {
    struct race_port port;
    bool is_first;          /* it is to be tried first */
    uint32_t round_trip_ms; /* 0: not known */
};

/* Finds the last winner for this host on this network; false if unknown. */
bool port_cache_find(const char *host, struct port_cache_entry *entry);
void port_cache_remember(const char *host, const struct race_port *port, uint64_t round_trip_ms);
void port_cache_forget(const char *host);

#endif
