/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/children.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/environment.h"

/* ---- links ---- */

static void send_peer(struct supervised *whom, const struct supervised *about, int descriptor)
{
    struct ipc_peer peer = {.role = about->service->role, .number = about->number};
    channel_send(&whom->control, IPC_PEER, &peer, descriptor);
    watch_change(&whom->watch, true, channel_wants_write(&whom->control));
}

static void link_new(struct children *children, struct supervised *asker, struct supervised *answerer)
{
    int ends[2];
    struct error error;
    if (!channel_pair(ends, &error)) {
        if (log_throttle_is_due(&children->joining, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "channel_failed", LOG_TEXT("reason", error.text));
        timer_set(&children->rejoin, REJOIN_MS);
        return;
    }
    log_throttle_recovered(&children->joining, clock_now_ms());
    struct child_link *link = memory_new(sizeof *link);
    *link = (struct child_link){children->links, asker, answerer, ends[1]};
    children->links = link;
    send_peer(asker, answerer, ends[0]);
    send_peer(answerer, asker, ends[1]);
    close(ends[0]);
}

static void link_remove(struct children *children, struct child_link *link)
{
    for (struct child_link **at = &children->links; *at != NULL; at = &(*at)->next)
        if (*at == link) {
            *at = link->next;
            break;
        }
    close(link->kept);
    free(link);
}

/* What a child had goes with it; the peers see their ends close. What others
 * ask it is kept for a successor. */
static void links_of_dead(struct children *children, struct supervised *dead, bool succeeds)
{
    for (struct child_link *link = children->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->asker == dead || (link->answerer == dead && !succeeds))
            link_remove(children, link);
    }
}

static bool linked(const struct children *children, const struct supervised *asker,
                   const struct supervised *answerer)
{
    for (const struct child_link *link = children->links; link != NULL; link = link->next)
        if (link->asker == asker && link->answerer == answerer)
            return true;
    return false;
}

static bool lives(const struct supervised *child)
{
    return child->pid != 0;
}

/* Joins a child to all it talks with. */
static void join(struct children *children, struct supervised *child)
{
    for (struct supervised *other = children->first; other != NULL; other = other->next) {
        if (!lives(other) || other == child)
            continue;
        /* One that drains answers no new asker, and asks no new answerer. */
        if (other->stage == CHILD_DRAINING && other->service->role != PROCESS_SMTPD &&
            other->service->role != PROCESS_QUEUE)
            continue;
        if (ipc_asks(child->service->role, other->service->role) && other->stage != CHILD_DRAINING &&
            !linked(children, child, other))
            link_new(children, child, other);
        if (ipc_asks(other->service->role, child->service->role) && !linked(children, other, child))
            link_new(children, other, child);
    }
}

static void rejoin(void *owner)
{
    struct children *children = owner;
    for (struct supervised *child = children->first; child != NULL; child = child->next)
        if (lives(child) && child->stage != CHILD_DRAINING)
            join(children, child);
}

void children_prepare(struct children *children)
{
    timer_start(&children->rejoin, children->loop, rejoin, children);
}

/* It has no end of that channel: a fresh one, once it may have room for it. */
static void peer_lost(struct supervised *child, const struct ipc_peer *peer)
{
    struct children *children = child->children;
    for (struct child_link *link = children->links, *next; link != NULL; link = next) {
        next = link->next;
        const struct supervised *other = link->asker == child      ? link->answerer
                                         : link->answerer == child ? link->asker
                                                                   : NULL;
        if (other != NULL && other->service->role == peer->role && other->number == peer->number)
            link_remove(children, link);
    }
    timer_set(&children->rejoin, REJOIN_MS);
}

/* The successor reads on where its predecessor stopped. */
static void inherit_links(struct children *children, struct supervised *child)
{
    for (struct child_link *link = children->links; link != NULL; link = link->next)
        if (link->answerer == child)
            send_peer(child, link->asker, link->kept);
}

/* ---- forking ---- */

static int keep_one(int descriptor, int least)
{
    return fcntl(descriptor, F_DUPFD, least);
}

/* In the child: closes all that is not its own. Its descriptors are moved out
 * of the way, then down again behind stderr. */
static int tidy_descriptors(struct child *child, const struct children *children, int control, int *buffer)
{
    /* above all places they go to, and not more: limits of open files can be low */
    enum { HIGH = 3 + LISTENERS_MAX + 2 };
    int kept[LISTENERS_MAX + 2], count = 0;
    kept[count++] = keep_one(control, HIGH);
    bool listens = child->service->role == PROCESS_SMTPD;
    for (size_t i = 0; listens && i < children->listening->count; i++)
        kept[count++] = keep_one(children->listening->sockets[i].descriptor, HIGH);
    if (listens && children->local_listener >= 0)
        kept[count++] = keep_one(children->local_listener, HIGH);
    for (int i = 0; i < count; i++) {
        dup2(kept[i], 3 + i);
        fcntl(3 + i, F_SETFD, FD_CLOEXEC);
    }
    close_range((unsigned)(3 + count), ~0U, 0);
    for (size_t i = 0; listens && i < children->listening->count; i++)
        buffer[i] = 4 + (int)i;
    child->local_listener = listens && children->local_listener >= 0 ? 3 + count - 1 : -1;
    return 3;
}

static void reset_signals(void)
{
    sigset_t none;
    signal(SIGINT, SIG_IGN); /* the supervisor decides when we end */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Those who have nothing to do with full mailboxes do not see them; who reads cannot write. */
static struct over_quota_table *share_over_quota(struct over_quota_table *full, enum process_role role)
{
    if (role == PROCESS_LOCAL || (role == PROCESS_SMTPD && mprotect(full, sizeof *full, PROT_READ) == 0))
        return full;
    munmap(full, sizeof *full);
    return NULL;
}

static void supervised_unmap(struct supervised *child)
{
    if (child->kept != NULL)
        munmap(child->kept, child->service->kept_octets);
    if (child->forbidden_call != NULL)
        munmap(child->forbidden_call, sizeof *child->forbidden_call);
}

/* Every service sees its own alone: what others keep, and what still waits to be told to them, is not its. */
static void leave_what_is_others(const struct children *children, const struct supervised *self)
{
    for (struct supervised *other = children->first; other != NULL; other = other->next) {
        if (other != self)
            supervised_unmap(other);
        if (lives(other))
            channel_wipe(&other->control);
    }
}

static _Noreturn void be_child(const struct children *children, const struct supervised *self, int control,
                               pid_t supervisor)
{
    static int listeners[LISTENERS_MAX];
    static struct config_listener facts[LISTENERS_MAX];
    struct child child = {.service = self->service,
                          .config = children->config,
                          .number = self->number,
                          .supervisor = supervisor,
                          .metrics = children->metrics,
                          .kept = self->kept,
                          .forbidden_call = self->forbidden_call,
                          .listeners = listeners,
                          .listener_facts = facts,
                          .listener_count = 0};
    char name[16];
    children->on_forked(children->owner);
    environment_forget();
    reset_signals();
    snprintf(name, sizeof name, "mailboat-%s", ipc_role_name(self->service->role));
    prctl(PR_SET_NAME, name);
    log_start(ipc_role_name(self->service->role), (enum log_format)children->config->log.format,
              (enum log_level)children->config->log.level);
    if (self->service->role == PROCESS_SMTPD) {
        child.listener_count = children->listening->count;
        for (size_t i = 0; i < child.listener_count; i++)
            facts[i] = *children->listening->sockets[i].facts;
    } else { /* it is theirs alone: the secret of TLS tickets stands there */
        munmap(child.metrics, sizeof *child.metrics);
        child.metrics = NULL;
    }
    child.over_quota = share_over_quota(children->over_quota, self->service->role);
    leave_what_is_others(children, self);
    control = tidy_descriptors(&child, children, control, listeners);
    _exit(child_run(&child, control));
}

static void control_ready(void *owner, bool readable, bool writable);
static void restart_now(void *owner);

static bool fork_child(struct children *children, struct supervised *child, struct error *error)
{
    int ends[2];
    sigset_t all, before;
    pid_t supervisor = getpid();
    if (!channel_pair(ends, error))
        return false;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        be_child(children, child, ends[1], supervisor);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_set_errno(error, EX_OSERR, "cannot start the %s process",
                               ipc_role_name(child->service->role));
    }
    child->pid = pid;
    child->stage = CHILD_STARTING;
    child->generation = children->generation;
    child->started_ms = clock_now_ms();
    channel_start(&child->control, ends[0], PROCESS_SUPERVISOR, child->service->role, child->number);
    watch_start(&child->watch, children->loop, ends[0], true, false, control_ready, child);
    return true;
}

static void supervised_free(struct supervised *child)
{
    supervised_unmap(child);
    free(child);
}

static void *map_shared(size_t octets)
{
    void *at = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static struct supervised *supervised_new(struct children *children, const struct child_service *service,
                                         uint32_t number, struct error *error)
{
    struct supervised *child = memory_new(sizeof *child);
    *child = (struct supervised){
        .children = children, .service = service, .number = number, .next = children->first};
    child->forbidden_call = map_shared(sizeof *child->forbidden_call);
    child->kept = service->kept_octets > 0 ? map_shared(service->kept_octets) : NULL;
    if (child->forbidden_call != NULL && (child->kept != NULL || service->kept_octets == 0))
        return child;
    error_set_errno(error, EX_OSERR, "no memory to share with the %s process", ipc_role_name(service->role));
    supervised_free(child);
    return NULL;
}

static uint32_t free_number(const struct children *children)
{
    for (uint32_t number = 0; number < CHILD_NUMBERS; number++) {
        const struct supervised *child = children->first;
        while (child != NULL && !(child->service->role == PROCESS_SMTPD && child->number == number))
            child = child->next;
        if (child == NULL)
            return number;
    }
    return CHILD_NUMBERS;
}

bool children_start(struct children *children, const struct child_service *service, struct error *error)
{
    uint32_t number = service->role == PROCESS_SMTPD ? free_number(children) : 0;
    if (number == CHILD_NUMBERS)
        return error_set(error, EX_UNAVAILABLE,
                         "too many smtpd processes are still finishing their sessions");
    struct supervised *child = supervised_new(children, service, number, error);
    if (child == NULL)
        return false;
    children->first = child;
    timer_start(&child->restart, children->loop, restart_now, child);
    if (fork_child(children, child, error)) {
        join(children, child);
        return true;
    }
    children->first = child->next;
    supervised_free(child);
    return false;
}

static void restart_now(void *owner)
{
    struct supervised *child = owner;
    struct error error;
    if (!fork_child(child->children, child, &error)) {
        if (log_throttle_is_due(&child->children->forking, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "restart_failed", LOG_TEXT("reason", error.text),
                      LOG_U64("times", child->children->forking.times));
        timer_set(&child->restart, REJOIN_MS);
        return;
    }
    log_throttle_recovered(&child->children->forking, clock_now_ms());
    inherit_links(child->children, child);
    join(child->children, child);
}

/* ---- their news ---- */

static void control_ready(void *owner, bool readable, bool writable)
{
    struct supervised *child = owner;
    enum ipc_kind kind;
    union ipc_message message;
    int attached;
    enum channel_news news = CHANNEL_EMPTY;
    if (writable)
        channel_flush(&child->control);
    while (readable &&
           (news = channel_receive(&child->control, &kind, &message, &attached)) == CHANNEL_MESSAGE)
        if (kind == IPC_PEER_LOST) {
            peer_lost(child, &message.peer);
        } else if (kind != IPC_READY) {
            child->children->on_message(child->children->owner, child, kind, &message, attached);
        } else if (child->stage == CHILD_STARTING) {
            child->stage = CHILD_RUNNING;
            child->children->on_change(child->children->owner);
        }
    /* Its end is told by SIGCHLD. */
    watch_change(&child->watch, news != CHANNEL_CLOSED,
                 channel_wants_write(&child->control) && news != CHANNEL_CLOSED);
}

void children_drain(struct children *children, struct supervised *child, bool quick, bool succeeds)
{
    if (!lives(child) || (child->stage == CHILD_DRAINING && !quick))
        return;
    child->stage = CHILD_DRAINING;
    child->succeeds = succeeds;
    channel_send(&child->control, IPC_DRAIN, &(struct ipc_drain){.quick = quick}, -1);
    watch_change(&child->watch, true, channel_wants_write(&child->control));
}

void children_broadcast(struct children *children, enum process_role role, enum ipc_kind kind,
                        const void *message)
{
    for (struct supervised *child = children->first; child != NULL; child = child->next) {
        if (!lives(child) || child->service->role != role)
            continue;
        channel_send(&child->control, kind, message, -1);
        watch_change(&child->watch, true, channel_wants_write(&child->control));
    }
}

void children_kill(struct children *children)
{
    for (struct supervised *child = children->first; child != NULL; child = child->next)
        if (lives(child))
            kill(child->pid, SIGKILL);
}

static void forget(struct children *children, struct supervised *child)
{
    for (struct supervised **at = &children->first; *at != NULL; at = &(*at)->next)
        if (*at == child) {
            *at = child->next;
            break;
        }
    timer_cancel(&child->restart);
    supervised_free(child);
}

/* Which call it was, where the seal ended it; "" where something else did. */
static const char *forbidden_call(const struct supervised *child, int status,
                                  char buffer[SANDBOX_CALL_NAME_MAX])
{
    int number = atomic_exchange(child->forbidden_call, 0);
    return !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS ? ""
           : number == 0                                      ? "unknown"
                                                              : sandbox_call_name(number - 1, buffer);
}

static void log_death(const struct supervised *child, int status)
{
    char buffer[SANDBOX_CALL_NAME_MAX];
    const char *call = forbidden_call(child, status, buffer);
    log_event(LOG_EVENT_ERROR, "child_died", LOG_TEXT("role", ipc_role_name(child->service->role)),
              LOG_U64("pid", child->pid), LOG_U64("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
              LOG_U64("exit_code", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
              LOG_U64("restart_ms", child->backoff_ms), LOG_TEXT("call", call),
              LOG_TEXT("reason", call[0] == '\0' ? "" : "a system call that its seal does not allow"));
}

/* Restarted at once the first time, then ever later while it keeps dying. */
static void restart_later(struct supervised *child, int status)
{
    bool calm = clock_now_ms() - child->started_ms >= RESTART_CALM_MS;
    uint64_t doubled = child->backoff_ms == 0 ? RESTART_FIRST_MS : child->backoff_ms * 2;
    bool first = calm || child->backoff_ms == 0;
    if (calm)
        child->backoff_ms = 0;
    log_death(child, status);
    timer_set(&child->restart, first ? 0 : child->backoff_ms);
    child->backoff_ms = doubled < RESTART_MAX_MS ? doubled : RESTART_MAX_MS;
    child->stage = CHILD_WAITING;
}

static void ended(struct children *children, struct supervised *child, int status)
{
    bool drained = child->stage == CHILD_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    watch_stop(&child->watch);
    channel_close(&child->control);
    if (child->service->role == PROCESS_SMTPD) {
        children->metrics->connections[child->number] = 0;
        memset(children->metrics->clients[child->number], 0,
               sizeof children->metrics->clients[child->number]);
        memset(children->metrics->ports[child->number], 0, sizeof children->metrics->ports[child->number]);
    }
    bool crashed_while_draining = child->stage == CHILD_DRAINING && !drained;
    if (crashed_while_draining)
        log_death(child, status);
    links_of_dead(children, child, drained && child->succeeds);
    if (!children->started && !drained) {
        /* else it has said why, or was killed for another */
        if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
            log_death(child, status);
        child->pid = 0;
        children->on_failed_start(children->owner, WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
        return;
    }
    bool replace = child->stage == CHILD_DRAINING ? child->succeeds : !children->stopping;
    if (!replace) {
        child->pid = 0;
        forget(children, child);
    } else if (child->stage == CHILD_DRAINING) {
        child->pid = 0;
        restart_now(child);
    } else {
        restart_later(child, status);
        child->pid = 0;
    }
    children->on_change(children->owner);
}

void children_reap(struct children *children)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct supervised *child = children->first;
        while (child != NULL && child->pid != pid)
            child = child->next;
        if (child != NULL)
            ended(children, child, status);
        else
            children->on_stranger(children->owner, pid, status);
    }
}

bool children_settled(const struct children *children)
{
    for (const struct supervised *child = children->first; child != NULL; child = child->next) {
        bool old_smtpd = child->service->role == PROCESS_SMTPD && child->stage == CHILD_DRAINING;
        if (!old_smtpd && (child->stage != CHILD_RUNNING || child->generation != children->generation))
            return false;
    }
    return true;
}
