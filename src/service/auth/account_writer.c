/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/auth/account_writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

struct account_writer {
    struct account_store *store;
    struct accounts_version *version;
    pthread_mutex_t lock; /* guards the following fields */
    pthread_cond_t given;
    struct account_job *waiting_first, *waiting_last, *done_first, *done_last;
    int event;
};

static void learn(struct account_writer *writer, struct account_job *job)
{
    struct error error = {0};
    if (accounts_learn(writer->store->accounts, job->address, job->key, job->password_hash,
                       bytes_of(&job->verifier, sizeof job->verifier), &error))
        return;
    job->answer.exit_code = EX_TEMPFAIL;
    job->answer.text = arena_copy(&job->arena, bytes_of_text(error.text));
}

/* A failed job may have changed something too: the version is bumped anyway. */
static void do_job(struct account_writer *writer, struct account_job *job)
{
    if (job->learns) {
        learn(writer, job);
        return; /* nothing visible to readers has changed */
    }
    account_store_change(writer->store, &job->asked, &job->arena, &job->answer);
    accounts_version_bump(writer->version);
}

static void append(struct account_job **first, struct account_job **last, struct account_job *job)
{
    job->next = NULL;
    if (*last == NULL)
        *first = job;
    else
        (*last)->next = job;
    *last = job;
}

static struct account_job *take_first(struct account_job **first, struct account_job **last)
{
    struct account_job *job = *first;
    if (job != NULL)
        *first = job->next;
    if (*first == NULL)
        *last = NULL;
    return job;
}

static void *write_forever(void *owner)
{
    struct account_writer *writer = owner;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        struct account_job *job;
        while ((job = take_first(&writer->waiting_first, &writer->waiting_last)) == NULL)
            pthread_cond_wait(&writer->given, &writer->lock);
        pthread_mutex_unlock(&writer->lock);
        do_job(writer, job);
        pthread_mutex_lock(&writer->lock);
        append(&writer->done_first, &writer->done_last, job);
        uint64_t one = 1;
        (void)!write(writer->event, &one, sizeof one);
    }
    return NULL;
}

struct account_writer *account_writer_open(struct account_store *store, struct accounts_version *version,
                                           int *descriptor, struct error *error)
{
    struct account_writer *writer = memory_new(sizeof *writer);
    pthread_t thread;
    writer->store = store;
    writer->version = version;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->given, NULL);
    *descriptor = writer->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (writer->event < 0 || pthread_create(&thread, NULL, write_forever, writer) != 0) {
        error_set(error, EX_OSERR, "cannot start the thread that writes the accounts");
        return NULL; /* the process is ending: no cleanup */
    }
    pthread_detach(thread);
    return writer;
}

void account_writer_give(struct account_writer *writer, struct account_job *job)
{
    pthread_mutex_lock(&writer->lock);
    append(&writer->waiting_first, &writer->waiting_last, job);
    pthread_cond_signal(&writer->given);
    pthread_mutex_unlock(&writer->lock);
}

struct account_job *account_writer_take(struct account_writer *writer)
{
    uint64_t count;
    pthread_mutex_lock(&writer->lock);
    struct account_job *job = take_first(&writer->done_first, &writer->done_last);
    if (job == NULL)
        (void)!read(writer->event, &count, sizeof count);
    pthread_mutex_unlock(&writer->lock);
    return job;
}

struct account_job *account_job_new(void)
{
    return memory_new(sizeof(struct account_job));
}

void account_job_free(struct account_job *job)
{
    arena_wipe(&job->arena);
    explicit_bzero(job, sizeof *job);
    free(job);
}
