/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port25_monitor: does outgoing port 25 work from here? Where it is blocked, every
 * server is silent there; one silent server proves nothing. For
 * `relay.via: auto`: told of what attempts came to, it says when to let the
 * smarthost carry, when to look again, and when 25 works again.
 */
#ifndef MAILBOAT_CORE_ROUTE_PORT25_MONITOR_H
#define MAILBOAT_CORE_ROUTE_PORT25_MONITOR_H

#include "base/bytes.h"

enum port25_monitor_limit {
    /* servers in a row that are silent, none reached in between: it is blocked */
    PORT25_MONITOR_SILENT_MAX = 3,
    PORT25_MONITOR_PROBE_MS = 5 * 60 * 1000, /* between two looks while it is blocked */
    PORT25_MONITOR_PATIENCE_MS = 10 * 1000,  /* for a connection to 25 where there is another way */
};

struct port25_monitor {
    bool blocked;
    bool worked; /* a server was reached there, and it has not been blocked since */
    /* different ones */
    struct port25_server {
        uint8_t octets[16];
        bool six;
    } silent[PORT25_MONITOR_SILENT_MAX];
    size_t silent_count;
    size_t probe_next; /* which of them is looked at next */
    uint64_t probe_ms; /* when */
};

/* News of an attempt at port 25 of a server. True when the answer to
 * `blocked` has changed by it. */
bool port25_monitor_reached(struct port25_monitor *port25_monitor);
bool port25_monitor_was_silent(struct port25_monitor *port25_monitor, const struct port25_server *server,
                               uint64_t now_ms);
/* The server to connect to now, to see whether 25 works again; NULL: not yet. */
const struct port25_server *port25_monitor_probe(struct port25_monitor *port25_monitor, uint64_t now_ms);

#endif
