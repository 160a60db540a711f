/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dkim_field.h"

#include <assert.h>

#include "core/dns/dns_name.h"
#include "core/dns/host.h"
#include "core/trust/tags.h"

enum { TIME_DIGITS_MAX = 12 }; /* of t= and x= (RFC 6376 3.5) */

/* A tag: reads the value (empty with at == NULL: it is missing); returns why it is invalid, or NULL. */
struct dkim_tag {
    const char *name;
    const char *(*read)(struct dkim_field *out, struct bytes value, struct arena *arena);
};

static const char *read_version(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    return bytes_is(value, "1") ? NULL : value.at == NULL ? "v= is missing" : "unknown version";
}

static const char *read_no_version(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    return value.at == NULL ? NULL : "v= is not allowed";
}

static const char *read_algorithm(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    out->algorithm_name = value;
    if (value.at == NULL)
        return "a= is missing";
    if (bytes_is_nocase(value, "rsa-sha256"))
        out->algorithm = DKIM_RSA_SHA256;
    else if (bytes_is_nocase(value, "ed25519-sha256"))
        out->algorithm = DKIM_ED25519_SHA256;
    else
        return bytes_is_nocase(value, "rsa-sha1") ? "rsa-sha1 is not secure" : "unknown algorithm";
    return NULL;
}

static const char *read_signature(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    if (value.at == NULL)
        return "b= is missing";
    return dkim_base64(value, arena, &out->signature) ? NULL : "b= is not base64";
}

static const char *read_body_digest(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    if (value.at == NULL)
        return "bh= is missing";
    if (!dkim_base64(value, arena, &out->body_digest))
        return "bh= is not base64";
    return out->body_digest.length == DKIM_DIGEST ? NULL : "bh= is not a SHA-256 digest";
}

static bool read_form(struct bytes text, enum canon_form *form)
{
    *form = bytes_is_nocase(text, "relaxed") ? CANON_RELAXED : CANON_SIMPLE;
    return *form == CANON_RELAXED || bytes_is_nocase(text, "simple");
}

static const char *read_canonicalization(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    struct bytes header = bytes_none(), body = BYTES("simple"), rest = value;
    out->header_form = out->body_form = CANON_SIMPLE;
    if (!tags_next_item(&rest, '/', &header))
        return NULL;
    tags_next_item(&rest, '/', &body);
    bool known = read_form(header, &out->header_form) && read_form(body, &out->body_form) && rest.at == NULL;
    return known ? NULL : "unknown canonicalization";
}

static const char *read_domain(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    out->domain = value;
    out->identity_domain = value;
    if (value.at == NULL)
        return "d= is missing";
    return host_is_name(value, true) ? NULL : "d= is not a domain";
}

static const char *read_selector(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    out->selector = value;
    if (value.at == NULL)
        return "s= is missing";
    return host_is_name(value, true) ? NULL : "s= is not a selector";
}

static const char *read_names(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    struct bytes name, rest = value;
    bool has_from = false;
    out->names = value;
    while (tags_next_item(&rest, ':', &name)) {
        if (name.length == 0)
            return "h= has an empty name";
        has_from = has_from || bytes_is_nocase(name, "from");
    }
    return value.at == NULL ? "h= is missing" : has_from ? NULL : "h= does not have From";
}

/* RFC 8617 4.1.2: the set of the signature is not complete yet, so its seal cannot be signed. */
static const char *read_arc_names(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    const char *reason = read_names(out, value, arena);
    struct bytes name, rest = value;
    while (reason == NULL && tags_next_item(&rest, ':', &name))
        if (bytes_is_nocase(name, "arc-seal"))
            reason = "h= has ARC-Seal";
    return reason;
}

static const char *read_no_names(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    return value.at == NULL ? NULL : "h= is not allowed";
}

static const char *read_identity(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    struct buffer compact = {0};
    if (value.at == NULL)
        return NULL;
    tags_add_compact(&compact, value);
    out->identity = arena_copy(arena, buffer_bytes(&compact));
    buffer_free(&compact);
    size_t at = bytes_find_last(out->identity, '@');
    if (at == SIZE_MAX)
        return "i= is not an address";
    out->identity_domain = bytes_from(out->identity, at + 1);
    bool comparable = bytes_is_ascii(out->identity_domain) && bytes_is_ascii(out->domain);
    return !comparable || dkim_domain_is_under(out->identity_domain, out->domain) ? NULL
                                                                                  : "i= is not under d=";
}

static const char *read_instance(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    uint64_t number = 0;
    if (!bytes_to_u64(value, ARC_INSTANCE_MAX, &number) || number == 0)
        return "i= is not an instance";
    out->instance = (unsigned)number;
    return NULL;
}

static const char *read_limit(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    out->limit = CANON_WHOLE;
    return value.at == NULL || bytes_to_u64(value, CANON_WHOLE - 1, &out->limit) ? NULL
                                                                                 : "l= is not a number";
}

static const char *read_query(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    struct bytes item, rest = value;
    while (tags_next_item(&rest, ':', &item))
        if (bytes_is_nocase(item, "dns/txt"))
            return NULL;
    return value.at == NULL ? NULL : "unknown query method";
}

static bool read_seconds(struct bytes value, bool *has, uint64_t *seconds)
{
    *has = value.at != NULL;
    return !*has || (value.length <= TIME_DIGITS_MAX && bytes_to_u64(value, UINT64_MAX, seconds));
}

static const char *read_time(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    return read_seconds(value, &out->has_time, &out->time_s) ? NULL : "t= is not a time";
}

static const char *read_expiry(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    if (!read_seconds(value, &out->has_expiry, &out->expiry_s))
        return "x= is not a time";
    return out->has_expiry && out->has_time && out->expiry_s <= out->time_s ? "x= is not after t=" : NULL;
}

static const char *read_chain(struct dkim_field *out, struct bytes value, struct arena *arena)
{
    out->chain = value;
    bool known = bytes_is_nocase(value, "none") || bytes_is_nocase(value, "pass") ||
                 bytes_is_nocase(value, "fail");
    return known ? NULL : "cv= is missing or unknown";
}

/* In an order in which each finds what it needs of those before. The first reason is the one that is told. */
static const struct dkim_tag SIGNATURE_TAGS[] = {
    {"v", read_version},   {"a", read_algorithm}, {"d", read_domain},           {"s", read_selector},
    {"i", read_identity},  {"h", read_names},     {"c", read_canonicalization}, {"q", read_query},
    {"l", read_limit},     {"t", read_time},      {"x", read_expiry},           {"bh", read_body_digest},
    {"b", read_signature},
};
static const struct dkim_tag ARC_SIGNATURE_TAGS[] = {
    {"i", read_instance},  {"v", read_no_version}, {"a", read_algorithm},        {"d", read_domain},
    {"s", read_selector},  {"h", read_arc_names},  {"c", read_canonicalization}, {"q", read_query},
    {"l", read_limit},     {"t", read_time},       {"x", read_expiry},           {"bh", read_body_digest},
    {"b", read_signature},
};
static const struct dkim_tag ARC_SEAL_TAGS[] = {
    {"i", read_instance}, {"v", read_no_version}, {"a", read_algorithm},
    {"d", read_domain},   {"s", read_selector},   {"cv", read_chain},
    {"h", read_no_names}, {"t", read_time},       {"b", read_signature},
};

static const struct dkim_tag_table {
    const struct dkim_tag *tags;
    size_t count;
} TABLES[] = {
    [DKIM_FIELD_SIGNATURE] = {SIGNATURE_TAGS, ARRAY_LENGTH(SIGNATURE_TAGS)},
    [DKIM_FIELD_ARC_SIGNATURE] = {ARC_SIGNATURE_TAGS, ARRAY_LENGTH(ARC_SIGNATURE_TAGS)},
    [DKIM_FIELD_ARC_SEAL] = {ARC_SEAL_TAGS, ARRAY_LENGTH(ARC_SEAL_TAGS)},
};

const char *dkim_field_parse(struct dkim_field *out, const struct field_index *index, uint16_t at,
                             enum dkim_field_kind kind, struct arena *arena)
{
    struct tags tags;
    assert(at < index->count && kind < ARRAY_LENGTH(TABLES));
    *out = (struct dkim_field){.at = at, .whole = index->fields[at].whole, .limit = CANON_WHOLE};
    enum tags_fault fault = tags_parse(&tags, index->fields[at].value, TAGS_STRICT);
    if (fault != TAGS_FINE)
        return tags_fault_reason(fault);
    const struct tag *signature = tags_find(&tags, "b");
    out->hole = signature == NULL ? bytes_none() : signature->raw;
    const char *reason = NULL;
    for (size_t i = 0; i < TABLES[kind].count; i++) {
        const struct dkim_tag *tag = &TABLES[kind].tags[i];
        const char *found = tag->read(out, tags_value(&tags, tag->name), arena);
        reason = reason == NULL ? found : reason;
    }
    return reason;
}

void dkim_field_input(const struct dkim_field *field, const struct field_index *index, struct buffer *out)
{
    field_index_select(index, field->names, field->at, field->header_form, out);
    canon_signature_field(out, field->whole, field->hole, field->header_form);
}

bool dkim_domain_is_under(struct bytes domain, struct bytes other)
{
    if (domain.length <= other.length)
        return dns_name_equal(domain, other);
    size_t start = domain.length - other.length;
    return other.length > 0 && domain.at[start - 1] == '.' &&
           bytes_equal_nocase(bytes_from(domain, start), other);
}
