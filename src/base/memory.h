/* SPDX-License-Identifier: Apache-2.0 */
/* memory: heap allocation that ends the process on failure: a half-updated state machine is worse than a
 * restart. */
#ifndef MAILBOAT_BASE_MEMORY_H
#define MAILBOAT_BASE_MEMORY_H

#include <stddef.h>

/* Returns `size` octets for free(); never NULL: out of memory, the process ends and the supervisor
 * restarts it. */
void *memory_new(size_t size); /* zeroed */
/* As realloc(3), never NULL: added octets are not zeroed. `at` may be NULL. */
void *memory_resize(void *at, size_t size);

#endif
