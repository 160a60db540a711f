/* SPDX-License-Identifier: Apache-2.0 */
/* One text, one meaning: what decodes encodes to the same text, and back. */
#include "choices.h"
#include "core/smtp/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct buffer text = {0}, octets = {0};
    if (base64_decode(&octets, input)) {
        base64_encode(&text, buffer_bytes(&octets));
        INSIST(bytes_equal(buffer_bytes(&text), input));
    }
    buffer_clear(&text);
    buffer_clear(&octets);
    base64_encode(&text, input);
    INSIST(base64_decode(&octets, buffer_bytes(&text)));
    INSIST(bytes_equal(buffer_bytes(&octets), input));
    buffer_free(&text);
    buffer_free(&octets);
    return 0;
}
