/* SPDX-License-Identifier: Apache-2.0 */
/* children_fork: a fresh process: separates it from the supervisor's descriptors and memory. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/children.h"
#include "run/environment.h"

static int keep_one(int descriptor, int least)
{
    return fcntl(descriptor, F_DUPFD, least);
}

/* In the child: closes all other descriptors. Its own are moved out of the way, then down to the places
 * after stderr. */
static int tidy_descriptors(struct child *child, const struct children *children, int control, int *buffer)
{
    /* above all target places, and no higher: limits of open files can be low */
    enum { HIGH = 3 + LISTENERS_MAX + 2 };
    int kept[LISTENERS_MAX + 2], count = 0;
    kept[count++] = keep_one(control, HIGH);
    bool listens = child->service->listens;
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
    signal(SIGINT, SIG_IGN); /* the supervisor handles it */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void children_unmap(struct supervised *child)
{
    if (child->kept != NULL)
        munmap(child->kept, child->service->kept_octets);
    if (child->forbidden_call != NULL)
        munmap(child->forbidden_call, sizeof *child->forbidden_call);
}

/* Each process sees only its own memory and channels: wipes the others' memory and pending messages. */
static void leave_what_is_others(const struct children *children, const struct supervised *self)
{
    for (struct supervised *other = children->first; other != NULL; other = other->next) {
        if (other != self)
            children_unmap(other);
        if (children_is_alive(other))
            channel_wipe(&other->control);
    }
}

/* Takes the listening sockets and their settings. */
static void take_listeners(struct child *child, const struct children *children)
{
    static struct config_listener facts[LISTENERS_MAX];
    child->listener_facts = facts;
    if (!child->service->listens)
        return;
    child->listener_count = children->listening->count;
    for (size_t i = 0; i < child->listener_count; i++)
        facts[i] = *children->listening->sockets[i].facts;
}

static _Noreturn void be_child(const struct children *children, const struct supervised *self, int control,
                               pid_t supervisor)
{
    static int listeners[LISTENERS_MAX];
    const struct service *service = self->service;
    struct shared_mappings shared = children->shared;
    struct error error = {0};
    struct child child = {.service = service,
                          .config = children->config,
                          .number = self->number,
                          .supervisor = supervisor,
                          .shared = &shared,
                          .kept = self->kept,
                          .forbidden_call = self->forbidden_call,
                          .listeners = listeners};
    char name[16];
    children->on_forked(children->owner);
    environment_forget();
    reset_signals();
    snprintf(name, sizeof name, "mailboat-%s", service_name(service));
    prctl(PR_SET_NAME, name);
    log_start(service_name(service), (enum log_format)children->config->log.format,
              (enum log_level)children->config->log.level);
    take_listeners(&child, children);
    leave_what_is_others(children, self);
    /* memory shared by others is removed: it contains the secret of TLS tickets */
    if (!shared_memory_keep(&shared, service->shares, SERVICE_SHARES_MAX, &error)) {
        log_event(LOG_EVENT_ERROR, "start_failed", LOG_TEXT("error", error.text));
        _exit(EX_OSERR);
    }
    control = tidy_descriptors(&child, children, control, listeners);
    _exit(child_run(&child, control));
}

bool children_leave(const struct children *children)
{
    struct shared_mappings shared = children->shared;
    children->on_forked(children->owner);
    leave_what_is_others(children, NULL);
    return shared_memory_keep(&shared, NULL, 0, NULL);
}

bool children_fork(struct children *children, struct supervised *child, struct error *error)
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
        return error_set_errno(error, EX_OSERR, "cannot start the %s process", service_name(child->service));
    }
    child->pid = pid;
    child->stage = CHILD_STARTING;
    child->generation = children->generation;
    child->started_ms = clock_now_ms();
    channel_start(&child->control, ends[0], PROCESS_SUPERVISOR, child->service->role, child->number);
    watch_start(&child->watch, children->loop, ends[0], true, false, children_control_ready, child);
    return true;
}
