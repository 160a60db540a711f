/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf_prefetch: asks ahead what the rest of an SPF record will need, while spf.c waits for one answer. It
 * evaluates nothing and counts for no limit of the standard; it only adds to what the facts lack.
 */
#ifndef MAILBOAT_CORE_TRUST_SPF_PREFETCH_H
#define MAILBOAT_CORE_TRUST_SPF_PREFETCH_H

#include "core/trust/dns_facts.h"
#include "core/trust/spf_macro.h"

/* `terms`: the rest of a record without fault; `budget`: look-ups that the limit still allows. */
void spf_prefetch(const struct spf_macro_values *values, struct bytes terms, unsigned budget,
                  struct dns_facts *facts);

#endif
