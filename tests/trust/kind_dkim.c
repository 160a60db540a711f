/* SPDX-License-Identifier: Apache-2.0 */
/* DKIM: {"message" or "message_base64", "now"} -> {"signatures": [{"d", "s", "a", "result", "reason"}]}. */
#include "core/smtp/base64.h"
#include "core/trust/dkim_sign.h"
#include "io/signature.h"
#include "kinds.h"

struct bytes row_message(const json_t *row, struct buffer *scratch)
{
    struct bytes text = row_text(row, "message");
    struct bytes encoded = row_text(row, "message_base64");
    if (encoded.length > 0 && base64_decode(scratch, encoded))
        text = buffer_bytes(scratch);
    return text;
}

struct bytes split_body(struct bytes *header)
{
    struct bytes all = *header;
    size_t end = all.length >= 2 && all.at[0] == '\r' && all.at[1] == '\n'
                     ? 0
                     : bytes_search(all, BYTES("\r\n\r\n")) + 2;
    if (end < 2 && end != 0)
        return bytes_none(); /* no empty line: all of it is header */
    *header = bytes_first(all, end);
    return bytes_from(all, end + 2);
}

/* Each piece is of another length, so that the cuts are anywhere. */
void hash_in_pieces(struct body_hashes *hashes, struct bytes body)
{
    for (size_t piece = 1; body.length > 0; piece = piece * 7 % 1009 + 1) {
        struct bytes some = bytes_first(body, piece);
        signature_hash_add(hashes, some);
        body = bytes_from(body, some.length);
    }
}

static json_t *signature_json(const struct dkim_signature *signature)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:i, s:b}", "d", json_bytes(signature->field.domain), "s",
                     json_bytes(signature->field.selector), "a", json_bytes(signature->field.algorithm_name),
                     "result", dkim_result_word(signature->result), "reason",
                     signature->reason == NULL ? "" : signature->reason, "bits", (int)signature->key_bits,
                     "testing", signature->testing);
}

json_t *judge_dkim(const json_t *row, struct world *world)
{
    struct buffer scratch = {0};
    struct bytes header = row_message(row, &scratch), body = split_body(&header);
    uint64_t now_s = (uint64_t)json_integer_value(json_object_get(row, "now"));
    static struct dkim dkim;
    static struct signature_facts signatures;
    struct dkim_facts facts;
    struct body_hashes hashes;
    json_t *list = json_array();
    dkim_begin(&dkim, header, &world->arena);
    signature_facts_start(&signatures, &world->arena);
    dkim_facts_start(&facts, &world->facts, &signatures);
    signature_hash_start(&hashes, dkim.bodies, dkim.body_count);
    hash_in_pieces(&hashes, body);
    bool late = world->zone.seed % 2 == 1; /* digests before or after DNS */
    if (!late)
        signature_hash_finish(&hashes, facts.bodies);
    facts.bodies_are_known = !late;
    while (!dkim_judge(&dkim, &facts, now_s)) {
        if (zone_answer(&world->zone, &world->facts) || signature_answer(&signatures) || !late)
            continue;
        signature_hash_finish(&hashes, facts.bodies);
        facts.bodies_are_known = true;
    }
    signature_hash_free(&hashes);
    for (size_t i = 0; i < dkim.count; i++)
        json_array_append_new(list, signature_json(&dkim.signatures[i]));
    buffer_free(&scratch);
    return json_pack("{s:o, s:i}", "signatures", list, "unseen", (int)dkim.unseen);
}

/* {"message" or "message_base64", "now", "key" (PEM), "domain", "selector"} -> {"field"}: DKIM-Signature. */
json_t *judge_dkim_sign(const json_t *row, struct world *world)
{
    static struct field_index index;
    struct buffer scratch = {0}, names = {0}, input = {0}, made = {0}, out = {0};
    struct bytes header = row_message(row, &scratch), body = split_body(&header);
    struct body_hashes hashes;
    struct dkim_body_fact fact;
    struct signing_key key;
    struct error error;
    if (!signature_key_read(&key, row_text(row, "key"), "key", &error))
        return json_pack("{s:s}", "fault", error.text);
    field_index_start(&index, header);
    signature_hash_start(&hashes, &(struct dkim_body){CANON_RELAXED, CANON_WHOLE}, 1);
    hash_in_pieces(&hashes, body);
    signature_hash_finish(&hashes, &fact);
    if (dkim_sign_names(&index, &names)) {
        struct dkim_sign_request request = {.algorithm = key.algorithm,
                                            .domain = row_text(row, "domain"),
                                            .selector = row_text(row, "selector"),
                                            .names = buffer_bytes(&names)};
        request.time_s = (uint64_t)json_integer_value(json_object_get(row, "now"));
        request.body_digest = bytes_of(fact.digest, DKIM_DIGEST);
        dkim_sign_input(&request, &index, &input);
        signature_sign(&key, buffer_bytes(&input), &made);
        dkim_sign_field(&request, buffer_bytes(&made), &out);
    }
    json_t *verdict = json_pack("{s:o}", "field", json_bytes(buffer_bytes(&out)));
    signature_key_free(&key);
    buffer_free(&scratch);
    buffer_free(&names);
    buffer_free(&input);
    buffer_free(&made);
    buffer_free(&out);
    return verdict;
}
