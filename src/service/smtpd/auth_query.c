/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_query: a session's questions to auth: a password, a SCRAM exchange, and whether its credential is
 * still valid. One question at a time; while auth is unreachable it waits as in
 * service/submission/question.h, and is then answered with "unavailable", so that the client tries again
 * later.
 */
#include "io/log.h"
#include "io/random.h"
#include "service/smtpd/smtpd.h"

static bool say(struct question *question)
{
    struct smtp_connection *connection = question->owner;
    const struct server_action *action = &connection->query.action;
    const struct bytes client = connection->session.origin.client_address;
    const uint64_t request = question->request;
    switch (question->kind) {
    case IPC_PASSWORD:
        return question_send(question,
                             &(struct ipc_password){request, action->user, action->password, client});
    case IPC_SALT: return question_send(question, &(struct ipc_salt){request, action->user});
    case IPC_PROOF:
        return question_send(
            question, &(struct ipc_proof){request, action->user, action->message, action->proof, client});
    default: return credential_ask(connection);
    }
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

/* A correct SCRAM exchange that the client cancelled may have left one. */
static void keep_credential(struct smtp_connection *connection, enum password_verdict verdict,
                            struct bytes account, struct bytes credential)
{
    credential_leave(connection);
    if (verdict == PASSWORD_RIGHT)
        credential_take(connection, account, credential);
}

static void password_was_right(struct smtp_connection *connection)
{
    handshake_limit_refund(connection);
    tls_sniff_table_signed_in(connection);
}

static void password_answered(struct smtp_connection *connection, const struct ipc_password_answer *answer)
{
    enum password_verdict verdict = password_verdict_of(answer->verdict);
    log_verdict(connection, verdict);
    if (verdict == PASSWORD_RIGHT)
        password_was_right(connection);
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
        password_was_right(connection);
    keep_credential(connection, verdict, answer->account, answer->credential);
    server_session_answer_proof(&connection->session, verdict, answer->account, answer->signature);
}

static void own_credential_answered(struct smtp_connection *connection,
                                    const struct ipc_credential_answer *answer)
{
    struct server_action action = connection->query.action;
    message_submission_credential_answered(connection, &action, credential_answered(connection, answer));
}

static void answered(struct question *question, const union ipc_message *answer, int attached)
{
    struct smtp_connection *connection = question->owner;
    switch (question->kind) {
    case IPC_PASSWORD: password_answered(connection, &answer->password_answer); break;
    case IPC_SALT: salt_answered(connection, &answer->salt_answer); break;
    case IPC_PROOF: proof_answered(connection, &answer->proof_answer); break;
    default: own_credential_answered(connection, &answer->credential_answer); break;
    }
}

static void unavailable(struct question *question)
{
    struct smtp_connection *connection = question->owner;
    struct server_action action = connection->query.action; /* the next question reuses its place */
    switch (question->kind) {
    case IPC_PASSWORD:
        server_session_answer_password(&connection->session, PASSWORD_UNAVAILABLE, bytes_none());
        break;
    case IPC_SALT:
        server_session_answer_salt(&connection->session, bytes_none(), 0, bytes_none(), bytes_none());
        break;
    case IPC_PROOF:
        server_session_answer_proof(&connection->session, PASSWORD_UNAVAILABLE, bytes_none(), bytes_none());
        break;
    default: message_submission_credential_answered(connection, &action, CREDENTIAL_UNAVAILABLE); break;
    }
}

static void go_on(struct question *question)
{
    smtp_connection_run(question->owner);
}

static const struct question_rules auth_query_rules = {
    .say = say, .answered = answered, .unavailable = unavailable, .go_on = go_on};

void auth_query_start(struct smtp_connection *connection)
{
    question_start(&connection->query.question, &connection->smtpd->submissions.questions, &auth_query_rules,
                   connection);
}

void auth_query_ask(struct smtp_connection *connection, enum ipc_kind kind,
                    const struct server_action *action)
{
    connection->query.action = *action;
    connection->query.version = accounts_version_read(connection->smtpd->accounts_version);
    question_ask(&connection->query.question, kind);
}

void auth_query_forget(struct smtp_connection *connection)
{
    question_forget(&connection->query.question);
}
