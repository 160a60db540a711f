/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_result: the TLS state of the connection that delivered a message, or failed to. io/conn supplies
 * protocol, cipher and certificate, the delivery the policy decided before (tls_policy) and why there is
 * no TLS; relay sends all of it to queue. Decisions use the struct; the text for the log and the history
 * is made from it last.
 */
#ifndef MAILBOAT_CORE_ROUTE_TLS_RESULT_H
#define MAILBOAT_CORE_ROUTE_TLS_RESULT_H

#include "base/buffer.h"
#include "core/route/tls_policy.h"

enum tls_protocol {
    TLS_PROTOCOL_NONE, /* without TLS, or no server reached */
    TLS_PROTOCOL_1_2,
    TLS_PROTOCOL_1_3,
};

/* The result of the certificate check. */
enum tls_certificate {
    TLS_CERTIFICATE_NONE,
    TLS_CERTIFICATE_VALID,
    TLS_CERTIFICATE_EXPIRED,
    TLS_CERTIFICATE_NOT_YET_VALID,
    TLS_CERTIFICATE_OTHER_NAME,
    TLS_CERTIFICATE_SELF_SIGNED,
    TLS_CERTIFICATE_UNKNOWN_ISSUER,
    TLS_CERTIFICATE_INVALID,
    TLS_CERTIFICATE_NO_TLSA, /* matches none of the TLSA records */
};
const char *tls_certificate_name(enum tls_certificate certificate); /* "valid", "expired", "other-name" ... */
const char *tls_protocol_name(enum tls_protocol protocol);          /* "TLSv1.3"; "" without TLS */

struct tls_result {
    enum tls_protocol protocol;
    enum tls_certificate certificate;
    bool resumed;              /* resumed an earlier session */
    struct bytes cipher;       /* "TLS_AES_256_GCM_SHA384" */
    struct bytes clear_reason; /* why there is no TLS where it was possible; else empty */
    enum tls_level level;      /* the policy for the peer, and its reason */
    struct bytes level_reason;
};

/* True for TLS with a certificate that is valid for the peer. */
bool tls_result_is_verified(const struct tls_result *result);
/* Appends "TLSv1.3 TLS_AES_256_GCM_SHA384 certificate=valid resumed policy=dane", or "in clear: " and the
 * reason; nothing if TLS was not wanted, or no server was reached. */
void tls_result_text(const struct tls_result *result, struct buffer *out);

#endif
