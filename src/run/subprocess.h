/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subprocess: runs work on secrets in a short-lived process, so that the caller's memory never holds them.
 *
 * All other processes are forked from the supervisor, and inherit all of its memory, including freed
 * memory. So it reads no accounts and makes no key itself; nor does web, which needs the domains in
 * accounts.db.
 */
#ifndef MAILBOAT_RUN_SUBPROCESS_H
#define MAILBOAT_RUN_SUBPROCESS_H

#include "base/buffer.h"
#include "base/error.h"

enum { SUBPROCESS_OUTPUT_MAX = 16 << 20 }; /* maximum output of the work, in octets */

/* The work: false with a reason. Only the octets appended to `out` are returned. */
typedef bool subprocess_work(void *owner, struct buffer *out, struct error *error);

/* Runs the work in a forked process and waits for its end; appends at most SUBPROCESS_OUTPUT_MAX octets of
 * its output to `out` (NULL: none). False with the work's reason, or if it could not start or did not
 * complete. For processes with one thread. */
bool subprocess_run(subprocess_work *work, void *owner, struct buffer *out, struct error *error);

#endif
