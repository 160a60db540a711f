/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection_limit: how many connections come from one address, and from the networks
 * around it: of IPv4 the /24; of IPv6, where who has one address has all of a
 * /64 and often of more, the /64, /56 and /48. Local programs at the local
 * socket count by their user. A network may have more than an address, by a
 * factor; this machine itself (loopback), root and the program's own user have
 * no limit here.
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
    uint64_t key[2];               /* the address' octets, and what kind of network this is */
    uint32_t connections;          /* of this process */
    struct counted_network *wider; /* the network around it; NULL: none is counted */
    /* Of the widest: */
    uint32_t strangers;
    struct admission_line line;
    struct counted_network *bucket_before, *bucket_after;
};

/* Counts one connection more, until connection_limit_leave(). NULL: its address is of no known kind. */
struct counted_network *connection_limit_enter(struct smtpd *smtpd, const struct sockaddr_storage *from);
struct counted_network *connection_limit_enter_user(struct smtpd *smtpd, uint32_t uid);
/* it may be gone afterwards */
void connection_limit_leave(struct smtpd *smtpd, struct counted_network *network);
/* It, or a network around it, has more than it may have, in all processes together. */
bool connection_limit_is_exceeded(const struct smtpd *smtpd, const struct counted_network *network);

struct counted_network *connection_limit_network(struct counted_network *network); /* the widest */
/* How many times what one address may this network may; 0: it has no limit. */
uint32_t connection_limit_factor(const struct counted_network *network);
/* A number for it in tables that all processes share; not to be guessed from outside. */
uint64_t connection_limit_mark(const struct smtpd *smtpd, const struct counted_network *network);

#endif
