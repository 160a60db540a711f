/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_files: large contents beside the database.
 *
 * In: spool/N is written by the submitter; then it is renamed to spool/ID.new and linked to content/XX/ID.
 * Before the batch commits, all its contents are synced together, then their folders; then spool/ID.new is
 * removed. After a crash, a leftover .new names the row to check: without a row the content is removed
 * too. Out: the batch that removes a message records the id in `leftover`; then the file is removed; then,
 * with the next batch, the record. So a restart checks only what was in progress, never the whole content
 * folder.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "core/queue/queue_id.h"
#include "store/queue/sqlite_internal.h"
#include "store/queue/store_lock.h"

enum {
    NAME_SIZE = 40,
    SHELVES = 256,       /* folders of contents: "00" to "ff" */
    SYNCS_TOGETHER = 16, /* contents synced concurrently, as descriptors */
    /* age of a file that is no longer being written; session timeouts are far shorter */
    SPOOL_AGE_MAX_S = 3600,
};

void content_files_id_add(struct id_list *list, uint64_t id)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->ids = memory_resize(list->ids, list->capacity * sizeof *list->ids);
    }
    list->ids[list->count++] = id;
}

static void id_list_free(struct id_list *list)
{
    free(list->ids);
    *list = (struct id_list){0};
}

static void spool_name(char name[NAME_SIZE], uint64_t spool)
{
    snprintf(name, NAME_SIZE, "%llu", (unsigned long long)spool);
}

static void mark_name(char name[NAME_SIZE], uint64_t id)
{
    char text[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(id, text);
    snprintf(name, NAME_SIZE, "%s.new", text);
}

static unsigned shelf_of(uint64_t id)
{
    return (unsigned)(id / QUEUE_ID_SLOTS % SHELVES);
}

static void shelf_name(char name[NAME_SIZE], uint64_t id)
{
    snprintf(name, NAME_SIZE, "%02x", shelf_of(id));
}

static void content_name(char name[NAME_SIZE], uint64_t id)
{
    char text[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(id, text);
    snprintf(name, NAME_SIZE, "%02x/%s", shelf_of(id), text);
}

static int open_folder(int at, const char *name)
{
    bool made = mkdirat(at, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return -1;
    int descriptor = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (made && descriptor >= 0)
        (void)!fsync(at);
    return descriptor;
}

bool content_files_open(struct content_files *files, const char *folder, enum store_access access,
                        struct error *error)
{
    *files = (struct content_files){.folder = -1, .spool = -1, .content = -1, .lock = -1};
    files->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat facts;
    if (files->folder < 0 || fstat(files->folder, &facts) != 0)
        return error_set_errno(error, EX_NOINPUT, "cannot open the queue's directory %s", folder);
    if (access == STORE_WRITE && geteuid() == 0 && facts.st_uid != 0) /* the owner could not use root's files,
                                                                         and links there could mislead root */
        return error_set(error, EX_NOPERM,
                         "the queue's directory %s belongs to user %u, and only that user may work in it",
                         folder, (unsigned)facts.st_uid);
    if (access == STORE_READ) {
        files->content = openat(files->folder, "content", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return true;
    }
    files->lock = store_lock_take(files->folder, folder, error);
    if (files->lock < 0)
        return false;
    files->spool = open_folder(files->folder, "spool");
    if (files->spool < 0)
        return error_set_errno(error, EX_CANTCREAT, "cannot open the directory %s/spool", folder);
    files->content = open_folder(files->folder, "content");
    return files->content >= 0 ||
           error_set_errno(error, EX_CANTCREAT, "cannot open the directory %s/content", folder);
}

void content_files_close(struct content_files *files)
{
    const int descriptors[] = {files->folder, files->spool, files->content, files->lock};
    for (size_t i = 0; i < ARRAY_LENGTH(descriptors); i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    files->folder = files->spool = files->content = files->lock = -1;
    id_list_free(&files->fresh);
    id_list_free(&files->gone);
    id_list_free(&files->leftover);
}

int content_files_spool(struct content_files *files, uint64_t spool, int *descriptor)
{
    char name[NAME_SIZE];
    spool_name(name, spool);
    *descriptor = openat(files->spool, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *descriptor < 0 ? errno : 0;
}

void content_files_spool_drop(struct content_files *files, uint64_t spool)
{
    char name[NAME_SIZE];
    spool_name(name, spool);
    unlinkat(files->spool, name, 0);
}

bool content_files_spool_size(struct content_files *files, uint64_t spool, uint64_t *size)
{
    char name[NAME_SIZE];
    struct stat facts;
    spool_name(name, spool);
    if (spool == 0 || fstatat(files->spool, name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(facts.st_mode))
        return false;
    *size = (uint64_t)facts.st_size;
    return true;
}

static int link_content(struct content_files *files, const char *mark, uint64_t id)
{
    char shelf[NAME_SIZE], name[QUEUE_ID_TEXT_LENGTH + 1];
    shelf_name(shelf, id);
    queue_id_text(id, name);
    int folder = open_folder(files->content, shelf);
    if (folder < 0)
        return errno;
    int number = linkat(files->spool, mark, folder, name, 0) == 0 ? 0 : errno;
    if (number == EEXIST) { /* no row refers to it (the id was free): left by a crash */
        unlinkat(folder, name, 0);
        number = linkat(files->spool, mark, folder, name, 0) == 0 ? 0 : errno;
    }
    close(folder);
    return number;
}

int content_files_keep(struct content_files *files, uint64_t spool, uint64_t id)
{
    char name[NAME_SIZE], mark[NAME_SIZE];
    spool_name(name, spool);
    mark_name(mark, id);
    if (renameat(files->spool, name, files->spool, mark) != 0)
        return errno;
    content_files_id_add(&files->fresh, id);
    return link_content(files, mark, id);
}

/* Starts writing all to disk before waiting for the first. */
static int sync_contents(struct content_files *files, const uint64_t *ids, size_t count)
{
    int descriptors[SYNCS_TOGETHER], number = 0;
    size_t opened = 0;
    while (opened < count && number == 0) {
        descriptors[opened] = content_files_content(files, ids[opened]);
        if (descriptors[opened] < 0)
            number = errno;
        else
            (void)!sync_file_range(descriptors[opened++], 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    for (size_t i = 0; i < opened; i++) {
        if (number == 0 && fdatasync(descriptors[i]) != 0)
            number = errno;
        close(descriptors[i]);
    }
    return number;
}

/* Syncs each folder with new files of the batch once. */
static int sync_shelves(struct content_files *files)
{
    bool synced[SHELVES] = {false};
    int number = 0;
    for (size_t i = 0; i < files->fresh.count && number == 0; i++) {
        char shelf[NAME_SIZE];
        unsigned which = shelf_of(files->fresh.ids[i]);
        if (synced[which])
            continue;
        shelf_name(shelf, files->fresh.ids[i]);
        int folder = open_folder(files->content, shelf);
        number = folder >= 0 && fsync(folder) == 0 ? 0 : errno;
        synced[which] = true;
        if (folder >= 0)
            close(folder);
    }
    return number;
}

int content_files_sync(struct content_files *files)
{
    int number = 0;
    for (size_t at = 0; at < files->fresh.count && number == 0; at += SYNCS_TOGETHER) {
        size_t left = files->fresh.count - at;
        number = sync_contents(files, files->fresh.ids + at, left < SYNCS_TOGETHER ? left : SYNCS_TOGETHER);
    }
    return number != 0 ? number : sync_shelves(files);
}

int content_files_content(struct content_files *files, uint64_t id)
{
    char name[NAME_SIZE];
    content_name(name, id);
    return openat(files->content, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void content_files_remove(struct content_files *files, uint64_t id)
{
    char name[NAME_SIZE];
    content_name(name, id);
    unlinkat(files->content, name, 0);
}

static void remove_mark(struct content_files *files, uint64_t id)
{
    char mark[NAME_SIZE];
    mark_name(mark, id);
    unlinkat(files->spool, mark, 0);
}

void content_files_committed(struct content_files *files)
{
    for (size_t i = 0; i < files->fresh.count; i++)
        remove_mark(files, files->fresh.ids[i]);
    files->fresh.count = 0;
    for (size_t i = 0; i < files->gone.count; i++) {
        content_files_remove(files, files->gone.ids[i]);
        content_files_id_add(&files->leftover, files->gone.ids[i]);
    }
    files->gone.count = 0;
}

void content_files_rolled_back(struct content_files *files)
{
    for (size_t i = 0; i < files->fresh.count; i++) {
        content_files_remove(files, files->fresh.ids[i]);
        remove_mark(files, files->fresh.ids[i]);
    }
    files->fresh.count = 0;
    files->gone.count = 0;
}

void content_files_abandoned(struct content_files *files)
{
    files->fresh.count = files->gone.count = 0;
}

static void sweep_spooled(struct sqlite_store *sqlite, const char *name)
{
    struct content_files *files = &sqlite->files;
    struct bytes text = bytes_of_text(name);
    uint64_t id;
    struct stat facts;
    if (text.length == QUEUE_ID_TEXT_LENGTH + 4 && bytes_ends_nocase(text, ".new") &&
        queue_id_parse(bytes_first(text, QUEUE_ID_TEXT_LENGTH), &id)) {
        if (!sqlite_exists(sqlite, id) && sqlite->verdict == STORE_DONE)
            content_files_remove(files, id);
        unlinkat(files->spool, name, 0);
    } else if (bytes_to_u64(text, UINT64_MAX, &id) &&
               fstatat(files->spool, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
               facts.st_mtime + SPOOL_AGE_MAX_S < time(NULL)) {
        unlinkat(files->spool, name, 0);
    }
}

void content_files_sweep(struct sqlite_store *sqlite)
{
    int copy = openat(sqlite->files.spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *spool = copy < 0 ? NULL : fdopendir(copy);
    for (struct dirent *entry; spool != NULL && (entry = readdir(spool)) != NULL;)
        sweep_spooled(sqlite, entry->d_name);
    if (spool != NULL)
        closedir(spool);
    sqlite3_stmt *statement = sqlite_statement(sqlite, SQL_LEFTOVERS);
    while (sqlite_row(sqlite, statement)) {
        uint64_t id = (uint64_t)sqlite3_column_int64(statement, 0);
        content_files_remove(&sqlite->files, id);
        content_files_id_add(&sqlite->files.leftover, id);
    }
    if (statement != NULL)
        sqlite3_reset(statement);
}
