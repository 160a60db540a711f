/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake_budget: how much CPU time TLS handshakes may take for one network
 * of clients: an IPv4 address, an IPv6 /64, and more widely an IPv6 /48.
 *
 * A token bucket for each: a burst, then a share of one core. smtpd and web
 * ask handshake_budget_wait_ms() before each step of a handshake and say with
 * handshake_budget_charge() what it has cost. A handshake that fails is
 * charged again, several times; what one has cost whose client then signs in
 * is given back for the most part. So two hundred mail programs behind one
 * address do not meet a limit that a replayed ClientHello meets in a second.
 *
 * The buckets are a table of a fixed size that processes may share; each
 * network has two slots, by a secret, and the emptier counts: who fills one
 * slot with another's address has not filled both. A slot is one number, the
 * time at which the bucket is full again, so that it needs no lock and
 * forgets by itself. (No table of base/slots.h, which makes room for a newcomer:
 * a debt must never be lost, rather is a stranger's added to it.) Times are in µs of clock_now_us(), or of a
 * test.
 */
#ifndef MAILBOAT_SERVICE_HANDSHAKE_BUDGET_H
#define MAILBOAT_SERVICE_HANDSHAKE_BUDGET_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "io/handshakes.h"

enum {
    HANDSHAKE_BURST_MS = 2000,     /* of CPU, for an address or a /64 that has had none lately */
    HANDSHAKE_SHARE_PERMILLE = 50, /* of a core, for as long as it goes on */
    HANDSHAKE_WIDE_TIMES = 4,      /* as much for a /48 */
    HANDSHAKE_FAILED_TIMES = 4,    /* a handshake that fails is charged so many times more */
    HANDSHAKE_RETURN_PERCENT = 75, /* of a handshake's cost, when its client signs in */
    HANDSHAKE_STEP_MIN_US = 20,    /* what a step is charged at least: to accept a client costs, too */
    HANDSHAKE_BUDGET_SLOTS = 64 * 1024,
};

struct handshake_budget {
    uint64_t secret[2];                               /* set once, before others see the table */
    _Atomic uint64_t full_us[HANDSHAKE_BUDGET_SLOTS]; /* when each bucket is full again */
};

/* The memory is all zero already: what no network has used stays so, and is not there. */
void handshake_budget_start(struct handshake_budget *budget);

/* False: this machine itself, or a local socket; it has no limit, and all of it is one network. */
bool handshake_network_of(const struct sockaddr_storage *from, struct handshake_network *network);

/* "192.0.2.1" or "2001:db8::/64", into `buffer`. */
enum { HANDSHAKE_NETWORK_TEXT = 64 };
struct bytes handshake_network_text(const struct handshake_network *network,
                                    char buffer[HANDSHAKE_NETWORK_TEXT]);

/* ms until a step may be done; 0: now. A handshake that was `begun` may
 * overdraw the bucket by a burst more. */
uint64_t handshake_budget_wait_ms(struct handshake_budget *budget, const struct handshake_network *network,
                                  uint64_t now_us, bool begun);
/* Takes so much CPU out of the network's buckets; negative: puts it back. */
void handshake_budget_charge(struct handshake_budget *budget, const struct handshake_network *network,
                             uint64_t now_us, int64_t cpu_us);
/* Logs that handshakes of a network wait, `times` since that began. */
void handshake_budget_log(const struct handshake_network *network, uint64_t times);

#endif
