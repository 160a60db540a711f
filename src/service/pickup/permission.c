/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permission: may the user who dropped a message send it? As whom, by its
 * envelope and by its header, and how much in this hour, is asked of auth as
 * smtpd asks it for who comes to the socket: leaving a file is no way around.
 * What may not be sent is set aside; what is too much for this hour waits.
 */
#include "core/server/server_session.h"
#include "io/log.h"
#include "service/pickup/pickup.h"

enum { LOOK_OCTETS = 16 * 1024 };

/* ---- how much ---- */

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

/* ---- as whom ---- */

static void ask_sender(struct pickup *p, struct bytes address)
{
    submission_ask_sender(&p->submission.submission, p->submission.origin.account, address);
}

static void ask_author(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    struct bytes author;
    do
        author = header_author(&submission->header, &submission->author_at);
    while (author.length > 0 && bytes_equal_nocase(author, submission->drop_file.envelope.sender));
    if (author.length > 0)
        ask_sender(p, author);
    else
        ask_limit(p);
}

/* False with *wrong where it is no header that all programs read alike;
 * without where the file cannot be read. */
static bool read_header(struct drop_submission *submission, const char **wrong)
{
    char buffer[LOOK_OCTETS];
    struct header_rules rules = {.utf8_allowed = submission->drop_file.envelope.smtputf8};
    uint64_t size = submission->drop_file.envelope.size;
    for (uint64_t at = 0; at < size && !header_is_whole(&submission->header);) {
        ssize_t count = drop_file_read(&submission->drop_file, at, buffer, sizeof buffer);
        if (count <= 0) {
            *wrong = count < 0 ? "it is not whole: it ended early" : NULL;
            return false;
        }
        header_add(&submission->header, bytes_of(buffer, (size_t)count));
        at += (uint64_t)count;
    }
    if (!header_is_whole(&submission->header))
        header_finish(&submission->header);
    enum header_fault fault = header_check(&submission->header, &rules);
    *wrong = fault == HEADER_FINE     ? NULL
             : fault == HEADER_BROKEN ? "malformed message header"
                                      : header_fault_sentence(fault);
    return fault == HEADER_FINE;
}

static void look_at_header(struct pickup *p)
{
    struct drop_submission *submission = &p->submission;
    const char *wrong = NULL;
    submission->asks_author = true;
    if (read_header(submission, &wrong))
        ask_author(p);
    else
        drop_submission_end(p, wrong != NULL ? DROP_SUBMISSION_BAD : DROP_SUBMISSION_LATER, wrong);
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
    else if (p->submission.asks_author)
        ask_author(p);
    else
        look_at_header(p);
}

/* Root speaks for whom it likes. */
void permission_ask(struct pickup *p)
{
    if (p->submission.drop_file.uid == 0)
        ask_limit(p);
    else
        ask_sender(p, p->submission.drop_file.envelope.sender);
}
