/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts_json: what was seen, as JSON, and back: `mailboat ports --report FILE`
 * writes it for an issue or a ticket, `--replay FILE` judges it anew. There is
 * no secret in the facts: no password, no user name, no message.
 */
#ifndef MAILBOAT_CLI_PORTS_FACTS_JSON_H
#define MAILBOAT_CLI_PORTS_FACTS_JSON_H

#include <jansson.h>

#include "base/error.h"
#include "core/diagnosis/facts.h"

enum facts_json_limit { FACTS_JSON_VERSION = 1, FACTS_JSON_SIZE_MAX = 4 * 1024 * 1024 };

/* The caller's to free. Members that are not known are left out. */
json_t *facts_json_write(const struct diagnosis_facts *facts);
/* False with what is wrong and where (EX_DATAERR). Lists and texts beyond their bounds are refused. */
bool facts_json_read(const json_t *from, struct diagnosis_facts *facts, struct error *error);

/* The same with a file, "-" for standard output or input. EX_CANTCREAT, EX_NOINPUT, EX_DATAERR. */
bool facts_json_save(const char *path, const struct diagnosis_facts *facts, struct error *error);
bool facts_json_load(const char *path, struct diagnosis_facts *facts, struct error *error);

#endif
