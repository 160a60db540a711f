/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_query: what a session needs to know, asked of auth or queue. Where the
 * peer is not there (it is being restarted) or its channel is full, the
 * question waits; after PEER_WAIT_MS without a peer it is answered with
 * "unavailable", so that the client tries again later.
 */
#include "service/smtpd/smtpd.h"

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"

#include <unistd.h>

static enum process_role answerer(enum ipc_kind question)
{
    return question == IPC_SPOOL || question == IPC_SUBMIT ? PROCESS_QUEUE : PROCESS_AUTH;
}

static bool say(struct dialogue *dialogue, struct channel *to)
{
    struct child *child = dialogue->smtpd->child;
    const struct question *question = &dialogue->question;
    const struct server_action *action = &question->action;
    const struct origin *origin = &dialogue->session.origin;
    struct intake *intake = &dialogue->intake;
    uint64_t request = question->request;
    switch (question->kind) {
    case IPC_PASSWORD:
        return child_send(child, to, IPC_PASSWORD, &(struct ipc_password){request, action->user, action->password, origin->client_address}, -1);
    case IPC_SALT:
        return child_send(child, to, IPC_SALT, &(struct ipc_salt){request, action->user}, -1);
    case IPC_PROOF:
        return child_send(child, to, IPC_PROOF, &(struct ipc_proof){request, action->user, action->message, action->proof, origin->client_address}, -1);
    case IPC_CREDENTIAL:
        return credential_ask(dialogue, to, request);
    case IPC_LIMIT:
        return limit_ask(dialogue, to, request);
    case IPC_SENDER:
        return child_send(child, to, IPC_SENDER, &(struct ipc_sender){request, action->account, action->address}, -1);
    case IPC_RECIPIENT:
        return child_send(child, to, IPC_RECIPIENT, &(struct ipc_recipient){request, action->account, action->address}, -1);
    case IPC_SPOOL:
        return child_send(child, to, IPC_SPOOL, &(struct ipc_spool){request}, -1);
    default: { /* IPC_SUBMIT */
        struct ipc_submit submit = {.request = request, .id = intake->id, .spool = intake->spool, .envelope = *action->envelope,
                                    .origin = *origin, .content = buffer_bytes(&intake->content)};
        if (!child_send(child, to, IPC_SUBMIT, &submit, -1))
            return false;
        buffer_free(&intake->content); /* it is with queue now, and so is the file */
        intake->spool = 0;
        return true;
    }
    }
}

/* False when it has to wait. */
static bool try_to_ask(struct dialogue *dialogue)
{
    struct smtpd *smtpd = dialogue->smtpd;
    struct channel *peer = child_peer(smtpd->child, answerer(dialogue->question.kind));
    if (peer == NULL || channel_is_full(peer))
        return false;
    dialogue->question.request = ++smtpd->last_request;
    if (!say(dialogue, peer)) {
        dialogue->question.request = 0;
        return false;
    }
    map_put_u64(&smtpd->questions, dialogue->question.request, dialogue);
    return true;
}

static void wait_in_line(struct dialogue *dialogue)
{
    struct smtpd *smtpd = dialogue->smtpd;
    dialogue->question.next_waiting = NULL;
    if (smtpd->waiting_first == NULL) {
        smtpd->waiting_first = dialogue;
        timer_set(&smtpd->retry, QUESTION_RETRY_MS);
    } else {
        smtpd->waiting_last->question.next_waiting = dialogue;
    }
    smtpd->waiting_last = dialogue;
}

static void leave_line(struct dialogue *dialogue)
{
    struct smtpd *smtpd = dialogue->smtpd;
    struct dialogue *before = NULL;
    for (struct dialogue *at = smtpd->waiting_first; at != dialogue; at = at->question.next_waiting)
        before = at;
    if (before == NULL)
        smtpd->waiting_first = dialogue->question.next_waiting;
    else
        before->question.next_waiting = dialogue->question.next_waiting;
    if (smtpd->waiting_last == dialogue)
        smtpd->waiting_last = before;
}

static struct bytes key_of(struct smtpd *smtpd, enum ipc_kind kind, const struct server_action *action)
{
    if (kind == IPC_SENDER)
        return answers_key(&smtpd->key, ANSWERS_SENDER, action->account, action->address);
    return answers_key(&smtpd->key, action->account.length > 0 ? ANSWERS_RECIPIENT_OF_USER : ANSWERS_RECIPIENT, bytes_none(), action->address);
}

/* The postmaster can always be written to (RFC 5321 4.5.1). */
static bool is_postmaster(struct bytes address)
{
    return bytes_is_nocase(bytes_split(&address, '@'), "postmaster");
}

/* All of them: what one member of an alias has room for is taken. */
static bool are_full(const struct smtpd *smtpd, const struct recipient *targets, size_t count)
{
    uint64_t version = accounts_watched_version(smtpd->accounts_page), now_ms = clock_now_ms();
    for (size_t i = 0; i < count; i++)
        if (!targets[i].local || !full_mailboxes_has(smtpd->child->full_mailboxes, targets[i].address, version, now_ms))
            return false;
    return count > 0;
}

/* Auth knows where it goes, not how full that is: this is looked up each time, and never kept. */
static void answer_recipient(struct dialogue *dialogue, struct bytes address, enum recipient_verdict verdict, const struct recipient *targets, size_t count)
{
    if (verdict == RECIPIENT_KNOWN && !is_postmaster(address) && are_full(dialogue->smtpd, targets, count))
        verdict = RECIPIENT_FULL;
    if (verdict == RECIPIENT_UNKNOWN && harvests_refused(dialogue, address))
        return;
    server_session_answer_recipient(&dialogue->session, verdict, targets, count);
}

bool question_is_known(struct dialogue *dialogue, enum ipc_kind kind, const struct server_action *action)
{
    struct smtpd *smtpd = dialogue->smtpd;
    if (smtpd->draining) /* the successor's auth may have another configuration */
        return false;
    answers_check(&smtpd->answers, accounts_watched_version(smtpd->accounts_page));
    const struct answer *known = answers_find(&smtpd->answers, key_of(smtpd, kind, action));
    if (known == NULL)
        return false;
    if (kind == IPC_SENDER)
        server_session_answer_sender(&dialogue->session, (enum sender_verdict)known->verdict);
    else
        answer_recipient(dialogue, action->address, (enum recipient_verdict)known->verdict, known->targets, known->target_count);
    return true;
}

/* Only what is good news: strangers could fill the memory with the rest. */
static void keep_answer(struct dialogue *dialogue, uint32_t verdict, struct recipient *targets, size_t count)
{
    struct smtpd *smtpd = dialogue->smtpd;
    const struct question *question = &dialogue->question;
    uint64_t version = accounts_watched_version(smtpd->accounts_page);
    answers_check(&smtpd->answers, version);
    if (question->version != version) /* it may have been told before the change */
        return;
    struct answer answer = {.verdict = verdict, .targets = targets, .target_count = count};
    answers_keep(&smtpd->answers, key_of(smtpd, question->kind, &question->action), &answer);
}

void question_ask(struct dialogue *dialogue, enum ipc_kind kind, const struct server_action *action)
{
    dialogue->question = (struct question){.open = true, .kind = kind, .since_ms = clock_now_ms(), .version = accounts_watched_version(dialogue->smtpd->accounts_page)};
    if (action != NULL)
        dialogue->question.action = *action;
    if (!try_to_ask(dialogue))
        wait_in_line(dialogue);
}

void question_forget(struct dialogue *dialogue)
{
    struct question *question = &dialogue->question;
    if (!question->open)
        return;
    if (question->request != 0)
        map_remove_u64(&dialogue->smtpd->questions, question->request);
    else
        leave_line(dialogue);
    question->open = false;
}

/* ---- answers ---- */

/* To MAIL, about an author, or about a message that is to be stored. */
static void give_sender_verdict(struct dialogue *dialogue, enum sender_verdict verdict)
{
    struct server_action action = dialogue->question.action;
    if (action.kind == SERVER_ASK_STORE)
        intake_sender_answered(dialogue, &action, verdict);
    else
        server_session_answer_sender(&dialogue->session, verdict);
}

/* Nobody can tell now. The question is closed already. */
static void answer_unavailable(struct dialogue *dialogue)
{
    struct server_action action = dialogue->question.action; /* the next question takes its place */
    dialogue->question.open = false;
    switch (dialogue->question.kind) {
    case IPC_PASSWORD:
        server_session_answer_password(&dialogue->session, PASSWORD_UNAVAILABLE, bytes_none());
        break;
    case IPC_SALT:
        server_session_answer_salt(&dialogue->session, bytes_none(), 0, bytes_none(), bytes_none());
        break;
    case IPC_PROOF:
        server_session_answer_proof(&dialogue->session, PASSWORD_UNAVAILABLE, bytes_none(), bytes_none());
        break;
    case IPC_CREDENTIAL:
        dialogue_go_on(dialogue, &action, CREDENTIAL_UNAVAILABLE);
        break;
    case IPC_LIMIT:
        dialogue_limit_answered(dialogue, &action, LIMIT_UNAVAILABLE, 0, 0);
        break;
    case IPC_SENDER:
        give_sender_verdict(dialogue, SENDER_UNAVAILABLE);
        break;
    case IPC_RECIPIENT:
        server_session_answer_recipient(&dialogue->session, RECIPIENT_UNAVAILABLE, NULL, 0);
        break;
    case IPC_SPOOL:
        intake_spooled(dialogue, STORE_FAILED, 0, -1);
        break;
    default:
        intake_stored(dialogue, STORE_FAILED);
        break;
    }
    dialogue_run(dialogue);
}

static enum password_verdict password_verdict_of(uint32_t verdict)
{
    return verdict <= PASSWORD_UNAVAILABLE ? (enum password_verdict)verdict : PASSWORD_UNAVAILABLE;
}

static void log_verdict(const struct dialogue *dialogue, enum password_verdict verdict)
{
    bool wrong = verdict == PASSWORD_WRONG || verdict == PASSWORD_LOCKED;
    log_event(wrong ? LOG_EVENT_WARN : LOG_EVENT_DEBUG, wrong ? "auth_failed" : verdict == PASSWORD_RIGHT ? "auth_ok" : "auth_unavailable",
              LOG_BYTES("user", dialogue->question.action.user), LOG_BYTES("client", dialogue->session.origin.client_address),
              LOG_U64("port", dialogue->door->port), LOG_TEXT("mechanism", server_session_mechanism(&dialogue->session)),
              LOG_TEXT("reason", verdict == PASSWORD_LOCKED ? "locked" : ""));
}

/* There may be one of a SCRAM exchange that was right, and then cancelled by the client. */
static void keep_credential(struct dialogue *dialogue, enum password_verdict verdict, struct bytes account, struct bytes credential)
{
    credential_leave(dialogue);
    if (verdict == PASSWORD_RIGHT)
        credential_take(dialogue, account, credential);
}

static void password_answered(struct dialogue *dialogue, const struct ipc_password_answer *answer)
{
    enum password_verdict verdict = password_verdict_of(answer->verdict);
    log_verdict(dialogue, verdict);
    if (verdict == PASSWORD_RIGHT)
        turns_signed_in(dialogue);
    keep_credential(dialogue, verdict, answer->account, answer->credential);
    server_session_answer_password(&dialogue->session, verdict, answer->account);
}

static void salt_answered(struct dialogue *dialogue, const struct ipc_salt_answer *answer)
{
    unsigned char nonce[SCRAM_NONCE], binding[CONN_BINDING_MAX];
    random_fill(nonce, sizeof nonce);
    server_session_answer_salt(&dialogue->session, answer->salt, answer->iterations, bytes_of(nonce, sizeof nonce),
                               conn_tls_binding(&dialogue->conn, dialogue->question.action.binding, binding));
}

static void proof_answered(struct dialogue *dialogue, const struct ipc_proof_answer *answer)
{
    enum password_verdict verdict = password_verdict_of(answer->verdict);
    log_verdict(dialogue, verdict);
    if (verdict == PASSWORD_RIGHT)
        turns_signed_in(dialogue);
    keep_credential(dialogue, verdict, answer->account, answer->credential);
    server_session_answer_proof(&dialogue->session, verdict, answer->account, answer->signature);
}

static void recipient_answered(struct dialogue *dialogue, const struct ipc_recipient_answer *answer)
{
    enum recipient_verdict verdict = answer->verdict <= RECIPIENT_UNAVAILABLE ? (enum recipient_verdict)answer->verdict : RECIPIENT_UNAVAILABLE;
    if (verdict == RECIPIENT_KNOWN && answer->target_count == 0)
        verdict = RECIPIENT_UNAVAILABLE;
    if (verdict == RECIPIENT_KNOWN)
        keep_answer(dialogue, verdict, answer->targets, answer->target_count);
    answer_recipient(dialogue, dialogue->question.action.address, verdict, answer->targets, answer->target_count);
}

static void sender_answered(struct dialogue *dialogue, const struct ipc_sender_answer *answer)
{
    enum sender_verdict verdict = answer->verdict <= SENDER_UNAVAILABLE ? (enum sender_verdict)answer->verdict : SENDER_UNAVAILABLE;
    if (verdict == SENDER_ALLOWED)
        keep_answer(dialogue, verdict, NULL, 0);
    give_sender_verdict(dialogue, verdict);
}

static void limit_answered(struct dialogue *dialogue, const struct ipc_limit_answer *answer)
{
    struct server_action action = dialogue->question.action;
    enum limit_verdict verdict = answer->verdict <= LIMIT_UNAVAILABLE ? (enum limit_verdict)answer->verdict : LIMIT_UNAVAILABLE;
    dialogue_limit_answered(dialogue, &action, verdict, answer->number, answer->request);
}

static void own_credential_answered(struct dialogue *dialogue, const struct ipc_credential_answer *answer)
{
    struct server_action action = dialogue->question.action;
    dialogue_go_on(dialogue, &action, credential_answered(dialogue, answer));
}

static enum store_verdict store_verdict_of(uint32_t verdict)
{
    return verdict <= STORE_FAILED ? (enum store_verdict)verdict : STORE_FAILED;
}

/* Which question a kind answers, and for which request; IPC_KINDS for none. */
static enum ipc_kind answered_question(enum ipc_kind kind, const union ipc_message *message, uint64_t *request)
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

void question_answered(struct smtpd *smtpd, enum ipc_kind kind, union ipc_message *message, int attached)
{
    uint64_t request = 0;
    if (kind == IPC_CREDENTIAL_ANSWER && credentials_answered(smtpd, &message->credential_answer))
        return;
    enum ipc_kind question = answered_question(kind, message, &request);
    struct dialogue *dialogue = question == IPC_KINDS ? NULL : map_get_u64(&smtpd->questions, request);
    if (attached >= 0 && (dialogue == NULL || question != IPC_SPOOL)) {
        close(attached);
        attached = -1;
    }
    if (dialogue == NULL && question == IPC_SPOOL)
        give_back_spool(smtpd, &message->spool_answer);
    if (dialogue == NULL && question == IPC_LIMIT)
        limit_answered_for_nobody(smtpd, &message->limit_answer);
    if (dialogue == NULL || dialogue->question.kind != question)
        return;
    map_remove_u64(&smtpd->questions, request);
    dialogue->question.open = false;
    switch (question) {
    case IPC_PASSWORD:
        password_answered(dialogue, &message->password_answer);
        break;
    case IPC_SALT:
        salt_answered(dialogue, &message->salt_answer);
        break;
    case IPC_PROOF:
        proof_answered(dialogue, &message->proof_answer);
        break;
    case IPC_CREDENTIAL:
        own_credential_answered(dialogue, &message->credential_answer);
        break;
    case IPC_LIMIT:
        limit_answered(dialogue, &message->limit_answer);
        break;
    case IPC_SENDER:
        sender_answered(dialogue, &message->sender_answer);
        break;
    case IPC_RECIPIENT:
        recipient_answered(dialogue, &message->recipient_answer);
        break;
    case IPC_SPOOL:
        intake_spooled(dialogue, store_verdict_of(message->spool_answer.verdict), message->spool_answer.spool, attached);
        break;
    default:
        intake_stored(dialogue, store_verdict_of(message->submit_answer.verdict));
        break;
    }
    dialogue_run(dialogue);
}

/* ---- peers that come and go ---- */

void questions_retry(void *owner)
{
    struct smtpd *smtpd = owner;
    struct dialogue *waiting = smtpd->waiting_first;
    smtpd->waiting_first = smtpd->waiting_last = NULL;
    uint64_t now = clock_now_ms();
    while (waiting != NULL) {
        struct dialogue *dialogue = waiting;
        waiting = waiting->question.next_waiting;
        if (try_to_ask(dialogue))
            continue;
        if (now - dialogue->question.since_ms < PEER_WAIT_MS || child_peer(smtpd->child, answerer(dialogue->question.kind)) != NULL)
            wait_in_line(dialogue);
        else
            answer_unavailable(dialogue);
    }
}

/* What can be asked twice is asked the successor. Whether a message was
 * stored cannot be known: the client is told to try again. */
void questions_lost(struct smtpd *smtpd, enum process_role peer)
{
    for (struct dialogue *dialogue = smtpd->dialogues, *next; dialogue != NULL; dialogue = next) {
        next = dialogue->next;
        struct question *question = &dialogue->question;
        bool asked = question->open && question->request != 0 && answerer(question->kind) == peer;
        bool file_lost = peer == PROCESS_QUEUE && dialogue->intake.spool != 0;
        if (file_lost)
            intake_lost(dialogue);
        if (question->open && question->kind == IPC_SUBMIT && (asked || file_lost)) {
            question_forget(dialogue);
            answer_unavailable(dialogue);
        } else if (asked) {
            map_remove_u64(&smtpd->questions, question->request);
            question->request = 0;
            question->since_ms = clock_now_ms();
            wait_in_line(dialogue);
        }
    }
}
