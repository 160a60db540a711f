/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/sendmail/drop_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/message/drop.h"
#include "io/clock.h"
#include "io/folder.h"
#include "io/random.h"
#include "io/write.h"

enum { NAME_MAX_HERE = 64, RUN_MAX = 64 * 1024 };

/* One file: as many recipients as the server accepts at once. */
struct drop_part {
    char temporary[NAME_MAX_HERE], final[NAME_MAX_HERE];
    int file;
    bool moved;
};

struct drop_writer {
    const struct local_server *server;
    struct outgoing_message *message;
    int folder;
    struct drop_part *parts;
    size_t count;
};

/* Names increase with time, and are unpredictable. */
static void name_part(struct drop_part *part)
{
    uint64_t random[2];
    random_fill(random, sizeof random);
    snprintf(part->final, sizeof part->final, "%014llx-%016llx%016llx", (unsigned long long)clock_epoch_us(),
             (unsigned long long)random[0], (unsigned long long)random[1]);
    snprintf(part->temporary, sizeof part->temporary, ".%s", part->final);
}

static bool put_message(struct drop_writer *d, int file)
{
    char run[RUN_MAX];
    uint64_t told = 0;
    rewind(d->message->file);
    for (size_t count; (count = fread(run, 1, sizeof run, d->message->file)) > 0; told += count)
        if (!write_all(file, bytes_of(run, count)))
            return false;
    return told == d->message->size;
}

/* The group gives the server access. */
static bool is_for_server(const struct drop_writer *d, int file, struct error *error)
{
    struct stat folder, made;
    if (fchmod(file, 0640) != 0 || fstat(d->folder, &folder) != 0 || fstat(file, &made) != 0)
        return error_set_errno(error, EX_TEMPFAIL, "cannot write into the drop directory %s",
                               d->server->drop);
    if (folder.st_uid == 0) /* pickup never runs as root: it could not read files of this folder */
        return error_set(error, EX_TEMPFAIL,
                         "the drop directory %s does not belong to the server yet; start it: mailboat serve",
                         d->server->drop);
    return made.st_gid == folder.st_gid || made.st_uid == folder.st_uid ||
           error_set(error, EX_TEMPFAIL,
                     "files in the drop directory %s do not inherit its group; use a file system that "
                     "supports setgid directories",
                     d->server->drop);
}

static bool write_part(struct drop_writer *d, struct drop_part *part, const struct envelope *envelope,
                       struct error *error)
{
    struct buffer head = {0};
    name_part(part);
    part->file = openat(d->folder, part->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        0640);
    if (part->file < 0)
        return error_set_errno(error, EX_TEMPFAIL, "cannot put the message into the drop directory %s",
                               d->server->drop);
    if (!is_for_server(d, part->file, error))
        return false;
    drop_head_add(&head, envelope);
    bool done = write_all(part->file, buffer_bytes(&head)) && put_message(d, part->file) &&
                fsync(part->file) == 0;
    buffer_free(&head);
    return done || error_set_errno(error, EX_TEMPFAIL, "cannot write the message into the drop directory %s",
                                   d->server->drop);
}

/* Syncs new names. Without read access to the folder, syncs its whole file system. */
static bool sync_names(const struct drop_writer *d)
{
    int readable = openat(d->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (readable < 0)
        return syncfs(d->parts[0].file) == 0;
    bool done = fsync(readable) == 0;
    close(readable);
    return done;
}

static bool move_parts(struct drop_writer *d, struct error *error)
{
    for (size_t i = 0; i < d->count; i++) {
        if (renameat(d->folder, d->parts[i].temporary, d->folder, d->parts[i].final) != 0)
            return error_set_errno(error, EX_TEMPFAIL, "cannot put the message into the drop directory %s",
                                   d->server->drop);
        d->parts[i].moved = true;
    }
    return sync_names(d) ||
           error_set_errno(error, EX_TEMPFAIL, "cannot sync the drop directory %s", d->server->drop);
}

static bool write_parts(struct drop_writer *d, const struct envelope *envelope, struct error *error)
{
    size_t most = d->server->recipients_max < DROP_RECIPIENTS_MAX ? d->server->recipients_max
                                                                  : DROP_RECIPIENTS_MAX;
    d->parts = memory_new((envelope->recipient_count / most + 1) * sizeof *d->parts);
    for (size_t first = 0; first < envelope->recipient_count; first += most) {
        struct envelope some = *envelope;
        size_t left = envelope->recipient_count - first;
        some.recipients += first;
        some.recipient_count = left < most ? left : most;
        some.size = d->message->size;
        if (!write_part(d, &d->parts[d->count++], &some, error))
            return false;
    }
    return true;
}

static void end_parts(struct drop_writer *d, bool done)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->parts[i].file >= 0)
            close(d->parts[i].file);
        if (!done && d->parts[i].file >= 0)
            unlinkat(d->folder, d->parts[i].moved ? d->parts[i].final : d->parts[i].temporary, 0);
    }
    free(d->parts);
}

/* Opens safely: root must not follow a link of another user. */
static int open_drop(const char *path, struct error *error)
{
    struct folder folder;
    if (geteuid() == 0)
        return folder_open(&folder, path, 0, FOLDER_ANY, error) ? folder.descriptor : -1;
    int descriptor = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        error_set_errno(error, EX_TEMPFAIL, "cannot open %s", path);
    return descriptor;
}

bool drop_writer_put(const struct local_server *server, struct outgoing_message *message,
                     const struct envelope *envelope, struct error *error)
{
    struct drop_writer d = {.server = server, .message = message};
    d.folder = open_drop(server->drop, error);
    if (d.folder < 0 && error->exit_code == EX_NOPERM)
        return false;
    if (d.folder < 0)
        return error_set(error, EX_TEMPFAIL,
                         "the server on this machine is not running, and the drop directory %s is missing "
                         "(%s); start it: mailboat serve",
                         server->drop, strerror(error->number));
    bool done = write_parts(&d, envelope, error) && move_parts(&d, error);
    end_parts(&d, done);
    close(d.folder);
    return done;
}
