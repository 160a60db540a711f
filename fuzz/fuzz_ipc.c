/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded messages encode to the same octets; others are rejected. */
#include <stdlib.h>

#include "ipc/ipc_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buffer again = {0};
    enum ipc_kind kind;
    union ipc_message message;
    if (ipc_decode(bytes_of(data, size), &arena, &kind, &message)) {
        ipc_encode(&again, kind, &message);
        if (!bytes_equal(buffer_bytes(&again), bytes_of(data, size)))
            abort();
    }
    buffer_free(&again);
    arena_clear(&arena);
    return 0;
}
