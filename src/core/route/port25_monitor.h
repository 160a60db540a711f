/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port25_monitor: detects whether outgoing port 25 works. If it is blocked, every server is silent there;
 * one silent server proves nothing. For `relay.via: auto`: from the results of attempts it decides when to
 * use the smarthost, when to probe again, and when 25 works again.
 */
#ifndef MAILBOAT_CORE_ROUTE_PORT25_MONITOR_H
#define MAILBOAT_CORE_ROUTE_PORT25_MONITOR_H

#include "base/bytes.h"

enum port25_monitor_limit {
    /* consecutive silent servers, none reached in between: blocked */
    PORT25_MONITOR_SILENT_MAX = 3,
    PORT25_MONITOR_PROBE_MS = 5 * 60 * 1000, /* interval of probes while blocked */
    PORT25_MONITOR_PATIENCE_MS = 10 * 1000,  /* for a connection to 25 if there is an alternative */
};

struct port25_monitor {
    bool blocked;
    bool worked; /* a server was reached, and 25 has not been blocked since */
    /* different ones */
    struct port25_server {
        uint8_t octets[16];
        bool six;
    } silent[PORT25_MONITOR_SILENT_MAX];
    size_t silent_count;
    size_t probe_next; /* index of the next one to probe */
    uint64_t probe_ms; /* time of the next probe */
};

/* Records an attempt at a server's port 25. True if it changed `blocked`. */
bool port25_monitor_reached(struct port25_monitor *port25_monitor);
bool port25_monitor_was_silent(struct port25_monitor *port25_monitor, const struct port25_server *server,
                               uint64_t now_ms);
/* Returns the server to probe now; NULL: not yet. */
const struct port25_server *port25_monitor_probe(struct port25_monitor *port25_monitor, uint64_t now_ms);

#endif
