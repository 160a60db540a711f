/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iprev: does the reverse name of a client lead back to its address (FCrDNS)? RFC 8601 2.7.3 and 3.
 *
 * trust calls iprev_judge() from the top until the facts lack nothing (core/trust/dns_facts.h).
 */
#ifndef MAILBOAT_CORE_TRUST_IPREV_H
#define MAILBOAT_CORE_TRUST_IPREV_H

#include "core/trust/client_name.h"

enum iprev_result {
    IPREV_PASS,
    IPREV_FAIL,      /* no reverse name leads back */
    IPREV_TEMPERROR, /* DNS did not tell */
    IPREV_PERMERROR, /* there is no reverse name */
};

struct iprev_verdict {
    enum iprev_result result;
    struct bytes name; /* the first that leads back, with IPREV_PASS; lives as long as the facts */
};

/* Final if `facts` lacks nothing afterwards. At most CLIENT_NAMES_MAX names are looked at. */
struct iprev_verdict iprev_judge(const struct route_address *client, struct dns_facts *facts);

const char *iprev_result_name(enum iprev_result result); /* "pass" */

#endif
