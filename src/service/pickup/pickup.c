/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/pickup/pickup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "run/data_dir.h"
#include "service/services.h"

static struct pickup here; /* one per process */

/* ---- listing the folder ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Removes unfinished files whose writer was interrupted. */
static void sweep_unfinished(struct pickup *p, const char *name)
{
    struct stat facts;
    if (fstatat(p->folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        (uint64_t)facts.st_mtime + PICKUP_ABANDONED_S > clock_epoch_ms() / 1000)
        return;
    if (unlinkat(p->folder, name, 0) == 0)
        log_event(LOG_EVENT_INFO, "drop_stale_removed", LOG_TEXT("file", name), LOG_U64("uid", facts.st_uid));
}

static bool is_for_us(struct pickup *p, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    if (name[0] == '.') {
        sweep_unfinished(p, name);
        return false;
    }
    return strncmp(name, PICKUP_BAD, strlen(PICKUP_BAD)) != 0 &&
           map_get(&p->ignored, bytes_of_text(name)) == NULL && !limited_users_has(p, name);
}

/* Lists the oldest first, by their names. */
static void list_names(struct pickup *p)
{
    arena_clear(&p->arena);
    p->names = ARENA_ARRAY(&p->arena, const char *, PICKUP_NAMES_MAX);
    p->name_count = p->name_at = 0;
    p->unread = p->again = p->arrived = false;
    p->looked_ms = clock_now_ms();
    limited_users_expire(p);
    int copy = openat(p->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (folder == NULL) {
        p->again = true;
        if (log_throttle_is_due(&p->listing, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "drop_failed", LOG_TEXT("error", strerror(errno)),
                      LOG_TEXT("reason", "the drop directory cannot be read"));
        if (copy >= 0)
            close(copy);
        return;
    }
    log_throttle_recovered(&p->listing, clock_now_ms());
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!is_for_us(p, entry->d_name))
            continue;
        if (p->name_count == PICKUP_NAMES_MAX) {
            p->unread = true;
            break;
        }
        p->names[p->name_count++] = arena_text(&p->arena, bytes_of_text(entry->d_name));
    }
    closedir(folder);
    qsort(p->names, p->name_count, sizeof *p->names, by_name);
}

/* ---- one after the other ---- */

static void ignore(struct pickup *p, const char *name)
{
    if (p->ignored.count >= PICKUP_IGNORED_MAX) {
        map_free(&p->ignored);
        map_start(&p->ignored, random_u64());
    }
    map_put(&p->ignored, bytes_of_text(name), p);
}

/* Keeps it for inspection, under a name that is not picked up. */
static void set_aside(struct pickup *p, const char *name, const char *why)
{
    char aside[64];
    struct stat facts = {.st_uid = 0};
    bool known = fstatat(p->folder, name, &facts, AT_SYMLINK_NOFOLLOW) == 0;
    if (!known && errno == ENOENT)
        return;
    snprintf(aside, sizeof aside, PICKUP_BAD "%014llx-%016llx", (unsigned long long)clock_epoch_us(),
             (unsigned long long)random_u64());
    bool moved = renameat(p->folder, name, p->folder, aside) == 0;
    if (!moved)
        ignore(p, name);
    log_event(LOG_EVENT_WARN, "drop_rejected", LOG_TEXT("file", moved ? aside : name),
              LOG_TEXT("original_name", name), LOG_U64("uid", facts.st_uid), LOG_TEXT("reason", why),
              LOG_TEXT("hint", "inspect the file in the drop directory, and remove it"));
}

/* A file that reappears after a power loss is submitted twice; a failed sync has no worse effect. */
static void sync_removals(struct pickup *p)
{
    if (p->unsynced > 0 && fsync(p->folder) == 0)
        p->unsynced = 0;
}

/* Each scan reads all files while some wait: limits the rate. */
static uint64_t soonest_look_ms(const struct pickup *p)
{
    uint64_t since_ms = clock_now_ms() - p->looked_ms;
    return p->wait_count == 0 || since_ms >= PICKUP_WAITING_LOOK_MS ? 0 : PICKUP_WAITING_LOOK_MS - since_ms;
}

static void look_later(struct pickup *p)
{
    bool more = p->arrived || (p->unread && !p->again);
    uint64_t usual_ms = p->again ? PICKUP_RETRY_MS : p->inotify < 0 ? PICKUP_BLIND_LOOK_MS : PICKUP_LOOK_MS;
    timer_set(&p->look, more ? soonest_look_ms(p) : limited_users_next_ms(p, usual_ms));
}

static void take_next(struct pickup *p)
{
    struct drop_file_limits limits = {p->child->config->limits.message_size,
                                      p->child->config->limits.recipients};
    const char *wrong = NULL;
    while (p->name_at < p->name_count) {
        const char *name = p->names[p->name_at++];
        if (limited_users_has(p, name)) /* since the folder was listed */
            continue;
        switch (drop_file_open(&p->submission.drop_file, p->folder, name, &limits, &wrong)) {
        case DROP_FILE_FINE: drop_submission_begin(p); return;
        case DROP_FILE_BAD: set_aside(p, name, wrong); break;
        case DROP_FILE_LATER: p->again = true; break;
        case DROP_FILE_GONE: break;
        }
    }
    sync_removals(p);
    look_later(p);
}

static bool is_busy(const struct pickup *p)
{
    return p->submission.busy;
}

/* Each file is processed in a turn of its own. */
static void look_now(void *owner)
{
    struct pickup *p = owner;
    if (is_busy(p) || p->draining)
        return;
    if (p->name_at >= p->name_count)
        list_names(p);
    take_next(p);
}

void pickup_submission_ended(struct pickup *p, enum drop_submission_end how, const char *why)
{
    struct drop_file *drop_file = &p->submission.drop_file;
    if (how == DROP_SUBMISSION_STORED && ++p->unsynced >= PICKUP_UNSYNCED_MAX)
        sync_removals(p); /* of earlier ones */
    if (how == DROP_SUBMISSION_STORED && unlinkat(p->folder, drop_file->name, 0) != 0 && errno != ENOENT) {
        log_event(LOG_EVENT_ERROR, "drop_failed", LOG_TEXT("file", drop_file->name),
                  LOG_TEXT("error", strerror(errno)),
                  LOG_TEXT("hint", "the message was accepted but its file cannot be removed: remove it"));
        ignore(p, drop_file->name);
    }
    if (how == DROP_SUBMISSION_BAD)
        set_aside(p, drop_file->name, why);
    if (how == DROP_SUBMISSION_LATER)
        p->again = true;
    if (how == DROP_SUBMISSION_WAITS)
        limited_users_add(p, drop_file->uid, p->submission.wait_s);
    drop_file_close(drop_file);
    if (p->draining)
        sync_removals(p);
    if (p->draining)
        child_exit(p->child, EX_OK);
    else
        timer_set(&p->look, 0);
}

/* ---- events ---- */

static void news(void *owner, bool readable, bool writable)
{
    struct pickup *p = owner;
    char buffer[16 * 1024];
    while (read(p->inotify, buffer, sizeof buffer) > 0)
        p->arrived = true;
    if (!p->arrived || is_busy(p))
        return;
    p->name_at = p->name_count; /* list again */
    timer_set(&p->look, soonest_look_ms(p));
}

static void pickup_message(struct child *child, struct channel *from, enum ipc_kind kind,
                           union ipc_message *message, int attached)
{
    struct pickup *p = child->service_data;
    submissions_answered(&p->submissions, kind, message, attached);
}

static void pickup_peer_lost(struct child *child, struct channel *peer)
{
    struct pickup *p = child->service_data;
    if (p->submission.busy && peer->peer == PROCESS_QUEUE)
        submission_queue_lost(&p->submission.submission);
    questions_peer_lost(&p->submissions.questions, peer->peer);
}

/* ---- beginning and end ---- */

/* Watches for new names by inotify if available; otherwise scans every second. */
static void watch_folder(struct pickup *p, const char *path)
{
    p->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (p->inotify < 0)
        return;
    if (inotify_add_watch(p->inotify, path, IN_MOVED_TO | IN_ONLYDIR) >= 0)
        return;
    close(p->inotify);
    p->inotify = -1;
}

static bool pickup_open(struct child *child, struct error *error)
{
    here = (struct pickup){.child = child, .inotify = -1};
    child->service_data = &here;
    child->paths->keeps_root = true; /* for its folder, opened as its own user */
    return true;
}

static bool pickup_open_own(struct child *child, struct error *error)
{
    static char path[PATH_MAX];
    struct pickup *p = child->service_data;
    if (snprintf(path, sizeof path, "%s/drop", child->config->data_dir) >= (int)sizeof path)
        return error_set(error, EX_CONFIG, "data_dir is too long");
    p->folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->folder < 0)
        return error_set_errno(error, EX_NOINPUT, "cannot open %s", path);
    watch_folder(p, path);
    sandbox_allow(child->paths, path, true);
    return true;
}

static bool pickup_start(struct child *child, struct error *error)
{
    struct pickup *p = child->service_data;
    struct stat facts;
    /* Opens the folder to users. As its owner, so that no privilege to keep the setgid bit is needed. */
    if (fchmod(p->folder, DROP_FOLDER_MODE) != 0 || fstat(p->folder, &facts) != 0 ||
        (facts.st_mode & 07777) != DROP_FOLDER_MODE)
        return error_set_errno(error, EX_OSERR, "cannot open the drop directory for all users");
    map_start(&p->ignored, random_u64());
    /* while a peer is missing the file waits */
    submissions_start(&p->submissions, &question_child_peers, child, child->loop, 0, random_u64());
    p->submissions.ids.slot = PICKUP_SLOT;
    p->submissions.accounts_version = child_shared(child, &accounts_version_memory);
    p->submissions.hostname = bytes_of_text(child->config->hostname);
    timer_start(&p->look, child->loop, look_now, p);
    timer_set(&p->look, 0);
    if (p->inotify >= 0)
        watch_start(&p->news, child->loop, p->inotify, true, false, news, p);
    return true;
}

/* Remaining files are left to the successor. */
static void pickup_drain(struct child *child, bool quick)
{
    struct pickup *p = child->service_data;
    p->draining = true;
    submissions_close_cache(&p->submissions);
    timer_cancel(&p->look);
    if (!is_busy(p))
        child_exit(child, EX_OK);
}

/* auth or queue is available again: retries waiting files. */
static void pickup_peer(struct child *child, struct channel *peer)
{
    struct pickup *p = child->service_data;
    if (!is_busy(p) && p->again && !p->draining)
        timer_set(&p->look, 0);
}

const struct service pickup_service = {
    .role = PROCESS_PICKUP,
    .stop = STOP_INTAKE,
    .keeps = SANDBOX_READS_FILES | SANDBOX_WRITES_FILES,
    .folder = "drop",
    .shares = {{&accounts_version_memory, true}},
    .folder_is_shared = true, /* pickup_start() opens it to all users */
    .open = pickup_open,
    .open_own = pickup_open_own,
    .start = pickup_start,
    .on_message = pickup_message,
    .on_peer = pickup_peer,
    .on_peer_lost = pickup_peer_lost,
    .on_drain = pickup_drain,
};
