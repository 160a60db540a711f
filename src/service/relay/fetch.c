/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/relay/fetch.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"

enum { STACK_SIZE = 512 * 1024 };

static void wake_loop(struct fetch *fetch)
{
    struct fetch_pool *fetches = fetch->fetches;
    uint64_t one = 1;
    pthread_mutex_lock(&fetches->lock);
    fetch->next = fetches->done;
    fetches->done = fetch;
    pthread_mutex_unlock(&fetches->lock);
    (void)!write(fetches->event, &one, sizeof one);
}

/* Runs on its thread: accesses nothing of the relay but this fetch. */
static void *fetch_now(void *owner)
{
    struct fetch *fetch = owner;
    const struct https_wanted wanted = {.url = fetch->url,
                                        .resolved = fetch->resolved,
                                        .authorities = fetch->fetches->authorities,
                                        .size_max = fetch->size_max,
                                        .timeout_ms = FETCH_TIMEOUT_MS};
    fetch->fine = https_fetch_plain(&wanted, &fetch->body, &fetch->error);
    wake_loop(fetch);
    return NULL;
}

static void run(struct fetch *fetch)
{
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_SIZE);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    fetch->fetches->running++;
    if (pthread_create(&thread, &small, fetch_now, fetch) != 0) {
        error_set(&fetch->error, EX_OSERR, "no thread can be started");
        wake_loop(fetch);
    }
    pthread_attr_destroy(&small);
}

static void run_waiting(struct fetch_pool *fetches)
{
    while (fetches->waiting_first != NULL && fetches->running < FETCHES_AT_ONCE_MAX) {
        struct fetch *fetch = fetches->waiting_first;
        fetches->waiting_first = fetch->next;
        if (fetch->next == NULL)
            fetches->waiting_last = NULL;
        run(fetch);
    }
}

static void free_fetch(struct fetch *fetch)
{
    buffer_free(&fetch->body);
    free(fetch->url);
    free(fetch->resolved);
    free(fetch);
}

static void some_done(void *owner, bool readable, bool writable)
{
    struct fetch_pool *fetches = owner;
    uint64_t count;
    (void)!read(fetches->event, &count, sizeof count);
    pthread_mutex_lock(&fetches->lock);
    struct fetch *done = fetches->done;
    fetches->done = NULL;
    pthread_mutex_unlock(&fetches->lock);
    for (struct fetch *next; done != NULL; done = next) {
        next = done->next;
        fetches->running--;
        done->on_done(done->owner, done);
        free_fetch(done);
    }
    run_waiting(fetches);
}

bool fetch_pool_start(struct fetch_pool *fetches, struct loop *loop, struct bytes authorities,
                      struct error *error)
{
    *fetches = (struct fetch_pool){.authorities = authorities,
                                   .event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (fetches->event < 0)
        return error_set_errno(error, EX_OSERR, "cannot watch for fetched files");
    pthread_mutex_init(&fetches->lock, NULL);
    watch_start(&fetches->watch, loop, fetches->event, true, false, some_done, fetches);
    return true;
}

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_new(size), text, size);
}

void fetch_start(struct fetch_pool *fetches, const char *url, const char *resolved, size_t size_max,
                 void (*on_done)(void *owner, const struct fetch *fetch), void *owner)
{
    struct fetch *fetch = memory_new(sizeof *fetch);
    *fetch = (struct fetch){.fetches = fetches,
                            .url = copy(url),
                            .resolved = copy(resolved),
                            .size_max = size_max,
                            .on_done = on_done,
                            .owner = owner};
    if (fetches->waiting_last == NULL)
        fetches->waiting_first = fetch;
    else
        fetches->waiting_last->next = fetch;
    fetches->waiting_last = fetch;
    run_waiting(fetches);
}
