/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judgements: how it is said what mail authentication found of a message; explain, queue show and trust log
 * use it. queue/judgements_walk.h reads what was found lately.
 */
#ifndef MAILBOAT_CLI_TRUST_JUDGEMENTS_H
#define MAILBOAT_CLI_TRUST_JUDGEMENTS_H

#include <jansson.h>

#include "queue/judgements_walk.h"

/* Appends "junk" or, with mode observe, "deliver (enforce: reject)". */
void judgement_add_outcome(struct buffer *out, const struct trust_record *record);
/* Appends the lines of explain and queue show, each with its line end and after two spaces, without control
 * characters; nothing if nothing was checked. */
void judgement_add_lines(struct buffer *out, const struct trust_record *record);
/* Returns an object, null if nothing was checked; owned by the caller. */
json_t *judgement_json(const struct trust_record *record);

#endif
