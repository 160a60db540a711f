/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/auth/password_workers.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/accounts.h"

struct password_workers {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct password_check *waiting_first, *waiting_last, *done;
    unsigned waiting_count;
    int event;
};

static void run_check(struct password_check *check)
{
    struct verifier_keys keys;
    check->matches = check->hash == NULL || accounts_password_matches(check->hash, check->password);
    if (!check->matches || !check->wants_verifier)
        return;
    verifier_derive(&keys, bytes_of_text(check->password), bytes_of(check->salt, sizeof check->salt),
                    VERIFIER_ITERATIONS);
    check->verifier = keys.verifier;
    explicit_bzero(&keys, sizeof keys);
}

static void *check_forever(void *owner)
{
    struct password_workers *workers = owner;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->waiting_first == NULL)
            pthread_cond_wait(&workers->given, &workers->lock);
        struct password_check *check = workers->waiting_first;
        workers->waiting_first = check->next;
        if (check->next == NULL)
            workers->waiting_last = NULL;
        workers->waiting_count--;
        pthread_mutex_unlock(&workers->lock);
        run_check(check);
        pthread_mutex_lock(&workers->lock);
        check->next = workers->done;
        workers->done = check;
        uint64_t one = 1;
        (void)!write(workers->event, &one, sizeof one);
    }
    return NULL;
}

struct password_workers *password_workers_open(unsigned threads, int *descriptor, struct error *error)
{
    struct password_workers *workers = memory_new(sizeof *workers);
    pthread_attr_t small;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->given, NULL);
    *descriptor = workers->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    for (unsigned i = 0; i < threads && i < PASSWORD_WORKERS_MAX; i++) {
        pthread_t thread;
        if (workers->event < 0 || pthread_create(&thread, &small, check_forever, workers) != 0) {
            error_set(error, EX_OSERR, "cannot start the threads that check passwords");
            return NULL; /* the process is ending: no cleanup */
        }
        pthread_detach(thread);
    }
    pthread_attr_destroy(&small);
    return workers;
}

bool password_workers_give(struct password_workers *workers, struct password_check *check)
{
    pthread_mutex_lock(&workers->lock);
    bool room = workers->waiting_count < CHECKS_WAITING_MAX;
    if (room) {
        check->next = NULL;
        if (workers->waiting_last == NULL)
            workers->waiting_first = check;
        else
            workers->waiting_last->next = check;
        workers->waiting_last = check;
        workers->waiting_count++;
        pthread_cond_signal(&workers->given);
    }
    pthread_mutex_unlock(&workers->lock);
    return room;
}

struct password_check *password_workers_take(struct password_workers *workers)
{
    uint64_t count;
    pthread_mutex_lock(&workers->lock);
    struct password_check *check = workers->done;
    if (check != NULL)
        workers->done = check->next;
    else
        (void)!read(workers->event, &count, sizeof count);
    pthread_mutex_unlock(&workers->lock);
    return check;
}
