/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "run/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "io/log.h"
#include "run/children.h"
#include "run/data_dir.h"
#include "run/helper_command.h"
#include "run/subprocess.h"
#include "run/users.h"
#include "service/learned_verifier.h"
#include "service/quotas.h"
#include "store/accounts.h"
#include "store/store.h"

/* Those of which there is one, in the order in which they are started. A
 * reload replaces the deliverers first, so that the queue that records their
 * results is there until they are done; web after relay, which it asks at once. */
static const struct child_service *const single_services[] = {&pickup_service, &auth_service, &relay_service,
                                                              &local_service,  &web_service,  &queue_service};

/* The sockets in the data directory by which local programs submit, and subcommands ask auth. */
static const char submit_name[] = "submit.sock", auth_name[] = "auth.sock";

enum { OWNER_LOOKS = 40, OWNER_LOOK_MS = 50 };

enum supervisor_stage { STAGE_STARTING, STAGE_RUNNING, STAGE_RELOADING, STAGE_STOPPING };

struct supervisor {
    const char *config_file;
    struct folder data; /* the data directory */
    struct buffer users_warning;
    /* the old one lives until the last process that was forked with it has ended */
    struct config config, old_config;
    struct loop loop;
    struct listen_set listening;
    struct children children;
    struct event on_hup, on_term, on_int, on_chld;
    struct timer stop_limit;
    struct helper_command helper; /* the smarthost's password or token command */
    enum supervisor_stage stage;
    unsigned reload_step; /* of single_services that have been replaced */
    bool reload_again;
    int exit_code;
};

static bool all_are(const struct supervisor *s, const struct child_service *service, enum child_stage stage)
{
    for (const struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == service &&
            (child->stage != stage || child->generation != s->children.generation))
            return false;
    return true;
}

/* ---- starting ---- */

/* READY=1 to a service manager that asked for it (sd_notify's protocol). */
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

/* Room for the connections of the configuration, in each smtpd process and in relay. */
static bool raise_descriptor_limit(const struct config *config, struct error *error)
{
    struct rlimit limit;
    uint32_t most = config->limits.connections > config->limits.deliveries ? config->limits.connections
                                                                           : config->limits.deliveries;
    rlim_t wanted = (rlim_t)most + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    if (limit.rlim_max < DESCRIPTORS_MIN)
        return error_set(error, EX_OSERR,
                         "the limit of open files is %llu, less than %d: raise it (LimitNOFILE, ulimit -n)",
                         (unsigned long long)limit.rlim_max, DESCRIPTORS_MIN);
    struct rlimit higher = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
        return true;
    higher = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &higher);
    log_event(LOG_EVENT_WARN, "limit_lowered", LOG_TEXT("what", "connections a process"),
              LOG_U64("to", higher.rlim_cur > 2 * DESCRIPTORS_BESIDE ? higher.rlim_cur - DESCRIPTORS_BESIDE
                                                                     : higher.rlim_cur / 2),
              LOG_TEXT("mend", "raise the limit of open files (LimitNOFILE, ulimit -n)"));
    return true;
}

/* Makes accounts.db where it is missing, readable by auth. */
static bool prepare_accounts(void *owner, struct buffer *out, struct error *error)
{
    const struct supervisor *s = owner;
    const struct config *config = &s->config;
    struct accounts *accounts = accounts_open(config->data_dir, true, error);
    if (accounts == NULL)
        return false;
    bool written = quotas_write(config, accounts, error);
    accounts_close(accounts);
    if (!written || geteuid() != 0)
        return written;
    int file = openat(s->data.descriptor, "accounts.db", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool given = file >= 0 && fchown(file, 0, users_of(PROCESS_AUTH, config->user).gid) == 0 &&
                 fchmod(file, 0640) == 0;
    if (!given)
        error_set_errno(error, EX_OSERR, "cannot give %s/accounts.db to the auth process", s->data.path);
    if (file >= 0)
        close(file);
    return given;
}

/* Two servers on one data folder would take each other's sockets. One that
 * was killed a moment ago is given the time to be gone. */
static bool data_dir_is_free(const struct supervisor *s, struct error *error)
{
    struct folder queue;
    long owner = 0;
    if (!folder_enter(&queue, &s->data, "queue", 0, FOLDER_ANY, error))
        return false;
    for (int i = 0; i < OWNER_LOOKS && (owner = store_sqlite_owner_at(queue.descriptor)) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = OWNER_LOOK_MS * 1000 * 1000}, NULL);
    folder_close(&queue);
    return owner == 0 || error_set(error, EX_TEMPFAIL,
                                   "data_dir: another mailboat works in %s already (its queue is process "
                                   "%ld); stop it, or choose another folder",
                                   s->config.data_dir, owner);
}

/* At the start alone: who the processes are, and that their
 * folders are theirs. A restart takes changes in. */
static bool settle(struct supervisor *s, struct error *error)
{
    return users_settle(s->config.user, &s->users_warning, error) && data_dir_prepare(&s->config, error) &&
           data_dir_open(&s->data, &s->config, error) && data_dir_is_free(s, error) &&
           data_dir_change_owner(&s->config, error);
}

/* Makes the certificate and its key where the configuration names none; says by one octet that it has. */
static bool make_certificate(void *owner, struct buffer *out, struct error *error)
{
    struct config copy = *(const struct config *)owner;
    bool made = false;
    if (!data_dir_certificate(&copy, &made, error))
        return false;
    if (made)
        buffer_add_octet(out, 1);
    return true;
}

/* Hashes and keys are seen by processes of their own: whatever
 * was once in this memory, all others would have. */
static bool prepare_secrets(struct supervisor *s, bool *certificate_made, struct error *error)
{
    struct buffer out = {0};
    bool ignored, done = subprocess_run(make_certificate, &s->config, &out, error) &&
                         subprocess_run(prepare_accounts, s, NULL, error);
    *certificate_made = out.length > 0;
    buffer_free(&out);
    return done && data_dir_certificate(&s->config, &ignored, error); /* it is there: this notes where */
}

static bool prepare(struct supervisor *s, struct error *error)
{
    bool certificate_made = false;
    if (!data_dir_prepare(&s->config, error) || !data_dir_has_owner(&s->config, error) ||
        !data_dir_is_passable(&s->config, error) || !prepare_secrets(s, &certificate_made, error))
        return false;
    if (certificate_made)
        log_event(
            LOG_EVENT_WARN, "certificate_made", LOG_TEXT("file", s->config.tls.certificate),
            LOG_TEXT("mend", "it is self-signed: mail programs will warn; set tls.certificate and tls.key"));
    return raise_descriptor_limit(&s->config, error);
}

static bool start_smtpds(struct supervisor *s, struct error *error)
{
    for (uint32_t i = 0; i < s->config.smtpd_count; i++)
        if (!children_start(&s->children, &smtpd_service, error))
            return false;
    return true;
}

static bool wants_web(const struct config *config)
{
    return config->web.port != 0 || config->web.tls_port != 0;
}

static bool start_all(struct supervisor *s, struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(single_services); i++)
        if ((single_services[i] != &web_service || wants_web(&s->config)) &&
            !children_start(&s->children, single_services[i], error))
            return false;
    return start_smtpds(s, error);
}

/* ---- reloading ---- */

static void drain_smtpds_of_before(struct supervisor *s)
{
    for (struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == &smtpd_service && child->generation != s->children.generation)
            children_drain(&s->children, child, false, false);
}

static void begin_reload(struct supervisor *s);

static void finish_reload(struct supervisor *s)
{
    s->stage = STAGE_RUNNING;
    log_event(LOG_EVENT_INFO, "reloaded", LOG_TEXT("config", s->config.file));
    notify("READY=1");
    if (s->reload_again) {
        s->reload_again = false;
        begin_reload(s);
    }
}

/* It may be wanted now and not have been before. */
static void start_web(struct supervisor *s, struct error *error)
{
    for (const struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == &web_service)
            return;
    if (wants_web(&s->config) && !children_start(&s->children, &web_service, error))
        log_event(LOG_EVENT_ERROR, "reload_failed", LOG_TEXT("reason", error->text));
}

/* New smtpd processes first; then one after the other the rest. */
static void go_on_reloading(struct supervisor *s)
{
    for (const struct supervised *child = s->children.first; child != NULL; child = child->next)
        if (child->service == &smtpd_service && child->generation == s->children.generation &&
            child->stage != CHILD_RUNNING)
            return;
    drain_smtpds_of_before(s);
    for (; s->reload_step < ARRAY_LENGTH(single_services); s->reload_step++) {
        const struct child_service *service = single_services[s->reload_step];
        if (all_are(s, service, CHILD_RUNNING))
            continue;
        for (struct supervised *child = s->children.first; child != NULL; child = child->next)
            if (child->service == service && child->generation != s->children.generation &&
                child->stage == CHILD_RUNNING)
                children_drain(&s->children, child, false, service != &web_service || wants_web(&s->config));
        return;
    }
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
    if (!prepare(s, error) || !listen_open(&sockets, &s->config, &s->listening, error)) {
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
    if (s->stage != STAGE_RUNNING)
        return;
    if (!swap_config(s, &error)) {
        log_event(LOG_EVENT_ERROR, "reload_failed", LOG_TEXT("reason", error.text),
                  LOG_TEXT("mend", "the configuration of before stays in force"));
        return;
    }
    log_event(LOG_EVENT_INFO, "reloading", LOG_TEXT("config", s->config.file));
    log_start("supervisor", (enum log_format)s->config.log.format, (enum log_level)s->config.log.level);
    s->stage = STAGE_RELOADING;
    s->reload_step = 0;
    s->children.generation++;
    if (!start_smtpds(s, &error))
        log_event(LOG_EVENT_ERROR, "reload_failed", LOG_TEXT("reason", error.text));
    start_web(s, &error);
    go_on_reloading(s);
}

/* ---- stopping ---- */

/* The askers end before those who answer them. */
static void go_on_stopping(struct supervisor *s)
{
    static const struct child_service *const order[][3] = {{&smtpd_service, &pickup_service, &web_service},
                                                           {&relay_service, &local_service},
                                                           {&queue_service},
                                                           {&auth_service}};
    for (size_t step = 0; step < ARRAY_LENGTH(order); step++) {
        bool waiting = false;
        for (struct supervised *child = s->children.first; child != NULL; child = child->next)
            if (child->service == order[step][0] || child->service == order[step][1] ||
                child->service == order[step][2]) {
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
    log_event(LOG_EVENT_WARN, "killing", LOG_TEXT("reason", "some processes did not end in time"));
    children_kill(&s->children);
}

static void begin_stop(struct supervisor *s, int exit_code)
{
    if (s->stage == STAGE_STOPPING) { /* told twice: at once */
        children_kill(&s->children);
        return;
    }
    log_event(LOG_EVENT_INFO, "draining");
    s->stage = STAGE_STOPPING;
    s->exit_code = exit_code;
    s->children.stopping = true;
    listen_close(&s->listening);
    timer_set(&s->stop_limit, STOP_LIMIT_MS);
    go_on_stopping(s);
}

/* ---- news ---- */

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
        break;
    case STAGE_RUNNING: break;
    case STAGE_RELOADING: go_on_reloading(s); break;
    case STAGE_STOPPING: go_on_stopping(s); break;
    }
}

/* Told in one line what is wrong, without what it printed. */
static void helper_command_done(void *owner, struct bytes line, const char *why)
{
    struct supervisor *s = owner;
    struct buffer reason = {0};
    bool by_token = s->config.relay.smarthost.token_command != NULL;
    if (line.length == 0) {
        buffer_add_format(&reason, "relay.smarthost.%s: %s", by_token ? "token_command" : "password_command",
                          why);
        log_event(LOG_EVENT_ERROR, "command_failed", LOG_BYTES("reason", buffer_bytes(&reason)));
    }
    children_broadcast(&s->children, PROCESS_RELAY, IPC_SECRET_ANSWER,
                       &(struct ipc_secret_answer){line, buffer_bytes(&reason)});
    buffer_free(&reason);
}

static void fetch_secret(struct supervisor *s)
{
    const char *command = s->config.relay.smarthost.token_command != NULL
                              ? s->config.relay.smarthost.token_command
                              : s->config.relay.smarthost.password_command;
    struct error error = {0};
    if (s->helper.pid != 0) /* its answer is for all */
        return;
    if (command == NULL)
        helper_command_done(s, bytes_none(), "there is none in the configuration any more");
    else if (!helper_command_start(&s->helper, &s->loop, command, users_of(PROCESS_RELAY, s->config.user),
                                   helper_command_done, s, &error))
        helper_command_done(s, bytes_none(), error.text);
}

static void on_stranger(void *owner, pid_t pid, int status)
{
    struct supervisor *s = owner;
    helper_command_ended(&s->helper, pid, status);
}

static void on_message(void *owner, struct supervised *from, enum ipc_kind kind,
                       const union ipc_message *message, int attached)
{
    struct supervisor *s = owner;
    if (kind == IPC_LEARN)
        learned_keep(s->config.data_dir, attached);
    else if (kind == IPC_SECRET)
        fetch_secret(s);
}

/* A fresh process has a copy of all that is here. */
static void on_forked(void *owner)
{
    struct supervisor *s = owner;
    config_forget_secrets(&s->config);
    config_forget_secrets(&s->old_config);
    buffer_wipe(&s->helper.line);
}

/* It has said why on stderr; without all of them there is no server. */
static void on_failed_start(void *owner, int exit_code)
{
    struct supervisor *s = owner;
    if (s->exit_code == EX_OK) /* the first to fail says why; the others are killed for it */
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

static bool start(struct supervisor *s, struct error *error)
{
    if (!config_load(&s->config, s->config_file, error))
        return false;
    log_start("supervisor", (enum log_format)s->config.log.format, (enum log_level)s->config.log.level);
    if (!listen_open(&s->listening, &s->config, NULL, error) || !settle(s, error) || !prepare(s, error) ||
        !loop_start(&s->loop, error))
        return false;
    s->children = (struct children){.loop = &s->loop,
                                    .config = &s->config,
                                    .listening = &s->listening,
                                    .owner = s,
                                    .on_forked = on_forked,
                                    .on_change = on_change,
                                    .on_message = on_message,
                                    .on_stranger = on_stranger,
                                    .on_failed_start = on_failed_start};
    children_prepare(&s->children);
    s->children.metrics = mmap(NULL, sizeof *s->children.metrics, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->children.metrics != MAP_FAILED &&
        getentropy(s->children.metrics->ticket_secret, sizeof s->children.metrics->ticket_secret) != 0)
        return error_set_errno(error, EX_OSERR, "cannot make a secret for TLS sessions");
    s->children.over_quota = mmap(NULL, sizeof *s->children.over_quota, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->children.metrics == MAP_FAILED || s->children.over_quota == MAP_FAILED)
        return error_set_errno(error, EX_OSERR, "no memory to share");
    handshake_budget_start(&s->children.metrics->handshakes);
    s->children.local_listener = listen_unix(&s->data,
                                             &(struct listen_socket){.data_dir = s->config.data_dir,
                                                                     .name = submit_name,
                                                                     .type = SOCK_STREAM,
                                                                     .backlog = LISTEN_BACKLOG,
                                                                     .mode = 0666},
                                             error);
    if (s->children.local_listener < 0)
        return false;
    watch_signal(s, &s->on_chld, SIGCHLD);
    watch_signal(s, &s->on_hup, SIGHUP);
    watch_signal(s, &s->on_term, SIGTERM);
    watch_signal(s, &s->on_int, SIGINT);
    timer_start(&s->stop_limit, &s->loop, limit_passed, s);
    log_event(LOG_EVENT_INFO, "started", LOG_TEXT("version", MAILBOAT_VERSION),
              LOG_TEXT("config", s->config.file));
    if (s->users_warning.length > 0)
        log_event(LOG_EVENT_WARN, "users_missing", LOG_BYTES("reason", buffer_bytes(&s->users_warning)),
                  LOG_TEXT("mend", USERS_HINT));
    if (!sandbox_has_landlock())
        log_event(LOG_EVENT_WARN, "no_landlock",
                  LOG_TEXT("reason", "the kernel has no Landlock: seccomp alone seals the processes"));
    if (geteuid() == 0 && !sandbox_can_change_root())
        log_event(
            LOG_EVENT_WARN, "no_empty_root",
            LOG_TEXT("reason",
                     "the capability CAP_SYS_CHROOT is missing: the processes keep their root directory"));
    return start_all(s, error);
}

/* Its memory has the secret of TLS tickets, and commands. */
static void keep_to_itself(void)
{
    struct rlimit cores = {0, 0};
    if (getrlimit(RLIMIT_CORE, &cores) == 0)
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, cores.rlim_max});
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int supervisor_run(const char *config_file, struct error *error)
{
    keep_to_itself();
    struct supervisor *s = memory_new(sizeof *s);
    s->config_file = config_file;
    s->children.local_listener = -1;
    s->data.descriptor = -1;
    int exit_code = EX_OK;
    if (start(s, error)) {
        loop_run(&s->loop);
        helper_command_kill(&s->helper);
        unlinkat(s->data.descriptor, submit_name, 0);
        unlinkat(s->data.descriptor, auth_name, 0);
        exit_code = s->exit_code;
        log_event(LOG_EVENT_INFO, "stopped");
    } else {
        exit_code = error->exit_code;
        if (s->children.first != NULL)
            children_kill(&s->children);
    }
    listen_close(&s->listening);
    folder_close(&s->data);
    buffer_free(&s->users_warning);
    config_free(&s->config);
    config_free(&s->old_config);
    loop_free(&s->loop);
    free(s);
    return exit_code;
}
