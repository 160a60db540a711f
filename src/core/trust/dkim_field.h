/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dkim_field: the fields that carry signatures: DKIM-Signature (RFC 6376 3.5), and ARC-Message-Signature and
 * ARC-Seal, which are made of the same tags (RFC 8617 4.1).
 */
#ifndef MAILBOAT_CORE_TRUST_DKIM_FIELD_H
#define MAILBOAT_CORE_TRUST_DKIM_FIELD_H

#include "core/trust/field_index.h"
#include "core/trust/signature_facts.h"

enum dkim_field_kind { DKIM_FIELD_SIGNATURE, DKIM_FIELD_ARC_SIGNATURE, DKIM_FIELD_ARC_SEAL };

enum {
    DKIM_DIGEST = 32, /* octets of SHA-256 */
    ARC_INSTANCE_MAX = 50,
};

/* Texts point into the field, which must outlive it, unless they are in the arena. */
struct dkim_field {
    uint16_t at;        /* in the index */
    struct bytes whole; /* the field, with its line end */
    struct bytes hole;  /* the value of b=, with the white space around it */
    enum dkim_algorithm algorithm;
    enum canon_form header_form, body_form;
    uint64_t limit; /* l=, or CANON_WHOLE */
    bool has_time, has_expiry;
    uint64_t time_s, expiry_s;     /* t=, x=: seconds of the Unix clock */
    struct bytes domain, selector; /* as written; or the shell puts A-labels in their place (RFC 8616 4) */
    struct bytes identity;         /* i= without its white space, or empty (arena) */
    struct bytes identity_domain;  /* after its "@"; the domain if there is no i= */
    struct bytes algorithm_name;   /* a=, as written */
    struct bytes names;            /* h= */
    struct bytes signature;        /* b=, decoded (arena) */
    struct bytes body_digest;      /* bh=, decoded (arena) */
    unsigned instance;             /* i= of ARC: 1 to ARC_INSTANCE_MAX */
    struct bytes chain;            /* cv= of ARC-Seal */
};

/* Parses the field. Returns NULL, or the reason for people why it is invalid; *out then has what could be
 * read, for reports. Texts that it decodes are in the arena. */
const char *dkim_field_parse(struct dkim_field *out, const struct field_index *index, uint16_t at,
                             enum dkim_field_kind kind, struct arena *arena);

/* Appends what a signature over header fields signs: those that h= selects, and the field itself. */
void dkim_field_input(const struct dkim_field *field, const struct field_index *index, struct buffer *out);

/* True if the domain is the other, or below it; in any case of letters. */
bool dkim_domain_is_under(struct bytes domain, struct bytes other);

#endif
