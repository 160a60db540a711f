/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dkim_sign: writes DKIM-Signature fields (RFC 6376 5). Pure: the shell hashes the body and signs.
 *
 *     field_index_start(&index, header);           the header as it will be sent
 *     dkim_sign_names(&index, &names)              false: without From, nothing can be signed
 *     request = {…, names, body_digest};           of the body in relaxed form, without a limit (canon.h)
 *     dkim_sign_input(&request, &index, &input);   what the key signs
 *     dkim_sign_field(&request, signature, &out);  the field, to be put above the header
 *
 * Relaxed in header and body, with t=, never with l= or x=: a message may wait in queues for days. The
 * message must not be altered afterwards.
 */
#ifndef MAILBOAT_CORE_TRUST_DKIM_SIGN_H
#define MAILBOAT_CORE_TRUST_DKIM_SIGN_H

#include "core/trust/dkim_field.h"

struct dkim_sign_request {
    enum dkim_algorithm algorithm;
    struct bytes domain, selector; /* d=, s=: in the form of DNS (A-labels) */
    uint64_t time_s;               /* t=: seconds of the Unix clock */
    struct bytes names;            /* h=: of dkim_sign_names() */
    struct bytes body_digest;      /* DKIM_DIGEST octets */
};

/*
 * Appends the names for h=: the fields that readers and their programs see or act on (RFC 6376 5.4.1), each
 * as often as it is there, List-Unsubscribe and List-Unsubscribe-Post among them (RFC 8058 4); and From once
 * more than it is there, so that none can be added (8.15). False, and nothing, if there is no From.
 */
bool dkim_sign_names(const struct field_index *index, struct buffer *out);
/* Appends the octets whose signature goes into the field. */
void dkim_sign_input(const struct dkim_sign_request *request, const struct field_index *index,
                     struct buffer *out);
/* Appends the field with its CRLF, in lines below 78 columns. */
void dkim_sign_field(const struct dkim_sign_request *request, struct bytes signature, struct buffer *out);

/* Returns a= for an algorithm. */
const char *dkim_algorithm_name(enum dkim_algorithm algorithm);

#endif
