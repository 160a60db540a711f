/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue process: its channels, its timer, the control socket, and the turn in which all messages
 * received are committed together and then answered.
 */
#define _GNU_SOURCE
#include "service/queue/queue_process.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "core/trust/report_message.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/log_throttle.h"
#include "io/random.h"
#include "io/timer.h"
#include "io/watch.h"
#include "service/event_log.h"
#include "service/services.h"
#include "store/queue/store_lock.h"
#include "store/store_open.h"

enum {
    STARTS_A_TURN_MAX = 32,     /* deliveries; then new messages have their turn */
    DRAIN_LIMIT_MS = 10 * 1000, /* for deliveries in progress */
    WAKE_MAX_MS = 60 * 1000,    /* interval of clock checks while messages wait */
};

/* A submission that waits for the commit. */
struct waiting_submission {
    struct channel *asker; /* NULL: disconnected */
    uint64_t request;
    enum store_verdict verdict;
};

struct queue_process {
    struct child *child;
    struct store *store;
    struct queue_clock queue_clock;
    struct queue queue;
    struct queue_control control;
    struct timer wake;
    struct timer drain_limit;
    struct watch commit_watch; /* while a commit is in progress */
    bool committing;
    struct log_throttle full, unreachable, spooling;
    struct waiting_submission *waiting;
    size_t waiting_count, waiting_capacity;
    bool draining;
};

static struct queue_process here; /* one per process */

/* ---- messages of other processes ---- */

static void wait_for_commit(struct queue_process *p, struct channel *asker, uint64_t request,
                            enum store_verdict verdict)
{
    if (p->waiting_count == p->waiting_capacity) {
        p->waiting_capacity = p->waiting_capacity == 0 ? 64 : 2 * p->waiting_capacity;
        p->waiting = memory_resize(p->waiting, p->waiting_capacity * sizeof *p->waiting);
    }
    p->waiting[p->waiting_count++] = (struct waiting_submission){asker, request, verdict};
}

static void submit(struct queue_process *p, struct channel *from, const struct ipc_submit *submitted)
{
    struct store_message message = {.id = submitted->id,
                                    .envelope = submitted->envelope,
                                    .origin = submitted->origin,
                                    .prefix = submitted->prefix,
                                    .trust = submitted->trust,
                                    .content = submitted->content};
    enum store_verdict verdict = queue_accept(&p->queue, &message, submitted->spool,
                                              queue_clock_now_ms(&p->queue_clock));
    if (verdict != STORE_DONE && submitted->spool != 0)
        store_spool_drop(p->store, submitted->spool);
    wait_for_commit(p, from, submitted->request, verdict);
}

static void spool(struct queue_process *p, struct channel *from, const struct ipc_spool *asked)
{
    struct ipc_spool_answer answer = {.request = asked->request, .spool = random_u64() | 1};
    enum store_verdict verdict;
    int file = store_spool(p->store, answer.spool, &verdict);
    if (file < 0 && log_throttle_is_due(&p->spooling, clock_now_ms()))
        log_event(LOG_EVENT_ERROR, "spool_failed", LOG_TEXT("error", strerror(errno)),
                  LOG_U64("occurrences", p->spooling.times));
    else if (file >= 0)
        log_throttle_recovered(&p->spooling, clock_now_ms());
    answer.verdict = verdict;
    child_send(p->child, from, IPC_SPOOL_ANSWER, &answer, file);
    if (file >= 0)
        close(file);
}

static void queue_process_message(struct child *child, struct channel *from, enum ipc_kind kind,
                                  union ipc_message *message, int attached)
{
    struct queue_process *p = child->service_data;
    if (attached >= 0)
        close(attached);
    switch (kind) {
    case IPC_SUBMIT: submit(p, from, &message->submit); break;
    case IPC_JUDGED:
        queue_judged(&p->queue, message->judged.events, queue_clock_now_ms(&p->queue_clock));
        break;
    case IPC_SPOOL: spool(p, from, &message->spool); break;
    case IPC_SPOOL_DROP: store_spool_drop(p->store, message->spool_drop.spool); break;
    case IPC_DELIVER_ANSWER:
        queue_delivered(&p->queue, &message->deliver_answer, queue_clock_now_ms(&p->queue_clock));
        break;
    case IPC_AWAY_ANSWER:
        vacation_queue_answered(&p->queue, &message->away_answer, queue_clock_now_ms(&p->queue_clock));
        break;
    case IPC_EXPAND_ANSWER:
        queue_members_answered(&p->queue, &message->expand_answer, queue_clock_now_ms(&p->queue_clock));
        break;
    case IPC_RECIPIENT_ANSWER:
        queue_looked_up(&p->queue, &message->recipient_answer, queue_clock_now_ms(&p->queue_clock));
        break;
    default: break; /* the table in ipc/ipc_message.c allows no other kind */
    }
}

/* ---- the turn ---- */

static void answer_all(struct queue_process *p, enum store_verdict verdict)
{
    for (size_t i = 0; i < p->waiting_count; i++) {
        const struct waiting_submission *w = &p->waiting[i];
        struct ipc_submit_answer answer = {.request = w->request,
                                           .verdict = w->verdict != STORE_DONE ? w->verdict : verdict};
        if (w->asker != NULL)
            child_send(p->child, w->asker, IPC_SUBMIT_ANSWER, &answer, -1);
    }
    p->waiting_count = 0;
}

static const enum process_role transports[SCHEDULE_TRANSPORTS] = {[SCHEDULE_LOCAL] = PROCESS_LOCAL,
                                                                  [SCHEDULE_AWAY] = PROCESS_RELAY,
                                                                  [SCHEDULE_LOOKUP] = PROCESS_AUTH,
                                                                  [SCHEDULE_REPORTS] = PROCESS_REPORT};

static void give(struct queue_process *p, struct channel *carrier, enum schedule_transport transport,
                 const struct ipc_deliver *deliver, int content)
{
    if (transport == SCHEDULE_LOOKUP && deliver->envelope.recipients[0].expands != EXPANDS_NOT) {
        struct ipc_expand asked = queue_expansion(&p->queue, deliver->delivery);
        child_send(p->child, carrier, IPC_EXPAND, &asked, -1);
    } else if (transport == SCHEDULE_LOOKUP) {
        struct ipc_recipient asked = {.request = deliver->delivery,
                                      .address = deliver->envelope.recipients[0].address};
        child_send(p->child, carrier, IPC_RECIPIENT, &asked, -1);
    } else {
        child_send(p->child, carrier, IPC_DELIVER, deliver, content);
    }
    if (content >= 0)
        close(content);
}

/* True if more can be started in another turn. */
static bool start_some(struct queue_process *p, enum schedule_transport transport, uint64_t now_ms)
{
    struct channel *carrier = child_peer(p->child, transports[transport]);
    for (int i = 0; carrier != NULL && i < STARTS_A_TURN_MAX; i++) {
        struct ipc_deliver deliver;
        int content;
        if (channel_is_full(carrier)) /* a turn follows when it has drained */
            return false;
        if (!queue_next(&p->queue, transport, now_ms, &deliver, &content))
            return queue_looks_on(&p->queue, transport);
        give(p, carrier, transport, &deliver, content);
    }
    return carrier != NULL;
}

static void ask_about_vacations(struct queue_process *p)
{
    struct channel *auth = child_peer(p->child, PROCESS_AUTH);
    struct ipc_away asked;
    while (auth != NULL && vacation_queue_next(&p->queue, &asked))
        child_send(p->child, auth, IPC_AWAY, &asked, -1);
}

static void leave_if_done(struct queue_process *p)
{
    if (!p->draining || queue_in_progress(&p->queue) > 0 || store_is_changed(p->store) ||
        queue_has_kept_results(&p->queue))
        return;
    child_deafen(p->child); /* messages left in the channels are read by the successor */
    child_exit(p->child, EX_OK);
}

static void set_wake(struct queue_process *p, bool soon)
{
    uint64_t now_ms = queue_clock_now_ms(&p->queue_clock), wake_ms = queue_wake_ms(&p->queue);
    if (soon)
        timer_set(&p->wake, 0);
    else if (wake_ms != 0) /* a timer stops while the machine sleeps */
        timer_set(&p->wake, wake_ms <= now_ms                ? 1
                            : wake_ms - now_ms < WAKE_MAX_MS ? wake_ms - now_ms
                                                             : WAKE_MAX_MS);
    else
        timer_cancel(&p->wake);
}

/* Logs what is on disk now. Events are true whatever the verdict: results may have been committed in a
 * separate batch. */
static void log_batch(struct queue_process *p, enum store_verdict verdict)
{
    struct mail_event event;
    if (verdict != STORE_DONE)
        log_release(false);
    while (queue_event_next(&p->queue, &event))
        if (event.kind != EVENT_RECEIVED || event.own != 0) /* otherwise its submitter logs it */
            event_log_write(&event);
    log_release(true);
}

static void turn(struct queue_process *p);

static void commit_ready(void *owner, bool readable, bool writable)
{
    turn(owner);
}

/* Commits the changes. False while that is in progress: then submissions wait in their channels, but
 * results of deliveries and questions are still read. */
static bool commit(struct queue_process *p, uint64_t now_ms, enum store_verdict *verdict, struct error *error)
{
    if (!p->committing) {
        queue_clock_look(&p->queue_clock, p->store);
        p->queue.wall_ahead_ms = queue_clock_ahead_ms(&p->queue_clock);
        queue_commit_start(&p->queue, now_ms);
    }
    bool done = queue_commit_done(&p->queue, now_ms, verdict, error);
    if (!done && !p->committing) {
        child_deafen(p->child);
        watch_start(&p->commit_watch, p->child->loop, store_commit_descriptor(p->store), true, false,
                    commit_ready, p);
    } else if (done && p->committing) {
        watch_stop(&p->commit_watch);
        child_hear(p->child);
    }
    p->committing = !done;
    return done;
}

static void log_verdict(struct queue_process *p, enum store_verdict verdict, const struct error *error)
{
    if (verdict == STORE_FULL && log_throttle_is_due(&p->full, clock_now_ms()))
        log_event(LOG_EVENT_ERROR, "store_full", LOG_TEXT("error", error->text),
                  LOG_U64("occurrences", p->full.times),
                  LOG_TEXT("hint", "free disk space in the data directory"));
    if (verdict == STORE_UNREACHABLE && log_throttle_is_due(&p->unreachable, clock_now_ms()))
        log_event(LOG_EVENT_ERROR, "store_unreachable", LOG_TEXT("error", error->text),
                  LOG_U64("occurrences", p->unreachable.times));
    if (verdict == STORE_DONE && log_throttle_recovered(&p->full, clock_now_ms()))
        log_event(LOG_EVENT_INFO, "store_recovered", LOG_TEXT("reason", "there is room again"),
                  LOG_U64("occurrences", p->full.times));
    if (verdict == STORE_DONE && log_throttle_recovered(&p->unreachable, clock_now_ms()))
        log_event(LOG_EVENT_INFO, "store_recovered", LOG_TEXT("reason", "the store can be reached again"),
                  LOG_U64("occurrences", p->unreachable.times));
}

static void turn(struct queue_process *p)
{
    struct error error = {0};
    uint64_t now_ms = queue_clock_now_ms(&p->queue_clock);
    enum store_verdict verdict;
    if (!commit(p, now_ms, &verdict, &error))
        return;
    log_batch(p, verdict);
    answer_all(p, verdict);
    queue_control_committed(&p->control, verdict);
    if (verdict == STORE_FAILED) { /* the page cache cannot be trusted after this: restart */
        log_event(LOG_EVENT_ERROR, "store_failed", LOG_TEXT("error", error.text));
        child_exit(p->child, EX_IOERR);
        return;
    }
    log_verdict(p, verdict, &error);
    if (verdict == STORE_DONE)
        ask_about_vacations(p);
    bool more = false;
    for (int transport = 0; transport < SCHEDULE_TRANSPORTS && !p->draining; transport++)
        more = start_some(p, (enum schedule_transport)transport, now_ms) || more;
    more = queue_control_walk(&p->control, now_ms) || more;
    set_wake(p, more || queue_has_kept_results(&p->queue) ||
                    (verdict == STORE_DONE && store_is_changed(p->store)));
    leave_if_done(p);
}

static void queue_process_turn(struct child *child)
{
    turn(child->service_data);
}

static void woken(void *owner)
{
    struct queue_process *p = owner;
    if (!p->draining)
        queue_wake(&p->queue, queue_clock_now_ms(&p->queue_clock));
    turn(p);
}

/* ---- peers ---- */

static void queue_process_peer(struct child *child, struct channel *peer)
{
    struct queue_process *p = child->service_data;
    timer_set(&p->wake, 0); /* deliveries may have waited for it */
}

static void queue_process_peer_lost(struct child *child, struct channel *peer)
{
    struct queue_process *p = child->service_data;
    for (size_t i = 0; i < p->waiting_count; i++)
        if (p->waiting[i].asker == peer)
            p->waiting[i].asker = NULL;
    if (peer->peer == PROCESS_AUTH)
        vacation_queue_unasked(&p->queue);
    for (int transport = 0; transport < SCHEDULE_TRANSPORTS; transport++)
        if (transports[transport] == peer->peer)
            queue_transport_lost(&p->queue, (enum schedule_transport)transport,
                                 queue_clock_now_ms(&p->queue_clock));
    timer_set(&p->wake, 0);
}

/* ---- beginning and end ---- */

/* Each is a connection of the relay process, which has the same limit of open files. */
static uint32_t deliveries_at_once(uint32_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted + DESCRIPTORS_BESIDE)
        return wanted;
    return limit.rlim_cur > 2 * DESCRIPTORS_BESIDE ? (uint32_t)limit.rlim_cur - DESCRIPTORS_BESIDE
                                                   : DESCRIPTORS_BESIDE;
}

static struct queue_options options_of(const struct config *config)
{
    return (struct queue_options){
        .hostname = bytes_of_text(config->hostname),
        .retry = {.first_ms = config->queue.first_ms,
                  .max_ms = config->queue.max_ms,
                  .factor = config->queue.factor},
        .expire_ms = config->queue.expire_ms,
        .warn_after_ms = config->queue.warn_after_ms,
        .routes = config_rules(config),
        .hold = config->queue.hold,
        .notes_sent = config_sends_reports(config, report_kind_name(REPORT_KIND_DMARC)),
        .deliveries = deliveries_at_once(config->limits.deliveries)};
}

static bool queue_process_open(struct child *child, struct error *error)
{
    here = (struct queue_process){.child = child};
    child->service_data = &here;
    queue_clock_open(&here.queue_clock);
    /* SQLite opens its log by path, and DATA/queue can be a link to another disk */
    child->paths->keeps_root = true;
    return true;
}

static bool queue_process_open_own(struct child *child, struct error *error)
{
    struct queue_process *p = child->service_data;
    static char folder[PATH_MAX];
    /* Yields to processes that submit messages: larger batches, fewer syncs. */
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    if (snprintf(folder, sizeof folder, "%s/queue", child->config->data_dir) >= (int)sizeof folder)
        return error_set(error, EX_CONFIG, "data_dir is too long");
    sandbox_allow(child->paths, folder, true);
    p->store = store_open(&(struct store_place){child->config->store, folder}, STORE_WRITE, error);
    return p->store != NULL && queue_control_open(&p->control, folder, error);
}

/* Deliveries without a result are tried again by the successor. */
static void drain_limit_passed(void *owner)
{
    struct queue_process *p = owner;
    turn(p); /* pending answers are sent */
    child_exit(p->child, EX_OK);
}

static bool queue_process_start(struct child *child, struct error *error)
{
    struct queue_process *p = child->service_data;
    struct queue_options options = options_of(child->config);
    log_hold();
    if (!queue_clock_start(&p->queue_clock, p->store, error))
        return false;
    queue_start(&p->queue, p->store, &options, random_u64(), queue_clock_now_ms(&p->queue_clock));
    timer_start(&p->wake, child->loop, woken, p);
    timer_start(&p->drain_limit, child->loop, drain_limit_passed, p);
    queue_control_start(&p->control, child->loop, &p->queue, &p->queue_clock, &p->wake);
    set_wake(p, true); /* reads the clock's record */
    return true;
}

static void queue_process_drain(struct child *child, bool quick)
{
    struct queue_process *p = child->service_data;
    p->draining = true;
    queue_control_close(&p->control);
    timer_set(&p->drain_limit, DRAIN_LIMIT_MS);
    timer_set(&p->wake, 0);
}

/* Folds the log into the database, so that a copy of mailboat.db alone is whole. */
static void queue_process_end(struct child *child)
{
    struct queue_process *p = child->service_data;
    store_close(p->store);
    p->store = NULL;
}

/* ---- in the supervisor ---- */

enum { OWNER_LOOKS = 40, OWNER_LOOK_MS = 50 };

/* Two servers in one data directory would take each other's sockets. A server just killed gets time to
 * end. */
static bool queue_process_check_free(const struct folder *data, struct error *error)
{
    struct folder queue;
    long owner = 0;
    if (!folder_enter(&queue, data, "queue", 0, FOLDER_ANY, error))
        return false;
    for (int i = 0; i < OWNER_LOOKS && (owner = store_lock_owner_at(queue.descriptor)) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = OWNER_LOOK_MS * 1000 * 1000}, NULL);
    folder_close(&queue);
    return owner == 0 || error_set(error, EX_TEMPFAIL,
                                   "data_dir: another mailboat is using %s (its queue is process %ld); stop "
                                   "it, or choose another directory",
                                   data->path, owner);
}

const struct service queue_service = {
    .role = PROCESS_QUEUE,
    .asks_to_the_end = true,
    .stop = STOP_RECORDS,
    .keeps = SANDBOX_READS_FILES | SANDBOX_WRITES_FILES | SANDBOX_HAS_THREADS | SANDBOX_ACCEPTS,
    .folder = "queue",
    .check_free = queue_process_check_free,
    .on_end = queue_process_end,
    .open = queue_process_open,
    .open_own = queue_process_open_own,
    .start = queue_process_start,
    .on_message = queue_process_message,
    .on_turn = queue_process_turn,
    .on_peer = queue_process_peer,
    .on_peer_lost = queue_process_peer_lost,
    .on_drain = queue_process_drain,
};
