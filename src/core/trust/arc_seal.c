/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/arc_seal.h"

#include <assert.h>

#include "base/white_space.h"
#include "core/trust/dkim_sign.h"
#include "core/trust/field_writer.h"
#include "core/trust/tags.h"

/* Tags are in the order of the alphabet, as other sealers write them. */

bool arc_seal_names(const struct field_index *index, struct buffer *out)
{
    uint16_t at = field_index_lowest(index, BYTES("dkim-signature"));
    if (!dkim_sign_names(index, out))
        return false;
    for (size_t n = 0; n < ARC_SEAL_SIGNATURES_MAX && at != FIELD_INDEX_NONE; n++) {
        buffer_add_text(out, ":dkim-signature");
        at = index->fields[at].above;
    }
    return true;
}

static void write_message(const struct arc_seal *seal, struct bytes signature, struct buffer *out)
{
    const struct arc_seal_request *request = &seal->request;
    struct field_writer writer;
    field_writer_start(&writer, out, "ARC-Message-Signature", request->folds_values);
    field_writer_word(&writer, "a", bytes_of_text(dkim_algorithm_name(request->algorithm)));
    field_writer_base64(&writer, "b", signature);
    field_writer_base64(&writer, "bh", request->body_digest);
    field_writer_word(&writer, "c", BYTES("relaxed/relaxed"));
    field_writer_word(&writer, "d", request->domain);
    field_writer_list(&writer, "h", request->names);
    field_writer_number(&writer, "i", seal->instance);
    field_writer_word(&writer, "s", request->selector);
    field_writer_number(&writer, "t", request->time_s);
    field_writer_end(&writer);
}

static struct bytes chain_word(const struct arc_seal *seal)
{
    if (seal->arc->result == ARC_FAIL)
        return BYTES("fail");
    return seal->instance == 1 ? BYTES("none") : BYTES("pass");
}

static void write_seal(const struct arc_seal *seal, struct bytes signature, struct buffer *out)
{
    const struct arc_seal_request *request = &seal->request;
    struct field_writer writer;
    field_writer_start(&writer, out, "ARC-Seal", request->folds_values);
    field_writer_word(&writer, "a", bytes_of_text(dkim_algorithm_name(request->algorithm)));
    field_writer_base64(&writer, "b", signature);
    field_writer_word(&writer, "cv", chain_word(seal));
    field_writer_word(&writer, "d", request->domain);
    field_writer_number(&writer, "i", seal->instance);
    field_writer_word(&writer, "s", request->selector);
    field_writer_number(&writer, "t", request->time_s);
    field_writer_end(&writer);
}

const char *arc_seal_obstacle(const struct arc *arc)
{
    const struct arc_set *newest = arc->count > 0 ? &arc->sets[arc->count - 1] : NULL;
    static_assert(ARC_INSTANCE_MAX == 50, "the sentence says so");
    if (arc->result == ARC_PENDING || arc->result == ARC_TEMPERROR)
        return "the ARC chain of the message could not be checked when it came";
    if (arc->count >= ARC_INSTANCE_MAX)
        return "the ARC chain of the message has 50 sets already";
    if (arc->result == ARC_FAIL && newest != NULL && newest->has_seal &&
        bytes_is_nocase(newest->seal.chain, "fail"))
        return "the newest ARC seal of the message says that the chain is broken";
    return NULL;
}

bool arc_seal_start(struct arc_seal *seal, const struct arc *arc, const struct arc_seal_request *request)
{
    assert(request->body_digest.length == DKIM_DIGEST && request->names.length > 0);
    *seal = (struct arc_seal){.arc = arc, .request = *request};
    if (arc_seal_obstacle(arc) != NULL)
        return false;
    seal->instance = (unsigned)arc->count + 1;
    buffer_add_format(&seal->results, "ARC-Authentication-Results: i=%u; ", seal->instance);
    buffer_add(&seal->results, white_space_trim(request->results));
    buffer_add_text(&seal->results, "\r\n");
    return true;
}

void arc_seal_message_input(const struct arc_seal *seal, struct buffer *out)
{
    struct buffer field = {0};
    field_index_select(seal->arc->index, seal->request.names, FIELD_INDEX_NONE, CANON_RELAXED, out);
    write_message(seal, bytes_none(), &field);
    canon_signature_field(out, buffer_bytes(&field), bytes_none(), CANON_RELAXED);
    buffer_free(&field);
}

void arc_seal_message(struct arc_seal *seal, struct bytes signature)
{
    buffer_clear(&seal->message);
    write_message(seal, signature, &seal->message);
}

void arc_seal_chain_input(const struct arc_seal *seal, struct buffer *out)
{
    struct buffer field = {0};
    assert(seal->message.length > 0);
    if (seal->arc->result != ARC_FAIL)
        arc_add_sets(seal->arc, seal->arc->count, out);
    canon_field(out, buffer_bytes(&seal->results), CANON_RELAXED);
    canon_field(out, buffer_bytes(&seal->message), CANON_RELAXED);
    write_seal(seal, bytes_none(), &field);
    canon_signature_field(out, buffer_bytes(&field), bytes_none(), CANON_RELAXED);
    buffer_free(&field);
}

void arc_seal_finish(struct arc_seal *seal, struct bytes signature, struct buffer *out)
{
    write_seal(seal, signature, out);
    buffer_add(out, buffer_bytes(&seal->message));
    buffer_add(out, buffer_bytes(&seal->results));
    arc_seal_free(seal);
}

void arc_seal_free(struct arc_seal *seal)
{
    buffer_free(&seal->results);
    buffer_free(&seal->message);
}
