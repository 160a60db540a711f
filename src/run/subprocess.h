/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subprocess: a piece of work with secrets, done by a process of its own that ends
 * when it is done, so that the caller's memory never held them.
 *
 * The supervisor forks all others, and whatever its memory holds, also in
 * what was freed, each of them gets. So it reads no accounts and makes no key
 * itself; nor does web, which wants to know the domains in accounts.db.
 */
#ifndef MAILBOAT_RUN_SUBPROCESS_H
#define MAILBOAT_RUN_SUBPROCESS_H

#include "base/buffer.h"
#include "base/error.h"

enum { SUBPROCESS_OUTPUT_MAX = 16 << 20 }; /* octets that the work may answer with */

/* What is to be done: false with a reason. What it appends to `out` is all that comes back. */
typedef bool subprocess_work(void *owner, struct buffer *out, struct error *error);

/* Runs the work in a forked process and waits for its end; at most SUBPROCESS_OUTPUT_MAX
 * octets of its output are appended to `out` (NULL: none is wanted). False with
 * the work's reason, or where it could not be run or did not come to its end.
 * For processes with one thread. */
bool subprocess_run(subprocess_work *work, void *owner, struct buffer *out, struct error *error);

#endif
