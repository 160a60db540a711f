/* SPDX-License-Identifier: Apache-2.0 */
/* A ClientHello that comes in pieces: once it is judged, what follows changes
 * nothing; who offers no "smtp" anywhere in his octets is never given to smtpd; and how
 * it is cut does not change whether it is too long. */
#include "choices.h"
#include "core/port/tls_client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size), smtp = BYTES("smtp");
    enum hello_verdict before = HELLO_MORE, whole = hello_judge(all, smtp);
    for (size_t i = 0; i <= size; i += 1 + i / 16) {
        enum hello_verdict now = hello_judge(bytes_first(all, i), smtp);
        INSIST(before == HELLO_MORE || now == before);
        before = now;
    }
    struct hello_flow at_once = {0}, in_pieces = {0};
    bool fine = hello_flow_goes_on(&at_once, all, size % 2 == 0), still = true;
    for (size_t i = 0; i < size && still; i++)
        still = hello_flow_goes_on(&in_pieces, bytes_of(data + i, 1), size % 2 == 0);
    INSIST(fine == still);
    INSIST(before == HELLO_MORE || whole == before);
    INSIST(size < HELLO_MAX || whole != HELLO_MORE);
    INSIST(whole != HELLO_OFFERS || size > 9 + 34 + 1 + 2 + 1);
    return 0;
}
