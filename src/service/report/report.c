/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: reads the reports that other servers send to the addresses of core/trust/report_address.h, and
 * stores them (store/report_store.h). They come from anybody, packed, as XML and JSON, so that what reads
 * them has nothing but its own store, and the public keys in DATA/keys: no network, no secret, no mailbox.
 *
 * queue hands it each message as it does to local. All messages of a turn are read, then committed together,
 * then answered as delivered, whether they are reports or not: a bounce to a machine that reports helps
 * nobody. What cannot be read is kept for the postmaster. A message that twice ended the process while it was
 * read is kept unread. Only a store that fails defers them, and not for ever.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/client/client_session.h"
#include "core/queue/queue_id.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/log_throttle.h"
#include "io/report_reader.h"
#include "io/signature.h"
#include "io/timer.h"
#include "run/child.h"
#include "service/report/complaint_check.h"
#include "service/report/report_suspects.h"
#include "service/services.h"
#include "store/report_store.h"

enum report_process_limit {
    REPORT_ATTEMPTS_MAX = 10,         /* while the store fails; then the message is dropped, and logged */
    REPORT_TIDY_MS = 6 * 3600 * 1000, /* between two looks for what is too old */
};

/* A delivery whose answer waits for the commit. */
struct report_answer {
    struct channel *from; /* NULL: queue is gone, and will request the delivery again */
    uint64_t delivery, id;
    size_t recipient_count;
    uint32_t attempt;
    bool failed; /* it is not among what is committed */
    struct report_answer *next;
};

struct report_process {
    struct child *child;
    struct report_suspects *suspects;
    struct report_store *store; /* NULL: it could not be opened */
    struct signing_keys keys;   /* the public ones, of DATA/keys */
    char folder[PATH_MAX], keys_folder[PATH_MAX];
    bool changing; /* a transaction is open */
    struct error why;
    struct report_answer *answers, **answers_end;
    struct log_throttle failing, over;
    struct timer tidy;
};

static struct report_process here; /* one per process */

/* ---- the store ---- */

static void log_failure(struct report_process *p)
{
    if (log_throttle_is_due(&p->failing, clock_now_ms()))
        log_event(LOG_EVENT_ERROR, "report_store_failed", LOG_TEXT("error", p->why.text),
                  LOG_U64("occurrences", p->failing.times));
}

static bool open_store(struct report_process *p)
{
    if (p->store != NULL)
        return true;
    p->store = report_store_open(p->folder, REPORT_STORE_WRITE, &p->why);
    if (p->store != NULL && report_store_has_set_aside(p->store))
        log_event(
            LOG_EVENT_WARN, "report_store_damaged",
            LOG_TEXT("reason", "reports.db was damaged: it is now reports.db.damaged, and a new one begins"));
    return p->store != NULL;
}

/* Closes a store that failed: it is opened again, and checked, for the next message. */
static void give_up(struct report_process *p)
{
    log_failure(p);
    for (struct report_answer *answer = p->answers; answer != NULL; answer = answer->next)
        answer->failed = true;
    if (p->changing)
        report_store_roll_back(p->store);
    p->changing = false;
    report_store_close(p->store);
    p->store = NULL;
    signing_keys_close(&p->keys);
}

static bool begin(struct report_process *p)
{
    if (p->changing)
        return true;
    p->changing = open_store(p) && report_store_begin(p->store, clock_epoch_ms() / 1000, &p->why);
    return p->changing;
}

/* ---- one message ---- */

/* Appends the message, up to one octet more than is read. */
static bool read_content(const struct ipc_deliver *deliver, int file, struct buffer *out, struct error *error)
{
    enum { STEP = 64 * 1024 };
    buffer_add(out, deliver->content);
    while (file >= 0 && out->length <= REPORT_MESSAGE_MAX) {
        ssize_t got = pread(file, buffer_reserve(out, STEP), STEP, (off_t)out->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, EX_IOERR, "the content file cannot be read");
        if (got == 0)
            break;
        buffer_written(out, (size_t)got);
    }
    return true;
}

static void log_added(struct report_process *p, uint64_t id, const struct report *report,
                      enum report_added added)
{
    switch (added) {
    case REPORT_ADDED:
    case REPORT_ADDED_BEFORE:
        log_event(LOG_EVENT_INFO, added == REPORT_ADDED ? "report_read" : "report_known", LOG_ID(id),
                  LOG_TEXT("kind", report_type_name(report->kind)));
        break;
    case REPORT_ADDED_NOT:
        if (log_throttle_is_due(&p->over, clock_now_ms()))
            log_event(LOG_EVENT_WARN, "report_left_out", LOG_ID(id),
                      LOG_TEXT("kind", report_type_name(report->kind)),
                      LOG_TEXT("reason", "more reports arrived today than are stored"),
                      LOG_U64("occurrences", p->over.times));
        break;
    case REPORT_ADD_FAILED: break;
    }
}

static bool keep(struct report_process *p, const struct ipc_deliver *deliver,
                 const struct report_arrival *arrival, const char *event, const char *reason,
                 struct bytes content)
{
    struct buffer message = {0};
    log_event(LOG_EVENT_WARN, event, LOG_ID(deliver->id), LOG_TEXT("reason", reason),
              LOG_TEXT("hint", "mailboat reports kept shows the message"));
    buffer_add(&message, deliver->prefix);
    buffer_add(&message, content);
    bool kept = report_store_keep(p->store, arrival, reason, buffer_bytes(&message), &p->why);
    buffer_free(&message);
    return kept;
}

/* Returns why the message is not read; NULL: it is. */
static const char *refuse(const struct report_process *p, const struct ipc_deliver *deliver)
{
    if (deliver->disposition == DISPOSITION_JUNK)
        return "it failed the checks of mail authentication: its sender may be forged";
    return report_suspects_has(p->suspects, deliver->id) ? "reading it has ended the process" : NULL;
}

static bool keep_unread(struct report_process *p, const struct ipc_deliver *deliver,
                        const struct report_arrival *arrival, const char *reason, struct bytes content)
{
    return keep(p, deliver, arrival, "report_unreadable", reason, content);
}

/* Adds it, or keeps a complaint that is not genuine for the postmaster. */
static bool add(struct report_process *p, const struct ipc_deliver *deliver,
                const struct report_arrival *arrival, struct report *report, struct bytes content)
{
    const struct complaint_mail mail = {deliver->prefix, content, bytes_of_text(p->child->config->hostname),
                                        &p->keys};
    const char *why = report->kind == REPORT_COMPLAINT ? complaint_check(&mail, &report->complaint) : NULL;
    struct buffer reason = {0};
    if (why != NULL) {
        buffer_add_format(&reason, "a complaint that does not count: %s", why);
        bool kept = keep(p, deliver, arrival, "complaint_not_counted", buffer_text(&reason), content);
        buffer_free(&reason);
        return kept;
    }
    enum report_added added = report_store_add(p->store, report, arrival, &p->why);
    log_added(p, deliver->id, report, added);
    return added != REPORT_ADD_FAILED;
}

/* False if the store failed. */
static bool take(struct report_process *p, const struct ipc_deliver *deliver,
                 const struct report_arrival *arrival, struct bytes content)
{
    struct arena arena = {0};
    struct report *report = memory_new(sizeof *report);
    struct error error = {0};
    const char *refused = refuse(p, deliver);
    bool stored;
    p->suspects->reading = refused == NULL ? deliver->id : 0;
    if (refused != NULL) {
        stored = keep_unread(p, deliver, arrival, refused, content);
    } else if (!report_reader_read(content, &arena, report, &error)) {
        stored = keep_unread(p, deliver, arrival, error.text, content);
    } else {
        stored = add(p, deliver, arrival, report, content);
    }
    p->suspects->reading = 0;
    free(report);
    arena_clear(&arena);
    return stored;
}

static struct report_answer *promise(struct report_process *p, struct channel *from,
                                     const struct ipc_deliver *deliver)
{
    struct report_answer *answer = memory_new(sizeof *answer);
    *answer = (struct report_answer){.from = from,
                                     .delivery = deliver->delivery,
                                     .id = deliver->id,
                                     .recipient_count = deliver->envelope.recipient_count,
                                     .attempt = deliver->attempt};
    *p->answers_end = answer;
    p->answers_end = &answer->next;
    return answer;
}

static void deliver_one(struct report_process *p, struct channel *from, const struct ipc_deliver *deliver,
                        int file)
{
    struct buffer content = {0};
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    struct report_answer *answer = promise(p, from, deliver);
    queue_id_text(deliver->id, id);
    struct report_arrival arrival = {.at_s = clock_epoch_ms() / 1000,
                                     .id = bytes_of_text(id),
                                     .recipient = deliver->envelope.recipient_count > 0
                                                      ? deliver->envelope.recipients[0].address
                                                      : bytes_none(),
                                     .sender = deliver->envelope.sender};
    if (!read_content(deliver, file, &content, &p->why)) {
        answer->failed = true;
        log_failure(p);
    } else if (!begin(p) || !take(p, deliver, &arrival, buffer_bytes(&content))) {
        give_up(p);
    }
    buffer_free(&content);
}

static void report_process_message(struct child *child, struct channel *from, enum ipc_kind kind,
                                   union ipc_message *message, int attached)
{
    struct report_process *p = child->service_data;
    if (kind == IPC_DELIVER && child_has_content(child, from, &message->deliver, attached))
        deliver_one(p, from, &message->deliver, attached);
    if (attached >= 0)
        close(attached);
}

/* ---- the turn ---- */

static struct delivery_result result_of(const struct report_process *p, const struct report_answer *answer)
{
    if (!answer->failed)
        return (struct delivery_result){.outcome = OUTCOME_DELIVERED,
                                        .step = STEP_DATA,
                                        .enhanced = BYTES("2.0.0"),
                                        .text = BYTES("read as a report")};
    if (answer->attempt >= REPORT_ATTEMPTS_MAX) {
        log_event(LOG_EVENT_ERROR, "report_dropped", LOG_ID(answer->id), LOG_TEXT("error", p->why.text));
        return (struct delivery_result){.outcome = OUTCOME_DELIVERED,
                                        .step = STEP_DATA,
                                        .enhanced = BYTES("2.0.0"),
                                        .text = BYTES("dropped: the store of reports failed too often")};
    }
    return (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                    .step = STEP_DATA,
                                    .enhanced = BYTES("4.3.0"),
                                    .text = bytes_of_text(p->why.text)};
}

static void answer_one(struct report_process *p, const struct report_answer *answer)
{
    struct ipc_deliver_answer sent = {
        .delivery = answer->delivery,
        .results = memory_new((answer->recipient_count + 1) * sizeof *sent.results),
        .result_count = answer->recipient_count};
    for (size_t i = 0; i < answer->recipient_count; i++)
        sent.results[i] = result_of(p, answer);
    if (answer->from != NULL)
        child_send(p->child, answer->from, IPC_DELIVER_ANSWER, &sent, -1);
    free(sent.results);
}

static void report_process_turn(struct child *child)
{
    struct report_process *p = child->service_data;
    if (p->changing && report_store_commit(p->store, &p->why))
        p->changing = false;
    else if (p->changing)
        give_up(p);
    while (p->answers != NULL) {
        struct report_answer *answer = p->answers;
        answer_one(p, answer);
        p->answers = answer->next;
        free(answer);
    }
    p->answers_end = &p->answers;
}

static void report_process_peer_lost(struct child *child, struct channel *peer)
{
    struct report_process *p = child->service_data;
    for (struct report_answer *answer = p->answers; answer != NULL; answer = answer->next)
        if (answer->from == peer)
            answer->from = NULL;
}

/* A transaction without a change forgets what is too old. */
static void tidy(void *owner)
{
    struct report_process *p = owner;
    if (!begin(p))
        give_up(p);
    report_process_turn(p->child);
    timer_set(&p->tidy, REPORT_TIDY_MS);
}

/* ---- life ---- */

static bool report_process_open(struct child *child, struct error *error)
{
    here = (struct report_process){.child = child, .suspects = child->kept, .answers_end = &here.answers};
    child->service_data = &here;
    report_suspects_take(here.suspects);
    signature_prepare();
    return child_enter_data_dir(child, error);
}

/* A store that cannot be opened does not stop the server: reports then wait in the queue. */
static bool report_process_open_own(struct child *child, struct error *error)
{
    struct report_process *p = child->service_data;
    if (snprintf(p->folder, sizeof p->folder, "%s/" REPORT_STORE_FOLDER, child->config->data_dir) >=
        (int)sizeof p->folder)
        return error_set(error, EX_CONFIG, "data_dir is too long");
    sandbox_allow(child->paths, p->folder, true);
    if (snprintf(p->keys_folder, sizeof p->keys_folder, "%s/" SIGNING_KEYS_FOLDER, child->config->data_dir) >=
        (int)sizeof p->keys_folder)
        return error_set(error, EX_CONFIG, "data_dir is too long");
    sandbox_allow(child->paths, p->keys_folder, false);
    /* without it no complaint is genuine, and nothing else suffers */
    if (!signing_keys_open(&p->keys, child->config->data_dir, getuid(), getgid(), false, &p->why))
        log_failure(p);
    if (!open_store(p))
        log_failure(p);
    return true;
}

static bool report_process_start(struct child *child, struct error *error)
{
    struct report_process *p = child->service_data;
    timer_start(&p->tidy, child->loop, tidy, p);
    timer_set(&p->tidy, REPORT_TIDY_MS);
    return true;
}

static void report_process_drain(struct child *child, bool quick)
{
    child_deafen(child);
    report_process_turn(child); /* nothing is left over between turns */
    child_exit(child, EX_OK);
}

static void report_process_end(struct child *child)
{
    struct report_process *p = child->service_data;
    report_store_close(p->store);
    p->store = NULL;
    signing_keys_close(&p->keys);
}

const struct service report_service = {
    .role = PROCESS_REPORT,
    .stop = STOP_DELIVERY,
    .keeps = SANDBOX_READS_FILES | SANDBOX_WRITES_FILES,
    .folder = REPORT_STORE_FOLDER,
    .kept_octets = sizeof(struct report_suspects),
    .open = report_process_open,
    .open_own = report_process_open_own,
    .start = report_process_start,
    .on_message = report_process_message,
    .on_turn = report_process_turn,
    .on_peer_lost = report_process_peer_lost,
    .on_drain = report_process_drain,
    .on_end = report_process_end,
};
