/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/children.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"

bool children_prepare(struct children *children, service_list *services, struct error *error)
{
    timer_start(&children->rejoin, children->loop, children_rejoin, children);
    for (service_list *at = services; *at != NULL; at++)
        if (!shared_memory_map(&children->shared, (*at)->shares, SERVICE_SHARES_MAX, error))
            return false;
    return true;
}

bool children_is_alive(const struct supervised *child)
{
    return child->pid != 0;
}

/* ---- creation ---- */

static void supervised_free(struct supervised *child)
{
    children_unmap(child);
    free(child);
}

static struct supervised *supervised_new(struct children *children, const struct service *service,
                                         uint32_t number, struct error *error)
{
    struct supervised *child = memory_new(sizeof *child);
    *child = (struct supervised){
        .children = children, .service = service, .number = number, .next = children->first};
    child->forbidden_call = shared_memory_new(sizeof *child->forbidden_call);
    child->kept = service->kept_octets > 0 ? shared_memory_new(service->kept_octets) : NULL;
    if (child->forbidden_call != NULL && (child->kept != NULL || service->kept_octets == 0))
        return child;
    error_set_errno(error, EX_OSERR, "no memory to share with the %s process", service_name(service));
    supervised_free(child);
    return NULL;
}

static uint32_t free_number(const struct children *children, const struct service *service)
{
    for (uint32_t number = 0; number < CHILD_NUMBERS; number++) {
        const struct supervised *child = children->first;
        while (child != NULL && !(child->service == service && child->number == number))
            child = child->next;
        if (child == NULL)
            return number;
    }
    return CHILD_NUMBERS;
}

static void restart_now(void *owner);

static bool start_one(struct children *children, const struct service *service, struct error *error)
{
    uint32_t number = free_number(children, service);
    if (number == CHILD_NUMBERS)
        return error_set(error, EX_UNAVAILABLE, "too many %s processes are still finishing their sessions",
                         service_name(service));
    struct supervised *child = supervised_new(children, service, number, error);
    if (child == NULL)
        return false;
    children->first = child;
    timer_start(&child->restart, children->loop, restart_now, child);
    if (children_fork(children, child, error)) {
        children_join(children, child);
        return true;
    }
    children->first = child->next;
    supervised_free(child);
    return false;
}

bool children_start(struct children *children, const struct service *service, struct error *error)
{
    for (uint32_t left = service_count(service, children->config); left > 0; left--)
        if (!start_one(children, service, error))
            return false;
    return true;
}

static void restart_now(void *owner)
{
    struct supervised *child = owner;
    struct error error;
    if (!children_fork(child->children, child, &error)) {
        if (log_throttle_is_due(&child->children->forking, clock_now_ms()))
            log_event(LOG_EVENT_ERROR, "restart_failed", LOG_TEXT("error", error.text),
                      LOG_U64("occurrences", child->children->forking.times));
        timer_set(&child->restart, REJOIN_MS);
        return;
    }
    log_throttle_recovered(&child->children->forking, clock_now_ms());
    children_inherit_links(child->children, child);
    children_join(child->children, child);
}

/* ---- events ---- */

void children_control_ready(void *owner, bool readable, bool writable)
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
            children_link_lost(child, &message.peer);
        } else if (kind != IPC_READY) {
            child->children->on_message(child->children->owner, child, kind, &message, attached);
        } else if (child->stage == CHILD_STARTING) {
            child->stage = CHILD_RUNNING;
            child->children->on_change(child->children->owner);
        }
    /* SIGCHLD reports its end. */
    watch_change(&child->watch, news != CHANNEL_CLOSED,
                 channel_wants_write(&child->control) && news != CHANNEL_CLOSED);
}

void children_drain(struct children *children, struct supervised *child, bool quick, bool succeeds)
{
    if (!children_is_alive(child) || (child->stage == CHILD_DRAINING && !quick))
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
        if (!children_is_alive(child) || child->service->role != role)
            continue;
        channel_send(&child->control, kind, message, -1);
        watch_change(&child->watch, true, channel_wants_write(&child->control));
    }
}

void children_kill(struct children *children)
{
    for (struct supervised *child = children->first; child != NULL; child = child->next)
        if (children_is_alive(child))
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

/* Returns the name of the forbidden call if the sandbox ended the process; "" otherwise. */
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
    log_event(LOG_EVENT_ERROR, "process_died", LOG_TEXT("role", service_name(child->service)),
              LOG_U64("pid", child->pid), LOG_U64("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
              LOG_U64("exit_code", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
              LOG_U64("restart_ms", child->backoff_ms), LOG_TEXT("call", call),
              LOG_TEXT("reason", call[0] == '\0' ? "" : "a system call that its sandbox does not allow"));
}

/* Restarts immediately the first time, then with increasing delay while it keeps dying. */
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

/* Channels that it could not leave in order to its successor. */
static void hear_last_words(struct supervised *child)
{
    enum ipc_kind kind;
    union ipc_message message;
    int attached;
    while (channel_receive(&child->control, &kind, &message, &attached) == CHANNEL_MESSAGE) {
        if (attached >= 0)
            close(attached);
        if (kind == IPC_PEER_LOST)
            children_link_lost(child, &message.peer);
    }
}

static void ended(struct children *children, struct supervised *child, int status)
{
    bool drained = child->stage == CHILD_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    hear_last_words(child);
    watch_stop(&child->watch);
    channel_close(&child->control);
    shared_memory_forget(&children->shared, child->service->shares, SERVICE_SHARES_MAX, child->number);
    bool crashed_while_draining = child->stage == CHILD_DRAINING && !drained;
    if (crashed_while_draining)
        log_death(child, status);
    children_unlink_dead(children, child, drained && child->succeeds);
    if (!children->started && !drained) {
        /* otherwise it has logged the reason, or was killed for another */
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
        bool finishes_sessions = child->service->overlaps && child->stage == CHILD_DRAINING;
        if (!finishes_sessions &&
            (child->stage != CHILD_RUNNING || child->generation != children->generation))
            return false;
    }
    return true;
}
