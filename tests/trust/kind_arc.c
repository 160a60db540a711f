/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARC: {"message" or "message_base64", "now"} -> {"result", "reason", "instance", "sets"}; with "key" (PEM),
 * "domain", "selector", "names" and "results" as well, of a message without a chain -> {"sealed"}: the set.
 */
#include "core/smtp/base64.h"
#include "core/trust/arc_seal.h"
#include "kinds.h"

json_t *judge_arc(const json_t *row, struct world *world)
{
    static struct field_index index;
    static struct arc arc;
    static struct signature_facts signatures;
    struct buffer scratch = {0};
    struct bytes header = row_message(row, &scratch), body = split_body(&header);
    uint64_t now_s = (uint64_t)json_integer_value(json_object_get(row, "now"));
    struct arc_facts facts;
    struct body_hashes hashes;
    field_index_start(&index, header);
    arc_begin(&arc, &index, &world->arena);
    signature_facts_start(&signatures, &world->arena);
    arc_facts_start(&facts, &world->facts, &signatures);
    signature_hash_start(&hashes, &arc.body, arc.needs_body ? 1 : 0);
    hash_in_pieces(&hashes, body);
    bool late = world->zone.seed % 2 == 1; /* the digest before or after DNS */
    if (!late)
        signature_hash_finish(&hashes, &facts.body);
    facts.body_is_known = !late;
    while (!arc_judge(&arc, &facts, now_s)) {
        if (zone_answer(&world->zone, &world->facts) || signature_answer(&signatures) || !late)
            continue;
        signature_hash_finish(&hashes, &facts.body);
        facts.body_is_known = true;
    }
    signature_hash_free(&hashes);
    buffer_free(&scratch);
    return json_pack("{s:s, s:s, s:i, s:i}", "result", arc_result_word(arc.result), "reason",
                     arc.reason == NULL ? "" : arc.reason, "instance", (int)arc.failed_instance, "sets",
                     (int)arc.count);
}

static void sign(const struct signing_key *key, struct buffer *input, struct buffer *made)
{
    buffer_clear(made);
    signature_sign(key, buffer_bytes(input), made);
    buffer_clear(input);
}

json_t *judge_arc_seal(const json_t *row, struct world *world)
{
    static struct field_index index;
    static struct arc arc;
    struct buffer scratch = {0}, input = {0}, made = {0}, out = {0};
    struct bytes header = row_message(row, &scratch), body = split_body(&header);
    struct body_hashes hashes;
    struct dkim_body_fact fact;
    struct signing_key key;
    struct arc_seal seal;
    struct error error;
    if (!signature_key_read(&key, row_text(row, "key"), "key", &error))
        return json_pack("{s:s}", "fault", error.text);
    field_index_start(&index, header);
    arc_begin(&arc, &index, &world->arena);
    signature_hash_start(&hashes, &(struct dkim_body){CANON_RELAXED, CANON_WHOLE}, 1);
    hash_in_pieces(&hashes, body);
    signature_hash_finish(&hashes, &fact);
    struct arc_seal_request request = {.algorithm = key.algorithm,
                                       .domain = row_text(row, "domain"),
                                       .selector = row_text(row, "selector"),
                                       .time_s = (uint64_t)json_integer_value(json_object_get(row, "now")),
                                       .names = row_text(row, "names"),
                                       .results = row_text(row, "results"),
                                       .body_digest = bytes_of(fact.digest, DKIM_DIGEST)};
    if (arc_seal_start(&seal, &arc, &request)) {
        arc_seal_message_input(&seal, &input);
        sign(&key, &input, &made);
        arc_seal_message(&seal, buffer_bytes(&made));
        arc_seal_chain_input(&seal, &input);
        sign(&key, &input, &made);
        arc_seal_finish(&seal, buffer_bytes(&made), &out);
    }
    json_t *verdict = json_pack("{s:o}", "sealed", json_bytes(buffer_bytes(&out)));
    signature_key_free(&key);
    buffer_free(&scratch);
    buffer_free(&input);
    buffer_free(&made);
    buffer_free(&out);
    return verdict;
}
