/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/auth/password_workers.h"

#include "store/accounts.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

struct checkers {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct check *waiting_first, *waiting_last, *done;
    unsigned waiting_count;
    int event;
};

static void run_check(struct check *check)
{
    struct verifier_keys keys;
    check->matches = check->hash == NULL || accounts_password_matches(check->hash, check->password);
    if (!check->matches || !check->wants_verifier)
        return;
    verifier_derive(&keys, bytes_of_text(check->password), bytes_of(check->salt, sizeof check->salt), VERIFIER_ITERATIONS);
    check->verifier = keys.verifier;
    explicit_bzero(&keys, sizeof keys);
}

static void *check_forever(void *owner)
{
    struct checkers *checkers = owner;
    pthread_mutex_lock(&checkers->lock);
    for (;;) {
        while (checkers->waiting_first == NULL)
            pthread_cond_wait(&checkers->given, &checkers->lock);
        struct check *check = checkers->waiting_first;
        checkers->waiting_first = check->next;
        if (check->next == NULL)
            checkers->waiting_last = NULL;
        checkers->waiting_count--;
        pthread_mutex_unlock(&checkers->lock);
        run_check(check);
        pthread_mutex_lock(&checkers->lock);
        check->next = checkers->done;
        checkers->done = check;
        uint64_t one = 1;
        (void)!write(checkers->event, &one, sizeof one);
    }
    return NULL;
}

struct checkers *checkers_open(unsigned threads, int *descriptor, struct error *error)
{
    struct checkers *checkers = memory_new(sizeof *checkers);
    pthread_attr_t small;
    pthread_mutex_init(&checkers->lock, NULL);
    pthread_cond_init(&checkers->given, NULL);
    *descriptor = checkers->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    for (unsigned i = 0; i < threads && i < CHECKERS_THREADS_MAX; i++) {
        pthread_t thread;
        if (checkers->event < 0 || pthread_create(&thread, &small, check_forever, checkers) != 0) {
            error_set(error, EX_OSERR, "cannot start the threads that check passwords");
            return NULL; /* the process ends: nothing to tidy */
        }
        pthread_detach(thread);
    }
    pthread_attr_destroy(&small);
    return checkers;
}

bool checkers_give(struct checkers *checkers, struct check *check)
{
    pthread_mutex_lock(&checkers->lock);
    bool room = checkers->waiting_count < CHECKS_WAITING_MAX;
    if (room) {
        check->next = NULL;
        if (checkers->waiting_last == NULL)
            checkers->waiting_first = check;
        else
            checkers->waiting_last->next = check;
        checkers->waiting_last = check;
        checkers->waiting_count++;
        pthread_cond_signal(&checkers->given);
    }
    pthread_mutex_unlock(&checkers->lock);
    return room;
}

struct check *checkers_take(struct checkers *checkers)
{
    uint64_t count;
    pthread_mutex_lock(&checkers->lock);
    struct check *check = checkers->done;
    if (check != NULL)
        checkers->done = check->next;
    else
        (void)!read(checkers->event, &count, sizeof count);
    pthread_mutex_unlock(&checkers->lock);
    return check;
}
