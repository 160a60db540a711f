/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/trust_check.h"

#include <assert.h>
#include <stdlib.h>

#include "core/trust/authres_write.h"
#include "core/trust/field_index.h"
#include "core/trust/judgement.h"
#include "service/smtpd/smtpd.h"
#include "service/smtpd/trust_deferrals.h"
#include "service/trust_digests.h"

void trust_checks_start(struct trust_checks *checks, uint64_t seed)
{
    *checks = (struct trust_checks){0};
    map_start(&checks->asked, seed);
}

/* ---- the question ---- */

static struct smtpd *smtpd_of(const struct trust_check *check)
{
    return check->connection->smtpd;
}

static bool tell(struct trust_check *check, enum ipc_kind kind, const void *message)
{
    return child_send(smtpd_of(check)->child, check->peer, kind, message, -1);
}

/* From now on no answer is expected. */
static void close_question(struct trust_check *check)
{
    if (check->peer != NULL)
        map_remove_u64(&smtpd_of(check)->trust_checks.asked, check->request);
    check->peer = NULL;
    timer_cancel(&check->patience);
}

/* Sends the header, and begins to hash what its signatures need of the body. */
static void end_header(struct trust_check *check)
{
    struct smtp_connection *connection = check->connection;
    struct smtpd *smtpd = connection->smtpd;
    struct dkim_body bodies[JUDGEMENT_BODIES_MAX];
    struct bytes header = buffer_bytes(&check->header);
    const struct envelope *envelope = connection->message.submission.envelope;
    check->header_ended = true;
    check->peer = child_peer(smtpd->child, PROCESS_TRUST);
    if (check->peer != NULL && !channel_is_full(check->peer)) {
        check->request = ++smtpd->trust_checks.last_request;
        struct ipc_trust question = {.request = check->request,
                                     .client_address = connection->session.origin.client_address,
                                     .helo = connection->session.origin.client_helo,
                                     .mail_from = envelope->sender,
                                     .header = header,
                                     .deferred_enough = trust_deferrals_is_enough(smtpd, check->connection)};
        if (tell(check, IPC_TRUST, &question)) {
            map_put_u64(&smtpd->trust_checks.asked, check->request, check);
            signature_hash_start(&check->hashes, bodies, judgement_bodies(header, bodies));
        } else {
            check->peer = NULL;
        }
    } else {
        check->peer = NULL;
    }
    buffer_free(&check->header);
}

static void end_body(struct trust_check *check)
{
    struct dkim_body_fact facts[JUDGEMENT_BODIES_MAX];
    struct buffer digests = {0};
    size_t count = check->hashes.count;
    signature_hash_finish(&check->hashes, facts);
    if (check->peer == NULL)
        return;
    trust_digests_add(&digests, facts, count);
    struct ipc_trust_body body = {check->request, buffer_bytes(&digests)};
    if (!tell(check, IPC_TRUST_BODY, &body))
        close_question(check);
    buffer_free(&digests);
}

/* One octet past the limit tells trust that the header is too large. */
static void see(void *state, enum gate_part part, struct bytes octets)
{
    struct trust_check *check = state;
    size_t room = FIELD_INDEX_OCTETS_MAX + 1 - check->header.length;
    switch (part) {
    case GATE_PART_HEADER:
        if (check->header_ended)
            return;
        buffer_add(&check->header, bytes_first(octets, room));
        if (octets.length >= room)
            end_header(check);
        return;
    case GATE_PART_BODY:
        if (!check->header_ended)
            end_header(check);
        signature_hash_add(&check->hashes, octets);
        return;
    case GATE_PART_END:
        if (!check->header_ended)
            end_header(check);
        end_body(check);
        return;
    }
}

/* ---- the message ---- */

void trust_check_begin(struct smtp_connection *connection)
{
    struct smtpd *smtpd = connection->smtpd;
    assert(connection->message.trust == NULL);
    if (!connection->session.policy->asks_trust)
        return;
    struct trust_check *check = memory_new(sizeof *check);
    check->connection = connection;
    authres_filter_start(&check->filter, bytes_of_text(smtpd->child->config->hostname));
    connection->message.trust = check;
    server_session_observe(&connection->session, (struct gate_observer){see, check});
}

void trust_check_pass(struct trust_check *check, struct bytes octets, struct buffer *out)
{
    authres_filter_add(&check->filter, octets, out);
}

void trust_check_finish(struct trust_check *check, struct buffer *out)
{
    authres_filter_finish(&check->filter, out);
}

void trust_check_end(struct smtp_connection *connection)
{
    struct trust_check *check = connection->message.trust;
    struct buffer rest = {0};
    if (check == NULL)
        return;
    if (check->peer != NULL)
        tell(check, IPC_TRUST_DROP, &(struct ipc_trust_drop){check->request});
    close_question(check);
    authres_filter_finish(&check->filter, &rest);
    signature_hash_free(&check->hashes);
    struct buffer *const held[] = {&rest,           &check->header, &check->enhanced, &check->text,
                                   &check->results, &check->author, &check->story,    &check->evidence};
    for (size_t i = 0; i < ARRAY_LENGTH(held); i++)
        buffer_free(held[i]);
    free(check);
    connection->message.trust = NULL;
}

/* ---- the answer ---- */

/* Results of a message that nobody has judged. */
static void write_unjudged(struct trust_check *check)
{
    static const char *const methods[] = {"dmarc", "spf", "dkim"};
    struct authres_writer writer;
    authres_write_start(&writer, bytes_of_text(smtpd_of(check)->child->config->hostname));
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        authres_write_result(&writer, methods[i], "temperror", i == 0 ? "not checked" : NULL);
    authres_write_end(&writer, "Authentication-Results: ", &check->results);
    buffer_clear(&check->story);
    buffer_add_text(&check->story, "Nothing was checked: the trust process gave no answer.");
}

/* True for one header field with its line end, and nothing more. */
static bool is_field(struct bytes text)
{
    if (text.length > AUTHRES_FIELD_MAX || !bytes_starts_nocase(text, "Authentication-Results:") ||
        !bytes_ends_nocase(text, "\r\n"))
        return false;
    for (size_t i = 0; i + 2 < text.length; i++)
        if (text.at[i] == '\0' || (text.at[i] == '\n' && text.at[i + 1] != ' ' && text.at[i + 1] != '\t'))
            return false;
    return true;
}

static bool is_reply(const struct trust_check *check)
{
    return check->code >= 400 && check->code <= 599 && check->enhanced.length > 0 &&
           check->enhanced.length < sizeof "5.7.999";
}

/* Carries the disposition out: the field is on top of the message, or the session refuses it. */
static void conclude(struct trust_check *check)
{
    struct smtp_connection *connection = check->connection;
    struct trust_answer answer = {.accepted = true};
    assert(check->answered);
    bool refused = check->found.disposition >= DISPOSITION_DEFER && is_reply(check);
    if (refused)
        answer = (struct trust_answer){.code = check->code,
                                       .enhanced = buffer_bytes(&check->enhanced),
                                       .text = buffer_bytes(&check->text)};
    if (refused && check->found.disposition == DISPOSITION_DEFER)
        trust_deferrals_note(connection->smtpd, connection);
    if (!refused && check->found.disposition >= DISPOSITION_DEFER)
        check->found.disposition = DISPOSITION_DELIVER; /* it came without a reply */
    if (!refused && check->results.length == 0)
        write_unjudged(check);
    check->found.author = bytes_first(buffer_bytes(&check->author), TRUST_AUTHOR_MAX);
    check->found.story = trust_record_story(buffer_bytes(&check->story));
    check->found.evidence = buffer_bytes(&check->evidence);
    if (refused) {
        const struct attempt_record reply = {
            .code = check->code, .enhanced = answer.enhanced, .text = answer.text};
        judged_log_add(&connection->smtpd->judged_log, connection->message.submission.envelope,
                       &connection->session.origin, &reply, &check->found);
    } else {
        submission_add_prefix(&connection->message.submission, buffer_bytes(&check->results));
        submission_set_trust(&connection->message.submission, &check->found);
    }
    server_session_answer_trust(&connection->session, &answer);
}

/* Concludes what the session waits for. */
static void go_on(struct trust_check *check)
{
    struct smtp_connection *connection = check->connection;
    if (!check->waits)
        return;
    check->waits = false;
    conclude(check);
    smtp_connection_run(connection);
}

static void take_no_answer(struct trust_check *check)
{
    close_question(check);
    check->answered = true;
    check->found.finding = FINDING_TEMPERROR;
}

static void patience_ends(void *owner)
{
    struct trust_check *check = owner;
    tell(check, IPC_TRUST_DROP, &(struct ipc_trust_drop){check->request});
    take_no_answer(check);
    go_on(check);
}

void trust_check_ask(struct trust_check *check)
{
    if (!check->answered && check->peer == NULL)
        take_no_answer(check);
    if (check->answered) {
        conclude(check);
        return;
    }
    check->waits = true;
    timer_start(&check->patience, smtpd_of(check)->child->loop, patience_ends, check);
    timer_set(&check->patience, TRUST_CHECK_WAIT_MS);
}

void trust_check_answered(struct smtpd *smtpd, const struct ipc_trust_answer *answer)
{
    struct trust_check *check = map_get_u64(&smtpd->trust_checks.asked, answer->request);
    if (check == NULL)
        return;
    close_question(check);
    check->answered = true;
    if (answer->disposition <= DISPOSITION_REJECT && answer->proposed <= DISPOSITION_REJECT &&
        answer->finding < VERDICT_FINDINGS && answer->override <= OVERRIDE_LOCAL_POLICY &&
        answer->chain < ARC_RESULTS) {
        check->found.disposition = (enum disposition)answer->disposition;
        check->found.proposed = (enum disposition)answer->proposed;
        check->found.finding = (enum verdict_finding)answer->finding;
        check->found.override = (enum verdict_override)answer->override;
        check->found.chain = (enum arc_result)answer->chain;
    }
    check->code = answer->code;
    buffer_add(&check->enhanced, answer->enhanced);
    buffer_add(&check->text, answer->text);
    buffer_add(&check->author, answer->author);
    buffer_add(&check->story, answer->story);
    if (answer->evidence.length <= TRUST_EVIDENCE_MAX)
        buffer_add(&check->evidence, answer->evidence);
    if (is_field(answer->results))
        buffer_add(&check->results, answer->results);
    go_on(check);
}

void trust_check_peer_lost(struct smtpd *smtpd, const struct channel *peer)
{
    for (struct smtp_connection *connection = smtpd->connections, *next; connection != NULL;
         connection = next) {
        struct trust_check *check = connection->message.trust;
        next = connection->next;
        if (check == NULL || check->peer != peer)
            continue;
        take_no_answer(check);
        go_on(check);
    }
}
