/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: a small file by HTTPS, fetched on a thread of its own so that the
 * relay's loop never waits. fetch_pool_start() once; then each fetch_start() is
 * answered once, from the loop. So many run at once; the rest wait in line.
 */
#ifndef MAILBOAT_SERVICE_RELAY_FETCH_H
#define MAILBOAT_SERVICE_RELAY_FETCH_H

#include <pthread.h>

#include "io/https.h"
#include "io/loop.h"

enum { FETCHES_AT_ONCE_MAX = 16, FETCH_TIMEOUT_MS = 20 * 1000 };

struct fetch {
    struct fetch_pool *fetches;
    struct fetch *next;   /* that waits, or is done */
    char *url, *resolved; /* its own */
    size_t size_max;
    struct buffer body;
    struct error error;
    bool fine;
    void (*on_done)(void *owner, const struct fetch *fetch); /* the fetch lives during the call */
    void *owner;
};

struct fetch_pool {
    struct bytes authorities; /* PEM */
    pthread_mutex_t lock;     /* of `done` */
    struct fetch *done, *waiting_first, *waiting_last;
    unsigned running;
    int event;
    struct watch watch;
};

bool fetch_pool_start(struct fetch_pool *fetches, struct loop *loop, struct bytes authorities,
                      struct error *error);
/* Texts are copied. */
void fetch_start(struct fetch_pool *fetches, const char *url, const char *resolved, size_t size_max,
                 void (*on_done)(void *owner, const struct fetch *fetch), void *owner);

#endif
