/* SPDX-License-Identifier: Apache-2.0 */
/* memory: what is taken from the C library's heap, or the process ends: half a state machine is worse than a
 * restart. */
#ifndef MAILBOAT_BASE_MEMORY_H
#define MAILBOAT_BASE_MEMORY_H

#include <stddef.h>

/* `size` octets, to be given to free(); never NULL: without memory the process ends, and the supervisor
 * restarts it. */
void *memory_new(size_t size); /* zeroed */
/* As realloc(3): what is new is not zeroed. `at` may be NULL. */
void *memory_resize(void *at, size_t size);

#endif
