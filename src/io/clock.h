/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the times there are. Machines in core/ get them as arguments. */
#ifndef MAILBOAT_IO_CLOCK_H
#define MAILBOAT_IO_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ms(void);   /* monotonic, for timeouts; never runs back */
uint64_t clock_boot_ms(void);  /* since the machine started, also while it slept; never runs back */
uint64_t clock_epoch_ms(void); /* wall clock, ms since 1970, for dates and retry times on disk */
uint64_t clock_epoch_us(void);
uint64_t clock_now_us(void); /* as clock_now_ms(); the same for all processes */
uint64_t clock_cpu_us(void); /* of CPU that this thread has had */

#endif
