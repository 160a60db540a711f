/* SPDX-License-Identifier: Apache-2.0 */
/* port_seen: each port of the target as it was seen over all addresses of a family. */
#ifndef MAILBOAT_CORE_DIAGNOSIS_PORT_SEEN_H
#define MAILBOAT_CORE_DIAGNOSIS_PORT_SEEN_H

#include "core/diagnosis/fact_attempt.h"

enum port_state {
    PORT_SEEN_UNTRIED,
    PORT_SEEN_SILENT,
    PORT_SEEN_REFUSED,
    PORT_SEEN_UNREACHABLE,
    PORT_SEEN_CONNECTED, /* but it cannot be used as it is */
    PORT_SEEN_READY,
};
enum { PORTS_SEEN_MAX = 16 };
struct port_seen {
    uint16_t port;
    enum port_state state;
    const struct fact_attempt *attempt; /* the one that tells most */
    bool offered; /* by the provider, as far as that is known; what connects is offered */
};
struct ports_seen {
    struct port_seen ports[PORTS_SEEN_MAX];
    size_t count;
};

/* In the order in which ports are preferred (587, 2525, 465, others, 25). */
void ports_seen_make(struct ports_seen *seen, const struct diagnosis_facts *facts,
                     enum finding_family family);
const struct port_seen *ports_seen_of(const struct ports_seen *seen, uint16_t port); /* NULL: not there */
/* Is it one that the purpose needs? 443 and 25 are not, for submission. */
bool port_seen_counts(const struct diagnosis_facts *facts, const struct port_seen *port);

#endif
