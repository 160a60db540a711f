/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_rules: what the configuration says of the way to a domain, and how much
 * may go that way. core/route/plan.h makes the next hop of it; relay asks how a
 * host that a rule names is reached. The most exact rule alone holds: the name itself, then the longest
 * "*.example.net", then "*".
 */
#ifndef MAILBOAT_CORE_ROUTE_ROUTE_RULES_H
#define MAILBOAT_CORE_ROUTE_ROUTE_RULES_H

#include "base/bytes.h"

enum relay_via {
    RELAY_MX,
    RELAY_SMARTHOST,
    RELAY_AUTO,
    RELAY_HOST,
    RELAY_UNSAID /* while the configuration is read */
};
/* How a host that a rule names is secured. */
enum rule_tls { RULE_TLS_MAY, RULE_TLS_ENCRYPT, RULE_TLS_VERIFY, RULE_TLS_IMPLICIT, RULE_TLS_NONE };

enum route_rules_limit {
    ROUTE_RULES_MAX = 1000,
    RULE_CONNECTIONS_MAX = 1000,
    RULE_RATE_MAX = 60000, /* messages a minute */
};

struct route_rule {
    /* in lower case: "example.com", "*.example.net" (those below it), "*" (all others) */
    const char *domain;
    enum relay_via via;
    const char *host; /* RELAY_HOST: its own addresses, without MX */
    uint16_t port;    /* of that host */
    enum rule_tls tls;
    uint32_t connections; /* deliveries at once; 0: as ever */
    uint32_t rate;        /* messages a minute; 0: no limit */
};

struct route_rules {
    enum relay_via via; /* of what no rule is about */
    const struct route_rule *rules;
    size_t count;
    uint32_t smarthost_connections, smarthost_rate; /* limits of the smarthost; 0: as ever, no limit */
};

/* The rule for a domain in lower case, or NULL. */
const struct route_rule *route_rules_find(const struct route_rules *rules, struct bytes domain);

#endif
