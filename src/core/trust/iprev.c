/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/iprev.h"

static const char *const RESULT_NAMES[] = {
    [IPREV_PASS] = "pass",
    [IPREV_FAIL] = "fail",
    [IPREV_TEMPERROR] = "temperror",
    [IPREV_PERMERROR] = "permerror",
};

const char *iprev_result_name(enum iprev_result result)
{
    return RESULT_NAMES[result];
}

struct iprev_verdict iprev_judge(const struct route_address *client, struct dns_facts *facts)
{
    struct route_address address = client_name_address(*client);
    struct client_names names;
    client_name_find(&address, bytes_none(), facts, &names);
    if (names.lacking || !dns_status_is_told(names.status))
        return (struct iprev_verdict){IPREV_TEMPERROR, bytes_none()};
    if (names.count > 0)
        return (struct iprev_verdict){IPREV_PASS, names.names[0]};
    if (names.status != DNS_FOUND)
        return (struct iprev_verdict){IPREV_PERMERROR, bytes_none()};
    return (struct iprev_verdict){names.failed > 0 ? IPREV_TEMPERROR : IPREV_FAIL, bytes_none()};
}
