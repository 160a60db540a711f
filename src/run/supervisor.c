/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/log.h"
#include "io/resolver_list.h"
#include "io/timer.h"
#include "run/capability.h"
#include "run/children.h"
#include "run/chore.h"
#include "run/helper_command.h"
#include "run/preparation.h"
#include "run/reload_socket.h"

enum { RESOLVER_LOOK_MS = 2 * 1000 }; /* between two readings of resolv.conf */

enum supervisor_stage { STAGE_STARTING, STAGE_RUNNING, STAGE_RELOADING, STAGE_STOPPING };

struct supervisor {
    const char *config_file;
    service_list *services;
    struct folder data; /* the data directory */
    struct buffer users_warning, capabilities_warning;
    /* the old one lives until the last process forked with it has ended */
    struct config config, old_config;
    struct loop loop;
    struct listen_set listening;
    struct children children;
    struct event on_hup, on_term, on_int, on_chld;
    struct timer stop_limit;
    struct timer resolver_look;
    /* of resolv.conf: as its processes have them, and as they were read last */
    struct resolver_list resolvers, resolvers_seen;
    struct helper_command helper; /* for one process at a time */
    struct chore chore;
    const struct service *helped;
    const char *helper_key;
    enum supervisor_stage stage;
    size_t reload_step; /* index of the services already replaced */
    bool reload_again;
    struct reload_socket reload;
    int exit_code;
};

static bool all_are(const struct supervisor *s, const struct service *service, enum child_stage stage)
{
    for (const struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == service &&
            (child->stage != stage || child->generation != s->children.generation))
            return false;
    return true;
}

/* ---- starting ---- */

/* Sends READY=1 to a service manager that requested it (sd_notify's protocol). */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
    close(descriptor);
}

static void log_ready(const struct supervisor *s)
{
    struct buffer ports = {0};
    for (size_t i = 0; i < s->config.listener_count; i++)
        buffer_add_format(&ports, "%s%u", i == 0 ? "" : ",", (unsigned)s->config.listeners[i].port);
    log_event(LOG_EVENT_INFO, "ready", LOG_TEXT("hostname", s->config.hostname),
              LOG_BYTES("ports", buffer_bytes(&ports)), LOG_TEXT("data_dir", s->config.data_dir));
    buffer_free(&ports);
}

/* Overlapping services accept clients: they start last, after all services that they ask. */
static bool start_services(struct supervisor *s, bool overlapping, struct error *error)
{
    for (service_list *at = s->services; *at != NULL; at++)
        if ((*at)->overlaps == overlapping && !children_start(&s->children, *at, error))
            return false;
    return true;
}

/* ---- reloading ---- */

static void drain_generation_of_before(struct supervisor *s)
{
    for (struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service->overlaps && child->generation != s->children.generation)
            children_drain(&s->children, child, false, false);
}

static void begin_reload(struct supervisor *s);

static void finish_reload(struct supervisor *s)
{
    s->stage = STAGE_RUNNING;
    log_event(LOG_EVENT_INFO, "reloaded", LOG_TEXT("config", s->config.file));
    notify("READY=1");
    reload_socket_answer(&s->reload, false, EX_OK, "reloaded");
    if (s->reload_again) {
        s->reload_again = false;
        begin_reload(s);
    }
}

static bool is_there(const struct supervisor *s, const struct service *service)
{
    const struct supervised *child = s->children.first;
    while (child != NULL && child->service != service)
        child = child->next;
    return child != NULL;
}

/* Starts new processes beside the old, and newly configured ones. A failed start does not prevent the
 * others. */
static void start_beside(struct supervisor *s)
{
    static const bool overlapping[] = {true, false};
    struct error error = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(overlapping); i++)
        for (service_list *at = s->services; *at != NULL; at++)
            if ((*at)->overlaps == overlapping[i] && (overlapping[i] || !is_there(s, *at)) &&
                !children_start(&s->children, *at, &error))
                log_event(LOG_EVENT_ERROR, "reload_failed", LOG_TEXT("error", error.text));
}

/* False until it is replaced; its end continues the reload. */
static bool replace(struct supervisor *s, const struct service *service)
{
    bool wanted = service_count(service, &s->config) > 0;
    if (all_are(s, service, CHILD_RUNNING))
        return true;
    for (struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == service && child->generation != s->children.generation &&
            child->stage == CHILD_RUNNING)
            children_drain(&s->children, child, false, wanted);
    return false;
}

/* A new process that ends again and again at its start: those who wait are told, while it is retried. */
static void tell_of_failing(struct supervisor *s)
{
    struct error error = {0};
    for (const struct supervised *child = s->children.first; child != NULL; child = child->next) {
        if (child->generation != s->children.generation || child->stage != CHILD_WAITING ||
            child->backoff_ms <= RESTART_FIRST_MS)
            continue;
        error_set(&error, EX_SOFTWARE,
                  "the new %s process ends at its start: see the log; the previous processes go on",
                  service_name(child->service));
        reload_socket_answer(&s->reload, false, error.exit_code, error.text);
    }
}

/* Starts overlapping services first, then replaces the rest one after the other. */
static void go_on_reloading(struct supervisor *s)
{
    tell_of_failing(s);
    for (const struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service->overlaps && child->generation == s->children.generation &&
            child->stage != CHILD_RUNNING)
            return;
    drain_generation_of_before(s);
    for (const struct service *service; (service = s->services[s->reload_step]) != NULL; s->reload_step++)
        if (!service->overlaps && !replace(s, service))
            return;
    finish_reload(s);
}

static bool swap_config(struct supervisor *s, struct error *error)
{
    struct config fresh;
    struct listen_set sockets;
    if (!config_load(&fresh, s->config_file, error))
        return false;
    struct config before = s->config;
    if (strcmp(fresh.data_dir, before.data_dir) != 0) {
        config_free(&fresh);
        return error_set(error, EX_CONFIG, "data_dir changed: that needs a restart, not a reload");
    }
    if (strcmp(fresh.user, before.user) != 0) {
        config_free(&fresh);
        return error_set(error, EX_CONFIG, "user changed: that needs a restart, not a reload");
    }
    s->config = fresh;
    if (!preparation_run(&s->config, s->services, error) ||
        !listen_open(&sockets, &s->config, &s->listening, error)) {
        config_free(&s->config);
        s->config = before;
        return false;
    }
    listen_close(&s->listening);
    s->listening = sockets;
    config_free(&s->old_config);
    s->old_config = before;
    return true;
}

static void begin_reload(struct supervisor *s)
{
    struct error error = {0};
    if (s->stage == STAGE_RELOADING) {
        s->reload_again = true;
        return;
    }
    if (s->stage != STAGE_RUNNING) {
        reload_socket_answer(&s->reload, true, EX_TEMPFAIL,
                             s->stage == STAGE_STARTING ? "the server is still starting"
                                                        : "the server stops");
        return;
    }
    reload_socket_begin(&s->reload);
    if (!swap_config(s, &error)) {
        log_event(LOG_EVENT_ERROR, "reload_failed", LOG_TEXT("error", error.text),
                  LOG_TEXT("hint", "the previous configuration stays in effect"));
        error_prefix(&error, "nothing was changed");
        reload_socket_answer(&s->reload, false, error.exit_code, error.text);
        return;
    }
    log_event(LOG_EVENT_INFO, "reloading", LOG_TEXT("config", s->config.file));
    log_start("supervisor", (enum log_format)s->config.log.format, (enum log_level)s->config.log.level);
    s->stage = STAGE_RELOADING;
    s->reload_step = 0;
    s->children.generation++;
    start_beside(s);
    go_on_reloading(s);
}

/* ---- stopping ---- */

/* Stops stage by stage: see enum service_stop. */
static void go_on_stopping(struct supervisor *s)
{
    for (int stop = STOP_INTAKE; stop < SERVICE_STOPS; stop++) {
        bool waiting = false;
        for (struct supervised *child = s->children.first; child != NULL; child = child->next)
            if ((int)child->service->stop == stop) {
                children_drain(&s->children, child, true, false);
                waiting = waiting || child->pid != 0;
            }
        if (waiting)
            return;
    }
    loop_stop(&s->loop);
}

static void limit_passed(void *owner)
{
    struct supervisor *s = owner;
    log_event(LOG_EVENT_WARN, "shutdown_timeout", LOG_TEXT("reason", "some processes did not end in time"));
    children_kill(&s->children);
}

static void begin_stop(struct supervisor *s, int exit_code)
{
    if (s->stage == STAGE_STOPPING) { /* a second signal: immediately */
        children_kill(&s->children);
        return;
    }
    log_event(LOG_EVENT_INFO, "draining");
    s->stage = STAGE_STOPPING;
    s->exit_code = exit_code;
    s->children.stopping = true;
    chore_stop(&s->chore);
    reload_socket_close(&s->reload);
    listen_close(&s->listening);
    timer_set(&s->stop_limit, STOP_LIMIT_MS);
    go_on_stopping(s);
}

/* ---- events ---- */

static void on_change(void *owner)
{
    struct supervisor *s = owner;
    switch (s->stage) {
    case STAGE_STARTING:
        if (!children_settled(&s->children))
            break;
        s->stage = STAGE_RUNNING;
        s->children.started = true;
        log_ready(s);
        notify("READY=1");
        chore_start(&s->chore, &s->children, s->services, &s->data);
        break;
    case STAGE_RUNNING: break;
    case STAGE_RELOADING: go_on_reloading(s); break;
    case STAGE_STOPPING: go_on_stopping(s); break;
    }
}

/* ---- resolv.conf ---- */

static void replace_service(struct supervisor *s, const struct service *service)
{
    for (struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == service && child->stage == CHILD_RUNNING)
            children_drain(&s->children, child, false, true);
}

/* Files that a process has read before its sandbox may have changed. */
static void look_at_followed(struct supervisor *s)
{
    for (size_t i = 0; s->services[i] != NULL && s->stage == STAGE_RUNNING; i++)
        if (all_are(s, s->services[i], CHILD_RUNNING) && /* a starting one may have read what was before */
            chore_has_news(&s->chore, s->services[i], i, &s->data))
            replace_service(s, s->services[i]);
}

static void replace_resolving(struct supervisor *s)
{
    char text[RESOLVER_LIST_MAX * RESOLVER_TEXT_MAX];
    resolver_list_text(&s->resolvers, text, sizeof text);
    log_event(LOG_EVENT_INFO, "resolvers_changed", LOG_TEXT("resolvers", text[0] == '\0' ? "none" : text));
    for (service_list *at = s->services; *at != NULL; at++)
        if ((*at)->resolves)
            replace_service(s, *at);
}

/* A process cannot read the file again from its sandbox. A list counts once it was read twice: the file may
 * be half written. */
static void look_at_resolvers(void *owner)
{
    struct supervisor *s = owner;
    struct resolver_list now;
    resolver_list_read(&now, RESOLV_CONF);
    bool steady = resolver_list_equals(&now, &s->resolvers_seen);
    s->resolvers_seen = now;
    if (steady && s->stage == STAGE_RUNNING && !resolver_list_equals(&now, &s->resolvers)) {
        s->resolvers = now;
        if (s->config.resolver.server_count == 0)
            replace_resolving(s);
    }
    look_at_followed(s);
    timer_set(&s->resolver_look, RESOLVER_LOOK_MS);
}

/* Logs one line on failure, without the command's output. */
static void helper_command_done(void *owner, struct bytes line, const char *why)
{
    struct supervisor *s = owner;
    struct buffer reason = {0};
    if (line.length == 0) {
        buffer_add_format(&reason, "%s: %s", s->helper_key, why);
        log_event(LOG_EVENT_ERROR, "helper_command_failed", LOG_BYTES("error", buffer_bytes(&reason)));
    }
    children_broadcast(&s->children, s->helped->role, IPC_SECRET_ANSWER,
                       &(struct ipc_secret_answer){line, buffer_bytes(&reason)});
    buffer_free(&reason);
}

static void fetch_secret(struct supervisor *s, const struct service *service)
{
    struct error error = {0};
    if (s->helper.pid != 0) /* the answer is for the whole service */
        return;
    struct service_command command = service->command(&s->config);
    s->helped = service;
    s->helper_key = command.key;
    if (command.line == NULL)
        helper_command_done(s, bytes_none(), "the configuration no longer has this command");
    else if (!helper_command_start(&s->helper, &s->loop, command.line,
                                   users_of(service->role, s->config.user), helper_command_done, s, &error))
        helper_command_done(s, bytes_none(), error.text);
}

static void on_stranger(void *owner, pid_t pid, int status)
{
    struct supervisor *s = owner;
    if (!chore_ended(&s->chore, pid, status))
        helper_command_ended(&s->helper, pid, status);
}

static void on_message(void *owner, struct supervised *from, enum ipc_kind kind,
                       const union ipc_message *message, int attached)
{
    struct supervisor *s = owner;
    if (kind == IPC_SECRET && from->service->command != NULL)
        fetch_secret(s, from->service);
    else if (attached >= 0)
        close(attached);
}

/* A fresh process has a copy of all this memory. */
static void on_forked(void *owner)
{
    struct supervisor *s = owner;
    config_forget_secrets(&s->config);
    config_forget_secrets(&s->old_config);
    buffer_wipe(&s->helper.line);
}

/* It has printed the reason on stderr; the server needs all processes. */
static void on_failed_start(void *owner, int exit_code)
{
    struct supervisor *s = owner;
    if (s->exit_code == EX_OK) /* the first failure sets the code; the others are killed because of it */
        s->exit_code = exit_code == 0 ? EX_SOFTWARE : exit_code;
    children_kill(&s->children);
    loop_stop(&s->loop);
}

static void on_signal(evutil_socket_t number, short what, void *owner)
{
    struct supervisor *s = owner;
    switch (number) {
    case SIGCHLD: children_reap(&s->children); break;
    case SIGHUP: begin_reload(s); break;
    default: begin_stop(s, EX_OK); break;
    }
}

static void watch_signal(struct supervisor *s, struct event *event, int number)
{
    event_assign(event, s->loop.base, number, EV_SIGNAL | EV_PERSIST, on_signal, s);
    event_add(event, NULL);
}

static void log_what_is_missing(const struct supervisor *s)
{
    if (s->users_warning.length > 0)
        log_event(LOG_EVENT_WARN, "users_missing", LOG_BYTES("reason", buffer_bytes(&s->users_warning)),
                  LOG_TEXT("hint", USERS_HINT));
    if (!sandbox_has_landlock())
        log_event(
            LOG_EVENT_WARN, "landlock_missing",
            LOG_TEXT("reason", "the kernel has no Landlock; processes are sandboxed with seccomp only"));
    struct bytes rest = buffer_bytes(&s->capabilities_warning);
    while (rest.length > 0)
        log_event(LOG_EVENT_WARN, "capability_missing", LOG_BYTES("reason", bytes_split(&rest, '\n')));
}

/* Opens the listening service's socket in the data directory, for submission by local programs. */
static bool open_local_listener(struct supervisor *s, struct error *error)
{
    for (service_list *at = s->services; *at != NULL; at++) {
        if (!(*at)->listens)
            continue;
        const struct listen_socket wanted = {.data_dir = s->config.data_dir,
                                             .name = (*at)->socket,
                                             .type = SOCK_STREAM,
                                             .backlog = LISTEN_BACKLOG,
                                             .mode = 0666};
        s->children.local_listener = listen_unix(&s->data, &wanted, error);
        return s->children.local_listener >= 0;
    }
    return true;
}

static void on_reload_request(void *owner)
{
    begin_reload(owner);
}

static void remove_sockets(const struct supervisor *s)
{
    unlinkat(s->data.descriptor, RELOAD_SOCKET_NAME, 0);
    for (service_list *at = s->services; *at != NULL; at++)
        if ((*at)->socket != NULL)
            unlinkat(s->data.descriptor, (*at)->socket, 0);
}

static bool start(struct supervisor *s, struct error *error)
{
    if (!config_load(&s->config, s->config_file, error))
        return false;
    service_list_check(s->services, &s->config);
    log_start("supervisor", (enum log_format)s->config.log.format, (enum log_level)s->config.log.level);
    if (!capability_check(&s->config, &s->capabilities_warning, error) ||
        !listen_open(&s->listening, &s->config, NULL, error) ||
        !preparation_settle(&s->config, s->services, &s->data, &s->users_warning, error) ||
        !preparation_run(&s->config, s->services, error) || !loop_start(&s->loop, error))
        return false;
    resolver_list_read(&s->resolvers, RESOLV_CONF);
    s->children = (struct children){.loop = &s->loop,
                                    .config = &s->config,
                                    .listening = &s->listening,
                                    .local_listener = -1,
                                    .owner = s,
                                    .on_forked = on_forked,
                                    .on_change = on_change,
                                    .on_message = on_message,
                                    .on_stranger = on_stranger,
                                    .on_failed_start = on_failed_start};
    if (!children_prepare(&s->children, s->services, error) || !open_local_listener(s, error) ||
        !reload_socket_open(&s->reload, &s->data, s->config.data_dir, &s->loop, error))
        return false;
    watch_signal(s, &s->on_chld, SIGCHLD);
    watch_signal(s, &s->on_hup, SIGHUP);
    watch_signal(s, &s->on_term, SIGTERM);
    watch_signal(s, &s->on_int, SIGINT);
    timer_start(&s->stop_limit, &s->loop, limit_passed, s);
    timer_start(&s->resolver_look, &s->loop, look_at_resolvers, s);
    timer_set(&s->resolver_look, RESOLVER_LOOK_MS);
    log_event(LOG_EVENT_INFO, "started", LOG_TEXT("version", MAILBOAT_VERSION),
              LOG_TEXT("config", s->config.file));
    log_what_is_missing(s);
    return start_services(s, false, error) && start_services(s, true, error);
}

/* Disables core dumps and ptrace: its memory has the secret of TLS tickets, and commands. */
static void keep_to_itself(void)
{
    struct rlimit cores = {0, 0};
    if (getrlimit(RLIMIT_CORE, &cores) == 0)
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, cores.rlim_max});
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int supervisor_run(service_list *services, const char *config_file, struct error *error)
{
    keep_to_itself();
    struct supervisor *s = memory_new(sizeof *s);
    s->services = services;
    s->config_file = config_file;
    s->children.local_listener = -1;
    s->data.descriptor = -1;
    s->reload = (struct reload_socket){.descriptor = -1, .on_request = on_reload_request, .owner = s};
    int exit_code = EX_OK;
    if (start(s, error)) {
        loop_run(&s->loop);
        helper_command_kill(&s->helper);
        remove_sockets(s);
        exit_code = s->exit_code;
        log_event(LOG_EVENT_INFO, "stopped");
    } else {
        exit_code = error->exit_code;
        if (s->children.first != NULL)
            children_kill(&s->children);
    }
    reload_socket_close(&s->reload);
    listen_close(&s->listening);
    folder_close(&s->data);
    buffer_free(&s->users_warning);
    buffer_free(&s->capabilities_warning);
    config_free(&s->config);
    config_free(&s->old_config);
    loop_free(&s->loop);
    free(s);
    return exit_code;
}
