/* SPDX-License-Identifier: Apache-2.0 */
/* key_output: prints signing keys: their states, what they wait for, and their records in the forms in which
 * people publish them. */
#ifndef MAILBOAT_CLI_DKIM_KEY_OUTPUT_H
#define MAILBOAT_CLI_DKIM_KEY_OUTPUT_H

#include <jansson.h>

#include "store/signing_keys.h"

/* Prints two lines: the key and its state, and what it waits for. */
void key_output_state(const struct stored_key *key, const struct key_wait_facts *facts);
/* Prints the record to publish as one line, as strings for a zone file, and as the fields of a web form. */
void key_output_record(const struct stored_key *key);
/* Returns all of it as an object. */
json_t *key_output_json(const struct stored_key *key, const struct key_wait_facts *facts);
/* Appends the sentence about it: its fault, or what it waits for. */
void key_output_words(const struct stored_key *key, const struct key_wait_facts *facts, struct buffer *out);

#endif
