/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection_limit: limits the connections per client address, and per network around it: for IPv4 the
 * /24; for IPv6, where one host has all of a /64 and often more, the /64, /56 and /48. Local programs on
 * the local socket are counted by user. The limit of a network is a multiple of that of an address; this
 * machine itself (loopback), root and the server's own user have no limit here.
 *
 * A process knows its own connections exactly; those of the others it reads from
 * a table that all share, where each client counts in two slots of its
 * process' row. The fuller of two slots may hold a stranger too, the emptier
 * hardly ever does: so the limit is one for all processes, and nobody gets more
 * than it. (No table of base/slots.h, which makes room for a newcomer: a
 * connection that is open must never be forgotten.)
 *
 * The widest network of a client keeps the line of its strangers, for admission_control.h.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_CONNECTION_LIMIT_H
#define MAILBOAT_SERVICE_SMTPD_CONNECTION_LIMIT_H

#include <sys/socket.h>

#include "service/smtpd/admission_control.h"

struct counted_network {
    uint64_t key[2];               /* octets of the address, and kind of network */
    uint32_t connections;          /* of this process */
    struct counted_network *wider; /* the network around it; NULL: none */
    /* Only in the widest: */
    uint32_t strangers;
    struct admission_line line;
    struct counted_network *bucket_before, *bucket_after;
};

/* Counts one connection more, until connection_limit_leave(). NULL: its address is of an unknown kind. */
struct counted_network *connection_limit_enter(struct smtpd *smtpd, const struct sockaddr_storage *from);
struct counted_network *connection_limit_enter_user(struct smtpd *smtpd, uint32_t uid);
/* One connection less; what was counted of a network ends with its last one. */
void connection_limit_leave(struct smtpd *smtpd, struct counted_network *network);
/* True if it, or a network around it, exceeds its limit, over all processes. */
bool connection_limit_is_exceeded(const struct smtpd *smtpd, const struct counted_network *network);

struct counted_network *connection_limit_network(struct counted_network *network); /* the widest */
/* Returns the multiple of an address's limit for this network; 0: no limit. */
uint32_t connection_limit_factor(const struct counted_network *network);
/* Returns a number for it in shared tables; unpredictable from outside. */
uint64_t connection_limit_mark(const struct smtpd *smtpd, const struct counted_network *network);

#endif
