/* SPDX-License-Identifier: Apache-2.0 */
/* A ClientHello that comes in pieces: once it is judged, what follows changes
 * nothing; and who offers no "smtp" anywhere in his octets is never given to smtpd. */
#include "choices.h"
#include "port/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size), smtp = BYTES("smtp");
    enum hello_verdict before = HELLO_MORE, whole = hello_judge(all, smtp);
    for (size_t i = 0; i <= size; i += 1 + i / 16) {
        enum hello_verdict now = hello_judge(bytes_first(all, i), smtp);
        INSIST(before == HELLO_MORE || now == before);
        before = now;
    }
    INSIST(before == HELLO_MORE || whole == before);
    INSIST(size < HELLO_MAX || whole != HELLO_MORE);
    INSIST(whole != HELLO_OFFERS || size > 9 + 34 + 1 + 2 + 1);
    return 0;
}
