/* SPDX-License-Identifier: Apache-2.0 */
/* random: octets from the kernel (getrandom), for keys, seeds and boundaries. */
#ifndef MAILBOAT_IO_RANDOM_H
#define MAILBOAT_IO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_fill(void *at, size_t size);
uint64_t random_u64(void);

#endif
