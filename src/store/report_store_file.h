/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_store_file: shared by the files that implement report_store.h: report_store_open.c (the file and its
 * schema), report_store.c (changes) and report_store_list.c (queries); included only there.
 */
#ifndef MAILBOAT_STORE_REPORT_STORE_FILE_H
#define MAILBOAT_STORE_REPORT_STORE_FILE_H

#include <sqlite3.h>

#include "store/report_store.h"

struct report_store {
    sqlite3 *db;
    char *path;
    bool set_aside;
    /* ---- while changing ---- */
    bool counted;
    uint64_t day;                      /* that the counts are of: days of the Unix clock */
    uint64_t day_rows[REPORT_TYPES];   /* by kind */
    uint64_t rows[REPORT_TYPES], kept; /* of all days */
};

/* Returns false, with SQLite's message as the reason. */
bool report_store_fail(const struct report_store *store, struct error *error);

/* Prepares a statement, and binds its values by `types`: "t" a struct bytes (a text; cut at
 * REPORT_STORE_TEXT_MAX), "b" a struct bytes (octets), "n" a uint64_t. NULL with a reason. */
sqlite3_stmt *report_store_prepare(struct report_store *store, struct error *error, const char *sql,
                                   const char *types, ...);
/* Binds the values again, from the first; the statement is reset. */
void report_store_bind(sqlite3_stmt *statement, const char *types, ...);
/* Runs one change. */
bool report_store_run(struct report_store *store, struct error *error, const char *sql, const char *types,
                      ...);

#endif
