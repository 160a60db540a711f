/* SPDX-License-Identifier: Apache-2.0 */
#include "service/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/readers.h"
#include "io/clock.h"
#include "service/services.h"
#include "store/queue/store_lock.h"

enum { ANSWER_TIMEOUT_MS = 60 * 1000 };

static bool not_there(const char *folder, const char *path, struct error *error)
{
    char readers[READERS_MAX];
    if (errno == EACCES && readers_explain(path, readers, sizeof readers))
        return error_set(error, EX_NOPERM, "%s; run the command as root (sudo)", readers);
    if (errno == EACCES || errno == EPERM)
        return error_set_errno(error, EX_NOPERM, "cannot reach the running server at %s", path);
    if (store_lock_owner(folder) == 0)
        return error_set(error, EX_UNAVAILABLE, "no server is running on %s; start it with mailboat serve",
                         folder);
    return error_set_errno(error, EX_UNAVAILABLE, "cannot reach the running server at %s", path);
}

static bool connect_to(struct control_client *control, const char *folder, const char *name,
                       enum process_role peer, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name) >=
        (int)sizeof address.sun_path)
        return error_set(error, EX_CONFIG, "data_dir: %s is too long for a socket", folder);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        int number = errno;
        if (descriptor >= 0)
            close(descriptor);
        errno = number;
        return not_there(folder, address.sun_path, error);
    }
    control->request = 0;
    channel_start(&control->channel, descriptor, PROCESS_CLI, peer, 0);
    return true;
}

bool control_client_open(struct control_client *control, const char *folder, struct error *error)
{
    return connect_to(control, folder, "control.sock", PROCESS_QUEUE, error);
}

bool control_client_open_auth(struct control_client *control, const char *data_dir, struct error *error)
{
    return connect_to(control, data_dir, auth_service.socket, PROCESS_AUTH, error);
}

void control_client_close(struct control_client *control)
{
    channel_close(&control->channel);
}

/* Waits until the socket is ready; signals do not extend the timeout. */
static bool wait_ready(struct control_client *control, short events, uint64_t deadline_ms)
{
    struct pollfd ready = {.fd = control->channel.descriptor, .events = events};
    for (uint64_t now_ms = clock_now_ms(); now_ms < deadline_ms; now_ms = clock_now_ms()) {
        int count = poll(&ready, 1, (int)(deadline_ms - now_ms));
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return false;
    }
    return false;
}

static bool send_all(struct control_client *control, enum ipc_kind kind, const void *asked,
                     uint64_t deadline_ms)
{
    bool sent = channel_send(&control->channel, kind, asked, -1);
    while (sent && channel_wants_write(&control->channel))
        sent = wait_ready(control, POLLOUT, deadline_ms) && channel_flush(&control->channel);
    return sent;
}

bool control_client_ask(struct control_client *control, enum ipc_kind kind, const void *asked,
                        enum ipc_kind answer_kind, union ipc_message *answer, struct error *error)
{
    uint64_t deadline_ms = clock_now_ms() + ANSWER_TIMEOUT_MS;
    enum ipc_kind heard = IPC_KINDS;
    int attached = -1;
    enum channel_news news = CHANNEL_EMPTY;
    if (!send_all(control, kind, asked, deadline_ms))
        return error_set(error, EX_UNAVAILABLE, "the server is no longer listening");
    while ((news = channel_receive(&control->channel, &heard, answer, &attached)) == CHANNEL_EMPTY)
        if (!wait_ready(control, POLLIN, deadline_ms))
            break;
    if (attached >= 0)
        close(attached);
    if (news == CHANNEL_MESSAGE && heard == answer_kind)
        return true;
    if (news == CHANNEL_CLOSED)
        return error_set(error, EX_TEMPFAIL,
                         "the server did not answer: it ended, has too many control clients, or is of "
                         "another version (see its log)");
    return error_set(error, EX_TEMPFAIL, "the server did not answer within %d s; see its log",
                     ANSWER_TIMEOUT_MS / 1000);
}

static bool control_answer(const union ipc_message *answer, uint64_t *count, struct error *error)
{
    if (!answer->control_answer.ok)
        return error_set(error, EX_TEMPFAIL, "%.*s", BYTES_ARG(answer->control_answer.text));
    *count += answer->control_answer.count;
    return true;
}

bool control_client_control(struct control_client *control, enum control_verb verb, uint64_t id,
                            uint64_t *count, struct error *error)
{
    struct ipc_control asked = {.request = ++control->request, .verb = verb, .id = id};
    union ipc_message answer;
    *count = 0;
    return control_client_ask(control, IPC_CONTROL, &asked, IPC_CONTROL_ANSWER, &answer, error) &&
           control_answer(&answer, count, error);
}

bool control_client_choose(struct control_client *control, enum control_verb verb, struct chosen *chosen,
                           size_t chosen_count, uint64_t *count, struct error *error)
{
    struct ipc_choose asked = {
        .request = ++control->request, .verb = verb, .chosen = chosen, .chosen_count = chosen_count};
    union ipc_message answer;
    return control_client_ask(control, IPC_CHOOSE, &asked, IPC_CONTROL_ANSWER, &answer, error) &&
           control_answer(&answer, count, error);
}

bool control_client_status(struct control_client *control, bool with_in_progress,
                           struct ipc_status_answer *answer, struct error *error)
{
    struct ipc_status asked = {.request = ++control->request, .with_in_progress = with_in_progress};
    union ipc_message message;
    if (!control_client_ask(control, IPC_STATUS, &asked, IPC_STATUS_ANSWER, &message, error))
        return false;
    *answer = message.status_answer;
    return true;
}

bool control_client_locks(struct control_client *control, struct ipc_locks_answer *answer,
                          struct error *error)
{
    struct ipc_locks asked = {.request = ++control->request};
    union ipc_message message;
    if (!control_client_ask(control, IPC_LOCKS, &asked, IPC_LOCKS_ANSWER, &message, error))
        return false;
    *answer = message.locks_answer;
    return true;
}

bool control_client_unlock(struct control_client *control, struct bytes who, uint64_t *count,
                           struct error *error)
{
    struct ipc_unlock asked = {.request = ++control->request, .who = who};
    union ipc_message answer;
    *count = 0;
    return control_client_ask(control, IPC_UNLOCK, &asked, IPC_CONTROL_ANSWER, &answer, error) &&
           control_answer(&answer, count, error);
}

bool control_client_password(struct control_client *control, struct bytes user, struct bytes password,
                             struct bytes client_address, struct ipc_password_answer *answer,
                             struct error *error)
{
    struct ipc_password asked = {
        .request = ++control->request, .user = user, .password = password, .client_address = client_address};
    union ipc_message message;
    if (!control_client_ask(control, IPC_PASSWORD, &asked, IPC_PASSWORD_ANSWER, &message, error))
        return false;
    *answer = message.password_answer;
    return true;
}

/* ---- deliveries in progress ---- */

static int compare_chosen(const void *left, const void *right)
{
    const struct chosen *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

void control_client_in_progress(struct in_progress *in_progress, const char *folder)
{
    struct control_client control;
    struct ipc_status_answer answer;
    struct error error = {0};
    *in_progress = (struct in_progress){0};
    if (store_lock_owner(folder) == 0 || !control_client_open(&control, folder, &error))
        return;
    in_progress->served = control_client_status(&control, true, &answer, &error);
    if (in_progress->served) {
        in_progress->all_held = answer.is_held;
        in_progress->disk_full = answer.is_full;
        in_progress->count = answer.in_progress_count;
        in_progress->chosen = ARENA_ARRAY(&in_progress->arena, struct chosen, answer.in_progress_count);
        if (in_progress->count > 0)
            memcpy(in_progress->chosen, answer.in_progress, in_progress->count * sizeof *in_progress->chosen);
        qsort(in_progress->chosen, in_progress->count, sizeof *in_progress->chosen, compare_chosen);
    }
    control_client_close(&control);
}

void control_client_in_progress_free(struct in_progress *in_progress)
{
    arena_clear(&in_progress->arena);
}

bool control_client_in_progress_has(const struct in_progress *in_progress, uint64_t id, uint32_t number)
{
    const struct chosen wanted = {.id = id, .number = number};
    return in_progress->count > 0 &&
           bsearch(&wanted, in_progress->chosen, in_progress->count, sizeof wanted, compare_chosen) != NULL;
}

bool control_client_in_progress_has_any(const struct in_progress *in_progress, uint64_t id)
{
    size_t low = 0, high = in_progress->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (in_progress->chosen[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < in_progress->count && in_progress->chosen[low].id == id;
}
