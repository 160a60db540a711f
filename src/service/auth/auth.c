/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth: answers smtpd's questions: whether a password or a proof is right (login.c), whether an account
 * may send as an address, and where a recipient's mail goes (recipient_lookup.c). It is the only writer of
 * the accounts: changes by subcommands, and SCRAM verifiers learned at logins (account_writer.h). It accesses
 * nothing else.
 */
#include "service/auth/auth.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "run/data_dir.h"
#include "run/users.h"
#include "service/auth/account_control.h"
#include "service/services.h"

/* ---- senders ---- */

/* True if the configuration grants the sender address in addition to the account's own. */
static bool is_granted(const struct config *config, struct bytes account, struct bytes address)
{
    for (size_t i = 0; i < config->submission.send_as_count; i++) {
        struct bytes pattern = bytes_of_text(config->submission.send_as[i]);
        struct bytes whose = bytes_split(&pattern, ' ');
        if (bytes_equal_nocase(whose, account) && local_users_sender_matches(bytes_trim(pattern), address))
            return true;
    }
    return false;
}

static bool may_send(struct auth *auth, struct bytes account, struct bytes address)
{
    uint32_t uid;
    if (local_users_is_one(account, &uid))
        return local_users_may_send(&auth->local_users, auth->accounts, uid, address);
    /* The null sender is for read receipts (RFC 8098 3); the author in the header is asked about next. */
    return address.length == 0 || accounts_may_send(auth->accounts, account, address) ||
           is_granted(auth->child->config, account, address);
}

static void ask_sender(struct auth *auth, struct channel *asker, const struct ipc_sender *asked)
{
    struct bytes key = recipient_cache_key(&auth->key, RECIPIENT_CACHE_SENDER, asked->account,
                                           asked->address);
    recipient_cache_check(&auth->recipient_cache, accounts_version_read(auth->accounts_version));
    const struct cached_recipient *known = recipient_cache_find(&auth->recipient_cache, key);
    struct cached_recipient fresh = {0};
    if (known == NULL) {
        fresh.verdict = may_send(auth, asked->account, asked->address) ? SENDER_ALLOWED : SENDER_FORBIDDEN;
        if (accounts_are_unreadable(auth->accounts))
            fresh.verdict = SENDER_UNAVAILABLE;
        else
            recipient_cache_keep(&auth->recipient_cache, key, &fresh);
        known = &fresh;
    }
    struct ipc_sender_answer answer = {.request = asked->request, .verdict = known->verdict};
    child_send(auth->child, asker, IPC_SENDER_ANSWER, &answer, -1);
}

/* Answers with the user's current vacation reply. */
static void ask_away(struct auth *auth, struct channel *asker, const struct ipc_away *asked)
{
    struct arena arena = {0};
    struct account_away away;
    uint64_t now_ms = clock_epoch_ms();
    struct ipc_away_answer answer = {.request = asked->request};
    if (accounts_away(auth->accounts, asked->user, &arena, &away) && away.since_ms <= now_ms &&
        (away.until_ms == 0 || now_ms < away.until_ms)) {
        answer.is_away = 1;
        answer.days = away.days;
        answer.subject = away.subject;
        answer.text = away.text;
    }
    child_send(auth->child, asker, IPC_AWAY_ANSWER, &answer, -1);
    arena_clear(&arena);
}

static void auth_message(struct child *child, struct channel *from, enum ipc_kind kind,
                         union ipc_message *message, int attached)
{
    struct auth *auth = child->service_data;
    if (attached >= 0)
        close(attached);
    switch (kind) {
    case IPC_PASSWORD: login_password(auth, from, &message->password); break;
    case IPC_SALT: login_salt(auth, from, &message->salt); break;
    case IPC_PROOF: login_proof(auth, from, &message->proof); break;
    case IPC_CREDENTIAL: login_credential(auth, from, &message->credential); break;
    case IPC_SENDER: ask_sender(auth, from, &message->sender); break;
    case IPC_LIMIT: sending_limits_ask(auth, from, &message->limit); break;
    case IPC_LIMIT_END: sending_limits_ended(auth, from, &message->limit_end); break;
    case IPC_RECIPIENT: recipient_lookup_ask(auth, from, &message->recipient); break;
    case IPC_EXPAND: recipient_lookup_expand(auth, from, &message->expand); break;
    case IPC_AWAY: ask_away(auth, from, &message->away); break;
    default: break; /* the table in ipc/ipc_message.c allows no other kind */
    }
}

static void auth_peer_lost(struct child *child, struct channel *peer)
{
    login_forget(child->service_data, peer);
    sending_limits_forget(child->service_data, peer);
}

static void on_password(void *owner, struct channel *from, const struct ipc_password *asked)
{
    login_password(owner, from, asked);
}

static void on_lost(void *owner, struct channel *from)
{
    login_forget(owner, from);
}

/* ---- the accounts' writer ---- */

void auth_end_if_drained(struct auth *auth)
{
    if (auth->draining && auth->logins == NULL && auth->control.pending_count == 0)
        child_exit(auth->child, EX_OK);
}

static void log_learned(const struct account_job *job)
{
    bool done = job->answer.exit_code == EX_OK;
    log_event(done ? LOG_EVENT_INFO : LOG_EVENT_WARN,
              done ? "scram_verifier_stored" : "scram_verifier_failed", LOG_BYTES("user", job->address),
              LOG_BYTES("reason", job->answer.text));
}

static void jobs_done(void *owner, bool readable, bool writable)
{
    struct auth *auth = owner;
    for (struct account_job *job; (job = account_writer_take(auth->writer)) != NULL;) {
        auth->control.pending_count--;
        if (job->learns) {
            log_learned(job);
            account_job_free(job);
        } else {
            account_control_done(job);
        }
    }
    auth_end_if_drained(auth);
}

/* ---- lifecycle ---- */

static bool auth_open(struct child *child, struct error *error)
{
    struct auth *auth = memory_new(sizeof *auth);
    child->service_data = auth;
    auth->child = child;
    auth->accounts_version = child_shared(child, &accounts_version_memory);
    local_users_read(&auth->local_users, child->config); /* from /etc: before the root directory changes */
    accounts_dummy_hash();
    return child_enter_data_dir(child, error) && auth_control_open(&auth->control, child->config->data_dir,
                                                                   child->user.uid, child->user.gid, error);
}

/* Mail is forwarded without a key too, with its sender as it is. */
static void open_forward_keys(struct auth *auth, const char *folder)
{
    struct error error = {0};
    if (!forward_keys_open(&auth->forward_keys, folder, &error))
        log_event(LOG_EVENT_WARN, "srs_key_unusable", LOG_TEXT("reason", error.text),
                  LOG_TEXT("hint", auth->forward_keys.current.usable
                                       ? "remove the old key, or give it its owner and mode back"
                                       : "forwarded mail keeps its sender and can fail SPF; remove the file "
                                         "and reload, so that a new key is made"));
}

/* The writer's handle first: it creates missing files. */
static bool auth_open_own(struct child *child, struct error *error)
{
    struct auth *auth = child->service_data;
    struct arena paths = {0}; /* for the process's whole life */
    const char *folder = account_store_folder(&paths, child->config->data_dir);
    if (!account_store_open(&auth->store, child->config, ACCOUNT_LOCK_WAIT_MS, error))
        return false;
    auth->accounts = accounts_open(folder, false, error);
    if (auth->accounts == NULL)
        return false;
    accounts_host(auth->accounts, child->config->domains, child->config->domain_count);
    open_forward_keys(auth, folder);
    sandbox_allow(child->paths, folder, true);
    sandbox_allow(child->paths, arena_format(&paths, "%s/quotas", child->config->data_dir), true);
    accounts_version_bump(auth->accounts_version); /* a subcommand may have changed the accounts */
    return true;
}

static bool open_writer(struct auth *auth, struct error *error)
{
    int descriptor;
    auth->writer = account_writer_open(&auth->store, auth->accounts_version, &descriptor, error);
    if (auth->writer == NULL)
        return false;
    watch_start(&auth->written_watch, auth->child->loop, descriptor, true, false, jobs_done, auth);
    return true;
}

static bool auth_start(struct child *child, struct error *error)
{
    struct auth *auth = child->service_data;
    struct auth_kept *kept = child->kept;
    login_throttle_start(&auth->throttle, &kept->throttle, random_u64());
    sending_limits_start(auth, &kept->rate_limits);
    login_cache_start(&auth->login_cache);
    recipient_cache_start(&auth->recipient_cache, random_u64());
    if (!login_open(auth, error) || !open_writer(auth, error))
        return false;
    auth->control.accounts = auth->accounts;
    auth->control.writer = auth->writer;
    auth->control.on_password = on_password;
    auth->control.on_lost = on_lost;
    auth->control.owner = auth;
    auth_control_start(&auth->control, child->loop, &auth->throttle);
    return true;
}

static void auth_drain(struct child *child, bool quick)
{
    struct auth *auth = child->service_data;
    auth->draining = true;
    child_deafen(child);
    login_drain(auth);
}

/* ---- in the supervisor ---- */

/* Creates missing accounts and upgrades them, as their user: errors are reported before any process
 * starts. While auth runs only auth uses them. */
static bool auth_prepare(const struct config *config, struct error *error)
{
    struct account_store store;
    if (!account_store_move_here(config, error) ||
        (geteuid() == 0 && !users_become(users_of(PROCESS_AUTH, config->user), error)))
        return false;
    bool opened = account_store_open(&store, config, 0, error);
    if (opened)
        account_store_close(&store);
    return opened || error->exit_code == EX_UNAVAILABLE;
}

const struct service auth_service = {
    .role = PROCESS_AUTH,
    .stop = STOP_ANSWERERS,
    .keeps = SANDBOX_READS_FILES | SANDBOX_WRITES_FILES | SANDBOX_HAS_THREADS | SANDBOX_ACCEPTS,
    .folder = ACCOUNTS_FOLDER,
    .shown_folder = QUOTAS_FOLDER,
    .shown_to = PROCESS_LOCAL,
    .shares = {{&accounts_version_memory, false}},
    .socket = AUTH_CONTROL_SOCKET,
    .kept_octets = sizeof(struct auth_kept),
    .prepare = auth_prepare,
    .open = auth_open,
    .open_own = auth_open_own,
    .start = auth_start,
    .on_message = auth_message,
    .on_peer_lost = auth_peer_lost,
    .on_drain = auth_drain,
};
