/* SPDX-License-Identifier: Apache-2.0 */
/* A ClientHello in pieces: once it is decided, further input changes nothing; input without "smtp" is
 * never passed to smtpd; and the split does not change whether it is too long. */
#include "choices.h"
#include "core/port/tls_client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size), smtp = BYTES("smtp");
    enum tls_client_hello_verdict before = TLS_CLIENT_HELLO_MORE, whole = tls_client_hello_check(all, smtp);
    for (size_t i = 0; i <= size; i += 1 + i / 16) {
        enum tls_client_hello_verdict now = tls_client_hello_check(bytes_first(all, i), smtp);
        INSIST(before == TLS_CLIENT_HELLO_MORE || now == before);
        before = now;
    }
    struct tls_client_hello_flow at_once = {0}, in_pieces = {0};
    bool fine = tls_client_hello_goes_on(&at_once, all, size % 2 == 0), still = true;
    for (size_t i = 0; i < size && still; i++)
        still = tls_client_hello_goes_on(&in_pieces, bytes_of(data + i, 1), size % 2 == 0);
    INSIST(fine == still);
    INSIST(before == TLS_CLIENT_HELLO_MORE || whole == before);
    INSIST(size < TLS_CLIENT_HELLO_MAX || whole != TLS_CLIENT_HELLO_MORE);
    INSIST(whole != TLS_CLIENT_HELLO_OFFERS || size > 9 + 34 + 1 + 2 + 1);
    return 0;
}
