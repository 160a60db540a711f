/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "data_dir.h"

#include "tls.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static bool make_folder(const char *path, mode_t mode, struct error *error)
{
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_CANTCREAT, "cannot make the folder %s", path);
    return true;
}

/* mkdir -p: the folders above are made as anybody's are. */
static bool make_folders_above(char *path, struct error *error)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = make_folder(path, 0755, error);
        *slash = '/';
        if (!made)
            return false;
    }
    return make_folder(path, 0755, error);
}

/* True when its names are on disk, or when this kind of file system has no way to say so. */
static bool sync_folder(const char *path, bool *unreadable, struct error *error)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 && errno == EACCES) {
        *unreadable = true;
        return true;
    }
    bool synced = folder >= 0 && (fsync(folder) == 0 || errno == EINVAL || errno == EROFS);
    if (!synced)
        error_set_errno(error, EX_IOERR, "cannot sync the folder %s", path);
    if (folder >= 0)
        close(folder);
    return synced;
}

/* The names of all folders from the root to here must not vanish with the
 * power, and what is promised below with them. Also of those that were there
 * already: whoever made them may have ended before this. A folder above that
 * may not be read cannot be synced alone; then all of the file system is. */
static bool sync_names(char *path, struct error *error)
{
    bool unreadable = false, synced = sync_folder("/", &unreadable, error);
    for (char *slash = strchr(path + 1, '/'); synced && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        synced = sync_folder(path, &unreadable, error);
        *slash = '/';
    }
    synced = synced && sync_folder(path, &unreadable, error);
    if (synced && unreadable) {
        int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        synced = folder >= 0 && syncfs(folder) == 0;
        if (!synced)
            error_set_errno(error, EX_IOERR, "cannot sync the folder %s", path);
        if (folder >= 0)
            close(folder);
    }
    return synced;
}

bool data_dir_is_passable(const struct config *config, struct error *error)
{
    struct arena arena = {0};
    struct stat facts;
    char *path = arena_text(&arena, bytes_of_text(config->data_dir));
    bool passable = true;
    for (char *slash = strchr(path + 1, '/'); passable && geteuid() == 0; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (stat(path, &facts) == 0 && (facts.st_mode & S_IXOTH) == 0)
            passable = error_set(error, EX_NOPERM, "the server's processes cannot pass through %s: chmod o+x it, or keep data_dir elsewhere", path);
        if (slash == NULL)
            break;
        *slash = '/';
    }
    arena_clear(&arena);
    return passable;
}

/* The folder is its process's; that is on disk before anybody works in it. */
static bool give(const char *path, struct user user, struct error *error)
{
    struct stat facts;
    bool unreadable = false, given = lstat(path, &facts) == 0 && facts.st_uid == user.uid && facts.st_gid == user.gid;
    if (geteuid() != 0 || given)
        return true;
    if (chown(path, user.uid, user.gid) != 0)
        return error_set_errno(error, EX_OSERR, "cannot give %s to user %u", path, (unsigned)user.uid);
    return sync_folder(path, &unreadable, error);
}

static bool give_folder(struct arena *arena, const struct config *config, const char *name, enum process_role role, struct error *error)
{
    char *path = arena_format(arena, "%s/%s", config->data_dir, name);
    if (!make_folder(path, 0700, error))
        return false;
    if (geteuid() != 0 || role == PROCESS_SUPERVISOR)
        return true;
    if (!give(path, user_of(role, config->user), error))
        return false;
    return chmod(path, 0700) == 0 || error_set_errno(error, EX_OSERR, "cannot close %s to others", path);
}

/* Pickup opens it for everybody once it is there: see pickup_start(). */
static bool give_drop(struct arena *arena, const struct config *config, struct error *error)
{
    char *path = arena_format(arena, "%s/drop", config->data_dir);
    return make_folder(path, 0700, error) && give(path, user_of(PROCESS_PICKUP, config->user), error);
}

bool data_dir_prepare(const struct config *config, struct error *error)
{
    struct arena arena = {0};
    char *path = arena_text(&arena, bytes_of_text(config->data_dir));
    bool done = make_folders_above(path, error) &&
                give_folder(&arena, config, "queue", PROCESS_QUEUE, error) &&
                give_folder(&arena, config, "mail", PROCESS_LOCAL, error) &&
                give_drop(&arena, config, error) &&
                give_folder(&arena, config, "relay", PROCESS_RELAY, error) &&
                give_folder(&arena, config, "keys", PROCESS_SUPERVISOR, error) && sync_names(path, error);
    arena_clear(&arena);
    return done;
}

bool data_dir_certificate(struct config *config, bool *made, struct error *error)
{
    *made = false;
    if (config->tls.certificate != NULL)
        return true;
    char *folder = arena_format(&config->arena, "%s/keys/tls", config->data_dir);
    config->tls.certificate = arena_format(&config->arena, "%s/self-signed.pem", folder);
    config->tls.key = arena_format(&config->arena, "%s/self-signed.key", folder);
    if (access(config->tls.certificate, F_OK) == 0 && access(config->tls.key, F_OK) == 0)
        return true;
    bool unreadable = false;
    *made = make_folder(folder, 0700, error) && sync_folder(arena_format(&config->arena, "%s/keys", config->data_dir), &unreadable, error) &&
            tls_make_self_signed(config->hostname, config->tls.certificate, config->tls.key, error);
    return *made;
}
