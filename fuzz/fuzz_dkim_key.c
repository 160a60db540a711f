/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a key record of DKIM: a key that is taken has octets, a size within the limits, and one form.
 */
#include "choices.h"
#include "core/trust/dkim_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct dkim_key key;
    for (enum dkim_algorithm algorithm = 0; algorithm < DKIM_ALGORITHMS; algorithm++) {
        enum dkim_key_fault fault = dkim_key_parse(&key, bytes_of(data, size), algorithm, &arena);
        INSIST(dkim_key_fault_reason(fault) != NULL);
        if (fault != DKIM_KEY_FINE)
            continue;
        INSIST(key.algorithm == algorithm && key.octets.length > 0);
        if (algorithm == DKIM_ED25519_SHA256)
            INSIST(key.octets.length == DKIM_ED25519_OCTETS && key.bits == 256);
        else
            INSIST(key.bits >= DKIM_RSA_BITS_MIN && key.bits <= DKIM_RSA_BITS_MAX &&
                   key.octets.at[0] == 0x30 && key.octets.length > key.bits / 8);
    }
    arena_clear(&arena);
    return 0;
}
