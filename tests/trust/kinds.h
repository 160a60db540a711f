/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds: a kind of row in the tables of mail authentication, and its judgement by the pure core.
 *
 * A row is an object with "kind", the inputs of that kind and "zone". A judge returns what the core made of
 * it, in the words of the table's "expect". To add a kind: judge_NAME() in a file kind_….c, its line in
 * kinds.def, and in a file tables_….py how its rows are recognised and compared.
 */
#ifndef MAILBOAT_TESTS_TRUST_KINDS_H
#define MAILBOAT_TESTS_TRUST_KINDS_H

#include "base/buffer.h"
#include "cli/trust/zone.h"
#include "io/signature.h"

/* Everything that one judgement may use; cleared after each row. */
struct world {
    struct zone zone;
    struct arena arena;
    struct dns_facts facts; /* started for the row */
};

/* Returns a text of the row, or bytes_none(). */
struct bytes row_text(const json_t *row, const char *key);
json_t *json_bytes(struct bytes text);

/* Returns "message", or "message_base64" decoded into the scratch. */
struct bytes row_message(const json_t *row, struct buffer *scratch);
/* Splits a message at its empty line: *header keeps the header, without that line; returns the body. */
struct bytes split_body(struct bytes *header);
/* Hashes the body in pieces of many lengths. */
void hash_in_pieces(struct body_hashes *hashes, struct bytes body);

#define KIND(name) json_t *judge_##name(const json_t *row, struct world *world);
#include "kinds.def"
#undef KIND

#endif
