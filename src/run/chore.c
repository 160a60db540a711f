/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/chore.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/log.h"
#include "run/environment.h"

/* ---- the work ---- */

static _Noreturn void do_work(const struct chore *chore)
{
    static const int changed[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE};
    const struct config *config = chore->children->config;
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
        signal(changed[i], changed[i] == SIGPIPE || changed[i] == SIGINT ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "mailboat-chore");
    log_start("chore", (enum log_format)config->log.format, (enum log_level)config->log.level);
    environment_forget();
    if (!children_leave(chore->children) || close_range(3, ~0U, 0) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(CHORE_MINUTES_MAX);
    uint32_t minutes = CHORE_MINUTES_MAX;
    for (size_t i = 0; chore->services[i] != NULL; i++) {
        uint32_t next = chore->services[i]->tend == NULL ? CHORE_MINUTES_MAX
                                                         : chore->services[i]->tend(config);
        minutes = next < minutes ? next : minutes;
    }
    _exit((int)minutes);
}

static void begin(void *owner)
{
    struct chore *chore = owner;
    sigset_t all, before;
    if (chore->pid != 0)
        return;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        do_work(chore);
    sigprocmask(SIG_SETMASK, &before, NULL);
    chore->pid = pid > 0 ? pid : 0;
    if (pid > 0)
        timer_set(&chore->limit, CHORE_LIMIT_MS);
    else /* without memory or processes: mail needs them more */
        timer_set(&chore->due, CHORE_MINUTE_MS);
}

static void limit_passed(void *owner)
{
    struct chore *chore = owner;
    if (chore->pid != 0)
        kill(chore->pid, SIGKILL);
}

bool chore_ended(struct chore *chore, pid_t pid, int status)
{
    if (pid != chore->pid || pid == 0)
        return false;
    bool done = WIFEXITED(status) && WEXITSTATUS(status) > 0 && WEXITSTATUS(status) <= CHORE_MINUTES_MAX;
    if (!done)
        log_event(LOG_EVENT_ERROR, "chore_died", LOG_U64("status", (uint32_t)status));
    chore->pid = 0;
    timer_cancel(&chore->limit);
    timer_set(&chore->due, (done ? (uint32_t)WEXITSTATUS(status) : CHORE_MINUTES_MAX) * CHORE_MINUTE_MS);
    return true;
}

void chore_stop(struct chore *chore)
{
    if (!chore->has_work)
        return;
    timer_cancel(&chore->due);
    limit_passed(chore); /* its files survive a crash */
}

/* ---- files that are followed ---- */

static struct chore_file look_at(const struct folder *data, const char *path)
{
    struct stat facts;
    if (fstatat(data->descriptor, path, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return (struct chore_file){0};
    return (struct chore_file){(uint64_t)facts.st_ino, (uint64_t)facts.st_mtim.tv_sec,
                               (uint64_t)facts.st_mtim.tv_nsec};
}

bool chore_has_news(struct chore *chore, const struct service *service, size_t place,
                    const struct folder *data)
{
    assert(place < CHORE_FOLLOWED_MAX);
    if (service->follows == NULL)
        return false;
    struct chore_file now = look_at(data, service->follows), before = chore->followed[place];
    chore->followed[place] = now;
    return now.inode != before.inode || now.seconds != before.seconds ||
           now.nanoseconds != before.nanoseconds;
}

void chore_start(struct chore *chore, const struct children *children, service_list *services,
                 const struct folder *data)
{
    *chore = (struct chore){.children = children, .services = services};
    for (size_t i = 0; services[i] != NULL; i++) {
        chore_has_news(chore, services[i], i, data);
        chore->has_work = chore->has_work || services[i]->tend != NULL;
    }
    if (!chore->has_work)
        return;
    timer_start(&chore->due, children->loop, begin, chore);
    timer_start(&chore->limit, children->loop, limit_passed, chore);
    timer_set(&chore->due, CHORE_FIRST_MS);
}
