/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login: one authentication, by a password or by a SCRAM proof, from the question to the verdict. An
 * application password is too long to be guessed: it is checked first, and lockouts do not apply to it.
 * Everything else is counted before it is checked (login_throttle.h), and waits in a fair queue if it
 * cannot be checked immediately (login_queue.h), or while an equal password is (running_checks.h). Passwords
 * are checked on threads, with the slow hash; proofs immediately.
 *
 * Unknown users, disabled ones and wrong passwords are handled alike: one slow hash, the same reply.
 */
#include <assert.h>
#include <stdlib.h>
#include <sysexits.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "io/saslprep.h"
#include "service/auth/auth.h"

enum { TURN_LOOK_MS = 200 }; /* resolution for logins waiting for a time */

struct login {
    struct queued_login queued; /* first: entries of the queue are cast back */
    struct login *previous, *next;
    struct auth *auth;
    struct channel *asker; /* NULL once it is gone */
    uint64_t request;
    bool by_proof; /* by SCRAM; otherwise by password */
    struct throttle_try tried;
    struct arena arena; /* of the texts */
    struct bytes user, password, message, proof;
    /* while checked: */
    struct password_check check;
    uint64_t check_number;      /* in running_checks */
    uint64_t waits_for;         /* number of an equal check that ran when it came; 0: none */
    struct bytes address, hash; /* of the account; address empty if it does not exist or is disabled */
    /* id of an application password whose verifier is being made; no client waits */
    struct bytes learned_key;
};

/* ---- answers ---- */

static void answer_password(struct auth *auth, struct channel *asker,
                            const struct ipc_password_answer *answer)
{
    if (asker != NULL && asker->peer == PROCESS_CLI)
        auth_control_answer(&auth->control, asker, answer);
    else if (asker != NULL)
        child_send(auth->child, asker, IPC_PASSWORD_ANSWER, answer, -1);
}

static void answer_proof(struct auth *auth, struct channel *asker, struct ipc_proof_answer *answer)
{
    if (asker != NULL)
        child_send(auth->child, asker, IPC_PROOF_ANSWER, answer, -1);
}

/* Answers with the account, and the application password's id if it was one; signed with this verifier. */
static void answer_right_proof(struct auth *auth, struct channel *asker, const struct ipc_proof *asked,
                               const struct account *account, const struct verifier *verifier)
{
    uint8_t signature[SCRAM_KEY];
    struct buffer credential = {0};
    verifier_sign(verifier, asked->message, signature);
    accounts_credential(auth->accounts, account, &credential);
    answer_proof(auth, asker,
                 &(struct ipc_proof_answer){.request = asked->request,
                                            .verdict = PASSWORD_RIGHT,
                                            .account = account->address,
                                            .signature = bytes_of(signature, sizeof signature),
                                            .credential = buffer_bytes(&credential)});
    buffer_free(&credential);
}

static void answer(const struct login *login, enum password_verdict verdict)
{
    assert(verdict != PASSWORD_RIGHT);
    if (login->by_proof)
        answer_proof(login->auth, login->asker,
                     &(struct ipc_proof_answer){.request = login->request, .verdict = verdict});
    else
        answer_password(login->auth, login->asker,
                        &(struct ipc_password_answer){.request = login->request, .verdict = verdict});
}

/* Answers that the password was right for the account with this hash. */
static void answer_right_password(const struct login *login)
{
    struct buffer credential = {0};
    accounts_credential(login->auth->accounts,
                        &(struct account){.address = login->address, .password = login->hash}, &credential);
    answer_password(login->auth, login->asker,
                    &(struct ipc_password_answer){.request = login->request,
                                                  .verdict = PASSWORD_RIGHT,
                                                  .account = login->address,
                                                  .credential = buffer_bytes(&credential)});
    buffer_free(&credential);
}

/* ---- its life ---- */

static struct login *new_login(struct auth *auth, struct channel *asker, uint64_t request, struct bytes user)
{
    struct login *login = memory_new(sizeof *login);
    login->auth = auth;
    login->asker = asker;
    login->request = request;
    login->user = arena_copy(&login->arena, user);
    login->next = auth->logins;
    if (login->next != NULL)
        login->next->previous = login;
    auth->logins = login;
    return login;
}

static void wipe(struct bytes secret)
{
    if (secret.length > 0)
        explicit_bzero((char *)(uintptr_t)secret.at, secret.length);
}

static void end_login(struct login *login)
{
    struct auth *auth = login->auth;
    assert(login->queued.group == NULL);
    if (login->previous != NULL)
        login->previous->next = login->next;
    else
        auth->logins = login->next;
    if (login->next != NULL)
        login->next->previous = login->previous;
    wipe(login->password);
    arena_clear(&login->arena);
    free(login);
    auth_end_if_drained(auth);
}

static void refuse(struct login *login, enum password_verdict verdict)
{
    answer(login, verdict);
    end_login(login);
}

/* ---- verdicts ---- */

/* Counts a failure, and logs lockouts caused by it. */
static void fail(struct login *login)
{
    uint64_t locked_ms = login_throttle_failed(&login->auth->throttle, &login->tried, clock_now_ms());
    if (locked_ms > 0)
        log_event(LOG_EVENT_WARN, "auth_locked", LOG_TEXT("user", login->tried.account),
                  LOG_TEXT("client", login->tried.address), LOG_U64("locked_s", locked_ms / 1000),
                  LOG_TEXT("hint", "list with mailboat user locks; clear with mailboat user unlock"));
    refuse(login, PASSWORD_WRONG);
}

static void succeed(struct login *login)
{
    login_throttle_succeeded(&login->auth->throttle, &login->tried, clock_now_ms());
    answer_right_password(login);
    end_login(login);
}

/* Temporary failure to read the accounts: not counted. */
static void give_up(struct login *login)
{
    login_throttle_undone(&login->auth->throttle, &login->tried);
    refuse(login, PASSWORD_UNAVAILABLE);
}

/* ---- passwords ---- */

/* Stores a verifier, so that the password works with SCRAM from now on. */
static void teach_scram(const struct login *login)
{
    struct auth *auth = login->auth;
    if (!login->check.wants_verifier || !login->check.matches || login->address.length == 0)
        return;
    struct account_job *job = account_job_new();
    job->learns = true;
    job->address = arena_copy(&job->arena, login->address);
    job->key = arena_copy(&job->arena, login->learned_key);
    job->password_hash = arena_copy(&job->arena, login->hash);
    job->verifier = login->check.verifier;
    auth->control.pending_count++;
    account_writer_give(auth->writer, job);
}

static void want_verifier(struct login *login)
{
    login->check.wants_verifier = true;
    accounts_salt(login->auth->accounts, login->address, login->check.salt);
}

static void give_check(struct login *login)
{
    struct auth *auth = login->auth;
    bool given = password_check_give(&login->check, auth->workers);
    assert(given); /* never more checks than threads */
    auth->running++;
    login->check_number = running_checks_add(&auth->running_checks, login->user, login->password);
}

static void check_slowly(struct login *login, const struct account *account)
{
    login->hash = arena_copy(&login->arena,
                             account != NULL ? account->password : bytes_of_text(accounts_dummy_hash()));
    login->address = account != NULL ? arena_copy(&login->arena, account->address) : bytes_none();
    login->check = (struct password_check){.hash = (char *)(uintptr_t)login->hash.at,
                                           .password = (char *)(uintptr_t)login->password.at,
                                           .owner = login};
    if (account != NULL && !account->has_verifier)
        want_verifier(login);
    give_check(login);
}

static void wait_in_queue(struct login *login);

/* True if the same password is being checked for the same user: if it is right, the login cache has it soon.
 * Waits for one such check at most: wrong passwords do not queue up behind each other. */
static bool waits_for_equal(struct login *login)
{
    if (login->waits_for == 0)
        login->waits_for = running_checks_equal(&login->auth->running_checks, login->user, login->password);
    return running_checks_has(&login->auth->running_checks, login->waits_for);
}

static void check_password(struct login *login)
{
    struct auth *auth = login->auth;
    struct arena arena = {0};
    struct account account;
    bool usable = accounts_find_usable(auth->accounts, login->user, &arena, &account);
    if (accounts_are_unreadable(auth->accounts)) {
        give_up(login);
    } else if (login->password.length > PASSWORD_MAX) { /* no account has such a password */
        fail(login);
    } else if (usable && login_cache_has(&auth->login_cache, account.address, login->password,
                                         account.password, clock_now_ms())) {
        login->address = arena_copy(&login->arena, account.address);
        login->hash = arena_copy(&login->arena, account.password);
        succeed(login);
    } else if (auth->running < auth->threads && !waits_for_equal(login)) {
        check_slowly(login, usable ? &account : NULL);
    } else {
        login_throttle_undone(&auth->throttle, &login->tried);
        wait_in_queue(login);
    }
    arena_clear(&arena);
}

static void finish_check(struct login *login)
{
    struct auth *auth = login->auth;
    auth->running--;
    running_checks_remove(&auth->running_checks, login->check_number);
    teach_scram(login);
    if (login->learned_key.length > 0) {
        end_login(login);
        return;
    }
    bool right = login->check.matches && login->address.length > 0;
    log_event(LOG_EVENT_DEBUG, "password_checked", LOG_TEXT("user", login->tried.account),
              LOG_TEXT("client", login->tried.address), LOG_FLAG("right", right));
    if (!right) {
        fail(login);
        return;
    }
    login_cache_add(&auth->login_cache, login->address, login->password, login->hash, clock_now_ms());
    succeed(login);
}

/* ---- proofs ---- */

/* Treats an unknown user like a known one. */
static void check_proof(struct login *login)
{
    static const struct verifier nobodys;
    struct auth *auth = login->auth;
    struct arena arena = {0};
    struct account account = {0};
    uint8_t proof[SCRAM_KEY];
    memcpy(proof, login->proof.at, sizeof proof);
    bool usable = accounts_find_usable(auth->accounts, login->user, &arena, &account) && account.has_verifier;
    const struct verifier *verifier = usable ? &account.verifier : &nobodys;
    bool right = verifier_accepts(verifier, login->message, proof) && usable;
    if (accounts_are_unreadable(auth->accounts)) {
        give_up(login);
    } else if (right) {
        login_throttle_succeeded(&auth->throttle, &login->tried, clock_now_ms());
        answer_right_proof(auth, login->asker,
                           &(struct ipc_proof){.request = login->request, .message = login->message},
                           &account, verifier);
        end_login(login);
    } else {
        fail(login);
    }
    arena_clear(&arena);
}

/* ---- the queue ---- */

static void check(struct login *login)
{
    if (login->by_proof)
        check_proof(login);
    else
        check_password(login);
}

static void wait_in_queue(struct login *login)
{
    struct auth *auth = login->auth;
    struct queued_login *displaced = login_queue_add(&auth->queue, &login->queued, &login->tried);
    if (displaced != NULL)
        refuse((struct login *)(void *)displaced, PASSWORD_UNAVAILABLE);
    timer_set(&auth->turn, TURN_LOOK_MS);
}

static enum throttle_verdict decide(void *owner, struct queued_login *queued)
{
    struct auth *auth = owner;
    struct login *login = (struct login *)(void *)queued;
    if (running_checks_has(&auth->running_checks, login->waits_for))
        return LOGIN_WAITS;
    return login_throttle_begin(&auth->throttle, &login->tried, clock_now_ms());
}

/* Starts as many as threads are free. */
static void run_queue(struct auth *auth)
{
    enum throttle_verdict verdict;
    struct queued_login *queued;
    while (auth->running < auth->threads &&
           (queued = login_queue_next(&auth->queue, decide, auth, &verdict)) != NULL) {
        if (verdict == LOGIN_TRY)
            check((struct login *)(void *)queued);
        else
            refuse((struct login *)(void *)queued, PASSWORD_LOCKED);
    }
}

static void look_at_turns(void *owner)
{
    struct auth *auth = owner;
    run_queue(auth);
    if (auth->queue.known.count + auth->queue.strangers.count > 0)
        timer_set(&auth->turn, TURN_LOOK_MS);
}

static void checks_done(void *owner, bool readable, bool writable)
{
    struct auth *auth = owner;
    for (struct work *done; (done = worker_threads_take(auth->workers)) != NULL;)
        finish_check(((struct password_check *)(void *)done)->owner);
    run_queue(auth);
}

static void arrive(struct login *login, struct bytes client_address)
{
    login_throttle_try_start(&login->tried, client_address, login->user);
    switch (login_throttle_begin(&login->auth->throttle, &login->tried, clock_now_ms())) {
    case LOGIN_TRY: check(login); break;
    case LOGIN_WAITS: wait_in_queue(login); break;
    case LOGIN_LOCKED: refuse(login, PASSWORD_LOCKED); break;
    }
}

/* ---- application passwords ---- */

/* Makes the verifier of an application password created before SCRAM was supported, if a thread is free. */
static void learn_key(struct auth *auth, const struct ipc_password *asked, const struct account *account)
{
    if (auth->running >= auth->threads)
        return;
    struct login *login = new_login(auth, NULL, 0, asked->user);
    login->address = arena_copy(&login->arena, account->address);
    login->learned_key = arena_copy(&login->arena, account->key);
    login->password = arena_copy(&login->arena, asked->password);
    login->check = (struct password_check){.password = (char *)(uintptr_t)login->password.at, .owner = login};
    want_verifier(login);
    give_check(login);
}

/* True if it is an application password, and answered. */
static bool answer_key(struct auth *auth, struct channel *asker, const struct ipc_password *asked)
{
    struct arena arena = {0};
    struct account account, usable;
    bool found = accounts_find_key(auth->accounts, asked->user, asked->password, &arena, &account) &&
                 accounts_find_usable(auth->accounts, account.address, &arena, &usable);
    if (found) {
        struct buffer credential = {0};
        accounts_credential(auth->accounts, &account, &credential);
        answer_password(auth, asker,
                        &(struct ipc_password_answer){.request = asked->request,
                                                      .verdict = PASSWORD_RIGHT,
                                                      .account = account.address,
                                                      .credential = buffer_bytes(&credential)});
        buffer_free(&credential);
    }
    if (found && !account.has_verifier)
        learn_key(auth, asked, &account);
    arena_clear(&arena);
    return found;
}

void login_password(struct auth *auth, struct channel *asker, const struct ipc_password *asked)
{
    struct ipc_password prepared = *asked;
    char buffer[SASLPREP_MAX + 1];
    prepared.password = saslprep(asked->password, buffer);
    if (!answer_key(auth, asker, &prepared)) {
        struct login *login = new_login(auth, asker, asked->request, asked->user);
        login->password = arena_copy(&login->arena, prepared.password);
        arrive(login, asked->client_address);
    }
    explicit_bzero(buffer, sizeof buffer);
}

void login_credential(struct auth *auth, struct channel *asker, const struct ipc_credential *asked)
{
    bool holds = accounts_credential_holds(auth->accounts, asked->account, asked->credential);
    struct ipc_credential_answer answer = {.request = asked->request,
                                           .verdict = holds ? CREDENTIAL_HOLDS : CREDENTIAL_ENDED};
    if (accounts_are_unreadable(auth->accounts))
        answer.verdict = CREDENTIAL_UNAVAILABLE;
    child_send(auth->child, asker, IPC_CREDENTIAL_ANSWER, &answer, -1);
}

void login_salt(struct auth *auth, struct channel *asker, const struct ipc_salt *asked)
{
    uint8_t salt[VERIFIER_SALT];
    accounts_salt(auth->accounts, asked->user, salt);
    child_send(auth->child, asker, IPC_SALT_ANSWER,
               &(struct ipc_salt_answer){.request = asked->request,
                                         .salt = bytes_of(salt, sizeof salt),
                                         .iterations = VERIFIER_ITERATIONS},
               -1);
}

/* True if the proof was made with an application password, and is answered. */
static bool answer_key_proof(struct auth *auth, struct channel *asker, const struct ipc_proof *asked)
{
    struct arena arena = {0};
    struct account account;
    struct key_verifier *keys = ARENA_ARRAY(&arena, struct key_verifier, ACCOUNT_KEYS_MAX);
    const struct key_verifier *found = NULL;
    uint8_t proof[SCRAM_KEY];
    memcpy(proof, asked->proof.at, sizeof proof);
    size_t count = accounts_find_usable(auth->accounts, asked->user, &arena, &account)
                       ? accounts_key_verifiers(auth->accounts, account.address, keys, ACCOUNT_KEYS_MAX)
                       : 0;
    for (size_t i = 0; i < count; i++)
        if (verifier_accepts(&keys[i].verifier, asked->message, proof))
            found = &keys[i];
    if (found != NULL) {
        account.key = bytes_of_text(found->id);
        answer_right_proof(auth, asker, asked, &account, &found->verifier);
    }
    arena_clear(&arena);
    return found != NULL;
}

void login_proof(struct auth *auth, struct channel *asker, const struct ipc_proof *asked)
{
    static const char nobodys[SCRAM_KEY];
    struct ipc_proof whole = *asked;
    if (whole.proof.length != SCRAM_KEY)
        whole.proof = bytes_of(nobodys, sizeof nobodys);
    if (answer_key_proof(auth, asker, &whole))
        return;
    struct login *login = new_login(auth, asker, asked->request, asked->user);
    login->by_proof = true;
    login->message = arena_copy(&login->arena, whole.message);
    login->proof = arena_copy(&login->arena, whole.proof);
    arrive(login, asked->client_address);
}

/* ---- public functions ---- */

bool login_open(struct auth *auth, struct error *error)
{
    int descriptor;
    auth->threads = auth->child->config->smtpd_count < WORKER_THREADS_MAX ? auth->child->config->smtpd_count
                                                                          : WORKER_THREADS_MAX;
    auth->workers = worker_threads_open(auth->threads, CHECKS_WAITING_MAX, "check passwords", &descriptor,
                                        error);
    if (auth->workers == NULL)
        return false;
    login_queue_start(&auth->queue, random_u64());
    timer_start(&auth->turn, auth->child->loop, look_at_turns, auth);
    watch_start(&auth->done_watch, auth->child->loop, descriptor, true, false, checks_done, auth);
    return true;
}

/* Drops the asker's logins: those in progress finish without an answer; waiting ones are not checked. */
void login_forget(struct auth *auth, const struct channel *asker)
{
    for (struct login *login = auth->logins, *next; login != NULL; login = next) {
        next = login->next;
        if (login->asker != asker || asker == NULL)
            continue;
        login->asker = NULL;
        if (login->queued.group == NULL)
            continue;
        login_queue_remove(&auth->queue, &login->queued);
        end_login(login);
    }
}

void login_drain(struct auth *auth)
{
    timer_cancel(&auth->turn);
    for (struct queued_login *queued; (queued = login_queue_take(&auth->queue)) != NULL;)
        refuse((struct login *)(void *)queued, PASSWORD_UNAVAILABLE);
    auth_end_if_drained(auth);
}
