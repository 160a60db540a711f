/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/chown_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* The folder that is traversed. */
struct chown_place {
    int folder;
    const char *path;
    unsigned depth;
};

static bool give_all(struct chown_tree *h, int folder, const char *path, unsigned depth, struct error *error);

/* O_PATH: opening has no side effect, even for a FIFO, a link or a device. */
static int look_at(int folder, const char *name, struct stat *facts)
{
    int descriptor = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor >= 0 && fstat(descriptor, facts) == 0)
        return descriptor;
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

static bool refuse(const struct chown_tree *h, const char *path, const char *why, struct error *error)
{
    char to[80];
    snprintf(to, sizeof to, "%s", folder_owner_name(h->to.uid));
    return error_set(error, EX_NOPERM,
                     "%s %s, and is not given to user %s; look at it, then remove it or chown it", path, why,
                     to);
}

/* Returns why the file is not changed; NULL if it may be. */
static const char *objection(const struct chown_tree *h, const struct stat *facts)
{
    static char text[120];
    if (facts->st_uid == h->from || facts->st_uid == h->to.uid)
        return S_ISBLK(facts->st_mode) || S_ISCHR(facts->st_mode) ? "is a device" : NULL;
    snprintf(text, sizeof text, "belongs to user %s", folder_owner_name(facts->st_uid));
    return text;
}

static bool give(struct chown_tree *h, int descriptor, const char *path, uid_t uid, struct error *error)
{
    h->count++;
    return fchownat(descriptor, "", uid, h->to.gid, AT_EMPTY_PATH) == 0 ||
           error_set_errno(error, EX_OSERR, "cannot give %s to user %u", path, (unsigned)h->to.uid);
}

/* In the drop directory files belong to their senders, and to pickup's group, which lets it read them. */
static bool give_dropped(struct chown_tree *h, int descriptor, const char *path, const struct stat *facts,
                         struct error *error)
{
    bool readable_by_group = S_ISREG(facts->st_mode) && facts->st_nlink == 1 &&
                             facts->st_gid == h->from_group && h->from_group != 0;
    return !readable_by_group ||
           give(h, descriptor, path, facts->st_uid == h->from ? h->to.uid : facts->st_uid, error);
}

static bool give_inner(struct chown_tree *h, int descriptor, const char *path, unsigned depth,
                       struct error *error)
{
    int inner = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (inner < 0)
        return error_set_errno(error, EX_OSERR, "cannot open the directory %s", path);
    return give_all(h, inner, path, depth + 1, error);
}

static bool give_name(struct chown_tree *h, const struct chown_place *place, const char *name,
                      struct error *error)
{
    struct stat facts;
    char path[FOLDER_PATH_MAX];
    int descriptor = look_at(place->folder, name, &facts);
    if (descriptor < 0)
        return errno == ENOENT || error_set_errno(error, EX_OSERR, "cannot look at %s/%s", place->path, name);
    snprintf(path, sizeof path, "%s/%s", place->path, name);
    const char *why = h->shared ? NULL : objection(h, &facts);
    bool done;
    if (h->shared)
        done = give_dropped(h, descriptor, path, &facts, error);
    else if (why != NULL)
        done = refuse(h, path, why, error);
    else
        done = (!S_ISDIR(facts.st_mode) || give_inner(h, descriptor, path, place->depth, error)) &&
               give(h, descriptor, path, h->to.uid, error);
    close(descriptor);
    return done;
}

/* True for folders that a file system creates in its root, where the top folder is a mount point. */
static bool is_of_file_system(const char *name, unsigned depth)
{
    return depth == 0 && strcmp(name, "lost+found") == 0;
}

/* Takes ownership of `folder`. */
static bool give_all(struct chown_tree *h, int folder, const char *path, unsigned depth, struct error *error)
{
    DIR *stream = depth > FOLDER_DEPTH_MAX ? NULL : fdopendir(folder);
    if (stream == NULL) {
        close(folder);
        return error_set(error, EX_OSERR, "cannot list the directory %.300s", path);
    }
    struct chown_place place = {folder, path, depth};
    bool done = true;
    for (const struct dirent *entry; done && (entry = readdir(stream)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_of_file_system(entry->d_name, depth))
            done = give_name(h, &place, entry->d_name, error);
    closedir(stream);
    return done;
}

bool chown_tree(struct chown_tree *h, const struct folder *top, struct error *error)
{
    int copy = openat(top->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0)
        return error_set_errno(error, EX_OSERR, "cannot open the directory %s", top->path);
    if (!give_all(h, copy, top->path, 0, error))
        return false;
    if (syncfs(top->descriptor) != 0)
        return error_set_errno(error, EX_IOERR, "cannot sync the directory %s", top->path);
    return give(h, top->descriptor, top->path, h->to.uid, error) && folder_sync(top, error);
}
