/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: the next hop of a recipient, decided in one place from the facts about the recipient and the rules
 * of the configuration. The queue calls plan_recipient() when a message arrives, stores the plan's name
 * with it, and calls plan_destination() for the current meaning of a name; relay gets the next hop with
 * each delivery. The servers of a domain are found by route.h.
 */
#ifndef MAILBOAT_CORE_ROUTE_PLAN_H
#define MAILBOAT_CORE_ROUTE_PLAN_H

#include "core/route/route_rules.h"
#include "core/smtp/envelope.h"

enum next_hop {
    NEXT_HOP_LOCAL,     /* a local mailbox */
    NEXT_HOP_REPORTS,   /* the process that reads reports of other servers */
    NEXT_HOP_LOOKUP,    /* unknown: ask auth */
    NEXT_HOP_MX,        /* the servers of the domain */
    NEXT_HOP_AUTO,      /* the same while outgoing port 25 works, else the smarthost */
    NEXT_HOP_HOST,      /* the host in the domain's rule */
    NEXT_HOP_SMARTHOST, /* the configured one, shared by all its mail */
};

/* Destination names that cannot be domains. */
#define DESTINATION_LOCAL BYTES("@local")
#define DESTINATION_REPORTS BYTES("@reports")
#define DESTINATION_SMARTHOST BYTES("@smarthost")
#define DESTINATION_LOOKUP BYTES("@lookup")
#define DESTINATION_NOWHERE BYTES("@nowhere") /* an address without a domain: routing reports the fault */

enum { PLAN_NAME_MAX = 320 }; /* octets of a name; a longer domain is cut */

struct plan {
    enum next_hop hop;
    struct bytes name;    /* one of the names above, or the domain in lower case */
    uint32_t connections; /* concurrent deliveries; 0: default */
    uint32_t rate;        /* messages per minute; 0: no limit */
};

/* Returns the plan for this recipient; a domain is written into `buffer`. */
struct plan plan_recipient(const struct route_rules *rules, const struct recipient *recipient,
                           char buffer[PLAN_NAME_MAX]);
/* Returns the plan for a destination name; plan.name is `name`. */
struct plan plan_destination(const struct route_rules *rules, struct bytes name);

#endif
