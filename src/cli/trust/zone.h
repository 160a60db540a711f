/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone: the DNS of a file, in the place of the real one: for `mailboat trust check --zone`, and for the rows
 * of tables (tests/suites/trust/README.md has the format). Answers what a judgement lacks, all of it in
 * order, or with a seed some of it in any order.
 */
#ifndef MAILBOAT_CLI_TRUST_ZONE_H
#define MAILBOAT_CLI_TRUST_ZONE_H

#include <jansson.h>

#include "core/trust/dns_facts.h"

struct zone {
    const json_t *names; /* name -> type -> records; NULL: nothing exists */
    uint64_t seed;       /* 0: all answers in order; moves on with each random choice */
    json_t *asked;       /* if not NULL: gets "TXT name" of each question that was answered */
};

/* Answers questions that the facts lack, at least one; false if they lack none. */
bool zone_answer(struct zone *zone, struct dns_facts *facts);

/* Returns the answer to one question; a wildcard and a CNAME are followed. Its texts are in the zone or in
 * `arena`. */
struct dns_answer zone_look_up(const struct zone *zone, struct dns_fact_key key, struct arena *arena);

#endif
