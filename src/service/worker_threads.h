/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_threads: threads that do slow computations outside the event loop: password hashes in auth,
 * signatures in sign. Work is queued, and later returned when it is done; the queue is bounded.
 *
 *     workers = worker_threads_open(…, &descriptor, …);   watch `descriptor` for reading
 *     worker_threads_give(workers, &mine->work);          mine->work.run is called on a thread
 *     while ((work = worker_threads_take(workers)) != NULL) …
 */
#ifndef MAILBOAT_SERVICE_WORKER_THREADS_H
#define MAILBOAT_SERVICE_WORKER_THREADS_H

#include "base/error.h"

enum { WORKER_THREADS_MAX = 8 };

/* The first member of the caller's struct, which the thread alone uses from give to take. */
struct work {
    struct work *next;
    void (*run)(struct work *work);
};

struct worker_threads;

/* Starts at most WORKER_THREADS_MAX threads; at most `waiting_max` works wait for one. `what` is for the
 * error: "check passwords". `descriptor` becomes readable when work is done. NULL: they cannot start, and
 * the process must end. */
struct worker_threads *worker_threads_open(unsigned threads, unsigned waiting_max, const char *what,
                                           int *descriptor, struct error *error);
/* False if the queue is full. */
bool worker_threads_give(struct worker_threads *workers, struct work *work);
/* Returns the next finished work, or NULL. */
struct work *worker_threads_take(struct worker_threads *workers);

#endif
