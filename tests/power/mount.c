/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount FOLDER: shows a disk (sqlite_internal.h) to the kernel there, by FUSE.
 *
 * It is told and tells by lines:
 *   die N        after N more operations (changes and syncs); 0: it lives on.
 *                It says "dead" when it comes to that: nobody gets an answer
 *                any more, not even whoever asked for the last operation.
 *   cut          the disk is torn out: whoever has files open here gets
 *                errors. It says "cut".
 *   lose SEED    then: what is left of it is there again, after a line "again
 *                PATH" for each name that was removed and is back, and "back"
 *                with the losses.
 *   lie N        from now on, as enum disk_lie says
 *   count        "count N": operations so far
 * "ready" is the first line. The end of its input is its end.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 34
#include <errno.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "disk.h"

enum { LINE_ROOM = 256, BLOCK = 4096 };

static const double KEPT_S = 86400; /* what the kernel knows stays true: nobody else changes it */
static struct disk disk;

static struct disk_node *node_of(fuse_ino_t number)
{
    return disk_node(&disk, number);
}

static struct stat facts_of(const struct disk_node *node)
{
    return (struct stat){.st_ino = node->number,
                         .st_mode = node->now.mode,
                         .st_nlink = S_ISDIR(node->now.mode) ? 2 : node->names,
                         .st_uid = node->now.uid,
                         .st_gid = node->now.gid,
                         .st_size = (off_t)node->content.length,
                         .st_blksize = BLOCK,
                         .st_blocks = (blkcnt_t)((node->content.length + DISK_SECTOR - 1) / DISK_SECTOR),
                         .st_atim = node->changed,
                         .st_mtim = node->changed,
                         .st_ctim = node->changed};
}

static struct fuse_entry_param entry_of(struct disk_node *node)
{
    node->held++; /* until the kernel forgets it */
    return (struct fuse_entry_param){
        .ino = node->number, .attr = facts_of(node), .attr_timeout = KEPT_S, .entry_timeout = KEPT_S};
}

/* ---- questions ---- */

static void look_up(fuse_req_t request, fuse_ino_t folder, const char *name)
{
    struct disk_node *node = disk_find(node_of(folder), name);
    if (node == NULL) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    struct fuse_entry_param entry = entry_of(node);
    fuse_reply_entry(request, &entry);
}

static void forget(fuse_req_t request, fuse_ino_t number, uint64_t times)
{
    if (number != DISK_ROOT)
        disk_forget(&disk, node_of(number), times);
    fuse_reply_none(request);
}

static void get_facts(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    struct stat facts = facts_of(node_of(number));
    fuse_reply_attr(request, &facts, KEPT_S);
}

static void open_file(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    file->keep_cache = 1;
    fuse_reply_open(request, file);
}

static void read_file(fuse_req_t request, fuse_ino_t number, size_t count, off_t at,
                      struct fuse_file_info *file)
{
    struct bytes content = buffer_bytes(&node_of(number)->content);
    struct bytes part = (uint64_t)at < content.length ? bytes_first(bytes_from(content, (size_t)at), count)
                                                      : bytes_none();
    fuse_reply_buf(request, part.at, part.length);
}

/* The names of a folder as they were when it was opened. */
static void open_folder(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    struct buffer *listing = memory_new(sizeof *listing);
    struct bytes key;
    void *value;
    for (size_t at = 0; map_next(&node_of(number)->children, &at, &key, &value);) {
        const struct disk_node *node = value;
        char name[NAME_MAX + 1] = "";
        memcpy(name, key.at, key.length);
        struct stat facts = {.st_ino = node->number, .st_mode = node->now.mode};
        size_t size = fuse_add_direntry(request, NULL, 0, name, NULL, 0);
        char *room = buffer_reserve(listing, size);
        fuse_add_direntry(request, room, size, name, &facts, (off_t)(listing->length + size));
        buffer_written(listing, size);
    }
    file->fh = (uint64_t)(uintptr_t)listing;
    if (fuse_reply_open(request, file) != 0) {
        buffer_free(listing);
        free(listing);
    }
}

/* Whole entries only: the first octets of each say how long it is. */
static void read_folder(fuse_req_t request, fuse_ino_t number, size_t count, off_t at,
                        struct fuse_file_info *file)
{
    const struct buffer *listing = (const struct buffer *)(uintptr_t)file->fh;
    struct bytes rest = (uint64_t)at < listing->length ? bytes_from(buffer_bytes(listing), (size_t)at)
                                                       : bytes_none();
    size_t fits = 0;
    while (fits < rest.length) {
        uint32_t name_length;
        memcpy(&name_length, rest.at + fits + 16, sizeof name_length); /* struct fuse_dirent of the kernel */
        size_t size = (24 + name_length + 7) & ~(size_t)7;
        if (fits + size > count)
            break;
        fits += size;
    }
    fuse_reply_buf(request, rest.at, fits);
}

static void close_folder(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    struct buffer *listing = (struct buffer *)(uintptr_t)file->fh;
    buffer_free(listing);
    free(listing);
    fuse_reply_err(request, 0);
}

static void answer_statfs(fuse_req_t request, fuse_ino_t number)
{
    const struct statvfs room = {.f_bsize = BLOCK,
                                 .f_frsize = BLOCK,
                                 .f_blocks = 1 << 24,
                                 .f_bfree = 1 << 24,
                                 .f_bavail = 1 << 24,
                                 .f_files = 1 << 24,
                                 .f_ffree = 1 << 24,
                                 .f_favail = 1 << 24,
                                 .f_namemax = NAME_MAX};
    fuse_reply_statfs(request, &room);
}

/* ---- changes: made, and told if the disk has survived ---- */

static void done(fuse_req_t request, int error)
{
    if (!disk.dead)
        fuse_reply_err(request, error);
}

static void reply_node(fuse_req_t request, struct disk_node *node, struct fuse_file_info *file)
{
    if (disk.dead)
        return;
    struct fuse_entry_param entry = entry_of(node);
    if (file != NULL) {
        file->keep_cache = 1;
        fuse_reply_create(request, &entry, file);
    } else {
        fuse_reply_entry(request, &entry);
    }
}

static void set_facts(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int which,
                      struct fuse_file_info *file)
{
    struct disk_node *node = node_of(number);
    disk_survives(&disk);
    if ((which & FUSE_SET_ATTR_MODE) != 0)
        node->now.mode = wanted->st_mode;
    if ((which & FUSE_SET_ATTR_UID) != 0)
        node->now.uid = wanted->st_uid;
    if ((which & FUSE_SET_ATTR_GID) != 0)
        node->now.gid = wanted->st_gid;
    if ((which & FUSE_SET_ATTR_SIZE) != 0)
        disk_resize(node, (uint64_t)wanted->st_size);
    if ((which & FUSE_SET_ATTR_MTIME) != 0)
        node->changed = wanted->st_mtim;
    struct stat facts = facts_of(node);
    if (!disk.dead)
        fuse_reply_attr(request, &facts, KEPT_S);
}

static void make(fuse_req_t request, fuse_ino_t folder, const char *name, mode_t mode,
                 struct fuse_file_info *file)
{
    const struct fuse_ctx *caller = fuse_req_ctx(request);
    if (disk_find(node_of(folder), name) != NULL || strlen(name) > NAME_MAX) {
        fuse_reply_err(request, strlen(name) > NAME_MAX ? ENAMETOOLONG : EEXIST);
        return;
    }
    disk_survives(&disk);
    reply_node(request,
               disk_make(&disk, node_of(folder), name, (struct disk_facts){mode, caller->uid, caller->gid}),
               file);
}

static void make_file(fuse_req_t request, fuse_ino_t folder, const char *name, mode_t mode,
                      struct fuse_file_info *file)
{
    make(request, folder, name, S_IFREG | (mode & 07777), file);
}

static void make_node(fuse_req_t request, fuse_ino_t folder, const char *name, mode_t mode, dev_t device)
{
    make(request, folder, name, mode, NULL);
}

static void make_folder(fuse_req_t request, fuse_ino_t folder, const char *name, mode_t mode)
{
    make(request, folder, name, S_IFDIR | (mode & 07777), NULL);
}

static void link_file(fuse_req_t request, fuse_ino_t number, fuse_ino_t folder, const char *name)
{
    if (disk_find(node_of(folder), name) != NULL) {
        fuse_reply_err(request, EEXIST);
        return;
    }
    disk_survives(&disk);
    disk_link(&disk, node_of(number), node_of(folder), name);
    reply_node(request, node_of(number), NULL);
}

static void remove_name(fuse_req_t request, fuse_ino_t folder, const char *name)
{
    struct disk_node *node = disk_find(node_of(folder), name);
    if (node == NULL || node->children.count > 0) {
        fuse_reply_err(request, node == NULL ? ENOENT : ENOTEMPTY);
        return;
    }
    disk_survives(&disk);
    disk_unlink(&disk, node_of(folder), name);
    done(request, 0);
}

/* Moving folders and exchanging names are not needed. */
static void rename_file(fuse_req_t request, fuse_ino_t from, const char *old, fuse_ino_t to, const char *new,
                        unsigned flags)
{
    struct disk_node *node = disk_find(node_of(from), old), *there = disk_find(node_of(to), new);
    int error = node == NULL                                                             ? ENOENT
                : S_ISDIR(node->now.mode) || (there != NULL && S_ISDIR(there->now.mode)) ? EPERM
                                                                                         : 0;
    if (error == 0 && (flags & ~(unsigned)RENAME_NOREPLACE) != 0)
        error = EINVAL;
    if (error == 0 && there != NULL && (flags & RENAME_NOREPLACE) != 0)
        error = EEXIST;
    if (error != 0 || there == node) {
        fuse_reply_err(request, error);
        return;
    }
    disk_survives(&disk);
    disk_rename(&disk, node_of(from), old, node_of(to), new);
    done(request, 0);
}

static void write_file(fuse_req_t request, fuse_ino_t number, const char *octets, size_t count, off_t at,
                       struct fuse_file_info *file)
{
    disk_survives(&disk);
    disk_write(node_of(number), (uint64_t)at, bytes_of(octets, count));
    if (!disk.dead)
        fuse_reply_write(request, count);
}

/* Syncs a file or a folder. If the disk dies in it, it was not done. */
static void sync_node(fuse_req_t request, fuse_ino_t number, int data_only, struct fuse_file_info *file)
{
    if (!disk_survives(&disk))
        return;
    disk_sync(&disk, node_of(number), data_only != 0);
    fuse_reply_err(request, 0);
}

static void begin(void *owner, struct fuse_conn_info *connection)
{
    connection->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC; /* a new size is a change like others */
}

static const struct fuse_lowlevel_ops operations = {
    .init = begin,
    .lookup = look_up,
    .forget = forget,
    .getattr = get_facts,
    .setattr = set_facts,
    .mknod = make_node,
    .mkdir = make_folder,
    .unlink = remove_name,
    .rmdir = remove_name,
    .rename = rename_file,
    .link = link_file,
    .open = open_file,
    .read = read_file,
    .write = write_file,
    .fsync = sync_node,
    .opendir = open_folder,
    .readdir = read_folder,
    .releasedir = close_folder,
    .fsyncdir = sync_node,
    .statfs = answer_statfs,
    .create = make_file,
};

/* ---- the kernel's side ---- */

static struct fuse_session *mount_at(const char *folder)
{
    char *words[] = {"disk", "-o",
                     geteuid() == 0 ? "fsname=forgetful,default_permissions,allow_other"
                                    : "fsname=forgetful,default_permissions"};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    fuse_opt_free_args(&arguments);
    if (session != NULL && fuse_session_mount(session, folder) == 0)
        return session;
    fprintf(stderr, "cannot mount at %s: this needs /dev/fuse, and root or fusermount3\n", folder);
    exit(1);
}

/* Operations in progress fail. */
static void unmount(struct fuse_session **session)
{
    if (*session == NULL)
        return;
    fuse_session_unmount(*session);
    fuse_session_destroy(*session);
    *session = NULL;
}

static void serve_one(struct fuse_session *session)
{
    static struct fuse_buf request;
    if (fuse_session_receive_buf(session, &request) > 0)
        fuse_session_process_buf(session, &request);
    if (disk.dead)
        puts("dead");
}

/* ---- lines ---- */

static void lose(struct fuse_session **session, const char *folder, uint64_t seed)
{
    unmount(session);
    disk_lose_power(&disk, seed);
    const struct disk_losses *l = &disk.losses;
    for (struct bytes rest = buffer_bytes(&disk.back); rest.length > 0;) {
        struct bytes line = bytes_split(&rest, '\n');
        printf("again %.*s\n", (int)line.length, line.at);
    }
    *session = mount_at(folder);
    printf("back names_kept=%llu names_lost=%llu sectors_kept=%llu sectors_lost=%llu\n",
           (unsigned long long)l->names_kept, (unsigned long long)l->names_lost,
           (unsigned long long)l->sectors_kept, (unsigned long long)l->sectors_lost);
}

static void obey(struct fuse_session **session, const char *folder, const char *line)
{
    unsigned long long number;
    if (sscanf(line, "die %llu", &number) == 1)
        disk.operations_left = number;
    else if (sscanf(line, "lose %llu", &number) == 1)
        lose(session, folder, number);
    else if (sscanf(line, "lie %llu", &number) == 1)
        disk.lies = (unsigned)number;
    else if (strcmp(line, "cut\n") == 0) {
        unmount(session);
        puts("cut");
    } else
        printf("count %llu\n", (unsigned long long)disk.operations);
}

int main(int count, char **words)
{
    char line[LINE_ROOM];
    if (count != 2)
        return 64;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0); /* poll() shall know what is unread */
    disk_start(&disk);
    struct fuse_session *session = mount_at(words[1]);
    puts("ready");
    for (;;) {
        struct pollfd from[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = session == NULL || disk.dead ? -1 : fuse_session_fd(session), .events = POLLIN}};
        if (poll(from, 2, -1) < 0)
            continue;
        if (from[1].revents != 0)
            serve_one(session);
        if (from[0].revents == 0)
            continue;
        if (fgets(line, sizeof line, stdin) == NULL)
            break;
        obey(&session, words[1], line);
    }
    unmount(&session);
    return 0;
}
