/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"

#include <time.h>

static uint64_t read_us(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_now_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_boot_ms(void)
{
    return read_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t clock_epoch_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

uint64_t clock_epoch_us(void)
{
    return read_us(CLOCK_REALTIME);
}

uint64_t clock_now_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}
