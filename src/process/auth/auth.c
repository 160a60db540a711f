/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth: answers smtpd's questions: is this password right, or this proof of
 * one, may this account send as that address, where does this recipient go. Reads accounts.db;
 * touches nothing else.
 */
#include "auth/checkers.h"
#include "auth/control.h"
#include "answers.h"
#include "auth/guesses.h"
#include "auth/remembered.h"

#include "accounts.h"
#include "child.h"
#include "clock.h"
#include "log.h"
#include "random.h"
#include "saslprep.h"
#include "users.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct auth {
    struct child *child;
    struct accounts *accounts;
    struct checkers *checkers;
    struct watch done_watch;
    struct guesses guesses;
    struct auth_control control;
    struct remembered remembered;
    struct answers answers;
    struct buffer key; /* of the question at hand */
    struct password_check *checks; /* under way */
    size_t check_count;
    bool draining;
    char *accounts_path;
};

/* A password that is being checked on a thread. */
struct password_check {
    struct password_check *next;
    struct auth *auth;
    struct channel *asker; /* NULL once it is gone */
    uint64_t request;
    struct check check;
    struct arena arena;
    struct bytes user, password, client_address, address, hash; /* address: the account's, empty when there is none */
    struct bytes key; /* the application password's id; then nobody waits for the answer */
};

static void answer_password(struct auth *auth, struct channel *asker, uint64_t request, enum password_verdict verdict, struct bytes account)
{
    struct ipc_password_answer answer = {.request = request, .verdict = verdict, .account = account};
    if (asker != NULL && asker->peer == PROCESS_CLI)
        auth_control_answer(&auth->control, asker, &answer);
    else if (asker != NULL)
        child_send(auth->child, asker, IPC_PASSWORD_ANSWER, &answer, -1);
}

/* One more wrong password; who is locked by it is told of. */
static void count_failure(struct auth *auth, struct bytes client_address, struct bytes user, uint64_t now_ms)
{
    uint64_t locked_ms = guesses_failed(&auth->guesses, client_address, user, now_ms);
    if (locked_ms > 0)
        log_event(LOG_EVENT_WARN, "auth_locked", LOG_BYTES("user", bytes_first(user, GUESSES_WHO)), LOG_BYTES("client", client_address), LOG_U64("seconds", locked_ms / 1000),
                  LOG_TEXT("mend", "mailboat user locks shows who is locked, mailboat user unlock undoes it"));
}

static void forget_check(struct password_check *checked)
{
    struct auth *auth = checked->auth;
    for (struct password_check **at = &auth->checks; *at != NULL; at = &(*at)->next)
        if (*at == checked) {
            *at = checked->next;
            break;
        }
    auth->check_count--;
    explicit_bzero(checked->check.password, checked->password.length);
    arena_clear(&checked->arena);
    free(checked);
    if (auth->draining && auth->check_count == 0)
        child_exit(auth->child, EX_OK);
}

/* From now on the password works with SCRAM too. The supervisor writes it:
 * this process only reads. */
static void teach_scram(struct auth *auth, const struct password_check *checked)
{
    struct ipc_learn learn = {.address = checked->address, .key = checked->key, .password_hash = checked->hash,
                              .verifier = bytes_of(&checked->check.verifier, sizeof checked->check.verifier)};
    if (checked->check.wants_verifier && checked->check.matches && checked->address.length > 0)
        child_tell_supervisor(auth->child, IPC_LEARN, &learn);
}

static void finish_check(struct password_check *checked)
{
    teach_scram(checked->auth, checked);
    if (checked->key.length > 0) {
        forget_check(checked);
        return;
    }
    struct auth *auth = checked->auth;
    uint64_t now = clock_now_ms();
    bool right = checked->check.matches && checked->address.length > 0;
    if (right) {
        remembered_add(&auth->remembered, checked->address, checked->password, checked->hash, now);
        guesses_succeeded(&auth->guesses, checked->client_address, checked->user, now);
    } else {
        count_failure(auth, checked->client_address, checked->user, now);
    }
    answer_password(auth, checked->asker, checked->request, right ? PASSWORD_RIGHT : PASSWORD_WRONG, checked->address);
    forget_check(checked);
}

static void checks_done(void *owner, bool readable, bool writable)
{
    struct auth *auth = owner;
    for (struct check *check; (check = checkers_take(auth->checkers)) != NULL;)
        finish_check(check->owner);
}

static bool give_check(struct password_check *checked)
{
    struct auth *auth = checked->auth;
    checked->next = auth->checks;
    auth->checks = checked;
    auth->check_count++;
    return checkers_give(auth->checkers, &checked->check);
}

static void want_verifier(struct auth *auth, struct password_check *checked)
{
    checked->check.wants_verifier = true;
    accounts_salt(auth->accounts, checked->address, checked->check.salt);
}

/* An application password of before there was SCRAM here. */
static void learn_key(struct auth *auth, const struct ipc_password *asked, const struct account *account)
{
    struct password_check *checked = memory_new(sizeof *checked);
    checked->auth = auth;
    checked->address = arena_copy(&checked->arena, account->address);
    checked->password = arena_copy(&checked->arena, asked->password);
    checked->key = arena_copy(&checked->arena, account->key);
    checked->check = (struct check){.password = (char *)(uintptr_t)checked->password.at, .owner = checked};
    want_verifier(auth, checked);
    if (!give_check(checked))
        forget_check(checked);
}

/* Unknown users, disabled ones and wrong passwords take the same way: one
 * slow hash, the same words. */
static void check_slowly(struct auth *auth, struct channel *asker, const struct ipc_password *asked, const struct account *account)
{
    struct password_check *checked = memory_new(sizeof *checked);
    bool usable = account != NULL && !account->disabled;
    checked->auth = auth;
    checked->asker = asker;
    checked->request = asked->request;
    checked->user = arena_copy(&checked->arena, asked->user);
    checked->password = arena_copy(&checked->arena, asked->password);
    checked->client_address = arena_copy(&checked->arena, asked->client_address);
    checked->hash = arena_copy(&checked->arena, usable ? account->password : bytes_of_text(accounts_dummy_hash()));
    checked->address = usable ? arena_copy(&checked->arena, account->address) : bytes_none();
    checked->check = (struct check){.hash = (char *)(uintptr_t)checked->hash.at, .password = (char *)(uintptr_t)checked->password.at, .owner = checked};
    if (usable && !account->has_verifier)
        want_verifier(auth, checked);
    if (give_check(checked))
        return;
    answer_password(auth, asker, asked->request, PASSWORD_UNAVAILABLE, bytes_none());
    forget_check(checked);
}

static void ask_prepared(struct auth *auth, struct channel *asker, const struct ipc_password *asked)
{
    struct arena arena = {0};
    struct account account;
    /* An application's key is too long to be guessed: others' guesses do not lock it out. */
    if (accounts_find_key(auth->accounts, asked->user, asked->password, &arena, &account) && !account.disabled) {
        answer_password(auth, asker, asked->request, PASSWORD_RIGHT, account.address);
        if (!account.has_verifier)
            learn_key(auth, asked, &account);
    } else if (guesses_locked(&auth->guesses, asked->client_address, asked->user, clock_now_ms()) || asked->password.length > PASSWORD_MAX) {
        answer_password(auth, asker, asked->request, PASSWORD_LOCKED, bytes_none());
    } else {
        bool known = accounts_find(auth->accounts, asked->user, &arena, &account);
        if (accounts_are_unreadable(auth->accounts))
            answer_password(auth, asker, asked->request, PASSWORD_UNAVAILABLE, bytes_none());
        else if (known && !account.disabled && remembered_has(&auth->remembered, account.address, asked->password, account.password, clock_now_ms()))
            answer_password(auth, asker, asked->request, PASSWORD_RIGHT, account.address);
        else
            check_slowly(auth, asker, asked, known ? &account : NULL);
    }
    arena_clear(&arena);
}

static void ask_password(struct auth *auth, struct channel *asker, const struct ipc_password *asked)
{
    struct ipc_password prepared = *asked;
    char room[SASLPREP_MAX + 1];
    prepared.password = saslprep(asked->password, room);
    ask_prepared(auth, asker, &prepared);
    explicit_bzero(room, sizeof room);
}

/* ---- SCRAM ---- */

static void ask_salt(struct auth *auth, struct channel *asker, const struct ipc_salt *asked)
{
    uint8_t salt[VERIFIER_SALT];
    accounts_salt(auth->accounts, asked->user, salt);
    child_send(auth->child, asker, IPC_SALT_ANSWER,
               &(struct ipc_salt_answer){.request = asked->request, .salt = bytes_of(salt, sizeof salt), .iterations = VERIFIER_ITERATIONS}, -1);
}

/* The verifier that accepts the proof, among the application passwords and,
 * where it may be tried, the password; NULL when none does. */
static const struct verifier *accepting(struct auth *auth, const struct ipc_proof *asked, const struct account *account, bool locked, struct verifier *room)
{
    uint8_t proof[SCRAM_KEY];
    size_t count = accounts_key_verifiers(auth->accounts, account->address, room, ACCOUNT_KEYS_MAX);
    memcpy(proof, asked->proof.at, sizeof proof);
    if (account->has_verifier && !locked)
        room[count++] = account->verifier;
    const struct verifier *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (verifier_accepts(&room[i], asked->message, proof))
            found = &room[i];
    return found;
}

/* A user that is not there is looked up and tried like one that is. */
static void ask_proof(struct auth *auth, struct channel *asker, const struct ipc_proof *asked)
{
    static const struct verifier nobodys;
    struct arena arena = {0};
    struct account account = {0};
    struct verifier *room = ARENA_ARRAY(&arena, struct verifier, ACCOUNT_KEYS_MAX + 1);
    uint8_t signature[SCRAM_KEY] = {0};
    uint64_t now = clock_now_ms();
    struct ipc_proof_answer answer = {.request = asked->request, .verdict = PASSWORD_WRONG};
    bool usable = accounts_find(auth->accounts, asked->user, &arena, &account) && !account.disabled && asked->proof.length == SCRAM_KEY;
    bool locked = guesses_locked(&auth->guesses, asked->client_address, asked->user, now);
    if (!usable)
        account = (struct account){.has_verifier = true, .verifier = nobodys};
    const struct verifier *found = asked->proof.length == SCRAM_KEY ? accepting(auth, asked, &account, locked, room) : NULL;
    if (found != NULL && usable) {
        verifier_sign(found, asked->message, signature);
        answer.verdict = PASSWORD_RIGHT;
        answer.account = account.address;
        answer.signature = bytes_of(signature, sizeof signature);
        guesses_succeeded(&auth->guesses, asked->client_address, asked->user, now);
    } else if (locked) {
        answer.verdict = PASSWORD_LOCKED;
    } else {
        count_failure(auth, asked->client_address, asked->user, now);
    }
    if (accounts_are_unreadable(auth->accounts))
        answer.verdict = PASSWORD_UNAVAILABLE;
    child_send(auth->child, asker, IPC_PROOF_ANSWER, &answer, -1);
    arena_clear(&arena);
}

/* ---- where mail goes ---- */

/* "*@example.org" is every address of that domain. */
static bool suits(struct bytes pattern, struct bytes address)
{
    if (!bytes_starts_nocase(pattern, "*@"))
        return bytes_equal_nocase(pattern, address);
    size_t at = bytes_find_last(address, '@');
    return at != SIZE_MAX && bytes_equal_nocase(bytes_from(pattern, 1), bytes_from(address, at));
}

/* By the configuration, besides what is the account's own. */
static bool is_granted(const struct config *config, struct bytes account, struct bytes address)
{
    for (size_t i = 0; i < config->submission.send_as_count; i++) {
        struct bytes pattern = bytes_of_text(config->submission.send_as[i]);
        struct bytes whose = bytes_split(&pattern, ' ');
        if (bytes_equal_nocase(whose, account) && suits(bytes_trim(pattern), address))
            return true;
    }
    return false;
}

static void ask_sender(struct auth *auth, struct channel *asker, const struct ipc_sender *asked)
{
    struct bytes key = answers_key(&auth->key, ANSWERS_SENDER, asked->account, asked->address);
    answers_check(&auth->answers, accounts_version(auth->accounts));
    const struct answer *known = answers_find(&auth->answers, key);
    struct answer fresh = {0};
    if (known == NULL) {
        fresh.verdict = accounts_may_send(auth->accounts, asked->account, asked->address) || is_granted(auth->child->config, asked->account, asked->address) ? SENDER_ALLOWED : SENDER_FORBIDDEN;
        if (accounts_are_unreadable(auth->accounts))
            fresh.verdict = SENDER_UNAVAILABLE;
        else
            answers_keep(&auth->answers, key, &fresh);
        known = &fresh;
    }
    struct ipc_sender_answer answer = {.request = asked->request, .verdict = known->verdict};
    child_send(auth->child, asker, IPC_SENDER_ANSWER, &answer, -1);
}

static void resolve(struct auth *auth, struct bytes address, struct arena *arena, struct answer *fresh)
{
    static const enum recipient_verdict verdicts[] = {
        [TARGETS_FOUND] = RECIPIENT_KNOWN, [TARGETS_UNKNOWN] = RECIPIENT_UNKNOWN, [TARGETS_FOREIGN] = RECIPIENT_FOREIGN};
    fresh->verdict = verdicts[accounts_resolve(auth->accounts, address, arena, &fresh->targets, &fresh->target_count)];
    if (accounts_are_unreadable(auth->accounts))
        *fresh = (struct answer){.verdict = RECIPIENT_UNAVAILABLE};
}

static void ask_recipient(struct auth *auth, struct channel *asker, const struct ipc_recipient *asked)
{
    struct arena arena = {0};
    struct recipient elsewhere = {.address = asked->address};
    struct bytes key = answers_key(&auth->key, ANSWERS_RECIPIENT, bytes_none(), asked->address);
    answers_check(&auth->answers, accounts_version(auth->accounts));
    const struct answer *known = answers_find(&auth->answers, key);
    struct answer fresh = {0};
    if (known == NULL) {
        resolve(auth, asked->address, &arena, &fresh);
        if (fresh.verdict != RECIPIENT_UNAVAILABLE)
            answers_keep(&auth->answers, key, &fresh);
        known = &fresh;
    }
    struct ipc_recipient_answer answer = {.request = asked->request, .verdict = known->verdict, .targets = known->targets, .target_count = known->target_count};
    if (known->verdict == RECIPIENT_FOREIGN && asked->account.length > 0) { /* who signed in may write to anybody */
        answer.verdict = RECIPIENT_KNOWN;
        answer.targets = &elsewhere;
        answer.target_count = 1;
    } else if (known->verdict != RECIPIENT_KNOWN) {
        answer.target_count = 0;
    }
    child_send(auth->child, asker, IPC_RECIPIENT_ANSWER, &answer, -1);
    arena_clear(&arena);
}

/* What is answered in a user's absence, where its time is now. */
static void ask_away(struct auth *auth, struct channel *asker, const struct ipc_away *asked)
{
    struct arena arena = {0};
    struct account_away away;
    uint64_t now_ms = clock_epoch_ms();
    struct ipc_away_answer answer = {.request = asked->request};
    if (accounts_away(auth->accounts, asked->user, &arena, &away) && away.since_ms <= now_ms && (away.until_ms == 0 || now_ms < away.until_ms)) {
        answer.is_away = 1;
        answer.days = away.days;
        answer.subject = away.subject;
        answer.text = away.text;
    }
    child_send(auth->child, asker, IPC_AWAY_ANSWER, &answer, -1);
    arena_clear(&arena);
}

static void auth_message(struct child *child, struct channel *from, enum ipc_kind kind, union ipc_message *message, int attached)
{
    struct auth *auth = child->service_data;
    if (attached >= 0)
        close(attached);
    switch (kind) {
    case IPC_PASSWORD: ask_password(auth, from, &message->password); break;
    case IPC_SALT: ask_salt(auth, from, &message->salt); break;
    case IPC_PROOF: ask_proof(auth, from, &message->proof); break;
    case IPC_SENDER: ask_sender(auth, from, &message->sender); break;
    case IPC_RECIPIENT: ask_recipient(auth, from, &message->recipient); break;
    case IPC_AWAY: ask_away(auth, from, &message->away); break;
    default: break; /* the table in ipc/message.c lets nothing else through */
    }
}

static void forget_asker(struct auth *auth, const struct channel *peer)
{
    for (struct password_check *checked = auth->checks; checked != NULL; checked = checked->next)
        if (checked->asker == peer)
            checked->asker = NULL;
}

static void auth_peer_lost(struct child *child, struct channel *peer)
{
    forget_asker(child->service_data, peer);
}

static void on_password(void *owner, struct channel *from, const struct ipc_password *asked)
{
    ask_password(owner, from, asked);
}

static void on_lost(void *owner, struct channel *from)
{
    forget_asker(owner, from);
}

static bool auth_open(struct child *child, struct error *error)
{
    struct auth *auth = memory_new(sizeof *auth);
    struct buffer path = {0};
    child->service_data = auth;
    auth->child = child;
    auth->accounts = accounts_open(child->config->data_dir, false, error);
    if (auth->accounts == NULL)
        return false;
    accounts_host(auth->accounts, child->config->domains, child->config->domain_count);
    buffer_add_format(&path, "%s/accounts.db", child->config->data_dir);
    auth->accounts_path = path.at;
    sandbox_allow(child->paths, auth->accounts_path, false);
    accounts_dummy_hash();
    struct user user = user_of(PROCESS_AUTH, child->config->user);
    return auth_control_open(&auth->control, child->config->data_dir, user.uid, user.gid, error);
}

static bool auth_start(struct child *child, struct error *error)
{
    struct auth *auth = child->service_data;
    int descriptor;
    guesses_start(&auth->guesses, child->kept, random_u64());
    remembered_start(&auth->remembered);
    answers_start(&auth->answers, random_u64());
    auth->checkers = checkers_open(child->config->smtpd_count, &descriptor, error);
    if (auth->checkers == NULL)
        return false;
    auth->control.on_password = on_password;
    auth->control.on_lost = on_lost;
    auth->control.owner = auth;
    auth_control_start(&auth->control, child->loop, &auth->guesses);
    watch_start(&auth->done_watch, child->loop, descriptor, true, false, checks_done, auth);
    return true;
}

static void auth_drain(struct child *child, bool quick)
{
    struct auth *auth = child->service_data;
    auth->draining = true;
    child_deafen(child);
    if (auth->check_count == 0)
        child_exit(child, EX_OK);
}

const struct child_service auth_service = {
    .role = PROCESS_AUTH, .kept_octets = sizeof(struct guesses_kept), .open = auth_open, .start = auth_start, .on_message = auth_message,
    .on_peer_lost = auth_peer_lost, .on_drain = auth_drain,
};
