/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permission: may the user who dropped a message send it? As whom, by its
 * envelope and by its header, and how much in this hour, is asked of auth as
 * smtpd asks it for who comes to the socket: leaving a file is no way around.
 * What may not be sent is set aside; what is too much for this hour waits.
 */
#include "service/pickup/pickup.h"

#include "io/log.h"
#include "core/server/server_session.h"

enum { LOOK_OCTETS = 16 * 1024 };

/* ---- how much ---- */

static void ask_limit(struct pickup *p)
{
    struct passage *passage = &p->passage;
    struct ipc_limit asked = {.request = passage_request(p),
                              .account = passage->origin.account,
                              .recipients = (uint32_t)passage->dropped.envelope.recipient_count};
    passage_ask(p, PASSAGE_LIMIT, IPC_LIMIT, &asked);
}

void permission_limit_answered(struct pickup *p, const struct ipc_limit_answer *answer)
{
    struct passage *passage = &p->passage;
    switch (answer->verdict) {
    case LIMIT_FINE:
        passage->limit_request = answer->request;
        passage_go_on(p);
        break;
    case LIMIT_REACHED:
        passage->wait_s = answer->number;
        passage_end(p, PASSAGE_WAITS, NULL);
        break;
    case LIMIT_TOO_MANY:
        passage_end(p, PASSAGE_BAD,
                    "it has more recipients than its user may write to in an hour (submission.local)");
        break;
    default: passage_end(p, PASSAGE_LATER, NULL); break;
    }
}

/* Settles what was counted. */
void permission_end(struct pickup *p, bool sent)
{
    struct passage *passage = &p->passage;
    struct channel *auth = child_peer(p->child, PROCESS_AUTH);
    if (passage->limit_request != 0 && auth != NULL)
        child_send(p->child, auth, IPC_LIMIT_END,
                   &(struct ipc_limit_end){.request = passage->limit_request, .sent = sent}, -1);
    passage->limit_request = 0;
    header_free(&passage->header);
}

/* ---- as whom ---- */

static void ask_sender(struct pickup *p, struct bytes address)
{
    struct ipc_sender asked = {
        .request = passage_request(p), .account = p->passage.origin.account, .address = address};
    passage_ask(p, PASSAGE_SENDER, IPC_SENDER, &asked);
}

static void ask_author(struct pickup *p)
{
    struct passage *passage = &p->passage;
    struct bytes author;
    do
        author = header_author(&passage->header, &passage->author_at);
    while (author.length > 0 && bytes_equal_nocase(author, passage->dropped.envelope.sender));
    if (author.length > 0)
        ask_sender(p, author);
    else
        ask_limit(p);
}

/* False with *wrong where it is no header that all programs read alike;
 * without where the file cannot be read. */
static bool read_header(struct passage *passage, const char **wrong)
{
    char room[LOOK_OCTETS];
    struct header_rules rules = {.utf8_allowed = passage->dropped.envelope.smtputf8};
    uint64_t size = passage->dropped.envelope.size;
    for (uint64_t at = 0; at < size && !header_is_whole(&passage->header);) {
        ssize_t count = dropped_read(&passage->dropped, at, room, sizeof room);
        if (count <= 0) {
            *wrong = count < 0 ? "it is not whole: it ended early" : NULL;
            return false;
        }
        header_add(&passage->header, bytes_of(room, (size_t)count));
        at += (uint64_t)count;
    }
    if (!header_is_whole(&passage->header))
        header_finish(&passage->header);
    enum header_fault fault = header_judge(&passage->header, &rules);
    *wrong = fault == HEADER_FINE     ? NULL
             : fault == HEADER_BROKEN ? "a line of its header is no field"
                                      : header_fault_sentence(fault);
    return fault == HEADER_FINE;
}

static void look_at_header(struct pickup *p)
{
    struct passage *passage = &p->passage;
    const char *wrong = NULL;
    passage->asks_author = true;
    if (read_header(passage, &wrong))
        ask_author(p);
    else
        passage_end(p, wrong != NULL ? PASSAGE_BAD : PASSAGE_LATER, wrong);
}

void permission_sender_answered(struct pickup *p, const struct ipc_sender_answer *answer)
{
    if (answer->verdict == SENDER_FORBIDDEN)
        passage_end(
            p, PASSAGE_BAD,
            "it is from another one's account, or from none of its user's senders; add that to senders in "
            "submission.local.users");
    else if (answer->verdict != SENDER_ALLOWED)
        passage_end(p, PASSAGE_LATER, NULL);
    else if (p->passage.asks_author)
        ask_author(p);
    else
        look_at_header(p);
}

/* Root speaks for whom it likes. */
void permission_ask(struct pickup *p)
{
    if (p->passage.dropped.uid == 0)
        ask_limit(p);
    else
        ask_sender(p, p->passage.dropped.envelope.sender);
}
