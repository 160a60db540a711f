/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/write.h"

enum { OVERFLOW_UID = 65534, NGROUPS_TRIED = 256 };

/* ---- ownership ---- */

const char *folder_owner_name(uid_t uid)
{
    static char text[80];
    const struct passwd *user = getpwuid(uid);
    if (user == NULL)
        snprintf(text, sizeof text, "%u", (unsigned)uid);
    else
        snprintf(text, sizeof text, "%.60s (%u)", user->pw_name, (unsigned)uid);
    return text;
}

/* In a user namespace, files of users outside of it appear as nobody's; those users have full control here
 * anyway. */
static bool is_from_outside(uid_t uid)
{
    unsigned long first, outside, count;
    bool mapped = false;
    FILE *map = uid == OVERFLOW_UID ? fopen("/proc/self/uid_map", "re") : NULL;
    if (map == NULL)
        return false;
    while (!mapped && fscanf(map, "%lu %lu %lu", &first, &outside, &count) == 3)
        mapped = uid >= first && uid - first < count;
    fclose(map);
    return !mapped;
}

static bool is_trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid() || is_from_outside(uid);
}

static bool is_member(gid_t gid)
{
    gid_t groups[NGROUPS_TRIED];
    int count = getgroups(NGROUPS_TRIED, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == gid)
            return true;
    return gid == getegid();
}

/* True if the group has only this user as a member, as on systems with one group per user and umask 002,
 * or the nameless group of a container's volume. Not for root. */
static bool is_own_group(gid_t gid)
{
    const struct passwd *user = getpwuid(geteuid());
    char name[256] = "";
    bool primary = user != NULL && user->pw_gid == gid;
    if (geteuid() == 0 || !is_member(gid))
        return false;
    if (primary)
        snprintf(name, sizeof name, "%s", user->pw_name);
    const struct group *group = getgrgid(gid);
    if (group == NULL || !primary || strcmp(group->gr_name, name) != 0)
        return group == NULL;
    for (char **member = group->gr_mem; *member != NULL; member++)
        if (strcmp(*member, name) != 0)
            return false;
    return true;
}

/* True if an untrusted user can create names in it. */
static bool is_open_to_others(int descriptor, const struct stat *facts)
{
    char way[40];
    if ((facts->st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return false;
    /* access lists appear as rights of the group */
    snprintf(way, sizeof way, "/proc/self/fd/%d", descriptor);
    return (facts->st_mode & S_IWOTH) != 0 || !is_own_group(facts->st_gid) ||
           getxattr(way, "system.posix_acl_access", NULL, 0) > 0;
}

static bool refuse_owner(const char *path, uid_t uid, const char *what, struct error *error)
{
    const char *self = geteuid() == 0 ? "root" : "you or root";
    return error_set(error, EX_NOPERM,
                     "%s %s belongs to %s, not to %s, and that user could replace what is in it; chown %s "
                     "%s, or use another data_dir",
                     what, path, folder_owner_name(uid), self,
                     geteuid() == 0 ? "root" : "it to yourself:", path);
}

static bool refuse_rights(const char *path, const struct stat *facts, struct error *error)
{
    bool all = (facts->st_mode & S_IWOTH) != 0;
    return error_set(error, EX_NOPERM,
                     "the directory %s of %s can be written by %s, who could replace what is in it; chmod %s "
                     "%s, or use another data_dir",
                     path, folder_owner_name(facts->st_uid), all ? "every user" : "its group",
                     all ? "go-w" : "g-w", path);
}

/* ---- walking a path ---- */

/* The state of a path walk: the current folder and the remaining path. */
struct folder_walk {
    struct folder *folder;
    char rest[FOLDER_PATH_MAX];
    mode_t mode; /* 0: create nothing */
    enum folder_end end;
    bool partly; /* succeed at a missing folder */
    bool missing;
    unsigned links;
    size_t asked; /* octets at the end of `rest` from the path itself, not from a link */
    bool foreign; /* the current name comes from a link, whose target must exist */
};

static bool too_long(const char *path, struct error *error)
{
    return error_set(error, EX_CONFIG, "the path %.200s... is too long", path);
}

/* Copies the next name into `name`; "" at the end. */
static bool next_name(struct folder_walk *walk, char name[NAME_MAX + 1], struct error *error)
{
    const char *at = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(at, "/");
    if (length > NAME_MAX)
        return too_long(at, error);
    memcpy(name, at, length);
    name[length] = '\0';
    at += length;
    at += strspn(at, "/");
    memmove(walk->rest, at, strlen(at) + 1);
    return true;
}

/* Makes the opened folder the current one. */
static bool step_into(struct folder_walk *walk, int descriptor, const char *name, struct error *error)
{
    struct folder *folder = walk->folder;
    size_t length = strlen(folder->path);
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    folder->descriptor = descriptor;
    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(folder->path, '/');
        slash[slash == folder->path ? 1 : 0] = '\0';
        return true;
    }
    const char *between = length > 0 && folder->path[length - 1] == '/' ? "" : "/";
    return snprintf(folder->path + length, sizeof folder->path - length, "%s%s", between, name) <
               (int)(sizeof folder->path - length) ||
           too_long(folder->path, error);
}

static bool look_at(struct folder_walk *walk, struct error *error)
{
    struct folder *folder = walk->folder;
    struct stat facts;
    bool last = walk->rest[0] == '\0', any = last && walk->end == FOLDER_ANY;
    if (fstat(folder->descriptor, &facts) != 0)
        return error_set_errno(error, EX_OSERR, "cannot look at %s", folder->path);
    if (!any && !is_trusted(facts.st_uid))
        return refuse_owner(folder->path, facts.st_uid, "the directory", error);
    /* other users may add names, but remove only their own */
    bool sticky = !last && (facts.st_mode & S_ISVTX) != 0;
    if (!any && !sticky && is_open_to_others(folder->descriptor, &facts))
        return refuse_rights(folder->path, &facts, error);
    if ((facts.st_mode & S_IXOTH) == 0 && folder->closed[0] == '\0' && !any)
        memcpy(folder->closed, folder->path, sizeof folder->closed);
    return true;
}

static bool start_at_root(struct folder_walk *walk, struct error *error)
{
    int descriptor = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    walk->folder->path[0] = '\0';
    return (descriptor >= 0 || error_set_errno(error, EX_OSERR, "cannot open /")) &&
           step_into(walk, descriptor, "", error) && look_at(walk, error);
}

/* Follows a link that root or this user made. */
static bool follow(struct folder_walk *walk, int link, const char *name, const struct stat *facts,
                   struct error *error)
{
    char target[FOLDER_PATH_MAX], shown[FOLDER_PATH_MAX + NAME_MAX];
    ssize_t length = readlinkat(link, "", target, sizeof target - 1);
    snprintf(shown, sizeof shown, "%s%s%s", walk->folder->path, walk->folder->path[1] == '\0' ? "" : "/",
             name);
    close(link);
    if (!is_trusted(facts->st_uid))
        return refuse_owner(shown, facts->st_uid, "the symbolic link", error);
    if (length <= 0 || ++walk->links > FOLDER_LINKS_MAX)
        return error_set(error, EX_NOINPUT, "the symbolic link %s leads nowhere", shown);
    target[length] = '\0';
    size_t left = strlen(walk->rest);
    walk->asked = left < walk->asked ? left : walk->asked;
    if ((size_t)length + left + 2 > sizeof walk->rest)
        return too_long(target, error);
    memmove(walk->rest + length + 1, walk->rest, left + 1);
    memcpy(walk->rest, target, (size_t)length);
    walk->rest[length] = '/';
    return target[0] != '/' || start_at_root(walk, error);
}

/* Creates a folder with at least this mode, whatever the umask: under 077 the server's processes could not
 * enter the data directory. No other user can replace a name in `at`; an existing one is kept as it is. */
static bool make_folder(int at, const char *name, mode_t mode)
{
    struct stat facts;
    if (mkdirat(at, name, mode) != 0)
        return errno == EEXIST;
    int made = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool set = made >= 0 && fstat(made, &facts) == 0 &&
               ((facts.st_mode & mode) == mode || fchmod(made, (facts.st_mode & 07777) | mode) == 0);
    int why = errno;
    if (made >= 0)
        close(made);
    errno = why;
    return set;
}

/* Opens a name, and creates it if missing and requested; -1 with errno. */
static int take_name(struct folder_walk *walk, const char *name)
{
    const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    int at = walk->folder->descriptor, descriptor = openat(at, name, flags);
    if (descriptor >= 0 || errno != ENOENT || walk->mode == 0 || walk->foreign)
        return descriptor;
    return make_folder(at, name, walk->rest[0] == '\0' ? walk->mode : 0755) ? openat(at, name, flags) : -1;
}

static bool fail_name(struct folder_walk *walk, const char *name, struct error *error)
{
    const char *above = walk->folder->path, *between = above[1] == '\0' ? "" : "/";
    walk->missing = errno == ENOENT ||
                    (walk->partly && errno == EACCES); /* not visible: nothing is claimed about it */
    if (walk->missing && walk->partly)
        return false;
    if (walk->mode != 0 && !walk->foreign)
        return error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_CANTCREAT,
                               "cannot make the directory %s%s%s", above, between, name);
    return error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_NOINPUT,
                           "cannot open the directory %s%s%s", above, between, name);
}

static bool step(struct folder_walk *walk, const char *name, struct error *error)
{
    struct stat facts;
    int descriptor = take_name(walk, name);
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        fail_name(walk, name, error);
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    if (S_ISLNK(facts.st_mode))
        return follow(walk, descriptor, name, &facts, error);
    if (!S_ISDIR(facts.st_mode)) {
        close(descriptor);
        return error_set(error, EX_NOINPUT, "%s/%s is not a directory; move it away", walk->folder->path,
                         name);
    }
    return step_into(walk, descriptor, name, error) && look_at(walk, error);
}

/* Reopens a folder opened as a path for reading: its names can be listed and synced. */
static bool make_readable(struct folder *folder, struct error *error)
{
    int readable = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (readable < 0)
        return errno == EACCES ||
               error_set_errno(error, EX_NOINPUT, "cannot open the directory %s", folder->path);
    close(folder->descriptor);
    folder->descriptor = readable;
    return true;
}

static bool walk_on(struct folder_walk *walk, struct error *error)
{
    char name[NAME_MAX + 1];
    while (walk->rest[0] != '\0') {
        walk->foreign = strlen(walk->rest) > walk->asked;
        if (!next_name(walk, name, error))
            return false;
        if (name[0] == '\0' || strcmp(name, ".") == 0)
            continue;
        if (!step(walk, name, error))
            return false;
    }
    return make_readable(walk->folder, error);
}

static bool set_out(struct folder_walk *walk, const char *path, struct error *error)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length >= sizeof walk->rest)
        return too_long(path, error);
    memcpy(walk->rest, path, length);
    walk->rest[length] = '\0';
    walk->asked = length;
    return true;
}

static bool finish(struct folder_walk *walk, bool done)
{
    if (!done)
        folder_close(walk->folder);
    return done;
}

bool folder_open(struct folder *folder, const char *path, mode_t mode, enum folder_end end,
                 struct error *error)
{
    struct folder_walk walk = {.folder = folder, .mode = mode, .end = end};
    *folder = (struct folder){.descriptor = -1};
    return finish(&walk, set_out(&walk, path, error) && start_at_root(&walk, error) && walk_on(&walk, error));
}

bool folder_enter(struct folder *folder, const struct folder *outer, const char *path, mode_t mode,
                  enum folder_end end, struct error *error)
{
    struct folder_walk walk = {.folder = folder, .mode = mode, .end = end};
    *folder = *outer;
    folder->descriptor = openat(outer->descriptor, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->descriptor < 0)
        return error_set_errno(error, EX_NOINPUT, "cannot open the directory %s", outer->path);
    return finish(&walk, set_out(&walk, path, error) && walk_on(&walk, error));
}

bool folder_check(const char *path, struct error *error)
{
    struct folder folder = {.descriptor = -1};
    struct folder_walk walk = {.folder = &folder, .end = FOLDER_TRUSTED, .partly = true};
    bool fine = set_out(&walk, path, error) && start_at_root(&walk, error) && walk_on(&walk, error);
    folder_close(&folder);
    return fine || walk.missing;
}

void folder_close(struct folder *folder)
{
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    folder->descriptor = -1;
}

bool folder_sync(const struct folder *folder, struct error *error)
{
    return fsync(folder->descriptor) == 0 || errno == EINVAL || errno == EROFS ||
           error_set_errno(error, EX_IOERR, "cannot sync the directory %s", folder->path);
}

/* ---- files ---- */

int folder_file(int folder, const char *name, int flags)
{
    struct stat facts;
    int file = openat(folder, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0)
        return -1;
    int wrong = fstat(file, &facts) != 0  ? errno
                : !S_ISREG(facts.st_mode) ? EINVAL
                : facts.st_nlink > 1      ? EMLINK
                                          : 0;
    if (wrong == 0)
        return file;
    close(file);
    errno = wrong;
    return -1;
}

int folder_new_file(int folder, const char *name, mode_t mode)
{
    if (unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        return -1;
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file >= 0 && fchmod(file, mode) != 0) { /* whatever the umask */
        close(file);
        return -1;
    }
    return file;
}

bool folder_replace(const struct folder *folder, const char *name, struct bytes content, mode_t mode,
                    struct error *error)
{
    return folder_replace_for(folder, name, content, mode, geteuid(), (gid_t)-1, error);
}

bool folder_replace_for(const struct folder *folder, const char *name, struct bytes content, mode_t mode,
                        uid_t uid, gid_t gid, struct error *error)
{
    char fresh[NAME_MAX + 1];
    snprintf(fresh, sizeof fresh, "%.200s.new", name);
    int file = folder_new_file(folder->descriptor, fresh, mode);
    bool done = file >= 0 && write_all(file, content) && (uid == geteuid() || fchown(file, uid, gid) == 0) &&
                fsync(file) == 0 && renameat(folder->descriptor, fresh, folder->descriptor, name) == 0;
    if (!done)
        error_set_errno(error, file < 0 ? EX_CANTCREAT : EX_IOERR, "cannot write %s/%s", folder->path, name);
    if (file >= 0)
        close(file);
    return done && folder_sync(folder, error);
}

/* ---- removing ---- */

static void remove_below(int folder, const char *name, unsigned depth)
{
    if (unlinkat(folder, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || depth >= FOLDER_DEPTH_MAX)
        return;
    int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = inner < 0 ? NULL : fdopendir(inner);
    if (stream == NULL) {
        if (inner >= 0)
            close(inner);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_below(inner, entry->d_name, depth + 1);
    closedir(stream);
    unlinkat(folder, name, AT_REMOVEDIR);
}

void folder_remove(int folder, const char *name)
{
    remove_below(folder, name, 0);
}
