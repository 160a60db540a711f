/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/accounts/account_client.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "run/data_dir.h"
#include "run/sandbox.h"
#include "run/subprocess.h"
#include "service/auth/account_store.h"
#include "service/control_client.h"
#include "service/services.h"
#include "store/queue/store_lock.h"

enum {
    TRIES = 5,           /* covers a server that starts or stops at this moment */
    LOCK_WAIT_MS = 2000, /* per try */
};

/* A request and its answer, for both backends. */
struct account_asking {
    const struct config *config;
    enum ipc_kind kind;
    union ipc_message asked;
    bool makes; /* create missing parts of the data directory if no server runs */
    struct arena arena;
    union ipc_message answer;
};

/* ---- without a server ---- */

/* Root, in the data directory of a server that runs without root, becomes that user, so that new files
 * belong to them and their links cannot mislead root. */
static bool become_starter(const struct config *config, struct error *error)
{
    struct stat owner;
    return geteuid() != 0 || stat(config->data_dir, &owner) != 0 || owner.st_uid == 0 ||
           users_become((struct process_user){owner.st_uid, owner.st_gid, true}, error);
}

static bool move_accounts(const struct config *config, struct error *error)
{
    struct arena arena = {0};
    struct stat facts;
    bool old = lstat(arena_format(&arena, "%s/accounts.db", config->data_dir), &facts) == 0;
    long server = old ? store_lock_owner(arena_format(&arena, "%s/queue", config->data_dir)) : 0;
    arena_clear(&arena);
    if (server != 0)
        return error_set(error, EX_TEMPFAIL,
                         "the server that runs (process %ld) is of an earlier release; restart it first",
                         server);
    return !old || account_store_move_here(config, error);
}

/* Changes the root to the directory, if auth's user cannot enter the folders above. */
static bool enter_closed(struct config *config, struct error *error)
{
    struct error closed = {0};
    if (data_dir_is_passable(config, &closed))
        return true;
    if (!sandbox_can_change_root()) {
        *error = closed;
        return false;
    }
    if (!sandbox_enter(config->data_dir, error))
        return false;
    config->data_dir = "";
    return true;
}

bool account_client_become_writer(struct config *config, bool makes, struct error *error)
{
    if (!become_starter(config, error))
        return false;
    if (makes && (!data_dir_prepare(config, services, error) || !move_accounts(config, error)))
        return false;
    if (geteuid() != 0)
        return true;
    struct process_user writer = data_dir_user(config, &auth_service);
    return enter_closed(config, error) && users_become(writer, error);
}

static void list_alone(const struct account_asking *asking, struct arena *arena, struct buffer *out,
                       struct accounts *accounts)
{
    union ipc_message answer;
    account_store_list(accounts, &asking->asked.account_list, arena, &answer.account_rows);
    ipc_encode(out, IPC_ACCOUNT_ROWS, &answer);
}

/* Only reads: creates nothing, and waits for no lock. */
static bool look(const struct account_asking *asking, const struct config *config, struct buffer *out,
                 struct error *error)
{
    struct arena arena = {0};
    const char *folder = account_store_folder(&arena, config->data_dir);
    struct accounts *accounts = accounts_open(folder, false, error);
    if (accounts != NULL) {
        list_alone(asking, &arena, out, accounts);
        accounts_close(accounts);
    }
    arena_clear(&arena);
    return accounts != NULL;
}

/* Runs in a child process, which answers as auth does. */
static bool do_auths_part(void *owner, struct buffer *out, struct error *error)
{
    const struct account_asking *asking = owner;
    struct account_store store;
    struct arena arena = {0};
    union ipc_message answer;
    struct config config = *asking->config;
    if (!account_client_become_writer(&config, asking->makes, error))
        return false;
    if (!asking->makes)
        return look(asking, &config, out, error);
    if (!account_store_open(&store, &config, LOCK_WAIT_MS, error))
        return false;
    if (asking->kind == IPC_ACCOUNT_LIST) {
        list_alone(asking, &arena, out, store.accounts);
    } else {
        account_store_change(&store, &asking->asked.account_change, &arena, &answer.account_changed);
        ipc_encode(out, IPC_ACCOUNT_CHANGED, &answer);
    }
    account_store_close(&store);
    arena_wipe(&arena);
    return true;
}

static bool ask_oneself(struct account_asking *asking, struct error *error)
{
    struct buffer out = {0};
    enum ipc_kind kind;
    if (!subprocess_run(do_auths_part, asking, &out, error)) {
        buffer_free(&out);
        return false;
    }
    struct bytes answer = arena_copy(&asking->arena, buffer_bytes(&out));
    buffer_wipe(&out);
    return ipc_decode(answer, &asking->arena, &kind, &asking->answer) ||
           error_set(error, EX_SOFTWARE, "the helper process sent an invalid answer");
}

/* ---- with a server ---- */

/* Sends an alias's targets, in as many requests as needed for one change. */
static bool send_targets(struct control_client *control, struct account_asking *asking, struct error *error)
{
    struct ipc_account_change page = asking->asked.account_change;
    size_t left = page.target_count;
    while (left > ACCOUNT_TARGETS_PAGE) {
        page.target_count = ACCOUNT_TARGETS_PAGE;
        page.flag = 1;
        if (!control_client_ask(control, IPC_ACCOUNT_CHANGE, &page, IPC_ACCOUNT_CHANGED, &asking->answer,
                                error))
            return false;
        if (asking->answer.account_changed.exit_code != 0)
            return true;
        page.targets += ACCOUNT_TARGETS_PAGE;
        left -= ACCOUNT_TARGETS_PAGE;
    }
    page.target_count = left;
    page.flag = asking->asked.account_change.flag;
    return control_client_ask(control, IPC_ACCOUNT_CHANGE, &page, IPC_ACCOUNT_CHANGED, &asking->answer,
                              error);
}

/* Copies the answer, whose texts must outlive the channel. */
static void keep_answer(struct account_asking *asking, enum ipc_kind kind)
{
    struct buffer encoded = {0};
    enum ipc_kind same;
    ipc_encode(&encoded, kind, &asking->answer);
    struct bytes kept = arena_copy(&asking->arena, buffer_bytes(&encoded));
    buffer_wipe(&encoded);
    bool decoded = ipc_decode(kept, &asking->arena, &same, &asking->answer);
    assert(decoded);
}

static bool ask_server(struct control_client *control, struct account_asking *asking, struct error *error)
{
    bool lists = asking->kind == IPC_ACCOUNT_LIST;
    enum ipc_kind answer = lists ? IPC_ACCOUNT_ROWS : IPC_ACCOUNT_CHANGED;
    bool done = lists ? control_client_ask(control, IPC_ACCOUNT_LIST, &asking->asked, answer, &asking->answer,
                                           error)
                      : send_targets(control, asking, error);
    if (done)
        keep_answer(asking, answer);
    control_client_close(control);
    return done;
}

/* ---- selecting the backend ---- */

/* Retries: a server that starts or ends meanwhile holds the lock, or will listen soon. */
static bool ask(struct account_asking *asking, struct error *error)
{
    for (int i = 0; i < TRIES; i++) {
        struct control_client control;
        if (control_client_open_auth(&control, asking->config->data_dir, error))
            return ask_server(&control, asking, error);
        if (error->exit_code == EX_NOPERM)
            return false;
        if (ask_oneself(asking, error))
            return true;
        if (error->exit_code != EX_UNAVAILABLE)
            return false;
    }
    return false;
}

static bool said(uint32_t exit_code, struct bytes text, struct error *error)
{
    return exit_code == EX_OK || error_set(error, (int)exit_code, "%.*s", BYTES_ARG(text));
}

bool account_client_change(const struct config *config, const struct ipc_account_change *asked,
                           struct account_outcome *outcome, struct error *error)
{
    struct account_asking asking = {.config = config, .kind = IPC_ACCOUNT_CHANGE, .makes = true};
    const struct ipc_account_changed *answer = &asking.answer.account_changed;
    asking.asked.account_change = *asked;
    bool done = ask(&asking, error) && said(answer->exit_code, answer->text, error);
    if (done && outcome != NULL) {
        *outcome = (struct account_outcome){.count = answer->count};
        buffer_add(&outcome->secret, answer->secret);
        buffer_add(&outcome->user, answer->user);
    }
    arena_wipe(&asking.arena);
    return done;
}

void account_outcome_free(struct account_outcome *outcome)
{
    buffer_wipe(&outcome->secret);
    buffer_free(&outcome->user);
}

/* ---- lists ---- */

static void give_rows(const struct ipc_account_rows *rows, struct arena *arena, accounts_row *each,
                      void *owner)
{
    const char *columns[LIST_COLUMNS_MAX];
    if (rows->columns == 0 || rows->columns > LIST_COLUMNS_MAX)
        return;
    for (size_t at = 0; at + rows->columns <= rows->cell_count; at += rows->columns) {
        for (size_t i = 0; i < rows->columns; i++)
            columns[i] = rows->cells[at + i].at == NULL ? NULL : arena_text(arena, rows->cells[at + i]);
        each(owner, columns, rows->columns);
    }
}

static bool each_page(const struct config *config, enum accounts_list list, struct bytes of, bool makes,
                      accounts_row *each, void *owner, struct error *error)
{
    struct buffer after = {0};
    bool done;
    buffer_add(&after, of);
    do {
        struct account_asking asking = {.config = config, .kind = IPC_ACCOUNT_LIST, .makes = makes};
        const struct ipc_account_rows *rows = &asking.answer.account_rows;
        asking.asked.account_list = (struct ipc_account_list){.list = list, .after = buffer_bytes(&after)};
        done = ask(&asking, error) && said(rows->exit_code, rows->text, error);
        buffer_clear(&after);
        if (done) {
            give_rows(rows, &asking.arena, each, owner);
            buffer_add(&after, rows->after);
        }
        arena_clear(&asking.arena);
    } while (done && after.length > 0);
    buffer_free(&after);
    return done;
}

bool account_client_each(const struct config *config, enum accounts_list list, struct bytes of,
                         accounts_row *each, void *owner, struct error *error)
{
    return each_page(config, list, of, true, each, owner, error);
}

bool account_client_look(const struct config *config, enum accounts_list list, accounts_row *each,
                         void *owner, struct error *error)
{
    return each_page(config, list, bytes_none(), false, each, owner, error);
}

static void note_row(void *owner, const char *const *columns, size_t count)
{
    *(bool *)owner = true;
}

bool account_client_is_hosted(const struct config *config, struct bytes domain)
{
    struct error unreadable = {0};
    bool found = false;
    each_page(config, LIST_DOMAIN, domain, false, note_row, &found, &unreadable);
    return found;
}
