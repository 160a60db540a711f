/* SPDX-License-Identifier: Apache-2.0 */
#include "run/child.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/client/client_session.h"
#include "io/folder_owners.h"
#include "io/log.h"
#include "io/timer.h"
#include "io/watch.h"

enum {
    MESSAGES_A_TURN_MAX = 512, /* from one channel before the others get their turn */
    LAST_WORDS_MS = 2000,      /* time that an ending process waits for a slow reader */
};

/* A channel and its place in the loop. */
struct child_peer_channel {
    struct channel channel;
    uint64_t link; /* its number at the supervisor */
    struct watch watch;
    struct child *child;
    bool lost; /* on_peer_lost was called; freed at the end of the turn */
    struct child_peer_channel *next;
};

struct child_wiring {
    struct child_peer_channel control;
    struct child_peer_channel *peers;
    struct timer turn;  /* on_turn, after all channels were read */
    struct timer sweep; /* frees lost channels */
    struct timer rest;  /* while leaving: no question is partial any more, or CHILD_REST_MS have passed */
    bool deaf;          /* questions are left for the successor */
    bool leaving;       /* only questions that were read in part are read on */
    bool quick;         /* of the last IPC_DRAIN */
    int exit_code;
};

static void watch_again(struct child_peer_channel *peer)
{
    if (peer->lost)
        return;
    watch_change(&peer->watch, true, channel_wants_write(&peer->channel));
}

void *child_shared(const struct child *child, const struct shared_memory *memory)
{
    void *at = shared_memory_at(child->shared, memory);
    assert(at != NULL); /* the service's row declares it */
    return at;
}

struct channel *child_peer(struct child *child, enum process_role role)
{
    for (struct child_peer_channel *peer = child->wiring->peers; peer != NULL; peer = peer->next)
        if (!peer->lost && peer->channel.peer == role)
            return &peer->channel;
    return NULL;
}

struct channel *child_next_peer(struct child *child, enum process_role role)
{
    struct child_peer_channel **at = &child->wiring->peers, *found;
    while (*at != NULL && ((*at)->lost || (*at)->channel.peer != role))
        at = &(*at)->next;
    found = *at;
    if (found == NULL)
        return NULL;
    *at = found->next; /* moves to the end */
    while (*at != NULL)
        at = &(*at)->next;
    *at = found;
    found->next = NULL;
    return &found->channel;
}

/* The supervisor has a copy of the answerer's end, and the asker would wait for answers until it is closed.
 */
static void report_lost(const struct child_peer_channel *peer)
{
    const struct ipc_peer lost = {
        .role = peer->channel.peer, .number = peer->channel.peer_number, .link = peer->link};
    child_send_supervisor(peer->child, IPC_PEER_LOST, &lost);
}

static bool asks_us(const struct child_peer_channel *peer)
{
    return ipc_asks(peer->channel.peer, peer->child->service->role);
}

static bool is_partial(const struct child_peer_channel *peer)
{
    return !peer->lost && asks_us(peer) && channel_is_partial(&peer->channel);
}

bool child_reads_partial(const struct child *child)
{
    const struct child_peer_channel *peer = child->wiring->peers;
    while (peer != NULL && !is_partial(peer))
        peer = peer->next;
    return peer != NULL;
}

/* A question is whole that was read in part, or its channel is lost. */
static void partial_is_over(struct child *child)
{
    if (child->wiring->leaving && !child_reads_partial(child))
        timer_soon(&child->wiring->rest);
}

static void on_rest(void *owner)
{
    struct child *child = owner;
    if (child_reads_partial(child))
        loop_stop(child->loop);
    else
        child->service->on_drain(child, child->wiring->quick);
}

static void lose(struct child_peer_channel *peer)
{
    struct child *child = peer->child;
    bool was_partial = is_partial(peer);
    if (peer->lost)
        return;
    peer->lost = true;
    watch_stop(&peer->watch);
    if (peer == &child->wiring->control) { /* the supervisor is gone: ends this process */
        child_exit(child, EX_OSERR);
        return;
    }
    report_lost(peer);
    if (child->service->on_peer_lost != NULL)
        child->service->on_peer_lost(child, &peer->channel);
    timer_soon(&child->wiring->sweep);
    if (was_partial)
        partial_is_over(child);
}

static struct child_peer_channel *peer_of(struct channel *channel)
{
    return (struct child_peer_channel *)(void *)((char *)channel -
                                                 offsetof(struct child_peer_channel, channel));
}

bool child_send(struct child *child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached)
{
    struct child_peer_channel *peer = peer_of(to);
    if (peer->lost || !channel_send(to, kind, message, attached))
        return false; /* the reader of the channel notices the failure in a turn of its own */
    watch_again(peer);
    return true;
}

bool child_has_content(struct child *child, struct channel *from, const struct ipc_deliver *deliver,
                       int attached)
{
    if (deliver->in_file == 0 || attached >= 0)
        return true;
    size_t count = deliver->envelope.recipient_count;
    struct ipc_deliver_answer answer = {.delivery = deliver->delivery,
                                        .results = memory_new(count * sizeof *answer.results),
                                        .result_count = count};
    for (size_t i = 0; i < count; i++) /* as if failed at DATA: not the destination's fault */
        answer.results[i] = (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                                     .step = STEP_DATA,
                                                     .enhanced = BYTES("4.3.0"),
                                                     .text = BYTES("no descriptor was free for the content")};
    child_send(child, from, IPC_DELIVER_ANSWER, &answer, -1);
    free(answer.results);
    return false;
}

bool child_send_supervisor(struct child *child, enum ipc_kind kind, const void *message)
{
    return child_send(child, &child->wiring->control.channel, kind, message, -1);
}

static void begin_leaving(struct child *child)
{
    struct child_wiring *wiring = child->wiring;
    wiring->leaving = true;
    timer_set(&wiring->rest, CHILD_REST_MS);
    for (struct child_peer_channel *peer = wiring->peers; peer != NULL; peer = peer->next)
        if (is_partial(peer))
            watch_again(peer); /* it may have been deaf */
}

void child_exit(struct child *child, int code)
{
    struct child_wiring *wiring = child->wiring;
    wiring->exit_code = code;
    if (code != EX_OK || !child_reads_partial(child))
        loop_stop(child->loop);
    else if (!wiring->leaving)
        begin_leaving(child);
}

static void add_peer(struct child *child, const struct ipc_peer *about, int descriptor);

static void on_control(struct child *child, enum ipc_kind kind, union ipc_message *message, int attached)
{
    if (kind == IPC_PEER && attached >= 0 && message->peer.role < PROCESS_CLI) {
        add_peer(child, &message->peer, attached);
        return;
    }
    if (attached >= 0)
        close(attached);
    if (kind == IPC_PEER) {
        child_send_supervisor(child, IPC_PEER_LOST, &message->peer);
    } else if (kind == IPC_DRAIN) {
        child->wiring->quick = message->drain.quick != 0;
        child->service->on_drain(child, message->drain.quick != 0);
    } else if (child->service->on_supervisor != NULL) {
        child->service->on_supervisor(child, kind, message);
    }
}

void child_deafen(struct child *child)
{
    child->wiring->deaf = true;
}

void child_hear(struct child *child)
{
    child->wiring->deaf = false;
    for (struct child_peer_channel *peer = child->wiring->peers; peer != NULL; peer = peer->next)
        if (!peer->lost)
            watch_change(&peer->watch, true, channel_wants_write(&peer->channel));
}

/* True if the next message is left for later, or for the successor. */
static bool leaves_unread(const struct child_peer_channel *peer)
{
    const struct child_wiring *wiring = peer->child->wiring;
    return peer != &wiring->control && asks_us(peer) && (wiring->leaving ? !is_partial(peer) : wiring->deaf);
}

static void peer_ready(void *owner, bool readable, bool writable)
{
    struct child_peer_channel *peer = owner;
    struct child *child = peer->child;
    bool is_control = peer == &child->wiring->control;
    if (writable && !channel_flush(&peer->channel)) {
        lose(peer);
        return;
    }
    if (writable && !is_control && child->service->on_turn != NULL)
        timer_soon(&child->wiring->turn); /* capacity is available again */
    for (int i = 0; readable && i < MESSAGES_A_TURN_MAX && !peer->lost; i++) {
        if (leaves_unread(peer)) {
            watch_change(&peer->watch, false, channel_wants_write(&peer->channel));
            return;
        }
        enum ipc_kind kind;
        union ipc_message message;
        int attached;
        enum channel_news news = channel_receive(&peer->channel, &kind, &message, &attached);
        if (news == CHANNEL_EMPTY)
            break;
        if (news == CHANNEL_CLOSED) {
            lose(peer);
            return;
        }
        if (is_control) {
            on_control(child, kind, &message, attached);
            continue;
        }
        child->service->on_message(child, &peer->channel, kind, &message, attached);
        if (child->service->on_turn != NULL)
            timer_soon(&child->wiring->turn);
        if (asks_us(peer))
            partial_is_over(child);
    }
    watch_again(peer);
}

static void watch_peer(struct child *child, struct child_peer_channel *peer)
{
    peer->child = child;
    watch_start(&peer->watch, child->loop, peer->channel.descriptor, true, false, peer_ready, peer);
}

static void add_peer(struct child *child, const struct ipc_peer *about, int descriptor)
{
    struct child_peer_channel *peer = memory_new(sizeof *peer);
    channel_start(&peer->channel, descriptor, child->service->role, (enum process_role)about->role,
                  about->number);
    peer->link = about->link;
    peer->next = child->wiring->peers;
    child->wiring->peers = peer;
    watch_peer(child, peer);
    if (child->service->on_peer != NULL)
        child->service->on_peer(child, &peer->channel);
}

static void sweep_lost(void *owner)
{
    struct child *child = owner;
    for (struct child_peer_channel **at = &child->wiring->peers; *at != NULL;) {
        struct child_peer_channel *peer = *at;
        if (!peer->lost) {
            at = &peer->next;
            continue;
        }
        *at = peer->next;
        channel_close(&peer->channel);
        free(peer);
    }
}

static void turn_is_over(void *owner)
{
    struct child *child = owner;
    child->service->on_turn(child);
}

/* Killing the supervisor with SIGKILL ends all processes. Changing users clears this setting, so it is
 * made after; the pid shows whether the parent died before. */
static bool die_with_parent(pid_t supervisor, struct error *error)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return error_set_errno(error, EX_OSERR, "cannot be tied to the supervisor");
    return getppid() == supervisor || error_set(error, EX_OSERR, "the supervisor is gone");
}

bool child_enter_data_dir(struct child *child, struct error *error)
{
    static struct config seen; /* written only by this process */
    child->paths->keeps_root = true;
    if (!sandbox_can_change_root())
        return true;
    if (!sandbox_enter(child->config->data_dir, error))
        return false;
    seen = *child->config;
    seen.data_dir = "";
    child->config = &seen;
    return true;
}

/* The folder of a process, as it opens it and as others know it: it may have another root by then. */
struct child_folder {
    char path[FOLDER_PATH_MAX], shown[FOLDER_PATH_MAX];
    struct process_user user;
    size_t told;
};

static void log_wrong_owner(void *context, const struct folder_owners_found *found)
{
    enum { TOLD_MAX = 5 };
    struct child_folder *folder = context;
    struct arena arena = {0};
    if (folder->told == TOLD_MAX)
        return;
    folder->told++;
    bool foreign = found->uid != folder->user.uid;
    const char *shown = arena_format(&arena, "%s%s", folder->shown, found->path + strlen(folder->path));
    const char *hint = foreign
                           ? arena_format(&arena, "as root: chown -R %u:%u %s", (unsigned)folder->user.uid,
                                          (unsigned)folder->user.gid, folder->shown)
                           : arena_format(&arena, "as root: chmod u+rwx %s", shown);
    log_event(LOG_EVENT_ERROR, foreign ? "owner_mismatch" : "directory_closed", LOG_TEXT("path", shown),
              LOG_TEXT("owner", folder_owner_name(found->uid)), LOG_U64("uid", folder->user.uid),
              LOG_TEXT("hint", hint));
    arena_clear(&arena);
}

/* Names what this process will not be able to use in its folder: otherwise that shows only when mail arrives,
 * one mailbox at a time. */
static void look_at_owners(const struct child *child, const char *data_dir)
{
    const struct service *service = child->service;
    struct child_folder *folder;
    if (service->folder == NULL || service->folder_is_shared)
        return;
    folder = memory_new(sizeof *folder);
    folder->user = child->user;
    snprintf(folder->path, sizeof folder->path, "%.3000s/%s", child->config->data_dir, service->folder);
    snprintf(folder->shown, sizeof folder->shown, "%.3000s/%s", data_dir, service->folder);
    size_t wrong = folder_owners_find(folder->path, log_wrong_owner, folder);
    if (wrong > folder->told)
        log_event(LOG_EVENT_ERROR, "owner_mismatch", LOG_TEXT("path", folder->shown),
                  LOG_U64("more", wrong - folder->told));
    free(folder);
}

static bool begin(struct child *child, int control, struct error *error)
{
    struct child_wiring *wiring = child->wiring;
    struct sandbox_paths paths = {.forbidden_call = child->forbidden_call};
    const char *data_dir = child->config->data_dir;
    child->user = users_of(child->service->role, child->config->user);
    child->paths = &paths;
    const struct service *service = child->service;
    if ((service->open != NULL && !service->open(child, error)) ||
        !sandbox_leave_files(&paths, child->config->data_dir, error) || !users_become(child->user, error))
        return false;
    look_at_owners(child, data_dir);
    if ((service->open_own != NULL && !service->open_own(child, error)) ||
        !die_with_parent(child->supervisor, error) ||
        !sandbox_apply(service_name(service), service->keeps, &paths, error) ||
        !loop_start(child->loop, error))
        return false;
    child->paths = NULL;
    channel_start(&wiring->control.channel, control, child->service->role, PROCESS_SUPERVISOR, 0);
    watch_peer(child, &wiring->control);
    timer_start(&wiring->turn, child->loop, turn_is_over, child);
    timer_start(&wiring->sweep, child->loop, sweep_lost, child);
    timer_start(&wiring->rest, child->loop, on_rest, child);
    return child->service->start(child, error);
}

#ifdef LEAKS_ARE_SOUGHT /* docs/load.md: a build with a leak sanitizer */
#include <sanitizer/lsan_interface.h>
static int code_or_leaks(int code)
{
    return __lsan_do_recoverable_leak_check() != 0 ? EX_SOFTWARE : code;
}
#else
static int code_or_leaks(int code)
{
    return code;
}
#endif

static void send_waiting(struct child_peer_channel *peer)
{
    while (!peer->lost && channel_wants_write(&peer->channel) &&
           channel_wait_writable(&peer->channel, LAST_WORDS_MS) && channel_flush(&peer->channel))
        continue;
}

/* The last messages must be sent before the process ends. What its successor cannot go on with is given up.
 */
static void say_last_words(struct child_wiring *wiring)
{
    for (struct child_peer_channel *peer = wiring->peers; peer != NULL; peer = peer->next) {
        send_waiting(peer);
        if (is_partial(peer) || (!peer->lost && channel_wants_write(&peer->channel)))
            report_lost(peer);
    }
    send_waiting(&wiring->control);
}

int child_run(struct child *child, int control)
{
    struct loop loop = {0};
    struct child_wiring wiring = {0};
    struct error error = {0};
    child->loop = &loop;
    child->wiring = &wiring;
    if (!begin(child, control, &error)) {
        log_event(LOG_EVENT_ERROR, "start_failed", LOG_TEXT("error", error.text));
        return error.exit_code == 0 ? EX_SOFTWARE : error.exit_code;
    }
    child_send(child, &wiring.control.channel, IPC_READY, &(struct ipc_nothing){0}, -1);
    loop_run(&loop);
    say_last_words(&wiring);
    if (child->service->on_end != NULL && wiring.exit_code == EX_OK)
        child->service->on_end(child);
    return code_or_leaks(wiring.exit_code);
}
