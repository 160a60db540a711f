/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_result: what is known of the TLS of the connection that carried a
 * message, or should have. io/conn tells protocol, cipher and certificate, the
 * delivery what was decided before (tls_policy) and why there is no TLS; relay
 * hands all of it to queue. Decisions are made from the struct; the text that
 * people read in the log and the history is made from it last.
 */
#ifndef MAILBOAT_CORE_ROUTE_TLS_RESULT_H
#define MAILBOAT_CORE_ROUTE_TLS_RESULT_H

#include "base/buffer.h"
#include "core/route/tls_policy.h"

enum tls_protocol {
    TLS_PROTOCOL_NONE, /* in clear, or nobody was reached */
    TLS_PROTOCOL_1_2,
    TLS_PROTOCOL_1_3,
};

/* How a peer's certificate was judged. */
enum tls_certificate {
    TLS_CERTIFICATE_NONE,
    TLS_CERTIFICATE_VALID,
    TLS_CERTIFICATE_EXPIRED,
    TLS_CERTIFICATE_NOT_YET_VALID,
    TLS_CERTIFICATE_OTHER_NAME,
    TLS_CERTIFICATE_SELF_SIGNED,
    TLS_CERTIFICATE_UNKNOWN_ISSUER,
    TLS_CERTIFICATE_INVALID,
    TLS_CERTIFICATE_NO_TLSA, /* it matches none of the TLSA records */
};
const char *tls_certificate_name(enum tls_certificate certificate); /* "valid", "expired", "other-name" ... */
const char *tls_protocol_name(enum tls_protocol protocol);          /* "TLSv1.3"; "" where there is none */

struct tls_result {
    enum tls_protocol protocol;
    enum tls_certificate certificate;
    bool resumed;              /* an earlier session was */
    struct bytes cipher;       /* "TLS_AES_256_GCM_SHA384" */
    struct bytes clear_reason; /* why there is no TLS, where there might have been; else empty */
    enum tls_level level;      /* what was decided about the peer, and why */
    struct bytes level_reason;
};

/* Was there TLS, with a certificate that is valid for the peer? */
bool tls_result_is_verified(const struct tls_result *result);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 certificate=valid resumed policy=dane", or "in
 * clear: " and why; nothing where TLS was not wished for, or nobody was reached. */
void tls_result_text(const struct tls_result *result, struct buffer *out);

#endif
