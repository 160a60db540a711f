/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/tls_result.h"

const char *tls_certificate_name(enum tls_certificate certificate)
{
    static const char *const names[] = {[TLS_CERTIFICATE_NONE] = "none",
                                        [TLS_CERTIFICATE_VALID] = "valid",
                                        [TLS_CERTIFICATE_EXPIRED] = "expired",
                                        [TLS_CERTIFICATE_NOT_YET_VALID] = "not-yet-valid",
                                        [TLS_CERTIFICATE_OTHER_NAME] = "other-name",
                                        [TLS_CERTIFICATE_SELF_SIGNED] = "self-signed",
                                        [TLS_CERTIFICATE_UNKNOWN_ISSUER] = "unknown-issuer",
                                        [TLS_CERTIFICATE_INVALID] = "invalid",
                                        [TLS_CERTIFICATE_NO_TLSA] = "tlsa-mismatch"};
    return names[certificate];
}

const char *tls_protocol_name(enum tls_protocol protocol)
{
    static const char *const names[] = {
        [TLS_PROTOCOL_NONE] = "", [TLS_PROTOCOL_1_2] = "TLSv1.2", [TLS_PROTOCOL_1_3] = "TLSv1.3"};
    return names[protocol];
}

bool tls_result_is_verified(const struct tls_result *result)
{
    return result->protocol != TLS_PROTOCOL_NONE && result->certificate == TLS_CERTIFICATE_VALID;
}

void tls_result_text(const struct tls_result *result, struct buffer *out)
{
    if (result->protocol != TLS_PROTOCOL_NONE)
        buffer_add_format(out, "%s %.*s certificate=%s%s policy=%s", tls_protocol_name(result->protocol),
                          BYTES_ARG(result->cipher), tls_certificate_name(result->certificate),
                          result->resumed ? " resumed" : "", tls_level_name(result->level));
    else if (result->clear_reason.length > 0)
        buffer_add_format(out, "without TLS: %.*s", BYTES_ARG(result->clear_reason));
}
