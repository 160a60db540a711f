/* SPDX-License-Identifier: Apache-2.0 */
/* fact_attempt: whose an attempt is, and whether the server that was meant answered it. */
#ifndef MAILBOAT_CORE_DIAGNOSIS_FACT_ATTEMPT_H
#define MAILBOAT_CORE_DIAGNOSIS_FACT_ATTEMPT_H

#include "core/diagnosis/finding.h"

bool fact_attempt_is_of(const struct fact_attempt *attempt, enum finding_family family);
const struct provider *fact_attempt_provider(const struct diagnosis_facts *facts,
                                             const struct fact_attempt *attempt);
const char *fact_attempt_host(const struct diagnosis_facts *facts, const struct fact_attempt *attempt);
/* Is there a certificate, and is it for another host, or, where the host is a known
 * provider's, not trusted here? */
bool fact_attempt_is_foreign(const struct diagnosis_facts *facts, const struct fact_attempt *attempt);
bool fact_attempt_is_right(const struct fact_attempt *attempt); /* a valid certificate for the host */

#endif
