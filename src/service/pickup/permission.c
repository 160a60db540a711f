/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permission: whether the user who dropped a message may send it. Its sender, by envelope and header, and
 * the hourly limit are checked by auth as smtpd does for the socket: dropping a file must not bypass them.
 * A forbidden message is set aside; one beyond the limit waits.
 */
#include "core/server/server_session.h"
#include "io/log.h"
#include "service/pickup/pickup.h"

enum { LOOK_OCTETS = 16 * 1024 };

/* ---- limits ---- */

static void ask_limit(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    submission_ask_limit(&submission->submission, submission->origin.account,
                         (uint32_t)submission->drop_file.envelope.recipient_count);
}

void permission_limit_answered(struct pickup *p, enum limit_verdict verdict, uint32_t number)
{
    switch (verdict) {
    case LIMIT_FINE: drop_submission_go_on(p); break;
    case LIMIT_REACHED:
        p->submission.wait_s = number;
        drop_submission_end(p, DROP_SUBMISSION_WAITS, NULL);
        break;
    case LIMIT_TOO_MANY:
        drop_submission_end(
            p, DROP_SUBMISSION_BAD,
            "the message has more recipients than the user's hourly limit (submission.local)");
        break;
    case LIMIT_UNAVAILABLE: drop_submission_end(p, DROP_SUBMISSION_LATER, NULL); break;
    }
}

/* ---- senders ---- */

static void ask_sender(struct pickup *p, struct bytes address)
{
    submission_ask_sender(&p->submission.submission, p->submission.origin.account, address);
}

static const char *header_fault(const struct gate *gate)
{
    return gate->header.fault == HEADER_BROKEN ? "malformed message header"
                                               : header_fault_sentence(gate->header.fault);
}

/* Asks about the author in question; continues if there is none. */
static void obey_gate(struct pickup *p, enum gate_verdict verdict)
{
    struct gate *gate = &p->submission.gate;
    if (verdict == GATE_ASK)
        ask_sender(p, gate->author);
    else if (verdict == GATE_REFUSE)
        drop_submission_end(p, DROP_SUBMISSION_BAD, header_fault(gate));
    else
        ask_limit(p);
}

/* Passes the header through the gate; the body is copied later, unchanged. False with *wrong if the file
 * is incomplete; without if it cannot be read. */
static bool read_header(struct drop_submission *submission, enum gate_verdict *verdict, const char **wrong)
{
    char buffer[LOOK_OCTETS];
    struct bytes run;
    uint64_t size = submission->drop_file.envelope.size;
    struct gate_options options = {.checks_header = true,
                                   .utf8_allowed = submission->drop_file.envelope.smtputf8,
                                   .sender = submission->drop_file.envelope.sender};
    gate_start(&submission->gate, &options);
    *verdict = GATE_HOLD;
    for (uint64_t at = 0; at < size && *verdict == GATE_HOLD;) {
        ssize_t count = drop_file_read(&submission->drop_file, at, buffer, sizeof buffer);
        if (count <= 0) {
            *wrong = count < 0 ? "it is not whole: it ended early" : NULL;
            return false;
        }
        *verdict = gate_feed(&submission->gate, bytes_of(buffer, (size_t)count), &run);
        at += (uint64_t)count;
    }
    if (*verdict == GATE_HOLD)
        *verdict = gate_end(&submission->gate, &run);
    return true;
}

static void look_at_header(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const char *wrong = NULL;
    enum gate_verdict verdict;
    if (read_header(submission, &verdict, &wrong))
        obey_gate(p, verdict);
    else
        drop_submission_end(p, wrong != NULL ? DROP_SUBMISSION_BAD : DROP_SUBMISSION_LATER, wrong);
}

static void author_allowed(struct pickup *p)
{
    struct bytes run;
    obey_gate(p, gate_answer(&p->submission.gate, GATE_AUTHOR_ALLOWED, &run));
}

void permission_sender_answered(struct pickup *p, enum sender_verdict verdict)
{
    if (verdict == SENDER_FORBIDDEN)
        drop_submission_end(
            p, DROP_SUBMISSION_BAD,
            "it is from another one's account, or from none of its user's senders; add that to senders in "
            "submission.local.users");
    else if (verdict != SENDER_ALLOWED)
        drop_submission_end(p, DROP_SUBMISSION_LATER, NULL);
    else if (gate_is_asking(&p->submission.gate))
        author_allowed(p);
    else
        look_at_header(p);
}

/* Root may use any sender. */
void permission_ask(struct pickup *p)
{
    if (p->submission.drop_file.uid == 0)
        ask_limit(p);
    else
        ask_sender(p, p->submission.drop_file.envelope.sender);
}
