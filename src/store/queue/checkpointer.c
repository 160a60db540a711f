/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/checkpointer.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/memory.h"

struct checkpointer {
    const char *path; /* the caller's */
    sqlite3 *db;      /* used by the thread alone */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards the following fields */
    pthread_cond_t given;
    bool is_asked, ends, is_shut; /* is_shut: the thread cannot open the database */
    struct checkpoint_pace pace;
    int code;
    uint64_t passes;
};

static bool is_failure(int code)
{
    return code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY && (code & 0xff) != SQLITE_FULL;
}

/* A connection that has read the database has opened its log. */
static bool open_connection(struct checkpointer *checkpointer)
{
    return checkpointer->db != NULL ||
           (sqlite3_open_v2(checkpointer->path, &checkpointer->db,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
            sqlite3_exec(checkpointer->db, "PRAGMA synchronous = FULL; SELECT 1 FROM message LIMIT 1", NULL,
                         NULL, NULL) == SQLITE_OK);
}

/* One pass; the lock is held before and after. */
static void pass(struct checkpointer *checkpointer)
{
    int length = 0, moved = 0, code = SQLITE_OK;
    pthread_mutex_unlock(&checkpointer->lock);
    bool open = open_connection(checkpointer);
    if (open)
        code = sqlite3_wal_checkpoint_v2(checkpointer->db, "main", SQLITE_CHECKPOINT_PASSIVE, &length,
                                         &moved);
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->is_shut = !open;
    checkpoint_pace_moved(&checkpointer->pace, CHECKPOINT_BESIDE,
                          code == SQLITE_OK && moved > 0 ? (uint32_t)moved : 0);
    if (is_failure(code))
        checkpointer->code = code;
    checkpointer->passes++;
}

static void *move_forever(void *owner)
{
    struct checkpointer *checkpointer = owner;
    pthread_mutex_lock(&checkpointer->lock);
    while (!checkpointer->ends) {
        if (!checkpointer->is_asked) {
            pthread_cond_wait(&checkpointer->given, &checkpointer->lock);
            continue;
        }
        pass(checkpointer);
        checkpointer->is_asked = false;
    }
    pthread_mutex_unlock(&checkpointer->lock);
    return NULL;
}

/* Signals are for the process's own loop. */
static bool start_thread(struct checkpointer *checkpointer)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    checkpointer->has_thread = pthread_create(&checkpointer->thread, NULL, move_forever, checkpointer) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return checkpointer->has_thread;
}

struct checkpointer *checkpointer_open(const char *path, uint32_t start)
{
    struct checkpointer *checkpointer = memory_new(sizeof *checkpointer);
    checkpointer->path = path;
    checkpoint_pace_start(&checkpointer->pace, start);
    pthread_mutex_init(&checkpointer->lock, NULL);
    pthread_cond_init(&checkpointer->given, NULL);
    return checkpointer;
}

void checkpointer_close(struct checkpointer *checkpointer)
{
    if (checkpointer == NULL)
        return;
    if (checkpointer->has_thread) {
        pthread_mutex_lock(&checkpointer->lock);
        checkpointer->ends = true;
        pthread_cond_signal(&checkpointer->given);
        pthread_mutex_unlock(&checkpointer->lock);
        pthread_join(checkpointer->thread, NULL);
    }
    sqlite3_close(checkpointer->db);
    pthread_cond_destroy(&checkpointer->given);
    pthread_mutex_destroy(&checkpointer->lock);
    free(checkpointer);
}

bool checkpointer_committed(struct checkpointer *checkpointer, uint32_t length, int *code)
{
    enum checkpoint_step step = CHECKPOINT_NONE;
    pthread_mutex_lock(&checkpointer->lock);
    *code = checkpointer->code;
    checkpointer->code = SQLITE_OK;
    checkpoint_pace_commit(&checkpointer->pace, length);
    if (!checkpointer->is_asked)
        step = checkpoint_pace_step(&checkpointer->pace);
    if (step == CHECKPOINT_BESIDE && !checkpointer->is_shut &&
        (checkpointer->has_thread || start_thread(checkpointer))) {
        checkpointer->is_asked = true;
        pthread_cond_signal(&checkpointer->given);
        step = CHECKPOINT_NONE;
    }
    pthread_mutex_unlock(&checkpointer->lock);
    return step != CHECKPOINT_NONE;
}

void checkpointer_moved(struct checkpointer *checkpointer, uint32_t moved)
{
    pthread_mutex_lock(&checkpointer->lock);
    checkpoint_pace_moved(&checkpointer->pace, CHECKPOINT_HERE, moved);
    pthread_mutex_unlock(&checkpointer->lock);
}

uint64_t checkpointer_passes(struct checkpointer *checkpointer)
{
    pthread_mutex_lock(&checkpointer->lock);
    uint64_t passes = checkpointer->passes;
    pthread_mutex_unlock(&checkpointer->lock);
    return passes;
}
