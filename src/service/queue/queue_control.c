/* SPDX-License-Identifier: Apache-2.0 */
/* queue_control: requests of subcommands to the running queue. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/listen.h"
#include "service/queue/queue_process.h"

bool queue_control_open(struct queue_control *control, const char *folder, struct error *error)
{
    struct folder own;
    *control = (struct queue_control){.listener = -1};
    if (!folder_open(&own, folder, 0, FOLDER_TRUSTED, error))
        return false;
    const struct listen_socket wanted = {.data_dir = folder,
                                         .name = "control.sock",
                                         .type = SOCK_SEQPACKET,
                                         .backlog = CONTROL_CLIENTS_MAX,
                                         .mode = 0600};
    control->listener = listen_unix(&own, &wanted, error);
    folder_close(&own);
    return control->listener >= 0;
}

static void drop_report(struct queue_control_client *client)
{
    if (client->waiting == NULL)
        return;
    arena_clear(&client->waiting->arena);
    free(client->waiting);
    client->waiting = NULL;
}

static void hang_up(struct queue_control_client *client)
{
    drop_report(client);
    watch_stop(&client->watch);
    channel_close(&client->channel);
    client->connected = false;
    client->asked = false;
}

static void answer(struct queue_control_client *client, bool ok, uint64_t count, const char *text)
{
    struct ipc_control_answer said = {
        .request = client->request, .ok = ok, .count = count, .text = bytes_of_text(text)};
    client->asked = client->done = client->all = false;
    client->why = NULL;
    drop_report(client);
    if (!channel_send(&client->channel, IPC_CONTROL_ANSWER, &said, -1))
        hang_up(client);
    else
        watch_change(&client->watch, true, channel_wants_write(&client->channel));
}

static bool is_known(struct queue_control_client *client, uint64_t request, uint32_t verb)
{
    client->request = request;
    if (verb > CONTROL_PING)
        answer(client, false, 0, "the running server does not know this request; it is of another version");
    else
        client->verb = (enum control_verb)verb;
    return verb <= CONTROL_PING;
}

/* Handles a request: one message immediately, all of them over several turns; the answer follows the
 * commit. */
static void ask(struct queue_control_client *client, const struct ipc_control *asked)
{
    if (!is_known(client, asked->request, asked->verb))
        return;
    if (client->verb == CONTROL_PING) {
        answer(client, true, 0, "");
        return;
    }
    client->asked = true;
    client->next_batch = client->control->queue->committing;
    client->all = asked->id == 0;
    client->done = !client->all;
    client->after = client->count = 0;
    if (!client->all)
        client->count = queue_control(client->control->queue, client->verb, asked->id,
                                      queue_clock_now_ms(client->control->queue_clock));
    timer_set(client->control->wake, 0);
}

static void choose(struct queue_control_client *client, const struct ipc_choose *asked)
{
    if (!is_known(client, asked->request, asked->verb))
        return;
    if (asked->chosen_count > CHOSEN_MAX) {
        answer(client, false, 0, "too many concurrent requests");
        return;
    }
    client->asked = client->done = true;
    client->next_batch = client->control->queue->committing;
    client->all = false;
    client->count = queue_control_chosen(client->control->queue, client->verb, asked->chosen,
                                         asked->chosen_count,
                                         queue_clock_now_ms(client->control->queue_clock));
    timer_set(client->control->wake, 0);
}

/* No message may be added while a batch is being committed: it waits for the turn's end. */
static void take_report(struct queue_control_client *client, const struct ipc_report *asked)
{
    struct waiting_report *waiting = memory_new(sizeof *waiting);
    waiting->report = *asked;
    waiting->report.domain = arena_copy(&waiting->arena, asked->domain);
    waiting->report.address = arena_copy(&waiting->arena, asked->address);
    waiting->report.content = arena_copy(&waiting->arena, asked->content);
    client->waiting = waiting;
    client->request = asked->request;
    client->asked = true;
    client->done = client->all = client->next_batch = false;
    client->count = 0;
    timer_set(client->control->wake, 0);
}

static void send_status(struct queue_control_client *client, const struct ipc_status *asked)
{
    struct ipc_status_answer said = {.request = asked->request};
    struct arena arena = {0};
    queue_status(client->control->queue, asked->with_in_progress != 0,
                 queue_clock_now_ms(client->control->queue_clock), &arena, &said);
    bool sent = channel_send(&client->channel, IPC_STATUS_ANSWER, &said, -1);
    arena_clear(&arena);
    if (!sent)
        hang_up(client);
}

static void hear(struct queue_control_client *client, enum ipc_kind kind, const union ipc_message *message)
{
    if (kind == IPC_CONTROL)
        ask(client, &message->control);
    else if (kind == IPC_CHOOSE)
        choose(client, &message->choose);
    else if (kind == IPC_REPORT)
        take_report(client, &message->report);
    else
        send_status(client, &message->status);
}

static void client_ready(void *owner, bool readable, bool writable)
{
    struct queue_control_client *client = owner;
    enum ipc_kind kind;
    union ipc_message message;
    int attached;
    if (writable && !channel_flush(&client->channel)) {
        hang_up(client);
        return;
    }
    while (readable && client->connected && !client->asked && !channel_is_full(&client->channel)) {
        enum channel_news news = channel_receive(&client->channel, &kind, &message, &attached);
        if (news == CHANNEL_EMPTY)
            break;
        if (news == CHANNEL_CLOSED) {
            hang_up(client);
            return;
        }
        if (attached >= 0)
            close(attached);
        hear(client, kind, &message);
    }
    if (client->connected)
        watch_change(&client->watch, !client->asked && !channel_is_full(&client->channel),
                     channel_wants_write(&client->channel));
}

static void reopen(void *owner)
{
    struct queue_control *control = owner;
    watch_change(&control->watch, true, false);
}

static void welcome(void *owner, bool readable, bool writable)
{
    struct queue_control *control = owner;
    int descriptor;
    while ((descriptor = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        size_t i = 0;
        while (i < CONTROL_CLIENTS_MAX && control->clients[i].connected)
            i++;
        if (i == CONTROL_CLIENTS_MAX) {
            close(descriptor);
            continue;
        }
        struct queue_control_client *client = &control->clients[i];
        *client = (struct queue_control_client){.control = control, .connected = true};
        channel_start(&client->channel, descriptor, PROCESS_QUEUE, PROCESS_CLI, 0);
        watch_start(&client->watch, control->loop, descriptor, true, false, client_ready, client);
    }
    if (listen_is_exhausted(errno)) { /* clients wait in the backlog */
        watch_change(&control->watch, false, false);
        timer_set(&control->reopen, LISTEN_PAUSE_MS);
    }
}

void queue_control_start(struct queue_control *control, struct loop *loop, struct queue *queue,
                         const struct queue_clock *queue_clock, struct timer *wake)
{
    control->loop = loop;
    control->queue = queue;
    control->queue_clock = queue_clock;
    control->wake = wake;
    timer_start(&control->reopen, loop, reopen, control);
    watch_start(&control->watch, loop, control->listener, true, false, welcome, control);
}

void queue_control_close(struct queue_control *control)
{
    if (control->listener < 0)
        return;
    timer_cancel(&control->reopen);
    watch_stop(&control->watch);
    close(control->listener);
    control->listener = -1;
}

void queue_control_committed(struct queue_control *control, enum store_verdict verdict)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct queue_control_client *client = &control->clients[i];
        if (!client->connected || !client->asked)
            continue;
        bool next_batch = client->next_batch && verdict == STORE_DONE;
        client->next_batch = false;
        if (next_batch)
            continue;
        if (verdict != STORE_DONE)
            answer(client, false, 0,
                   verdict == STORE_FULL          ? "the disk is full: free disk space first"
                   : verdict == STORE_UNREACHABLE ? "the store cannot be reached; try again later"
                                                  : "the queue cannot be written; see the log");
        else if (client->done)
            answer(client, true, client->count, client->why != NULL ? client->why : "");
    }
}

bool queue_control_walk(struct queue_control *control, uint64_t now_ms)
{
    bool more = false;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct queue_control_client *client = &control->clients[i];
        if (!client->connected || !client->asked || client->done)
            continue;
        if (client->waiting != NULL) {
            client->count = report_queue_take(control->queue, &client->waiting->report, now_ms, &client->why);
            client->done = more = true;
            continue;
        }
        if (!client->all)
            continue;
        client->count += queue_control_some(control->queue, client->verb, &client->after, now_ms);
        client->done = client->after == 0;
        more = true;
    }
    return more;
}
