/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/log.h"
#include "io/tls.h"
#include "run/chown_tree.h"

/* A folder and its service; the folders of the starting user have none. */
struct data_dir_room {
    const char *name;
    const struct service *service; /* NULL: the starting user */
    bool is_shown;                 /* readable by the group of service->shown_to */
};
static const struct data_dir_room keys = {"keys", NULL, false};

enum { DATA_MODE = 0755, ROOM_MODE = 0700, SHOWN_ROOM_MODE = 0750 };

/* An open folder and its state. */
struct data_dir_view {
    struct data_dir_room room;
    struct folder folder;
    struct stat facts;
    struct process_user user; /* user of its service */
};

enum data_dir_owner {
    OWNER_RIGHT,
    OWNER_NONE,   /* root's and new: just created, or created before a power failure */
    OWNER_FORMER, /* the numeric fallback id of the user */
    OWNER_OTHER,
};

/* ---- inspection ---- */

static bool is_starters(const struct data_dir_view *view)
{
    return view->room.service == NULL;
}

static bool is_shared(const struct data_dir_view *view)
{
    return !is_starters(view) && view->room.service->folder_is_shared;
}

static mode_t mode_of(const struct data_dir_room *room)
{
    return room->is_shown ? SHOWN_ROOM_MODE : ROOM_MODE;
}

bool data_dir_open(struct folder *data, const struct config *config, struct error *error)
{
    return folder_open(data, config->data_dir, DATA_MODE, FOLDER_TRUSTED, error);
}

static bool view_open(struct data_dir_view *view, const struct folder *data, const struct data_dir_room *room,
                      const struct config *config, struct error *error)
{
    bool own = room->service == NULL;
    view->room = *room;
    view->user = own ? (struct process_user){geteuid(), getegid(), true}
                     : users_of(room->service->role, config->user);
    if (room->is_shown)
        view->user.gid = users_of(room->service->shown_to, config->user).gid;
    if (!folder_enter(&view->folder, data, room->name, mode_of(room), own ? FOLDER_TRUSTED : FOLDER_ANY,
                      error))
        return false;
    if (fstat(view->folder.descriptor, &view->facts) == 0)
        return true;
    folder_close(&view->folder);
    return error_set_errno(error, EX_OSERR, "cannot look at %s", view->folder.path);
}

/* True if empty, except for entries that a file system creates in its root, if this is a mount point. */
static bool is_empty(const struct folder *folder)
{
    static const char *const ignored[] = {".", "..", "lost+found"};
    int copy = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    bool empty = stream != NULL;
    for (const struct dirent *entry; empty && (entry = readdir(stream)) != NULL;) {
        empty = false;
        for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
            empty = empty || strcmp(entry->d_name, ignored[i]) == 0;
    }
    if (stream != NULL)
        closedir(stream);
    return empty;
}

static enum data_dir_owner owner_of(const struct data_dir_view *view)
{
    uid_t uid = view->facts.st_uid;
    if (uid == view->user.uid || is_starters(view))
        return OWNER_RIGHT;
    if (geteuid() != 0)
        return OWNER_OTHER;
    /* dropped files keep their owner, and shown files are rewritten */
    if (uid == 0 && (is_shared(view) || view->room.is_shown || is_empty(&view->folder)))
        return OWNER_NONE;
    return users_is_fallback(uid, view->room.service->role) ? OWNER_FORMER : OWNER_OTHER;
}

static bool refuse(const struct data_dir_view *view, struct error *error)
{
    struct arena arena = {0};
    const char *is = arena_text(&arena, bytes_of_text(folder_owner_name(view->facts.st_uid)));
    error_set(error, EX_NOPERM,
              "the directory %s belongs to user %s, not to %s; stop the server, then: chown -R %u:%u %s",
              view->folder.path, is, folder_owner_name(view->user.uid), (unsigned)view->user.uid,
              (unsigned)view->user.gid, view->folder.path);
    arena_clear(&arena);
    return false;
}

/* ---- per folder ---- */

typedef bool visitor(struct data_dir_view *view, struct error *error);

/* Without `make`, skips a missing one. */
static bool visit_room(const struct folder *data, const struct data_dir_room *room,
                       const struct config *config, bool make, visitor *visit, struct error *error)
{
    struct data_dir_view view;
    if (!make && faccessat(data->descriptor, room->name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (!view_open(&view, data, room, config, error))
        return false;
    bool done = visit(&view, error);
    folder_close(&view.folder);
    return done;
}

static bool visit_rooms(const struct folder *data, const struct config *config, service_list *services,
                        bool make, visitor *visit, struct error *error)
{
    for (service_list *at = services; *at != NULL; at++) {
        const struct data_dir_room room = {(*at)->folder, *at, false};
        const struct data_dir_room shown = {(*at)->shown_folder, *at, true};
        if ((room.name != NULL && !visit_room(data, &room, config, make, visit, error)) ||
            (shown.name != NULL && !visit_room(data, &shown, config, make, visit, error)))
            return false;
    }
    return visit_room(data, &keys, config, make, visit, error);
}

/* Sets owner and mode of a new folder, synced before a process uses it. */
static bool settle(struct data_dir_view *view, struct error *error)
{
    enum data_dir_owner owner = owner_of(view);
    const struct process_user *user = &view->user;
    if (geteuid() != 0 || is_starters(view) || owner == OWNER_FORMER || owner == OWNER_OTHER)
        return true;
    bool given = owner == OWNER_RIGHT && view->facts.st_gid == user->gid;
    if (!given && fchown(view->folder.descriptor, user->uid, user->gid) != 0)
        return error_set_errno(error, EX_OSERR, "cannot give %s to user %u", view->folder.path,
                               (unsigned)user->uid);
    if (!is_shared(view) && (view->facts.st_mode & 07777) != mode_of(&view->room) &&
        fchmod(view->folder.descriptor, mode_of(&view->room)) != 0)
        return error_set_errno(error, EX_OSERR, "cannot close %s to others", view->folder.path);
    return given || folder_sync(&view->folder, error);
}

static bool chown_room(struct data_dir_view *view, struct error *error)
{
    struct chown_tree over = {.to = view->user,
                              .from = view->facts.st_uid,
                              .from_group = view->facts.st_gid,
                              .shared = is_shared(view)};
    enum data_dir_owner owner = owner_of(view);
    const char *hint = is_starters(view) ? NULL : view->room.service->folder_hint;
    if (owner == OWNER_OTHER)
        return refuse(view, error);
    if (owner != OWNER_FORMER)
        return true;
    if (!chown_tree(&over, &view->folder, error))
        return false;
    log_event(LOG_EVENT_WARN, "directory_owner_changed", LOG_TEXT("directory", view->folder.path),
              LOG_U64("former_uid", over.from), LOG_U64("uid", over.to.uid), LOG_U64("files", over.count),
              LOG_TEXT("hint", hint == NULL ? "" : hint));
    return true;
}

static bool must_be_right(struct data_dir_view *view, struct error *error)
{
    enum data_dir_owner owner = owner_of(view);
    return owner == OWNER_RIGHT || owner == OWNER_NONE || refuse(view, error);
}

static bool must_be_possible(struct data_dir_view *view, struct error *error)
{
    return owner_of(view) != OWNER_OTHER || refuse(view, error);
}

/* ---- durability ---- */

/* Syncs the names of all folders from the root to here, also of existing ones: their creator may have
 * ended before syncing. A folder above that is not readable cannot be synced alone; then the whole file
 * system is. */
static bool sync_names(const struct folder *data, struct error *error)
{
    struct folder at = *data;
    struct stat here, below = {0};
    bool synced = true, unreadable = false;
    at.descriptor = openat(data->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at.descriptor < 0)
        return error_set_errno(error, EX_IOERR, "cannot sync the directory %s", data->path);
    while (synced && fstat(at.descriptor, &here) == 0 &&
           (here.st_ino != below.st_ino || here.st_dev != below.st_dev)) {
        synced = folder_sync(&at, error);
        int above = openat(at.descriptor, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unreadable = unreadable || above < 0;
        if (above < 0)
            break;
        close(at.descriptor);
        at.descriptor = above;
        below = here;
    }
    folder_close(&at);
    if (synced && unreadable && syncfs(data->descriptor) != 0)
        synced = error_set_errno(error, EX_IOERR, "cannot sync the directory %s", data->path);
    return synced;
}

/* ---- public functions ---- */

bool data_dir_prepare(const struct config *config, service_list *services, struct error *error)
{
    struct folder data;
    if (!data_dir_open(&data, config, error))
        return false;
    bool done = visit_rooms(&data, config, services, true, settle, error) && sync_names(&data, error);
    folder_close(&data);
    return done;
}

static bool visit_existing(const struct config *config, service_list *services, visitor *visit,
                           struct error *error)
{
    struct folder data;
    if (!folder_open(&data, config->data_dir, 0, FOLDER_TRUSTED, error))
        return false;
    bool done = visit_rooms(&data, config, services, false, visit, error);
    folder_close(&data);
    return done;
}

bool data_dir_change_owner(const struct config *config, service_list *services, struct error *error)
{
    return visit_existing(config, services, chown_room, error);
}

bool data_dir_has_owner(const struct config *config, service_list *services, struct error *error)
{
    return visit_existing(config, services, must_be_right, error);
}

bool data_dir_check(const struct config *config, service_list *services, struct error *error)
{
    struct stat facts;
    if (!folder_check(config->data_dir, error))
        return false;
    /* Missing: serve will create it. Owned by another user: that user's server uses it, not one of ours. */
    bool ours = stat(config->data_dir, &facts) == 0 && facts.st_uid == geteuid();
    return !ours || visit_existing(config, services, must_be_possible, error);
}

bool data_dir_is_passable(const struct config *config, struct error *error)
{
    struct folder data;
    if (geteuid() != 0)
        return true;
    if (!folder_open(&data, config->data_dir, 0, FOLDER_TRUSTED, error))
        return false;
    folder_close(&data);
    return data.closed[0] == '\0' ||
           error_set(error, EX_NOPERM, "the server's users cannot enter %s; chmod o+x it, or move data_dir",
                     data.closed);
}

bool data_dir_certificate(struct config *config, bool *made, struct error *error)
{
    struct folder data, folder;
    *made = false;
    if (config->tls.certificate != NULL)
        return true;
    if (!data_dir_open(&data, config, error))
        return false;
    bool opened = folder_enter(&folder, &data, "keys/tls", ROOM_MODE, FOLDER_TRUSTED, error);
    folder_close(&data);
    if (!opened)
        return false;
    config->tls.certificate = arena_format(&config->arena, "%s/keys/tls/self-signed.pem", config->data_dir);
    config->tls.key = arena_format(&config->arena, "%s/keys/tls/self-signed.key", config->data_dir);
    bool exists = faccessat(folder.descriptor, "self-signed.pem", F_OK, 0) == 0 &&
                  faccessat(folder.descriptor, "self-signed.key", F_OK, 0) == 0;
    *made = !exists && sync_names(&folder, error) &&
            tls_make_self_signed(config->hostname, &folder, "self-signed.pem", "self-signed.key", error);
    folder_close(&folder);
    return exists || *made;
}

/* ---- owner of a folder ---- */

/* Only the owner matters, wherever the path leads: acting as that user grants nothing more. */
static bool owner_of_path(const char *path, struct stat *facts)
{
    return stat(path, facts) == 0 && S_ISDIR(facts->st_mode);
}

struct process_user data_dir_user(const struct config *config, const struct service *service)
{
    struct arena arena = {0};
    struct stat facts;
    bool given = geteuid() == 0 &&
                 owner_of_path(arena_format(&arena, "%s/%s", config->data_dir, service->folder), &facts) &&
                 facts.st_uid != 0;
    arena_clear(&arena);
    return given ? (struct process_user){facts.st_uid, facts.st_gid, getpwuid(facts.st_uid) != NULL}
                 : users_of(service->role, config->user);
}

bool data_dir_act_in(const char *folder, struct error *error)
{
    struct stat facts;
    if (geteuid() != 0 || !owner_of_path(folder, &facts))
        return true;
    if (facts.st_uid == 0) /* owned by nobody yet; then nobody else can have changed it */
        return folder_check(folder, error);
    if (!users_become((struct process_user){facts.st_uid, facts.st_gid, true}, error))
        return false;
    return access(folder, X_OK) == 0 ||
           error_set_errno(error, EX_NOPERM,
                           "%s belongs to user %s, who cannot reach it; chmod o+x the directories above it",
                           folder, folder_owner_name(facts.st_uid));
}

int data_dir_open_folder(const struct config *config, const struct service *service,
                         struct process_user *owner, struct error *error)
{
    struct folder data, folder;
    struct stat facts;
    if (!folder_open(&data, config->data_dir, 0, FOLDER_TRUSTED, error))
        return -1;
    bool opened = folder_enter(&folder, &data, service->folder, 0, FOLDER_ANY, error);
    folder_close(&data);
    if (!opened)
        return -1;
    bool known = fstat(folder.descriptor, &facts) == 0;
    *owner = known && facts.st_uid != 0 ? (struct process_user){facts.st_uid, facts.st_gid, true}
                                        : users_of(service->role, config->user);
    return folder.descriptor;
}
