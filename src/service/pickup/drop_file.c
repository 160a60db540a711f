/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/pickup/drop_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/message/drop.h"

enum { FIRST_LOOK = 64 * 1024 }; /* octets that contain most heads */

static enum drop_file_verdict bad(const char **wrong, const char *why)
{
    *wrong = why;
    return DROP_FILE_BAD;
}

static enum drop_file_verdict open_file(struct drop_file *d, int folder, struct stat *facts,
                                        const char **wrong)
{
    if (fstatat(folder, d->name, facts, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT   ? DROP_FILE_GONE
               : errno == EACCES ? bad(wrong, "the server has no permission to inspect it")
                                 : DROP_FILE_LATER;
    if (!S_ISREG(facts->st_mode)) /* other types are not even opened, which may have side effects */
        return bad(wrong, "it is not a regular file");
    d->file = openat(folder, d->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (d->file < 0 && errno == ENOENT)
        return DROP_FILE_GONE;
    if (d->file < 0 && (errno == EACCES || errno == EPERM || errno == ELOOP))
        return bad(wrong, "the server has no permission to read it");
    if (d->file < 0 || fstat(d->file, facts) != 0)
        return DROP_FILE_LATER;
    if (!S_ISREG(facts->st_mode))
        return bad(wrong, "it is not a regular file");
    if (facts->st_nlink != 1)
        return bad(wrong, "it has another name elsewhere");
    d->uid = facts->st_uid;
    return DROP_FILE_FINE;
}

/* Reads as much of its beginning as the head needs. */
static enum drop_file_verdict read_head(struct drop_file *d, uint64_t size, const char **wrong)
{
    struct buffer text = {0};
    size_t used = 0;
    bool fine = false;
    for (size_t most = FIRST_LOOK; !fine; most = DROP_HEAD_MAX) {
        ssize_t count;
        while (text.length < most && (count = pread(d->file, buffer_reserve(&text, most - text.length),
                                                    most - text.length, (off_t)text.length)) > 0)
            buffer_written(&text, (size_t)count);
        arena_clear(&d->arena);
        fine = drop_head_parse(buffer_bytes(&text), &d->arena, &d->envelope, &used, wrong);
        if (most == DROP_HEAD_MAX || text.length < most)
            break;
    }
    buffer_free(&text);
    d->head = used;
    if (!fine)
        return DROP_FILE_BAD;
    return d->envelope.size == size - used
               ? DROP_FILE_FINE
               : bad(wrong, "it is not whole: its size is not what its head says");
}

static enum drop_file_verdict look(struct drop_file *d, int folder, const struct drop_file_limits *limits,
                                   const char **wrong)
{
    struct stat facts;
    enum drop_file_verdict verdict = open_file(d, folder, &facts, wrong);
    if (verdict != DROP_FILE_FINE)
        return verdict;
    if ((uint64_t)facts.st_size > limits->size_max + DROP_HEAD_MAX)
        return bad(wrong, "it is larger than limits.message_size");
    verdict = read_head(d, (uint64_t)facts.st_size, wrong);
    if (verdict == DROP_FILE_FINE && d->envelope.size > limits->size_max)
        return bad(wrong, "it is larger than limits.message_size");
    if (verdict == DROP_FILE_FINE && d->envelope.recipient_count > limits->recipients_max)
        return bad(wrong, "it has more recipients than limits.recipients");
    return verdict;
}

enum drop_file_verdict drop_file_open(struct drop_file *d, int folder, const char *name,
                                      const struct drop_file_limits *limits, const char **wrong)
{
    *d = (struct drop_file){.file = -1};
    snprintf(d->name, sizeof d->name, "%s", name);
    enum drop_file_verdict verdict = look(d, folder, limits, wrong);
    if (verdict != DROP_FILE_FINE)
        drop_file_close(d);
    return verdict;
}

void drop_file_close(struct drop_file *d)
{
    if (d->file >= 0)
        close(d->file);
    d->file = -1;
    arena_clear(&d->arena);
}

ssize_t drop_file_read(const struct drop_file *d, uint64_t at, char *room, size_t size)
{
    uint64_t left = d->envelope.size - at;
    size_t most = left < size ? (size_t)left : size;
    ssize_t count;
    do
        count = most == 0 ? 0 : pread(d->file, room, most, (off_t)(d->head + at));
    while (count < 0 && errno == EINTR);
    return count == 0 && most > 0 ? -1 : count; /* it was truncated meanwhile */
}
