/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's TLS state as text, and when it counts as verified. */
#include "core/route/tls_result.h"
#include "unit.h"

static const struct {
    struct tls_result result;
    bool verified;
    const char *text;
} rows[] = {
    {{0}, false, ""},
    {{.certificate = TLS_CERTIFICATE_VALID}, false, ""},
    {{.clear_reason = BYTES("the server does not offer STARTTLS"), .level = TLS_LEVEL_MAY},
     false,
     "without TLS: the server does not offer STARTTLS"},
    {{.protocol = TLS_PROTOCOL_1_3,
      .certificate = TLS_CERTIFICATE_VALID,
      .resumed = true,
      .cipher = BYTES("TLS_AES_256_GCM_SHA384"),
      .level = TLS_LEVEL_DANE},
     true,
     "TLSv1.3 TLS_AES_256_GCM_SHA384 certificate=valid resumed policy=dane"},
    {{.protocol = TLS_PROTOCOL_1_2,
      .certificate = TLS_CERTIFICATE_SELF_SIGNED,
      .cipher = BYTES("ECDHE-RSA-AES256-GCM-SHA384"),
      .clear_reason = BYTES("of another connection"),
      .level = TLS_LEVEL_STS_TESTING},
     false,
     "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 certificate=self-signed policy=sts-testing"},
    {{.protocol = TLS_PROTOCOL_1_3, .cipher = BYTES("X")}, false, "TLSv1.3 X certificate=none policy="},
};

static void each_result_reads_so(void **state)
{
    struct buffer text = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        buffer_clear(&text);
        tls_result_text(&rows[i].result, &text);
        assert_string_equal(buffer_text(&text), rows[i].text);
        assert_int_equal(tls_result_is_verified(&rows[i].result), rows[i].verified);
    }
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_result_reads_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
