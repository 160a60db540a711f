/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the state of a signing key: if it is one, it is written, and read again as the same. */
#include "choices.h"
#include "store/signing_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stored_key key, again;
    struct buffer text = {0}, second = {0};
    if (signing_keys_parse(&key, bytes_of(data, size), NULL)) {
        INSIST(key.state.stage < KEY_STAGES && key.state.since_s[key.state.stage] != 0);
        signing_keys_write(&key, &text);
        INSIST(signing_keys_parse(&again, buffer_bytes(&text), NULL));
        signing_keys_write(&again, &second);
        INSIST(bytes_equal(buffer_bytes(&text), buffer_bytes(&second)));
    } else {
        INSIST(key.public_key[0] == 0);
    }
    buffer_free(&text);
    buffer_free(&second);
    return 0;
}
