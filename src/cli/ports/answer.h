/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer: a diagnosis told to people, and to programs: the cause in one
 * sentence, what to do first, the evidence, and a text for whoever must act.
 */
#ifndef MAILBOAT_CLI_PORTS_ANSWER_H
#define MAILBOAT_CLI_PORTS_ANSWER_H

#include <jansson.h>
#include <stdio.h>

#include "core/diagnosis/diagnosis.h"

/* Lines, each indented by two: causes with their evidence, steps, the ticket. Nothing where all is well. */
void answer_print(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis);
/* The first cause and its steps alone, behind an error message. */
void answer_print_short(FILE *out, const struct diagnosis_facts *facts, const struct diagnosis *diagnosis);
/* {"works", "use", "causes": [...], "steps": [...], "ticket"}; the caller's to free. */
json_t *answer_json(const struct diagnosis_facts *facts, const struct diagnosis *diagnosis);

#endif
