/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/auth/account_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "run/data_dir.h"
#include "service/quotas.h"
#include "service/services.h"

/* ---- opening ---- */

enum { LOCK_LOOK_MS = 20 };

char *account_store_folder(struct arena *arena, const char *data_dir)
{
    return arena_format(arena, "%s/" ACCOUNTS_FOLDER, data_dir);
}

static bool lock(struct account_store *store, const char *folder, uint32_t wait_ms, struct error *error)
{
    struct arena arena = {0};
    const struct timespec look = {.tv_nsec = LOCK_LOOK_MS * 1000000L};
    const char *path = arena_format(&arena, "%s/lock", folder);
    store->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    bool held = store->lock >= 0 && flock(store->lock, LOCK_EX | LOCK_NB) == 0;
    for (uint32_t waited_ms = 0; store->lock >= 0 && !held && errno == EWOULDBLOCK && waited_ms < wait_ms;
         waited_ms += LOCK_LOOK_MS) {
        nanosleep(&look, NULL);
        held = flock(store->lock, LOCK_EX | LOCK_NB) == 0;
    }
    if (store->lock >= 0 && !held && errno == EWOULDBLOCK)
        error_set(error, EX_UNAVAILABLE,
                  "another process is changing the accounts in %s; try again in a moment", folder);
    else if (!held)
        error_set_errno(error, errno == EACCES || errno == EPERM ? EX_NOPERM : EX_OSERR,
                        "%s cannot be opened by this user; run as root or as the owner of the data directory",
                        path);
    arena_clear(&arena);
    return held;
}

static bool open_quotas(struct account_store *store, const char *data_dir, struct error *error)
{
    struct arena arena = {0};
    const char *path = arena_format(&arena, "%s/" QUOTAS_FOLDER, data_dir);
    store->quotas = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool opened = (store->quotas >= 0 || error_set_errno(error, EX_NOINPUT, "cannot open %s", path)) &&
                  quotas_write(store->quotas, store->accounts, error);
    arena_clear(&arena);
    return opened;
}

bool account_store_open(struct account_store *store, const struct config *config, uint32_t wait_ms,
                        struct error *error)
{
    struct arena arena = {0};
    const char *folder = account_store_folder(&arena, config->data_dir);
    *store = (struct account_store){.lock = -1, .quotas = -1};
    if (lock(store, folder, wait_ms, error))
        store->accounts = accounts_open(folder, true, error);
    arena_clear(&arena);
    if (store->accounts != NULL) {
        accounts_host(store->accounts, config->domains, config->domain_count);
        if (open_quotas(store, config->data_dir, error))
            return true;
    }
    account_store_close(store);
    return false;
}

void account_store_close(struct account_store *store)
{
    if (store->accounts != NULL)
        accounts_close(store->accounts);
    if (store->quotas >= 0)
        close(store->quotas);
    if (store->lock >= 0)
        close(store->lock);
    *store = (struct account_store){.lock = -1, .quotas = -1};
}

/* ---- accounts of an earlier release ---- */

/* Moves a file into the folder of its new writer. It is still in root's folder when its owner changes;
 * nothing is replaced in the other one. */
static bool move_file(const struct folder *data, const struct folder *to, const struct process_user *user,
                      const char *name, struct error *error)
{
    if (faccessat(data->descriptor, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    int file = folder_file(data->descriptor, name, O_RDONLY);
    bool given = file >= 0 && (geteuid() != 0 || fchown(file, user->uid, user->gid) == 0) &&
                 fchmod(file, 0600) == 0;
    bool moved = given && renameat2(data->descriptor, name, to->descriptor, name, RENAME_NOREPLACE) == 0;
    int failed = errno;
    if (file >= 0)
        close(file);
    errno = failed;
    return moved || error_set_errno(error, EX_NOPERM,
                                    "%s/%s cannot be moved to %s/%s, where the accounts are from this "
                                    "release on",
                                    data->path, name, to->path, name);
}

/* The journal first: a change that it rolls back is rolled back from either place. */
static bool move_files(const struct folder *data, const struct process_user *user, struct error *error)
{
    static const char *const names[] = {"accounts.db-journal", "accounts.db"};
    struct folder accounts;
    if (faccessat(data->descriptor, names[1], F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (!folder_enter(&accounts, data, ACCOUNTS_FOLDER, 0, FOLDER_ANY, error))
        return false;
    bool done = true;
    for (size_t i = 0; done && i < ARRAY_LENGTH(names); i++)
        done = move_file(data, &accounts, user, names[i], error);
    done = done && folder_sync(&accounts, error) && folder_sync(data, error);
    folder_close(&accounts);
    return done;
}

bool account_store_move_here(const struct config *config, struct error *error)
{
    struct folder data;
    const struct process_user user = data_dir_user(config, &auth_service);
    if (!data_dir_open(&data, config, error))
        return false;
    bool done = move_files(&data, &user, error);
    folder_close(&data);
    return done;
}

/* ---- changes ---- */

/* A change in progress, and its result. */
struct account_making {
    struct accounts *accounts;
    const struct ipc_account_change *asked;
    struct buffer secret, user;
    size_t count;
};

static bool user_add(struct account_making *m, struct error *error)
{
    return (m->asked->flag != 0 ? accounts_user_add_hashed : accounts_user_add)(m->accounts, m->asked->name,
                                                                                m->asked->value, error);
}

static bool user_password(struct account_making *m, struct error *error)
{
    return (m->asked->flag != 0 ? accounts_user_hash : accounts_user_password)(m->accounts, m->asked->name,
                                                                               m->asked->value, error);
}

static bool user_disable(struct account_making *m, struct error *error)
{
    return accounts_user_disable(m->accounts, m->asked->name, true, error);
}

static bool user_enable(struct account_making *m, struct error *error)
{
    return accounts_user_disable(m->accounts, m->asked->name, false, error);
}

static bool user_remove(struct account_making *m, struct error *error)
{
    return accounts_user_remove(m->accounts, m->asked->name, error);
}

static bool user_forward(struct account_making *m, struct error *error)
{
    return accounts_user_forward(m->accounts, m->asked->name, m->asked->value, m->asked->flag != 0, error);
}

static bool user_quota(struct account_making *m, struct error *error)
{
    if (m->asked->octets > ACCOUNT_QUOTA_MAX)
        return error_set(error, EX_DATAERR, "that is more than a mailbox can hold");
    return accounts_user_quota(m->accounts, m->asked->name, m->asked->flag != 0 ? &m->asked->octets : NULL,
                               error);
}

static bool user_vacation(struct account_making *m, struct error *error)
{
    const struct account_away away = {.since_ms = m->asked->since_ms,
                                      .until_ms = m->asked->until_ms,
                                      .days = m->asked->days,
                                      .subject = m->asked->subject,
                                      .text = m->asked->text};
    return accounts_user_away(m->accounts, m->asked->name, m->asked->flag != 0 ? &away : NULL, error);
}

static bool domain_add(struct account_making *m, struct error *error)
{
    return m->asked->value.length > 0
               ? accounts_domain_is(m->accounts, m->asked->name, m->asked->value, error)
               : accounts_domain_add(m->accounts, m->asked->name, error);
}

static bool domain_remove(struct account_making *m, struct error *error)
{
    return accounts_domain_remove(m->accounts, m->asked->name, error);
}

static bool alias_add(struct account_making *m, struct error *error)
{
    const struct ipc_account_change *asked = m->asked;
    if (asked->target_count == 0)
        return error_set(error, EX_DATAERR, "an alias leads to one address at least");
    bool whole = asked->name.length > 0 && asked->name.at[0] == '@' && asked->target_count == 1 &&
                 asked->targets[0].length > 0 && asked->targets[0].at[0] == '@';
    if (whole)
        return accounts_domain_is(m->accounts, bytes_from(asked->name, 1), bytes_from(asked->targets[0], 1),
                                  error);
    return asked->target_count == 1 ? accounts_alias_add(m->accounts, asked->name, asked->targets[0], error)
                                    : accounts_alias_add_all(m->accounts, asked->name, asked->targets,
                                                             asked->target_count, &m->count, error);
}

static bool alias_remove(struct account_making *m, struct error *error)
{
    return accounts_alias_remove(m->accounts, m->asked->name,
                                 m->asked->target_count > 0 ? m->asked->targets[0] : bytes_none(), error);
}

static bool key_add(struct account_making *m, struct error *error)
{
    return accounts_key_add(m->accounts, m->asked->name, m->asked->value, &m->secret, error);
}

static bool key_revoke(struct account_making *m, struct error *error)
{
    return accounts_key_revoke(m->accounts, m->asked->name, &m->user, error);
}

static bool import(struct account_making *m, struct error *error)
{
    struct arena arena = {0};
    struct accounts_import *items = ARENA_ARRAY(&arena, struct accounts_import, m->asked->target_count);
    for (size_t i = 0; i < m->asked->target_count; i++) {
        struct bytes rest = m->asked->targets[i];
        items[i].kind = rest.length > 0 ? (enum accounts_import_kind)rest.at[0]
                                        : (enum accounts_import_kind)0;
        rest = rest.length > 0 ? bytes_from(rest, 1) : rest;
        items[i].name = bytes_split(&rest, '\0');
        items[i].value = rest;
    }
    bool done = accounts_import(m->accounts, items, m->asked->target_count, &m->count, error);
    arena_clear(&arena);
    return done;
}

static bool nothing(struct account_making *m, struct error *error)
{
    return true;
}

static const struct {
    bool (*make)(struct account_making *m, struct error *error);
    bool quotas; /* are rewritten after it */
} verbs[ACCOUNT_VERBS] = {
    [ACCOUNT_USER_ADD] = {user_add, true},
    [ACCOUNT_USER_PASSWORD] = {user_password, false},
    [ACCOUNT_USER_DISABLE] = {user_disable, false},
    [ACCOUNT_USER_ENABLE] = {user_enable, false},
    [ACCOUNT_USER_REMOVE] = {user_remove, true},
    [ACCOUNT_USER_FORWARD] = {user_forward, false},
    [ACCOUNT_USER_QUOTA] = {user_quota, true},
    [ACCOUNT_USER_VACATION] = {user_vacation, false},
    [ACCOUNT_DOMAIN_ADD] = {domain_add, false},
    [ACCOUNT_DOMAIN_REMOVE] = {domain_remove, false},
    [ACCOUNT_ALIAS_ADD] = {alias_add, false},
    [ACCOUNT_ALIAS_REMOVE] = {alias_remove, false},
    [ACCOUNT_KEY_ADD] = {key_add, false},
    [ACCOUNT_KEY_REVOKE] = {key_revoke, false},
    [ACCOUNT_IMPORT] = {import, true},
    [ACCOUNT_QUOTAS_WRITE] = {nothing, true},
};

void account_store_change(struct account_store *store, const struct ipc_account_change *asked,
                          struct arena *arena, struct ipc_account_changed *answer)
{
    struct account_making making = {.accounts = store->accounts, .asked = asked};
    struct error error = {0};
    bool done = asked->verb < ACCOUNT_VERBS
                    ? verbs[asked->verb].make(&making, &error)
                    : error_set(&error, EX_SOFTWARE, "unknown change of the accounts");
    if (done && verbs[asked->verb].quotas)
        done = quotas_write(store->quotas, store->accounts, &error);
    *answer = (struct ipc_account_changed){.request = asked->request};
    if (!done) {
        answer->exit_code = error.exit_code > 0 ? (uint32_t)error.exit_code : EX_SOFTWARE;
        answer->text = bytes_of_text(arena_text(arena, bytes_of_text(error.text)));
    } else {
        answer->count = making.count;
        answer->secret = arena_copy(arena, buffer_bytes(&making.secret));
        answer->user = arena_copy(arena, buffer_bytes(&making.user));
    }
    buffer_wipe(&making.secret);
    buffer_free(&making.user);
}

/* ---- lists ---- */

struct account_rows {
    struct arena *arena;
    struct ipc_account_rows *answer;
};

static void add_row(void *owner, const char *const *columns, size_t count)
{
    const struct account_rows *rows = owner;
    struct ipc_account_rows *answer = rows->answer;
    answer->columns = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        answer->cells[answer->cell_count++] = columns[i] == NULL
                                                  ? bytes_none()
                                                  : arena_copy(rows->arena, bytes_of_text(columns[i]));
}

void account_store_list(struct accounts *accounts, const struct ipc_account_list *asked, struct arena *arena,
                        struct ipc_account_rows *answer)
{
    struct account_rows rows = {arena, answer};
    struct buffer next = {0};
    struct error error = {0};
    *answer = (struct ipc_account_rows){
        .request = asked->request,
        .cells = ARENA_ARRAY(arena, struct bytes, (size_t)ACCOUNT_PAGE_ROWS * LIST_COLUMNS_MAX)};
    bool done = asked->list < LISTS
                    ? accounts_page_of(accounts, (enum accounts_list)asked->list, asked->after,
                                       ACCOUNT_PAGE_ROWS, add_row, &rows, &next, &error)
                    : error_set(&error, EX_SOFTWARE, "unknown list of the accounts");
    if (done) {
        answer->after = arena_copy(arena, buffer_bytes(&next));
    } else {
        answer->exit_code = error.exit_code > 0 ? (uint32_t)error.exit_code : EX_SOFTWARE;
        answer->text = arena_copy(arena, bytes_of_text(error.text));
        answer->cell_count = 0;
    }
    buffer_free(&next);
}
