/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dkim_sign.h"

#include <assert.h>

#include "core/trust/field_writer.h"

enum { INSTANCES_MAX = 8 }; /* fields of one name that are signed, the lowest: h= stays below its limits */

static const char *const SIGNED[] = {
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "auto-submitted",
    "list-id",
    "list-help",
    "list-subscribe",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-post",
    "list-owner",
    "list-archive",
};

static void add_name(struct buffer *out, size_t start, const char *name)
{
    if (out->length > start)
        buffer_add_octet(out, ':');
    buffer_add_text(out, name);
}

bool dkim_sign_names(const struct field_index *index, struct buffer *out)
{
    size_t start = out->length;
    if (field_index_lowest(index, BYTES("from")) == FIELD_INDEX_NONE)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(SIGNED); i++) {
        uint16_t at = field_index_lowest(index, bytes_of_text(SIGNED[i]));
        for (size_t n = 0; n < INSTANCES_MAX && at != FIELD_INDEX_NONE; n++, at = index->fields[at].above)
            add_name(out, start, SIGNED[i]);
    }
    add_name(out, start, "from");
    return true;
}

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
    assert(algorithm < DKIM_ALGORITHMS);
    return algorithm == DKIM_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256";
}

void dkim_sign_field(const struct dkim_sign_request *request, struct bytes signature, struct buffer *out)
{
    struct field_writer writer;
    assert(request->body_digest.length == DKIM_DIGEST && request->names.length > 0);
    field_writer_start(&writer, out, "DKIM-Signature", true);
    field_writer_word(&writer, "v", BYTES("1"));
    field_writer_word(&writer, "a", bytes_of_text(dkim_algorithm_name(request->algorithm)));
    field_writer_word(&writer, "c", BYTES("relaxed/relaxed"));
    field_writer_word(&writer, "d", request->domain);
    field_writer_word(&writer, "s", request->selector);
    field_writer_number(&writer, "t", request->time_s);
    field_writer_list(&writer, "h", request->names);
    field_writer_base64(&writer, "bh", request->body_digest);
    field_writer_base64(&writer, "b", signature);
    field_writer_end(&writer);
}

void dkim_sign_input(const struct dkim_sign_request *request, const struct field_index *index,
                     struct buffer *out)
{
    struct buffer field = {0};
    field_index_select(index, request->names, FIELD_INDEX_NONE, CANON_RELAXED, out);
    dkim_sign_field(request, bytes_none(), &field);
    canon_signature_field(out, buffer_bytes(&field), bytes_none(), CANON_RELAXED);
    buffer_free(&field);
}
