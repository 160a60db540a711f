/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_rules: the configured next hop and limits of a domain. core/route/plan.h derives the next hop from
 * them; relay reads how to reach a host named by a rule. Only the most specific rule applies: the name
 * itself, then the longest "*.example.net", then "*".
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
/* TLS for a host named by a rule. */
enum rule_tls { RULE_TLS_MAY, RULE_TLS_ENCRYPT, RULE_TLS_VERIFY, RULE_TLS_IMPLICIT, RULE_TLS_NONE };

enum route_rules_limit {
    ROUTE_RULES_MAX = 1000,
    RULE_CONNECTIONS_MAX = 1000,
    RULE_RATE_MAX = 60000, /* messages per minute */
};

struct route_rule {
    /* in lower case: "example.com", "*.example.net" (its subdomains), "*" (all others) */
    const char *domain;
    enum relay_via via;
    const char *host; /* RELAY_HOST: its own addresses, without MX */
    uint16_t port;    /* of that host */
    enum rule_tls tls;
    uint32_t connections; /* concurrent deliveries; 0: default */
    uint32_t rate;        /* messages per minute; 0: no limit */
};

struct route_rules {
    enum relay_via via; /* for domains without a rule */
    const struct route_rule *rules;
    size_t count;
    uint32_t smarthost_connections, smarthost_rate; /* limits of the smarthost; 0: default, no limit */
};

/* Returns the rule for a domain in lower case, or NULL. */
const struct route_rule *route_rules_find(const struct route_rules *rules, struct bytes domain);

#endif
