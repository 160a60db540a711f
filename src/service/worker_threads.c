/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/worker_threads.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/memory.h"

struct worker_threads {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct work *waiting_first, *waiting_last, *done;
    unsigned waiting_count, waiting_max;
    int event;
};

static void *work_forever(void *owner)
{
    struct worker_threads *workers = owner;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->waiting_first == NULL)
            pthread_cond_wait(&workers->given, &workers->lock);
        struct work *work = workers->waiting_first;
        workers->waiting_first = work->next;
        if (work->next == NULL)
            workers->waiting_last = NULL;
        workers->waiting_count--;
        pthread_mutex_unlock(&workers->lock);
        work->run(work);
        pthread_mutex_lock(&workers->lock);
        work->next = workers->done;
        workers->done = work;
        uint64_t one = 1;
        (void)!write(workers->event, &one, sizeof one);
    }
    return NULL;
}

struct worker_threads *worker_threads_open(unsigned threads, unsigned waiting_max, const char *what,
                                           int *descriptor, struct error *error)
{
    struct worker_threads *workers = memory_new(sizeof *workers);
    pthread_attr_t small;
    workers->waiting_max = waiting_max;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->given, NULL);
    *descriptor = workers->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    /* A heap per thread reserves 64 MiB of addresses; under a limit it cannot, and each malloc() of the
     * thread becomes five system calls: 50,000 rounds of a password took a minute. */
    mallopt(M_ARENA_MAX, 1);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    for (unsigned i = 0; i < threads && i < WORKER_THREADS_MAX; i++) {
        pthread_t thread;
        if (workers->event < 0 || pthread_create(&thread, &small, work_forever, workers) != 0) {
            error_set(error, EX_OSERR, "cannot start the threads that %s", what);
            return NULL; /* the process is ending: no cleanup */
        }
        pthread_detach(thread);
    }
    pthread_attr_destroy(&small);
    return workers;
}

bool worker_threads_give(struct worker_threads *workers, struct work *work)
{
    pthread_mutex_lock(&workers->lock);
    bool room = workers->waiting_count < workers->waiting_max;
    if (room) {
        work->next = NULL;
        if (workers->waiting_last == NULL)
            workers->waiting_first = work;
        else
            workers->waiting_last->next = work;
        workers->waiting_last = work;
        workers->waiting_count++;
        pthread_cond_signal(&workers->given);
    }
    pthread_mutex_unlock(&workers->lock);
    return room;
}

struct work *worker_threads_take(struct worker_threads *workers)
{
    uint64_t count;
    pthread_mutex_lock(&workers->lock);
    struct work *work = workers->done;
    if (work != NULL)
        workers->done = work->next;
    else
        (void)!read(workers->event, &count, sizeof count);
    pthread_mutex_unlock(&workers->lock);
    return work;
}
