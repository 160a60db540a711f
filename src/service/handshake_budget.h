/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake_budget: limits the CPU time of TLS handshakes per client network: an IPv4 address, an IPv6
 * /64, and with a higher limit an IPv6 /48.
 *
 * Each has a token bucket: a burst, then a share of one core. smtpd and web call
 * handshake_budget_wait_ms() before each step of a handshake and handshake_budget_charge() with its cost.
 * A failed handshake is charged again, several times; most of the cost is refunded if the client
 * authenticates. So two hundred mail programs behind one address do not reach a limit that a replayed
 * ClientHello reaches in a second.
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
    HANDSHAKE_BURST_MS = 2000,     /* of CPU, for an address or a /64 without recent use */
    HANDSHAKE_SHARE_PERMILLE = 50, /* of a core, continuously */
    HANDSHAKE_WIDE_TIMES = 4,      /* factor for a /48 */
    HANDSHAKE_FAILED_TIMES = 4,    /* factor of the extra charge for a failed handshake */
    HANDSHAKE_RETURN_PERCENT = 75, /* of a handshake's cost, when its client authenticates */
    HANDSHAKE_STEP_MIN_US = 20,    /* minimum charge per step: accepting a client has a cost too */
    HANDSHAKE_BUDGET_SLOTS = 64 * 1024,
};

struct handshake_budget {
    uint64_t secret[2];                               /* set once, before the table is shared */
    _Atomic uint64_t full_us[HANDSHAKE_BUDGET_SLOTS]; /* time at which each bucket is full again */
};

/* The memory is already zeroed: unused pages are never allocated. */
void handshake_budget_start(struct handshake_budget *budget);

/* False for this machine itself, or a local socket, which have no limit and form one network. */
bool handshake_network_of(const struct sockaddr_storage *from, struct handshake_network *network);

/* Writes "192.0.2.1" or "2001:db8::/64" into `buffer`. */
enum { HANDSHAKE_NETWORK_TEXT = 64 };
struct bytes handshake_network_text(const struct handshake_network *network,
                                    char buffer[HANDSHAKE_NETWORK_TEXT]);

/* Returns ms until a step may run; 0: now. A handshake that was `begun` may overdraw the bucket by another
 * burst. */
uint64_t handshake_budget_wait_ms(struct handshake_budget *budget, const struct handshake_network *network,
                                  uint64_t now_us, bool begun);
/* Takes so much CPU from the network's buckets; a negative value is a refund. */
void handshake_budget_charge(struct handshake_budget *budget, const struct handshake_network *network,
                             uint64_t now_us, int64_t cpu_us);
/* Logs that a network's handshakes are delayed, `times` since that began. */
void handshake_budget_log(const struct handshake_network *network, uint64_t times);

#endif
