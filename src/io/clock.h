/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the system's clocks. The machines in core/ get the time as an argument. */
#ifndef MAILBOAT_IO_CLOCK_H
#define MAILBOAT_IO_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ms(void);   /* monotonic, for timeouts; never goes back */
uint64_t clock_boot_ms(void);  /* since boot, including suspend; never goes back */
uint64_t clock_epoch_ms(void); /* wall clock, ms since 1970, for dates and retry times on disk */
uint64_t clock_epoch_us(void);
uint64_t clock_now_us(void); /* as clock_now_ms(); the same for all processes */
uint64_t clock_cpu_us(void); /* CPU time used by this thread */

#endif
