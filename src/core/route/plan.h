/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: the next hop of a recipient, decided in one place from what is known
 * of the recipient and from the rules of the configuration. The queue asks
 * plan_recipient() when something comes in, keeps the plan's name with it, and
 * asks plan_destination() what a name means now; relay is told the next hop
 * with each delivery. Which servers a domain has is route.h's.
 */
#ifndef MAILBOAT_CORE_ROUTE_PLAN_H
#define MAILBOAT_CORE_ROUTE_PLAN_H

#include "core/route/route_rules.h"
#include "core/smtp/envelope.h"

enum next_hop {
    NEXT_HOP_LOCAL,     /* a mailbox of ours */
    NEXT_HOP_LOOKUP,    /* not known: auth is asked */
    NEXT_HOP_MX,        /* the servers of the domain */
    NEXT_HOP_AUTO,      /* the same while outgoing port 25 works, else the smarthost */
    NEXT_HOP_HOST,      /* the host that the domain's rule names */
    NEXT_HOP_SMARTHOST, /* the configuration's, for all that goes there together */
};

/* Names under which recipients wait that no domain can have. */
#define DESTINATION_LOCAL BYTES("@local")
#define DESTINATION_SMARTHOST BYTES("@smarthost")
#define DESTINATION_LOOKUP BYTES("@lookup")
#define DESTINATION_NOWHERE BYTES("@nowhere") /* an address without a domain: routing says what is wrong */

enum { PLAN_NAME_MAX = 320 }; /* octets of a name; a longer domain is cut */

struct plan {
    enum next_hop hop;
    struct bytes name;    /* under which it waits: one of those above, or the domain in lower case */
    uint32_t connections; /* deliveries at once; 0: as ever */
    uint32_t rate;        /* messages a minute; 0: no limit */
};

/* Where this recipient goes; a domain is written into `buffer`. */
struct plan plan_recipient(const struct route_rules *rules, const struct recipient *recipient,
                           char buffer[PLAN_NAME_MAX]);
/* What a name means; plan.name is `name`. */
struct plan plan_destination(const struct route_rules *rules, struct bytes name);

#endif
