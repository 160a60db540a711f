/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/memory_trim.h"

#include <malloc.h>

static bool many_have_ended(const struct memory_trim *trim)
{
    return trim->count <= trim->most / 2 && trim->most - trim->count >= MEMORY_TRIM_CONNECTIONS_MIN;
}

static void return_memory(void *owner)
{
    struct memory_trim *trim = owner;
    trim->waits = false;
    if (!many_have_ended(trim))
        return;
    malloc_trim(0);
    trim->returns++;
    trim->most = trim->count;
}

void memory_trim_start(struct memory_trim *trim, struct loop *loop)
{
    *trim = (struct memory_trim){0};
    timer_start(&trim->timer, loop, return_memory, trim);
}

void memory_trim_count(struct memory_trim *trim, size_t count)
{
    trim->count = count;
    if (count > trim->most)
        trim->most = count;
    if (trim->waits || !many_have_ended(trim))
        return;
    trim->waits = true;
    timer_set(&trim->timer, MEMORY_TRIM_AFTER_MS);
}
