/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: downloads small files by HTTPS on separate threads, so that the relay's loop never blocks.
 * fetch_pool_start() once; then each fetch_start() is answered once, from the loop. The number of
 * concurrent fetches is limited; others are queued.
 */
#ifndef MAILBOAT_SERVICE_RELAY_FETCH_H
#define MAILBOAT_SERVICE_RELAY_FETCH_H

#include <pthread.h>

#include "io/https.h"
#include "io/watch.h"

enum { FETCHES_AT_ONCE_MAX = 16, FETCH_TIMEOUT_MS = 20 * 1000 };

struct fetch {
    struct fetch_pool *fetches;
    struct fetch *next;   /* waiting, or finished */
    char *url, *resolved; /* owned copies */
    size_t size_max;
    struct buffer body;
    struct error error;
    bool fine;
    void (*on_done)(void *owner, const struct fetch *fetch); /* the fetch is valid during the call */
    void *owner;
};

struct fetch_pool {
    struct bytes authorities; /* PEM */
    pthread_mutex_t lock;     /* guards `done` */
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
