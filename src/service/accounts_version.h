/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts_version: a counter in shared memory that tells when the accounts have changed.
 * The auth process bumps it after each change that is on disk, and when it starts, for a
 * subcommand may have changed them while it was gone; smtpd, pickup and local map it
 * read-only, and look without a system call. What auth said holds while it stays the same.
 */
#ifndef MAILBOAT_SERVICE_ACCOUNTS_VERSION_H
#define MAILBOAT_SERVICE_ACCOUNTS_VERSION_H

#include <stdatomic.h>
#include <stdint.h>

#include "run/shared_memory.h"

struct accounts_version {
    _Atomic uint64_t number;
};
extern const struct shared_memory accounts_version_memory; /* of this type */

static inline uint64_t accounts_version_read(const struct accounts_version *version)
{
    return atomic_load_explicit(&version->number, memory_order_acquire);
}

/* only for auth; other processes cannot write to the memory. */
static inline void accounts_version_bump(struct accounts_version *version)
{
    atomic_fetch_add_explicit(&version->number, 1, memory_order_release);
}

#endif
