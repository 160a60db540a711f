/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/local/maildirsize.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/local/maildir.h"

enum { PATH_SIZE = MAILDIR_PATH_MAX + 300, COUNTS_MAX = 2 };
static const char file_name[] = "maildirsize";

/* ---- the text ---- */

/* Matches "12S,100C": octets and messages, in any order; an absent one is unlimited. */
static bool has_limit(struct bytes line, uint64_t limit)
{
    uint64_t octets = 0, number;
    while (line.length > 0) {
        struct bytes part = bytes_split(&line, ',');
        if (part.length < 2 || !bytes_to_u64(bytes_first(part, part.length - 1), INT64_MAX, &number))
            return false;
        char what = part.at[part.length - 1];
        if ((what != 'S' && what != 'C') || (what == 'C' && number != 0)) /* message counts are not limited
                                                                             here */
            return false;
        octets = what == 'S' ? number : octets;
    }
    return octets == limit;
}

static bool read_signed(struct bytes text, int64_t *value)
{
    uint64_t number;
    bool negative = text.length > 0 && text.at[0] == '-';
    if (!bytes_to_u64(bytes_from(text, negative ? 1 : 0), INT64_MAX, &number))
        return false;
    *value = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* Parses "OCTETS MESSAGES", either may be negative; spaces may surround them. */
static bool add_line(struct bytes line, int64_t *octets, int64_t *messages)
{
    int64_t more_octets, more_messages;
    line = bytes_trim(line);
    struct bytes first = bytes_split(&line, ' ');
    return read_signed(first, &more_octets) && read_signed(bytes_trim(line), &more_messages) &&
           !__builtin_add_overflow(*octets, more_octets, octets) &&
           !__builtin_add_overflow(*messages, more_messages, messages);
}

bool maildirsize_parse(struct bytes text, uint64_t limit, struct maildirsize *size, size_t *lines)
{
    int64_t octets = 0, messages = 0;
    size_t end = bytes_find_last(text, '\n');
    if (end == SIZE_MAX || bytes_find(text, '\0') != SIZE_MAX)
        return false;
    text = bytes_first(text, end); /* an incomplete line does not count */
    if (!has_limit(bytes_split(&text, '\n'), limit))
        return false;
    for (*lines = 0; text.length > 0; ++*lines)
        if (!add_line(bytes_split(&text, '\n'), &octets, &messages))
            return false;
    *size = (struct maildirsize){.octets = (uint64_t)octets, .messages = (uint64_t)messages};
    return *lines > 0 && octets >= 0 && messages >= 0;
}

/* ---- counting ---- */

struct maildir_tally {
    uint64_t octets, messages;
    uint64_t stamp; /* of the folders: changes when messages are added or removed */
    bool stamps_only;
};

/* Reads the size from a name like "1795862394.M368319P1.host,S=2216,W=2226:2,S"; otherwise the file is
 * examined. */
static bool size_in_name(const char *name, uint64_t *octets)
{
    const char *at = strstr(name, ",S=");
    return at != NULL && bytes_to_u64(bytes_of(at + 3, strspn(at + 3, "0123456789")), INT64_MAX, octets) &&
           strchr(":,", at[3 + strspn(at + 3, "0123456789")]) != NULL;
}

static int tally_entry(struct maildir_tally *tally, int folder, const char *name)
{
    struct stat facts;
    uint64_t octets;
    if (name[0] == '.')
        return 0;
    if (!size_in_name(name, &octets)) {
        if (fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
            return errno == ENOENT ? 0 : errno; /* removed meanwhile */
        octets = (uint64_t)facts.st_size;
    }
    tally->octets += octets;
    tally->messages++;
    return 0;
}

/* NULL with errno; the stream owns the descriptor. */
static DIR *open_folder(int at, const char *path)
{
    int folder = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = folder < 0 ? NULL : fdopendir(folder);
    if (stream == NULL && folder >= 0)
        close(folder);
    return stream;
}

static int tally_messages(struct maildir_tally *tally, int at, const char *path)
{
    struct stat facts;
    DIR *stream = open_folder(at, path);
    if (stream == NULL)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : errno;
    int error = fstat(dirfd(stream), &facts) == 0 ? 0 : errno;
    const uint64_t seen[] = {tally->stamp, (uint64_t)facts.st_ino, (uint64_t)facts.st_mtim.tv_sec,
                             (uint64_t)facts.st_mtim.tv_nsec};
    tally->stamp = bytes_hash(bytes_of(seen, sizeof seen), 0);
    for (const struct dirent *entry;
         error == 0 && !tally->stamps_only && (errno = 0, entry = readdir(stream)) != NULL;)
        error = tally_entry(tally, dirfd(stream), entry->d_name);
    if (error == 0 && !tally->stamps_only)
        error = errno;
    closedir(stream);
    return error;
}

static int tally_both(struct maildir_tally *tally, int at, const char *path)
{
    char buffer[PATH_SIZE];
    int error = 0;
    static const char *const kinds[] = {"new", "cur"};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds) && error == 0; i++) {
        snprintf(buffer, sizeof buffer, "%s/%s", path, kinds[i]);
        error = tally_messages(tally, at, buffer);
    }
    return error;
}

/* Counts the inbox, and each folder beside it: ".Sent". */
static int tally_mailbox(struct maildir_tally *tally, int at, const char *mailbox)
{
    DIR *stream = open_folder(at, mailbox);
    if (stream == NULL)
        return errno == ENOENT ? 0 : errno;
    int error = tally_both(tally, dirfd(stream), ".");
    for (const struct dirent *entry; error == 0 && (errno = 0, entry = readdir(stream)) != NULL;)
        if (entry->d_name[0] == '.' && entry->d_name[1] != '\0' && strcmp(entry->d_name, "..") != 0)
            error = tally_both(tally, dirfd(stream), entry->d_name);
        else
            errno = 0;
    closedir(stream);
    return error;
}

/* ---- the file ---- */

static void write_anew(int folder, const char *mailbox, uint64_t limit, const struct maildir_tally *tally)
{
    char fresh[PATH_SIZE], path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", mailbox, file_name);
    snprintf(fresh, sizeof fresh, "%s/tmp/%s.%ld", mailbox, file_name, (long)getpid());
    unlinkat(folder, fresh, 0);
    int file = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool done = file >= 0 &&
                dprintf(file, "%lluS\n%llu %llu\n", (unsigned long long)limit,
                        (unsigned long long)tally->octets, (unsigned long long)tally->messages) > 0;
    if (file >= 0)
        close(file);
    if (file >= 0 && (!done || renameat(folder, fresh, folder, path) != 0))
        unlinkat(folder, fresh, 0); /* the disk is full: it will be counted again */
}

int maildirsize_count(int folder, const char *mailbox, uint64_t limit, bool keep, struct maildirsize *size)
{
    char path[PATH_SIZE];
    for (int i = 0; i < COUNTS_MAX; i++) {
        struct maildir_tally tally = {0}, after = {.stamps_only = true};
        int error = tally_mailbox(&tally, folder, mailbox);
        if (error == 0 && keep)
            error = tally_mailbox(&after, folder, mailbox);
        if (error != 0)
            return error;
        *size = (struct maildirsize){.octets = tally.octets, .messages = tally.messages, .sure = true};
        if (!keep)
            return 0;
        if (tally.stamp == after.stamp) {
            write_anew(folder, mailbox, limit, &tally);
            return 0;
        }
    }
    snprintf(path, sizeof path, "%s/%s", mailbox, file_name);
    unlinkat(folder, path, 0);
    return 0;
}

bool maildirsize_peek(int folder, const char *mailbox, uint64_t limit, struct maildirsize *size)
{
    char path[PATH_SIZE], text[MAILDIRSIZE_MAX + 1];
    struct stat facts;
    size_t lines;
    snprintf(path, sizeof path, "%s/%s", mailbox, file_name);
    int file = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t count = fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) ? read(file, text, sizeof text) : -1;
    close(file);
    if (count <= 0 || count > MAILDIRSIZE_MAX ||
        !maildirsize_parse(bytes_of(text, (size_t)count), limit, size, &lines))
        return false;
    size->sure = lines == 1 && facts.st_mtim.tv_sec + MAILDIRSIZE_FRESH_S > time(NULL);
    return true;
}

int maildirsize_read(int folder, const char *mailbox, uint64_t limit, struct maildirsize *size)
{
    return maildirsize_peek(folder, mailbox, limit, size)
               ? 0
               : maildirsize_count(folder, mailbox, limit, true, size);
}

void maildirsize_add(int folder, const char *mailbox, uint64_t octets, uint64_t messages)
{
    char path[PATH_SIZE];
    struct stat facts;
    snprintf(path, sizeof path, "%s/%s", mailbox, file_name);
    int file = openat(folder, path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return;
    bool fits = fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size < MAILDIRSIZE_MAX;
    if (!fits || dprintf(file, "%llu %llu\n", (unsigned long long)octets, (unsigned long long)messages) <= 0)
        unlinkat(folder, path, 0);
    close(file);
}
