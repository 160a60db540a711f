/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

static void *or_end(void *at)
{
    if (at == NULL) {
        static const char text[] = "mailboat: out of memory\n";
        (void)!fwrite(text, 1, sizeof text - 1, stderr);
        abort();
    }
    return at;
}

void *memory_new(size_t size)
{
    return or_end(calloc(1, size == 0 ? 1 : size));
}

void *memory_resize(void *at, size_t size)
{
    return or_end(realloc(at, size == 0 ? 1 : size));
}
