/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_internal: what the parts of the SQLite store share: sqlite.c (operations),
 * sqlite_open.c (the folder, the lock, the schema) and content_files.c (large
 * contents). Nobody else includes it.
 */
#ifndef MAILBOAT_STORE_SQLITE_INTERNAL_H
#define MAILBOAT_STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "store/store.h"

enum sqlite_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MESSAGE_ADD,
    SQL_RECIPIENT_ADD,
    SQL_DEFER,
    SQL_MOVE,
    SQL_PLACE,
    SQL_FINISH,
    SQL_SETTLE,
    SQL_MEMBER_NOTE,
    SQL_MEMBER_NUMBER,
    SQL_MEMBERS_FORGET,
    SQL_ADVANCE,
    SQL_EXPANDING,
    SQL_RECIPIENTS_REMOVE,
    SQL_MESSAGE_REMOVE,
    SQL_LEFTOVER_ADD,
    SQL_LEFTOVER_REMOVE,
    SQL_LEFTOVERS,
    SQL_DESTINATION_PUT,
    SQL_DESTINATION_REMOVE,
    SQL_NOTE_PUT,
    SQL_READ,
    SQL_READ_ENVELOPE,
    SQL_EXISTS,
    SQL_RECIPIENTS,
    SQL_RECIPIENTS_OF,
    SQL_ATTEMPTS,
    SQL_DUE,
    SQL_NEXT_DUE,
    SQL_DESTINATION,
    SQL_DESTINATIONS_DUE,
    SQL_DESTINATIONS_NEXT,
    SQL_LIST,
    SQL_IDS,
    SQL_WALK,
    SQL_NOTE,
    SQL_STATEMENTS
};
extern const char *const sqlite_sql[SQL_STATEMENTS];

/* Ids whose file changes with the batch. */
struct id_list {
    uint64_t *ids;
    size_t count, capacity;
};

/* The folder and the large contents in it. */
struct content_files {
    int folder, spool, content, lock; /* descriptors; -1 when not open */
    struct id_list fresh;             /* linked in this batch */
    struct id_list gone;              /* their rows were removed in this batch */
    struct id_list leftover;          /* unlinked, still noted in the table */
};

struct sqlite_store {
    struct store store; /* the first member */
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_STATEMENTS];
    enum store_verdict verdict; /* of the batch so far */
    /* what went wrong behind the last commit, which itself is on disk; SQLITE_OK: nothing */
    int checkpoint;
    int log_pages_max; /* of the log, before they move into the database */
    bool batch;        /* a transaction is open */
    int problem;       /* the code behind the verdict */
    int problem_errno;
    struct content_files files;
    char path[4096]; /* of the database, for messages */
};

static inline struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)(void *)store;
}
extern const struct store_operations sqlite_operations;

/* SQLite's hook behind each commit: moves what the log holds into the database once it is long. */
int sqlite_committed(void *owner, sqlite3 *db, const char *name, int pages);
/* Keeps the first failure of a batch; false, so that callers can return it. */
bool sqlite_problem(struct sqlite_store *sqlite, int code, int number);
/* The statement, prepared once, without bindings; NULL when that fails. */
sqlite3_stmt *sqlite_statement(struct sqlite_store *sqlite, enum sqlite_statement which);
/* Runs it to its end. */
bool sqlite_run(struct sqlite_store *sqlite, sqlite3_stmt *statement);
/* One row? Reset it when done with it. */
bool sqlite_row(struct sqlite_store *sqlite, sqlite3_stmt *statement);
bool sqlite_exists(struct sqlite_store *sqlite, uint64_t id);

bool content_files_open(struct content_files *files, const char *folder, enum store_access access,
                        struct error *error);
void content_files_close(struct content_files *files);
/* 0, or the errno why not. */
int content_files_spool(struct content_files *files, uint64_t spool, int *descriptor);
void content_files_spool_drop(struct content_files *files, uint64_t spool);
/* The octets of a spooled content; false when there is none. */
bool content_files_spool_size(struct content_files *files, uint64_t spool, uint64_t *size);
/* The spooled file becomes the content of `id`; 0 or the errno. */
int content_files_keep(struct content_files *files, uint64_t spool, uint64_t id);
/* Before the batch commits: the contents that it names, and their names, are on disk; 0 or the errno. */
int content_files_sync(struct content_files *files);
int content_files_content(struct content_files *files, uint64_t id);
void content_files_remove(struct content_files *files, uint64_t id);
void content_files_committed(struct content_files *files);
void content_files_rolled_back(struct content_files *files);
/* Whether the batch is on disk is not known: its files stay, the sweep of the successor looks. */
void content_files_abandoned(struct content_files *files);
/* Removes what a crash left. */
void content_files_sweep(struct sqlite_store *sqlite);
void content_files_id_add(struct id_list *list, uint64_t id);

#endif
