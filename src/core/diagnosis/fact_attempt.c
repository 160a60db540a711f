/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/fact_attempt.h"

bool fact_attempt_is_of(const struct fact_attempt *attempt, enum finding_family family)
{
    return family == FAMILY_BOTH || attempt->six == (family == FAMILY_6);
}

const struct provider *fact_attempt_provider(const struct diagnosis_facts *facts,
                                             const struct fact_attempt *attempt)
{
    struct bytes host = bytes_of_text(attempt->host);
    if (host.length == 0)
        return facts->provider;
    const struct provider *provider = provider_by_host(host);
    return provider != NULL ? provider : provider_by_mx(host);
}

const char *fact_attempt_host(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->host[0] != '\0' ? attempt->host : facts->host;
}

bool fact_attempt_is_foreign(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    if (attempt->tls != FACT_TLS_DONE || attempt->certificate.state == FACT_CERTIFICATE_UNKNOWN ||
        facts->host_is_own == KNOWN_YES)
        return false;
    return attempt->certificate.names_host == KNOWN_NO ||
           (attempt->certificate.chain_trusted == KNOWN_NO && fact_attempt_provider(facts, attempt) != NULL);
}

bool fact_attempt_is_right(const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_DONE && attempt->certificate.state == FACT_CERTIFICATE_VALID;
}
