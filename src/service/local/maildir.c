/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/local/maildir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/message/received.h"
#include "core/queue/queue_id.h"
#include "core/smtp/address.h"
#include "io/clock.h"

enum { ROOM = 64 * 1024 };

void maildir_start(struct maildir *maildir, int folder, const char *hostname)
{
    *maildir = (struct maildir){.folder = folder, .hostname = hostname, .room = memory_new(ROOM)};
    maildir->entries = memory_new(MAILDIR_BATCH_MAX * sizeof *maildir->entries);
    whole_sync_start(&maildir->whole, folder);
}

void maildir_free(struct maildir *maildir)
{
    maildir_clear(maildir);
    free(maildir->entries);
    free(maildir->room);
}

/* ---- names ---- */

/* Encodes a folder name: no slash, no leading dot, and '%' only as an escape. */
static void add_name(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= 32 || c == 127 || c == '/' || c == '%' || (c == '.' && i == 0))
            buffer_add_format(out, "%%%02X", (unsigned)c);
        else
            buffer_add_octet(out, (char)c);
    }
}

/* "john doe" in quotes is a folder without them. */
static void add_local(struct buffer *out, struct bytes local)
{
    struct buffer plain = {0};
    address_unquoted_local(&plain, &(struct address){.local = local, .quoted = local.at[0] == '"'});
    add_name(out, buffer_bytes(&plain));
    buffer_free(&plain);
}

bool maildir_path(struct bytes address, char *room, size_t size)
{
    struct bytes local, domain;
    struct buffer path = {0};
    if (!address_split(address, &local, &domain) || local.length == 0 || domain.length == 0)
        return false;
    add_name(&path, domain);
    buffer_add_octet(&path, '/');
    add_local(&path, local);
    buffer_add_text(&path, "/Maildir");
    bool fits = path.length < size;
    if (fits)
        memcpy(room, buffer_text(&path), path.length + 1);
    buffer_free(&path);
    return fits;
}

bool maildir_is_plain(struct bytes address)
{
    struct bytes local, domain, path;
    char room[MAILDIR_PATH_MAX];
    if (!address_split(address, &local, &domain) || bytes_find(local, '@') != SIZE_MAX ||
        !maildir_path(address, room, sizeof room))
        return false;
    path = bytes_of_text(room);
    return path.length == local.length + domain.length + strlen("//Maildir") &&
           bytes_equal(bytes_first(bytes_from(path, domain.length + 1), local.length), local);
}

/* The same message to the same mailbox has the same name: see the header. Its name in "new" follows once
 * its size is known. */
static bool name_entry(struct maildir *maildir, const struct maildir_message *m, struct maildir_entry *entry)
{
    char mailbox[MAILDIR_PATH_MAX - 300];
    if (!maildir_path(m->address, mailbox, sizeof mailbox - MAILDIR_FOLDER_MAX - strlen("/.")))
        return false;
    entry->mailbox = strlen(mailbox);
    entry->in_folder = m->folder != NULL;
    if (m->folder != NULL)
        snprintf(mailbox + entry->mailbox, sizeof mailbox - entry->mailbox, "/.%.*s", MAILDIR_FOLDER_MAX,
                 m->folder);
    snprintf(entry->tmp, sizeof entry->tmp, "%s/tmp/%llu.P%ldQ%llu.%.200s", mailbox,
             (unsigned long long)(m->arrived_ms / 1000), (long)getpid(), (unsigned long long)++maildir->made,
             maildir->hostname);
    snprintf(entry->new, sizeof entry->new, "%s/new", mailbox);
    entry->new_folder = strlen(entry->new);
    return true;
}

static void name_new(const struct maildir *maildir, const struct maildir_message *m,
                     struct maildir_entry *entry)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1], mark[16] = "";
    queue_id_text(m->id, id);
    if (m->mark != 0)
        snprintf(mark, sizeof mark, "W%u", m->mark);
    entry->octets = maildir->octets;
    snprintf(entry->new + entry->new_folder, sizeof entry->new - entry->new_folder,
             "/%llu.M%uQ%s%s.%.200s,S=%llu", (unsigned long long)(m->arrived_ms / 1000),
             (unsigned)(m->arrived_ms % 1000), id, mark, maildir->hostname,
             (unsigned long long)entry->octets);
}

/* ---- folders ---- */

static int sync_folder(int at, const char *path)
{
    int folder = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return errno;
    int error = fsync(folder) == 0 ? 0 : errno;
    close(folder);
    return error;
}

/* Creates a folder, and syncs its parent: a mailbox must survive a power loss. Also if it exists: its
 * creator may have ended before that sync, or the sync may have failed. */
static int make_folder(int at, char *path)
{
    if (mkdirat(at, path, 0700) != 0 && errno != EEXIST)
        return errno;
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return sync_folder(at, ".");
    *slash = '\0';
    int error = sync_folder(at, path);
    *slash = '/';
    return error;
}

/* Creates the folders of a Maildir. "tmp" comes last: if it exists, the others are not checked. */
static int make_maildir(int at, char path[MAILDIR_PATH_MAX], size_t length)
{
    static const char *const names[] = {"", "/cur", "/new", "/tmp"};
    int error = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names) && error == 0; i++) {
        snprintf(path + length, MAILDIR_PATH_MAX - length, "%s", names[i]);
        error = make_folder(at, path);
    }
    path[length] = '\0';
    return error;
}

/* Maildir++: a folder of a mailbox has an empty file of this name. */
static int mark_folder(int at, char path[MAILDIR_PATH_MAX], size_t length)
{
    snprintf(path + length, MAILDIR_PATH_MAX - length, "/maildirfolder");
    int file = openat(at, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    path[length] = '\0';
    if (file < 0)
        return errno;
    close(file);
    return 0;
}

/* Creates all folders of "DOMAIN/USER/Maildir/new/...", and of a folder in it. */
static int make_mailbox(int at, const struct maildir_entry *entry)
{
    char path[MAILDIR_PATH_MAX];
    size_t length = entry->new_folder - strlen("/new");
    memcpy(path, entry->new, entry->mailbox);
    path[entry->mailbox] = '\0';
    int error = 0;
    for (char *slash = strchr(path, '/'); slash != NULL && error == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        error = make_folder(at, path);
        *slash = '/';
    }
    if (error == 0)
        error = make_maildir(at, path, entry->mailbox);
    if (error != 0 || !entry->in_folder)
        return error;
    memcpy(path, entry->new, length);
    path[length] = '\0';
    error = make_folder(at, path);
    if (error == 0)
        error = mark_folder(at, path, length);
    return error == 0 ? make_maildir(at, path, length) : error;
}

static int create(struct maildir *maildir, struct maildir_entry *entry)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    entry->file = openat(maildir->folder, entry->tmp, flags, 0600);
    if (entry->file >= 0)
        return 0;
    if (errno != ENOENT)
        return errno;
    int error = make_mailbox(maildir->folder, entry);
    if (error == 0)
        entry->file = openat(maildir->folder, entry->tmp, flags, 0600);
    return error != 0 ? error : entry->file >= 0 ? 0 : errno;
}

/* ---- contents ---- */

static int flush(struct maildir *maildir, int file)
{
    for (size_t done = 0; done < maildir->room_used;) {
        ssize_t written = write(file, maildir->room + done, maildir->room_used - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return errno == 0 ? EIO : errno;
        done += (size_t)written;
    }
    maildir->room_used = 0;
    return 0;
}

static int put(struct maildir *maildir, int file, struct bytes octets)
{
    maildir->octets += octets.length;
    while (octets.length > 0) {
        struct bytes part = bytes_first(octets, ROOM - maildir->room_used);
        memcpy(maildir->room + maildir->room_used, part.at, part.length);
        maildir->room_used += part.length;
        octets = bytes_from(octets, part.length);
        int error = maildir->room_used == ROOM ? flush(maildir, file) : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

/* Copies up to `room` octets of the run into `to`, converting CRLF to LF: returns the number written, and
 * consumes the input. The CR of a CRLF is dropped; one at the run's end is kept in *after_cr. Octet by
 * octet, so that short lines cost no more than long ones. */
static size_t copy_lines(char *to, size_t room, struct bytes *run, bool *after_cr)
{
    size_t made = 0, i = 0;
    bool cr = *after_cr;
    for (; i < run->length && made + 2 <= room; i++) {
        char c = run->at[i];
        if (cr && c != '\n')
            to[made++] = '\r'; /* a lone CR stays */
        cr = c == '\r';
        if (!cr)
            to[made++] = c;
    }
    *run = bytes_from(*run, i);
    *after_cr = cr;
    return made;
}

/* Converts CRLF to LF. `after_cr` carries over from one run to the next. */
static int put_lines(struct maildir *maildir, int file, struct bytes run, bool *after_cr)
{
    int error = 0;
    while (run.length > 0 && error == 0) {
        char *room = maildir->room + maildir->room_used;
        size_t made = copy_lines(room, ROOM - maildir->room_used, &run, after_cr);
        maildir->room_used += made;
        maildir->octets += made;
        if (run.length > 0) /* the buffer is full */
            error = flush(maildir, file);
    }
    return error;
}

static int put_file(struct maildir *maildir, int file, int from, bool *after_cr)
{
    char run[16 * 1024];
    for (off_t at = 0;;) {
        ssize_t count = pread(from, run, sizeof run, at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? 0 : errno;
        int error = put_lines(maildir, file, bytes_of(run, (size_t)count), after_cr);
        if (error != 0)
            return error;
        at += count;
    }
}

static int fill(struct maildir *maildir, const struct maildir_message *m, int file)
{
    struct buffer fields = {0};
    bool after_cr = false;
    received_add_delivery_fields(&fields, m->sender, m->original, m->address, "\n");
    maildir->room_used = 0;
    maildir->octets = 0;
    int error = put(maildir, file, buffer_bytes(&fields));
    buffer_free(&fields);
    if (error == 0)
        error = put_lines(maildir, file, m->prefix, &after_cr);
    if (error == 0)
        error = m->file >= 0 ? put_file(maildir, file, m->file, &after_cr)
                             : put_lines(maildir, file, m->content, &after_cr);
    if (error == 0 && after_cr)
        error = put(maildir, file, BYTES("\r"));
    return error != 0 ? error : flush(maildir, file);
}

/* ---- the batch ---- */

bool maildir_is_full(const struct maildir *maildir)
{
    return maildir->count == MAILDIR_BATCH_MAX;
}

size_t maildir_write(struct maildir *maildir, const struct maildir_message *message)
{
    assert(!maildir_is_full(maildir));
    struct maildir_entry *entry = &maildir->entries[maildir->count];
    entry->file = -1;
    entry->again = false;
    entry->error = name_entry(maildir, message, entry) ? create(maildir, entry) : EINVAL;
    if (entry->error == 0)
        entry->error = fill(maildir, message, entry->file);
    if (entry->error == 0)
        name_new(maildir, message, entry);
    entry->is_covered = entry->error == 0 && whole_sync_covers(&maildir->whole, entry->file);
    return maildir->count++;
}

bool maildir_has(const struct maildir *maildir, const struct maildir_entry *entry)
{
    return faccessat(maildir->folder, entry->new, F_OK, 0) == 0;
}

void maildir_refuse(struct maildir_entry *entry, int error)
{
    assert(entry->error == 0 && error != 0);
    entry->error = error;
}

static int move(int at, struct maildir_entry *entry)
{
    if (renameat2(at, entry->tmp, at, entry->new, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL) { /* the file system does not support this rename */
        if (linkat(at, entry->tmp, at, entry->new, 0) == 0)
            return unlinkat(at, entry->tmp, 0) == 0 ? 0 : errno;
    }
    if (errno != EEXIST)
        return errno;
    /* It exists from an earlier attempt; if its sync failed then, no later sync reports that. This file
     * replaces it. */
    entry->again = true;
    return renameat(at, entry->tmp, at, entry->new) == 0 ? 0 : errno;
}

static bool same_folder(const struct maildir_entry *a, const struct maildir_entry *b)
{
    return a->new_folder == b->new_folder && memcmp(a->new, b->new, a->new_folder) == 0;
}

/* Syncs the folder of an entry; the result applies to all entries there. */
static void sync_new_folder(struct maildir *maildir, size_t at, bool synced[MAILDIR_BATCH_MAX])
{
    struct maildir_entry *first = &maildir->entries[at];
    char path[MAILDIR_PATH_MAX];
    memcpy(path, first->new, first->new_folder);
    path[first->new_folder] = '\0';
    int error = sync_folder(maildir->folder, path);
    for (size_t i = at; i < maildir->count; i++)
        if (maildir->entries[i].error == 0 && same_folder(first, &maildir->entries[i])) {
            synced[i] = true;
            maildir->entries[i].error = error;
        }
}

static void sync_new_folders(struct maildir *maildir, bool together)
{
    bool synced[MAILDIR_BATCH_MAX] = {false};
    for (size_t i = 0; i < maildir->count; i++)
        synced[i] = maildir->entries[i].error != 0 || (together && maildir->entries[i].is_covered);
    for (size_t i = 0; i < maildir->count; i++)
        if (!synced[i])
            sync_new_folder(maildir, i, synced);
}

/* Syncs the files that no sync of the whole has synced. */
static void sync_files(struct maildir *maildir, bool together)
{
    for (size_t i = 0; i < maildir->count && maildir->count > 1; i++) { /* all begin before one is waited for
                                                                         */
        struct maildir_entry *entry = &maildir->entries[i];
        if (entry->error == 0 && !(together && entry->is_covered))
            sync_file_range(entry->file, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    for (size_t i = 0; i < maildir->count; i++) {
        struct maildir_entry *entry = &maildir->entries[i];
        if (entry->error == 0 && !(together && entry->is_covered) && fdatasync(entry->file) != 0)
            entry->error = errno;
    }
}

static void move_files(struct maildir *maildir)
{
    for (size_t i = 0; i < maildir->count; i++) {
        struct maildir_entry *entry = &maildir->entries[i];
        if (entry->file >= 0)
            close(entry->file);
        if (entry->error == 0)
            entry->error = move(maildir->folder, entry);
        else if (entry->file >= 0)
            unlinkat(maildir->folder, entry->tmp, 0);
        entry->file = -1;
    }
}

/* True if more than one entry is covered, and all that was written is on disk. */
static bool sync_together(struct maildir *maildir)
{
    size_t covered = 0;
    for (size_t i = 0; i < maildir->count; i++)
        covered += maildir->entries[i].error == 0 && maildir->entries[i].is_covered;
    return covered > 1 && whole_sync_may_run(&maildir->whole, clock_now_ms()) &&
           whole_sync_run(&maildir->whole) == 0;
}

/* True if the covered entries are in more than one folder. */
static bool has_several_folders(const struct maildir *maildir)
{
    const struct maildir_entry *first = NULL;
    for (size_t i = 0; i < maildir->count; i++) {
        const struct maildir_entry *entry = &maildir->entries[i];
        if (entry->error != 0 || !entry->is_covered)
            continue;
        if (first != NULL && !same_folder(first, entry))
            return true;
        first = entry;
    }
    return false;
}

void maildir_sync(struct maildir *maildir)
{
    sync_files(maildir, sync_together(maildir));
    move_files(maildir);
    sync_new_folders(maildir, has_several_folders(maildir) && sync_together(maildir));
}

void maildir_clear(struct maildir *maildir)
{
    for (size_t i = 0; i < maildir->count; i++)
        if (maildir->entries[i].file >= 0)
            close(maildir->entries[i].file);
    maildir->count = 0;
}
