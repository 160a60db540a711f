/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/quotas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "io/folder.h"
#include "io/write.h"

static const char file_name[] = "users";
/* user:password:uid:gid:gecos:home:shell:fields */
#define BETWEEN ":::::::userdb_quota_rule=*:bytes="

char *quotas_path(struct arena *arena, const char *data_dir)
{
    return arena_format(arena, "%s/quotas/%s", data_dir, file_name);
}

/* ---- writing ---- */

static void add_line(void *owner, const char *const *columns, size_t count)
{
    buffer_add_format(owner, "%s%s%s\n", columns[0], BETWEEN, columns[1]);
}

/* Dovecot detects a changed file by its size and mtime in seconds: sets each mtime at least a second
 * later. */
static bool make_younger(int folder, int file)
{
    struct stat before;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    clock_gettime(CLOCK_REALTIME, &times[1]);
    if (fstatat(folder, file_name, &before, AT_SYMLINK_NOFOLLOW) == 0 &&
        before.st_mtim.tv_sec >= times[1].tv_sec)
        times[1].tv_sec = before.st_mtim.tv_sec + 1;
    return futimens(file, times) == 0;
}

static bool replace(int folder, struct bytes text)
{
    static const char fresh_name[] = "users.new";
    int file = folder_new_file(folder, fresh_name, 0644);
    bool done = file >= 0 && write_all(file, text) && make_younger(folder, file) && fsync(file) == 0;
    if (file >= 0)
        close(file);
    return done && renameat(folder, fresh_name, folder, file_name) == 0;
}

bool quotas_write(int folder, struct accounts *accounts, struct error *error)
{
    struct buffer text = {0};
    buffer_add_text(&text, "# Written by mailboat: see mailboat user quota.\n");
    bool done = accounts_each(accounts, LIST_QUOTAS, add_line, &text, error) &&
                (replace(folder, buffer_bytes(&text)) ||
                 error_set_errno(error, errno == ENOSPC ? EX_TEMPFAIL : EX_CANTCREAT,
                                 "the quotas cannot be written to quotas/%s in the data directory",
                                 file_name));
    buffer_free(&text);
    return done;
}

/* ---- reading ---- */

bool quotas_open(struct quotas *quotas, const struct config *config, uint64_t seed, struct error *error)
{
    *quotas = (struct quotas){.of_all = config->mailboxes.quota};
    map_start(&quotas->own, seed);
    char path[4096];
    snprintf(path, sizeof path, "%s/quotas", config->data_dir);
    quotas->folder_file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (quotas->folder_file < 0)
        return error_set_errno(error, EX_NOINPUT, "cannot open %s", path);
    quotas->folder = strdup(path);
    return true;
}

void quotas_close(struct quotas *quotas)
{
    if (quotas->folder_file >= 0)
        close(quotas->folder_file);
    map_free(&quotas->own);
    arena_clear(&quotas->arena);
    free((char *)(uintptr_t)quotas->folder);
}

static void read_lines(struct quotas *quotas, struct bytes text)
{
    uint64_t seed = quotas->own.seed;
    map_free(&quotas->own);
    map_start(&quotas->own, seed);
    arena_clear(&quotas->arena);
    while (text.length > 0) {
        struct bytes line = bytes_split(&text, '\n');
        size_t at = bytes_search(line, BYTES(BETWEEN));
        uint64_t *octets = ARENA_NEW(&quotas->arena, uint64_t);
        if (at != SIZE_MAX && bytes_to_u64(bytes_from(line, at + strlen(BETWEEN)), ACCOUNT_QUOTA_MAX, octets))
            map_put(&quotas->own, arena_copy(&quotas->arena, bytes_first(line, at)), octets);
    }
}

static bool read_whole(int file, size_t size, struct buffer *text)
{
    while (text->length < size) {
        ssize_t count = read(file, buffer_reserve(text, size - text->length), size - text->length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        buffer_written(text, (size_t)count);
    }
    return true;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool quotas_look(struct quotas *quotas)
{
    struct stat facts;
    struct buffer text = {0};
    if (fstatat(quotas->folder_file, file_name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (is_same(&facts, &quotas->seen))
        return true;
    int file = openat(quotas->folder_file, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool done = file >= 0 && fstat(file, &facts) == 0 && read_whole(file, (size_t)facts.st_size, &text);
    if (done) {
        read_lines(quotas, buffer_bytes(&text));
        quotas->seen = facts;
    }
    if (file >= 0)
        close(file);
    buffer_free(&text);
    return done;
}

uint64_t quotas_of(const struct quotas *quotas, struct bytes address)
{
    const uint64_t *own = map_get(&quotas->own, address);
    return own == NULL ? quotas->of_all : *own;
}
