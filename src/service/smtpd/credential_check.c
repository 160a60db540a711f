/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential_check: the credentials of this process's sessions, and whether they are still valid. Sessions
 * with the same credential share one entry. After a change of the accounts, auth is asked once about each
 * entry: as soon as one of its sessions begins or ends a message (the session waits for the answer), and
 * within CREDENTIALS_LOOK_MS for all, a few at a time, to avoid a burst of ten thousand questions.
 * Sessions with a revoked credential are ended (server_session_sign_out).
 *
 * A change that does not touch the accounts, a configuration without the account's domain, is noticed when
 * the answer is CREDENTIAL_HOLDS_MS old, or immediately by a process that already has a successor.
 */
#include <assert.h>
#include <stdlib.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/smtpd/smtpd.h"

struct credential {
    struct credential *previous, *next;
    size_t sessions;
    uint64_t version;    /* of the accounts at the last question */
    uint64_t checked_ms; /* time of that */
    uint64_t request;    /* of the current check; 0: none */
    bool ended;
    struct bytes account, text;
    struct buffer key; /* account LF text */
};

static void look(void *owner);
static void end_sessions(void *owner);

void credential_check_start(struct credential_checks *credentials, struct smtpd *smtpd)
{
    *credentials = (struct credential_checks){
        .looked_version = accounts_version_read(smtpd->accounts_version)};
    map_start(&credentials->known, smtpd->seed);
    map_start(&credentials->asked, smtpd->seed);
    timer_start(&credentials->timer, smtpd->child->loop, look, smtpd);
    timer_start(&credentials->ending, smtpd->child->loop, end_sessions, smtpd);
}

/* ---- adding and removing ---- */

static struct credential *new_credential(struct smtpd *smtpd, struct bytes account, struct bytes text)
{
    struct credential_checks *all = &smtpd->credentials;
    struct credential *credential = memory_new(sizeof *credential);
    buffer_add_format(&credential->key, "%.*s\n%.*s", BYTES_ARG(account), BYTES_ARG(text));
    credential->account = bytes_first(buffer_bytes(&credential->key), account.length);
    credential->text = bytes_from(buffer_bytes(&credential->key), account.length + 1);
    credential->next = all->first;
    if (all->first != NULL)
        all->first->previous = credential;
    else
        timer_set(&all->timer, CREDENTIALS_LOOK_MS);
    all->first = credential;
    map_put(&all->known, buffer_bytes(&credential->key), credential);
    return credential;
}

static void free_credential(struct smtpd *smtpd, struct credential *credential)
{
    struct credential_checks *all = &smtpd->credentials;
    if (credential->previous != NULL)
        credential->previous->next = credential->next;
    else
        all->first = credential->next;
    if (credential->next != NULL)
        credential->next->previous = credential->previous;
    if (all->at == credential)
        all->at = credential->next;
    if (credential->request != 0)
        map_remove_u64(&all->asked, credential->request);
    if (map_get(&all->known, buffer_bytes(&credential->key)) == credential)
        map_remove(&all->known, buffer_bytes(&credential->key));
    buffer_free(&credential->key);
    free(credential);
    if (all->first == NULL)
        timer_cancel(&all->timer);
}

void credential_take(struct smtp_connection *connection, struct bytes account, struct bytes text)
{
    struct smtpd *smtpd = connection->smtpd;
    struct credential_checks *all = &smtpd->credentials;
    struct buffer key = {0};
    assert(connection->credential == NULL);
    buffer_add_format(&key, "%.*s\n%.*s", BYTES_ARG(account), BYTES_ARG(text));
    struct credential *credential = map_get(&all->known, buffer_bytes(&key));
    /* valid again: sessions of the revoked entry stay revoked */
    if (credential == NULL || credential->ended)
        credential = new_credential(smtpd, account, text);
    buffer_free(&key);
    credential->sessions++;
    credential->version = connection->query.version;
    credential->checked_ms = clock_now_ms();
    connection->credential = credential;
    if (credential->version != accounts_version_read(smtpd->accounts_version))
        all->looked_version = ACCOUNTS_VERSION_NONE; /* the answer may precede the change */
}

void credential_leave(struct smtp_connection *connection)
{
    struct credential *credential = connection->credential;
    connection->credential = NULL;
    if (credential != NULL && --credential->sessions == 0)
        free_credential(connection->smtpd, credential);
}

/* ---- checks for a message ---- */

bool credential_holds(const struct smtp_connection *connection)
{
    const struct smtpd *smtpd = connection->smtpd;
    const struct credential *credential = connection->credential;
    if (credential == NULL)
        return true; /* no authentication: port 25, or a local program */
    return !credential->ended && !smtpd->draining &&
           credential->version == accounts_version_read(smtpd->accounts_version) &&
           clock_now_ms() - credential->checked_ms < CREDENTIAL_HOLDS_MS;
}

bool credential_ask(struct smtp_connection *connection)
{
    const struct credential *credential = connection->credential;
    struct question *question = &connection->query.question;
    return question_send(question,
                         &(struct ipc_credential){question->request, credential->account, credential->text});
}

static void take_verdict(struct smtpd *smtpd, struct credential *credential, enum credential_verdict verdict,
                         uint64_t version)
{
    if (verdict == CREDENTIAL_UNAVAILABLE || credential->ended)
        return;
    credential->version = version;
    credential->checked_ms = clock_now_ms();
    credential->ended = verdict == CREDENTIAL_ENDED;
    if (credential->ended)
        timer_soon(&smtpd->credentials.ending);
}

enum credential_verdict credential_answered(struct smtp_connection *connection,
                                            const struct ipc_credential_answer *answer)
{
    enum credential_verdict verdict = answer->verdict <= CREDENTIAL_UNAVAILABLE
                                          ? (enum credential_verdict)answer->verdict
                                          : CREDENTIAL_UNAVAILABLE;
    take_verdict(connection->smtpd, connection->credential, verdict, connection->query.version);
    if (verdict == CREDENTIAL_ENDED)
        credential_sign_out(connection);
    return connection->credential->ended ? CREDENTIAL_ENDED : verdict;
}

void credential_sign_out(struct smtp_connection *connection)
{
    if (connection->signed_out)
        return;
    connection->signed_out = true;
    log_event(
        LOG_EVENT_INFO, "signed_out", LOG_BYTES("account", connection->credential->account),
        LOG_TEXT("client", connection->address), LOG_U64("port", connection->listener->port),
        LOG_TEXT("reason", "the account, its password or its application password was changed or revoked"));
}

static void end_sessions(void *owner)
{
    struct smtpd *smtpd = owner;
    for (struct smtp_connection *connection = smtpd->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->credential == NULL || !connection->credential->ended || connection->signed_out ||
            connection->stage == SMTP_CLOSING)
            continue;
        credential_sign_out(connection);
        server_session_sign_out(&connection->session);
        smtp_connection_run(connection);
    }
}

/* ---- checks after a change of the accounts ---- */

/* Asks about as many as allowed. False if auth is unreachable. */
static bool ask_some(struct smtpd *smtpd)
{
    struct credential_checks *all = &smtpd->credentials;
    struct channel *auth = child_peer(smtpd->child, PROCESS_AUTH);
    for (; all->at != NULL && all->asked.count < CREDENTIALS_ASKED_MAX; all->at = all->at->next) {
        struct credential *credential = all->at;
        if (credential->ended || credential->request != 0 || credential->version == all->looking_version)
            continue;
        uint64_t request = questions_number(&smtpd->submissions.questions);
        if (auth == NULL || channel_is_full(auth) ||
            !child_send(smtpd->child, auth, IPC_CREDENTIAL,
                        &(struct ipc_credential){request, credential->account, credential->text}, -1))
            return false;
        credential->request = request;
        map_put_u64(&all->asked, request, credential);
    }
    return true;
}

/* Continues until all were checked; failures are retried at the next check. */
static void go_on(struct smtpd *smtpd)
{
    struct credential_checks *all = &smtpd->credentials;
    if (!ask_some(smtpd)) {
        all->looking = false;
        return;
    }
    if (all->at != NULL || all->asked.count > 0)
        return;
    all->looking = false;
    all->looked_version = all->complete ? all->looking_version : ACCOUNTS_VERSION_NONE;
}

static void look(void *owner)
{
    struct smtpd *smtpd = owner;
    struct credential_checks *all = &smtpd->credentials;
    uint64_t version = accounts_version_read(smtpd->accounts_version);
    timer_set(&all->timer, CREDENTIALS_LOOK_MS);
    if (all->looking || version == all->looked_version)
        return;
    all->looking = all->complete = true;
    all->looking_version = version;
    all->at = all->first;
    go_on(smtpd);
}

bool credential_check_answered(struct smtpd *smtpd, const struct ipc_credential_answer *answer)
{
    struct credential_checks *all = &smtpd->credentials;
    struct credential *credential = map_remove_u64(&all->asked, answer->request);
    if (credential == NULL)
        return false;
    enum credential_verdict verdict = answer->verdict <= CREDENTIAL_UNAVAILABLE
                                          ? (enum credential_verdict)answer->verdict
                                          : CREDENTIAL_UNAVAILABLE;
    credential->request = 0;
    all->complete = all->complete && verdict != CREDENTIAL_UNAVAILABLE;
    take_verdict(smtpd, credential, verdict, all->looking_version);
    if (all->looking)
        go_on(smtpd);
    return true;
}

void credential_check_lost(struct smtpd *smtpd)
{
    struct credential_checks *all = &smtpd->credentials;
    for (struct credential *credential = all->first; credential != NULL; credential = credential->next)
        credential->request = 0;
    map_free(&all->asked);
    map_start(&all->asked, smtpd->seed);
    all->looking = false;
    all->looked_version = ACCOUNTS_VERSION_NONE; /* its successor may have another configuration */
}
