/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_query: what a session needs to know, asked of auth or queue. Where the
 * peer is not there (it is being restarted) or its channel is full, the
 * question waits; after PEER_WAIT_MS without a peer it is answered with
 * "unavailable", so that the client tries again later.
 */
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "service/smtpd/smtpd.h"

static enum process_role answerer(enum ipc_kind query)
{
    return query == IPC_SPOOL || query == IPC_SUBMIT ? PROCESS_QUEUE : PROCESS_AUTH;
}

static bool say(struct smtp_connection *connection, struct channel *to)
{
    struct child *child = connection->smtpd->child;
    const struct auth_query *query = &connection->query;
    const struct server_action *action = &query->action;
    const struct origin *origin = &connection->session.origin;
    struct message_spool *message_spool = &connection->message_spool;
    uint64_t request = query->request;
    switch (query->kind) {
    case IPC_PASSWORD:
        return child_send(
            child, to, IPC_PASSWORD,
            &(struct ipc_password){request, action->user, action->password, origin->client_address}, -1);
    case IPC_SALT: return child_send(child, to, IPC_SALT, &(struct ipc_salt){request, action->user}, -1);
    case IPC_PROOF:
        return child_send(child, to, IPC_PROOF,
                          &(struct ipc_proof){request, action->user, action->message, action->proof,
                                              origin->client_address},
                          -1);
    case IPC_CREDENTIAL: return credential_ask(connection, to, request);
    case IPC_LIMIT: return limit_ask(connection, to, request);
    case IPC_SENDER:
        return child_send(child, to, IPC_SENDER,
                          &(struct ipc_sender){request, action->account, action->address}, -1);
    case IPC_RECIPIENT:
        return child_send(child, to, IPC_RECIPIENT,
                          &(struct ipc_recipient){request, action->account, action->address}, -1);
    case IPC_SPOOL: return child_send(child, to, IPC_SPOOL, &(struct ipc_spool){request}, -1);
    default: { /* IPC_SUBMIT */
        struct ipc_submit submit = {.request = request,
                                    .id = message_spool->id,
                                    .spool = message_spool->spool,
                                    .envelope = *action->envelope,
                                    .origin = *origin,
                                    .content = buffer_bytes(&message_spool->content)};
        if (!child_send(child, to, IPC_SUBMIT, &submit, -1))
            return false;
        buffer_free(&message_spool->content); /* it is with queue now, and so is the file */
        message_spool->spool = 0;
        return true;
    }
    }
}

/* False when it has to wait. */
static bool try_to_ask(struct smtp_connection *connection)
{
    struct smtpd *smtpd = connection->smtpd;
    struct channel *peer = child_peer(smtpd->child, answerer(connection->query.kind));
    if (peer == NULL || channel_is_full(peer))
        return false;
    connection->query.request = ++smtpd->last_request;
    if (!say(connection, peer)) {
        connection->query.request = 0;
        return false;
    }
    map_put_u64(&smtpd->queries, connection->query.request, connection);
    return true;
}

static void wait_in_line(struct smtp_connection *connection)
{
    struct smtpd *smtpd = connection->smtpd;
    connection->query.next_waiting = NULL;
    if (smtpd->waiting_first == NULL) {
        smtpd->waiting_first = connection;
        timer_set(&smtpd->retry, AUTH_QUERY_RETRY_MS);
    } else {
        smtpd->waiting_last->query.next_waiting = connection;
    }
    smtpd->waiting_last = connection;
}

static void leave_line(struct smtp_connection *connection)
{
    struct smtpd *smtpd = connection->smtpd;
    struct smtp_connection *before = NULL;
    for (struct smtp_connection *at = smtpd->waiting_first; at != connection; at = at->query.next_waiting)
        before = at;
    if (before == NULL)
        smtpd->waiting_first = connection->query.next_waiting;
    else
        before->query.next_waiting = connection->query.next_waiting;
    if (smtpd->waiting_last == connection)
        smtpd->waiting_last = before;
}

static struct bytes key_of(struct smtpd *smtpd, enum ipc_kind kind, const struct server_action *action)
{
    if (kind == IPC_SENDER)
        return recipient_cache_key(&smtpd->key, RECIPIENT_CACHE_SENDER, action->account, action->address);
    return recipient_cache_key(&smtpd->key,
                               action->account.length > 0 ? RECIPIENT_CACHE_RECIPIENT_OF_USER
                                                          : RECIPIENT_CACHE_RECIPIENT,
                               bytes_none(), action->address);
}

/* The postmaster can always be written to (RFC 5321 4.5.1). */
static bool is_postmaster(struct bytes address)
{
    return bytes_is_nocase(bytes_split(&address, '@'), "postmaster");
}

/* All of them: what one member of an alias has room for is taken. */
static bool are_full(const struct smtpd *smtpd, const struct recipient *targets, size_t count)
{
    uint64_t version = accounts_read_version(smtpd->accounts_page), now_ms = clock_now_ms();
    for (size_t i = 0; i < count; i++)
        if (!targets[i].local ||
            !over_quota_table_has(smtpd->over_quota, targets[i].address, version, now_ms))
            return false;
    return count > 0;
}

/* Auth knows where it goes, not how full that is: this is looked up each time, and never kept. */
static void answer_recipient(struct smtp_connection *connection, struct bytes address,
                             enum recipient_verdict verdict, const struct recipient *targets, size_t count)
{
    if (verdict == RECIPIENT_KNOWN && !is_postmaster(address) && are_full(connection->smtpd, targets, count))
        verdict = RECIPIENT_FULL;
    if (verdict == RECIPIENT_UNKNOWN && harvest_table_refused(connection, address))
        return;
    server_session_answer_recipient(&connection->session, verdict, targets, count);
}

bool auth_query_is_known(struct smtp_connection *connection, enum ipc_kind kind,
                         const struct server_action *action)
{
    struct smtpd *smtpd = connection->smtpd;
    if (smtpd->draining) /* the successor's auth may have another configuration */
        return false;
    recipient_cache_check(&smtpd->recipient_cache, accounts_read_version(smtpd->accounts_page));
    const struct cached_recipient *known = recipient_cache_find(&smtpd->recipient_cache,
                                                                key_of(smtpd, kind, action));
    if (known == NULL)
        return false;
    if (kind == IPC_SENDER)
        server_session_answer_sender(&connection->session, (enum sender_verdict)known->verdict);
    else
        answer_recipient(connection, action->address, (enum recipient_verdict)known->verdict, known->targets,
                         known->target_count);
    return true;
}

/* Only what is good news: strangers could fill the memory with the rest. */
static void keep_answer(struct smtp_connection *connection, uint32_t verdict, struct recipient *targets,
                        size_t count)
{
    struct smtpd *smtpd = connection->smtpd;
    const struct auth_query *query = &connection->query;
    uint64_t version = accounts_read_version(smtpd->accounts_page);
    recipient_cache_check(&smtpd->recipient_cache, version);
    if (query->version != version) /* it may have been told before the change */
        return;
    struct cached_recipient answer = {.verdict = verdict, .targets = targets, .target_count = count};
    recipient_cache_keep(&smtpd->recipient_cache, key_of(smtpd, query->kind, &query->action), &answer);
}

void auth_query_ask(struct smtp_connection *connection, enum ipc_kind kind,
                    const struct server_action *action)
{
    connection->query = (struct auth_query){
        .open = true,
        .kind = kind,
        .since_ms = clock_now_ms(),
        .version = accounts_read_version(connection->smtpd->accounts_page)};
    if (action != NULL)
        connection->query.action = *action;
    if (!try_to_ask(connection))
        wait_in_line(connection);
}

void auth_query_forget(struct smtp_connection *connection)
{
    struct auth_query *query = &connection->query;
    if (!query->open)
        return;
    if (query->request != 0)
        map_remove_u64(&connection->smtpd->queries, query->request);
    else
        leave_line(connection);
    query->open = false;
}

/* ---- answers ---- */

/* To MAIL, about an author, or about a message that is to be stored. */
static void give_sender_verdict(struct smtp_connection *connection, enum sender_verdict verdict)
{
    struct server_action action = connection->query.action;
    if (action.kind == SERVER_ASK_STORE)
        message_spool_sender_answered(connection, &action, verdict);
    else
        server_session_answer_sender(&connection->session, verdict);
}

/* Nobody can tell now. The question is closed already. */
static void answer_unavailable(struct smtp_connection *connection)
{
    struct server_action action = connection->query.action; /* the next question takes its place */
    connection->query.open = false;
    switch (connection->query.kind) {
    case IPC_PASSWORD:
        server_session_answer_password(&connection->session, PASSWORD_UNAVAILABLE, bytes_none());
        break;
    case IPC_SALT:
        server_session_answer_salt(&connection->session, bytes_none(), 0, bytes_none(), bytes_none());
        break;
    case IPC_PROOF:
        server_session_answer_proof(&connection->session, PASSWORD_UNAVAILABLE, bytes_none(), bytes_none());
        break;
    case IPC_CREDENTIAL: smtp_connection_go_on(connection, &action, CREDENTIAL_UNAVAILABLE); break;
    case IPC_LIMIT: smtp_connection_limit_answered(connection, &action, LIMIT_UNAVAILABLE, 0, 0); break;
    case IPC_SENDER: give_sender_verdict(connection, SENDER_UNAVAILABLE); break;
    case IPC_RECIPIENT:
        server_session_answer_recipient(&connection->session, RECIPIENT_UNAVAILABLE, NULL, 0);
        break;
    case IPC_SPOOL: message_spool_spooled(connection, STORE_FAILED, 0, -1); break;
    default: message_spool_stored(connection, STORE_FAILED); break;
    }
    smtp_connection_run(connection);
}

static enum password_verdict password_verdict_of(uint32_t verdict)
{
    return verdict <= PASSWORD_UNAVAILABLE ? (enum password_verdict)verdict : PASSWORD_UNAVAILABLE;
}

static void log_verdict(const struct smtp_connection *connection, enum password_verdict verdict)
{
    bool wrong = verdict == PASSWORD_WRONG || verdict == PASSWORD_LOCKED;
    log_event(wrong ? LOG_EVENT_WARN : LOG_EVENT_DEBUG,
              wrong                       ? "auth_failed"
              : verdict == PASSWORD_RIGHT ? "auth_ok"
                                          : "auth_unavailable",
              LOG_BYTES("user", connection->query.action.user),
              LOG_BYTES("client", connection->session.origin.client_address),
              LOG_U64("port", connection->listener->port),
              LOG_TEXT("mechanism", server_session_mechanism(&connection->session)),
              LOG_TEXT("reason", verdict == PASSWORD_LOCKED ? "locked" : ""));
}

/* There may be one of a SCRAM exchange that was right, and then cancelled by the client. */
static void keep_credential(struct smtp_connection *connection, enum password_verdict verdict,
                            struct bytes account, struct bytes credential)
{
    credential_leave(connection);
    if (verdict == PASSWORD_RIGHT)
        credential_take(connection, account, credential);
}

static void password_answered(struct smtp_connection *connection, const struct ipc_password_answer *answer)
{
    enum password_verdict verdict = password_verdict_of(answer->verdict);
    log_verdict(connection, verdict);
    if (verdict == PASSWORD_RIGHT)
        handshake_limit_refund(connection);
    keep_credential(connection, verdict, answer->account, answer->credential);
    server_session_answer_password(&connection->session, verdict, answer->account);
}

static void salt_answered(struct smtp_connection *connection, const struct ipc_salt_answer *answer)
{
    unsigned char nonce[SCRAM_NONCE], binding[CONN_BINDING_MAX];
    random_fill(nonce, sizeof nonce);
    server_session_answer_salt(
        &connection->session, answer->salt, answer->iterations, bytes_of(nonce, sizeof nonce),
        conn_tls_binding(&connection->conn, connection->query.action.binding, binding));
}

static void proof_answered(struct smtp_connection *connection, const struct ipc_proof_answer *answer)
{
    enum password_verdict verdict = password_verdict_of(answer->verdict);
    log_verdict(connection, verdict);
    if (verdict == PASSWORD_RIGHT)
        handshake_limit_refund(connection);
    keep_credential(connection, verdict, answer->account, answer->credential);
    server_session_answer_proof(&connection->session, verdict, answer->account, answer->signature);
}

static void recipient_answered(struct smtp_connection *connection, const struct ipc_recipient_answer *answer)
{
    enum recipient_verdict verdict = answer->verdict <= RECIPIENT_UNAVAILABLE
                                         ? (enum recipient_verdict)answer->verdict
                                         : RECIPIENT_UNAVAILABLE;
    if (verdict == RECIPIENT_KNOWN && answer->target_count == 0)
        verdict = RECIPIENT_UNAVAILABLE;
    if (verdict == RECIPIENT_KNOWN)
        keep_answer(connection, verdict, answer->targets, answer->target_count);
    answer_recipient(connection, connection->query.action.address, verdict, answer->targets,
                     answer->target_count);
}

static void sender_answered(struct smtp_connection *connection, const struct ipc_sender_answer *answer)
{
    enum sender_verdict verdict = answer->verdict <= SENDER_UNAVAILABLE ? (enum sender_verdict)answer->verdict
                                                                        : SENDER_UNAVAILABLE;
    if (verdict == SENDER_ALLOWED)
        keep_answer(connection, verdict, NULL, 0);
    give_sender_verdict(connection, verdict);
}

static void limit_answered(struct smtp_connection *connection, const struct ipc_limit_answer *answer)
{
    struct server_action action = connection->query.action;
    enum limit_verdict verdict = answer->verdict <= LIMIT_UNAVAILABLE ? (enum limit_verdict)answer->verdict
                                                                      : LIMIT_UNAVAILABLE;
    smtp_connection_limit_answered(connection, &action, verdict, answer->number, answer->request);
}

static void own_credential_answered(struct smtp_connection *connection,
                                    const struct ipc_credential_answer *answer)
{
    struct server_action action = connection->query.action;
    smtp_connection_go_on(connection, &action, credential_answered(connection, answer));
}

static enum store_verdict store_verdict_of(uint32_t verdict)
{
    return verdict <= STORE_FAILED ? (enum store_verdict)verdict : STORE_FAILED;
}

/* Which question a kind answers, and for which request; IPC_KINDS for none. */
static enum ipc_kind answered_question(enum ipc_kind kind, const union ipc_message *message,
                                       uint64_t *request)
{
    switch (kind) {
    case IPC_PASSWORD_ANSWER: *request = message->password_answer.request; return IPC_PASSWORD;
    case IPC_SALT_ANSWER: *request = message->salt_answer.request; return IPC_SALT;
    case IPC_PROOF_ANSWER: *request = message->proof_answer.request; return IPC_PROOF;
    case IPC_CREDENTIAL_ANSWER: *request = message->credential_answer.request; return IPC_CREDENTIAL;
    case IPC_LIMIT_ANSWER: *request = message->limit_answer.request; return IPC_LIMIT;
    case IPC_SENDER_ANSWER: *request = message->sender_answer.request; return IPC_SENDER;
    case IPC_RECIPIENT_ANSWER: *request = message->recipient_answer.request; return IPC_RECIPIENT;
    case IPC_SPOOL_ANSWER: *request = message->spool_answer.request; return IPC_SPOOL;
    case IPC_SUBMIT_ANSWER: *request = message->submit_answer.request; return IPC_SUBMIT;
    default: return IPC_KINDS;
    }
}

/* The client left meanwhile: the file is not needed. */
static void give_back_spool(struct smtpd *smtpd, const struct ipc_spool_answer *answer)
{
    struct channel *queue = child_peer(smtpd->child, PROCESS_QUEUE);
    if (answer->verdict == STORE_DONE && queue != NULL)
        child_send(smtpd->child, queue, IPC_SPOOL_DROP, &(struct ipc_spool_drop){answer->spool}, -1);
}

void auth_query_answered(struct smtpd *smtpd, enum ipc_kind kind, union ipc_message *message, int attached)
{
    uint64_t request = 0;
    if (kind == IPC_CREDENTIAL_ANSWER && credential_check_answered(smtpd, &message->credential_answer))
        return;
    enum ipc_kind query = answered_question(kind, message, &request);
    struct smtp_connection *connection = query == IPC_KINDS ? NULL : map_get_u64(&smtpd->queries, request);
    if (attached >= 0 && (connection == NULL || query != IPC_SPOOL)) {
        close(attached);
        attached = -1;
    }
    if (connection == NULL && query == IPC_SPOOL)
        give_back_spool(smtpd, &message->spool_answer);
    if (connection == NULL && query == IPC_LIMIT)
        limit_answered_after_close(smtpd, &message->limit_answer);
    if (connection == NULL || connection->query.kind != query)
        return;
    map_remove_u64(&smtpd->queries, request);
    connection->query.open = false;
    switch (query) {
    case IPC_PASSWORD: password_answered(connection, &message->password_answer); break;
    case IPC_SALT: salt_answered(connection, &message->salt_answer); break;
    case IPC_PROOF: proof_answered(connection, &message->proof_answer); break;
    case IPC_CREDENTIAL: own_credential_answered(connection, &message->credential_answer); break;
    case IPC_LIMIT: limit_answered(connection, &message->limit_answer); break;
    case IPC_SENDER: sender_answered(connection, &message->sender_answer); break;
    case IPC_RECIPIENT: recipient_answered(connection, &message->recipient_answer); break;
    case IPC_SPOOL:
        message_spool_spooled(connection, store_verdict_of(message->spool_answer.verdict),
                              message->spool_answer.spool, attached);
        break;
    default: message_spool_stored(connection, store_verdict_of(message->submit_answer.verdict)); break;
    }
    smtp_connection_run(connection);
}

/* ---- peers that come and go ---- */

void auth_query_retry_all(void *owner)
{
    struct smtpd *smtpd = owner;
    struct smtp_connection *waiting = smtpd->waiting_first;
    smtpd->waiting_first = smtpd->waiting_last = NULL;
    uint64_t now = clock_now_ms();
    while (waiting != NULL) {
        struct smtp_connection *connection = waiting;
        waiting = waiting->query.next_waiting;
        if (try_to_ask(connection))
            continue;
        if (now - connection->query.since_ms < PEER_WAIT_MS ||
            child_peer(smtpd->child, answerer(connection->query.kind)) != NULL)
            wait_in_line(connection);
        else
            answer_unavailable(connection);
    }
}

/* What can be asked twice is asked the successor. Whether a message was
 * stored cannot be known: the client is told to try again. */
void auth_query_lost(struct smtpd *smtpd, enum process_role peer)
{
    for (struct smtp_connection *connection = smtpd->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        struct auth_query *query = &connection->query;
        bool asked = query->open && query->request != 0 && answerer(query->kind) == peer;
        bool file_lost = peer == PROCESS_QUEUE && connection->message_spool.spool != 0;
        if (file_lost)
            message_spool_lost(connection);
        if (query->open && query->kind == IPC_SUBMIT && (asked || file_lost)) {
            auth_query_forget(connection);
            answer_unavailable(connection);
        } else if (asked) {
            map_remove_u64(&smtpd->queries, query->request);
            query->request = 0;
            query->since_ms = clock_now_ms();
            wait_in_line(connection);
        }
    }
}
