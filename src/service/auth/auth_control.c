/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/auth/auth_control.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/listen.h"
#include "service/auth/account_control.h"

bool auth_control_open(struct auth_control *control, const char *data_dir, unsigned uid, unsigned gid,
                       struct error *error)
{
    struct folder data;
    if (!folder_open(&data, data_dir, 0, FOLDER_TRUSTED, error))
        return false;
    const struct listen_socket wanted = {.data_dir = data_dir,
                                         .name = AUTH_CONTROL_SOCKET,
                                         .type = SOCK_SEQPACKET,
                                         .backlog = AUTH_CONTROL_CLIENTS_MAX,
                                         .mode = 0600,
                                         .owner = uid,
                                         .group = gid};
    control->listener = listen_unix(&data, &wanted, error);
    folder_close(&data);
    return control->listener >= 0;
}

static void hang_up(struct auth_control_client *client)
{
    watch_stop(&client->watch);
    channel_close(&client->channel);
    client->connected = false;
    account_control_lost(client);
    client->control->on_lost(client->control->owner, &client->channel);
    watch_change(&client->control->watch, true, false); /* a place is free again */
}

static bool send_locks(struct auth_control_client *client, uint64_t request)
{
    struct arena arena = {0};
    struct ipc_locks_answer said = {.request = request,
                                    .locks = ARENA_ARRAY(&arena, struct lock_status, LOCKS_MAX)};
    uint64_t now_ms = clock_now_ms();
    size_t at = 0;
    const struct throttle_slot *guess;
    while (said.lock_count < LOCKS_MAX &&
           (guess = login_throttle_next_locked(client->control->throttle, &at, now_ms)) != NULL)
        said.locks[said.lock_count++] = (struct lock_status){.address = bytes_of_text(guess->address),
                                                             .account = bytes_of_text(guess->account),
                                                             .failures = guess->failures,
                                                             .left_ms = guess->locked_until_ms - now_ms};
    bool sent = channel_send(&client->channel, IPC_LOCKS_ANSWER, &said, -1);
    arena_clear(&arena);
    return sent;
}

static bool unlock(struct auth_control_client *client, const struct ipc_unlock *asked)
{
    struct ipc_control_answer said = {.request = asked->request, .ok = 1};
    said.count = asked->who.length == 0
                     ? 0
                     : login_throttle_unlock(client->control->throttle, asked->who, clock_now_ms());
    log_event(LOG_EVENT_INFO, "unlocked", LOG_BYTES("subject", asked->who), LOG_U64("locks", said.count));
    return channel_send(&client->channel, IPC_CONTROL_ANSWER, &said, -1);
}

static bool hear(struct auth_control_client *client, enum ipc_kind kind, const union ipc_message *message)
{
    switch (kind) {
    case IPC_LOCKS: return send_locks(client, message->locks.request);
    case IPC_UNLOCK: return unlock(client, &message->unlock);
    case IPC_PASSWORD:
        client->control->on_password(client->control->owner, &client->channel, &message->password);
        return true;
    case IPC_ACCOUNT_CHANGE: return account_control_change(client, &message->account_change);
    case IPC_ACCOUNT_LIST: return account_control_list(client, &message->account_list);
    default: return false; /* the table in ipc/ipc_message.c allows no other kind */
    }
}

/* Reads from the client again once its change is done and its answers are sent. */
static void watch_client(struct auth_control_client *client)
{
    watch_change(&client->watch, client->pending == NULL && !channel_is_full(&client->channel),
                 channel_wants_write(&client->channel));
}

static void client_ready(void *owner, bool readable, bool writable)
{
    struct auth_control_client *client = owner;
    enum ipc_kind kind;
    union ipc_message message;
    int attached;
    bool fine = !writable || channel_flush(&client->channel);
    while (fine && readable && client->pending == NULL && !channel_is_full(&client->channel)) {
        enum channel_news news = channel_receive(&client->channel, &kind, &message, &attached);
        if (news == CHANNEL_EMPTY)
            break;
        if (news == CHANNEL_MESSAGE && attached >= 0)
            close(attached);
        fine = news == CHANNEL_MESSAGE && hear(client, kind, &message);
    }
    if (fine)
        watch_client(client);
    else
        hang_up(client);
}

static void reopen(void *owner)
{
    struct auth_control *control = owner;
    watch_change(&control->watch, true, false);
}

/* The answer can follow turns later. The reader notices a broken channel. */
void auth_control_say(struct auth_control_client *client, enum ipc_kind kind, const void *message)
{
    channel_send(&client->channel, kind, message, -1);
    watch_client(client);
}

void auth_control_answer(struct auth_control *control, struct channel *to,
                         const struct ipc_password_answer *answer)
{
    for (size_t i = 0; i < AUTH_CONTROL_CLIENTS_MAX; i++)
        if (&control->clients[i].channel == to && control->clients[i].connected)
            auth_control_say(&control->clients[i], IPC_PASSWORD_ANSWER, answer);
}

static struct auth_control_client *free_place(struct auth_control *control)
{
    for (size_t i = 0; i < AUTH_CONTROL_CLIENTS_MAX; i++)
        if (!control->clients[i].connected)
            return &control->clients[i];
    return NULL;
}

static void welcome(void *owner, bool readable, bool writable)
{
    struct auth_control *control = owner;
    struct auth_control_client *client;
    int descriptor;
    while ((client = free_place(control)) != NULL &&
           (descriptor = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        *client = (struct auth_control_client){.control = control, .connected = true};
        channel_start(&client->channel, descriptor, PROCESS_AUTH, PROCESS_CLI, 0);
        watch_start(&client->watch, control->loop, descriptor, true, false, client_ready, client);
    }
    if (client == NULL) /* hang_up() accepts again */
        watch_change(&control->watch, false, false);
    else if (listen_is_exhausted(errno)) { /* clients wait in the backlog */
        watch_change(&control->watch, false, false);
        timer_set(&control->reopen, LISTEN_PAUSE_MS);
    }
}

void auth_control_start(struct auth_control *control, struct loop *loop, struct login_throttle *throttle)
{
    control->loop = loop;
    control->throttle = throttle;
    timer_start(&control->reopen, loop, reopen, control);
    watch_start(&control->watch, loop, control->listener, true, false, welcome, control);
}
