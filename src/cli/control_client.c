/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/control_client.h"

#include "io/clock.h"
#include "store/store.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

enum { ANSWER_TIMEOUT_MS = 60 * 1000 };

static bool not_there(const char *folder, const char *path, struct error *error)
{
    if (errno == EACCES || errno == EPERM)
        return error_set_errno(error, EX_NOPERM, "cannot ask the running server at %s", path);
    if (store_sqlite_owner(folder) == 0)
        return error_set(error, EX_UNAVAILABLE, "no server runs on %s: start it with mailboat serve", folder);
    return error_set_errno(error, EX_UNAVAILABLE, "cannot ask the running server at %s", path);
}

static bool connect_to(struct asking *asking, const char *folder, const char *name, enum process_role peer, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name) >= (int)sizeof address.sun_path)
        return error_set(error, EX_CONFIG, "data_dir: %s is too long for a socket", folder);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        int number = errno;
        if (descriptor >= 0)
            close(descriptor);
        errno = number;
        return not_there(folder, address.sun_path, error);
    }
    asking->request = 0;
    channel_start(&asking->channel, descriptor, PROCESS_CLI, peer, 0);
    return true;
}

bool asking_open(struct asking *asking, const char *folder, struct error *error)
{
    return connect_to(asking, folder, "control.sock", PROCESS_QUEUE, error);
}

bool asking_open_auth(struct asking *asking, const char *data_dir, struct error *error)
{
    return connect_to(asking, data_dir, "auth.sock", PROCESS_AUTH, error);
}

void asking_close(struct asking *asking)
{
    channel_close(&asking->channel);
}

/* Until the socket is ready; the wait is not longer because a signal came. */
static bool wait_ready(struct asking *asking, short events, uint64_t deadline_ms)
{
    struct pollfd ready = {.fd = asking->channel.descriptor, .events = events};
    for (uint64_t now_ms = clock_now_ms(); now_ms < deadline_ms; now_ms = clock_now_ms()) {
        int count = poll(&ready, 1, (int)(deadline_ms - now_ms));
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return false;
    }
    return false;
}

static bool send_all(struct asking *asking, enum ipc_kind kind, const void *asked, uint64_t deadline_ms)
{
    bool sent = channel_send(&asking->channel, kind, asked, -1);
    while (sent && channel_wants_write(&asking->channel))
        sent = wait_ready(asking, POLLOUT, deadline_ms) && channel_flush(&asking->channel);
    return sent;
}

/* Says it and waits for the answer, which must be of this kind. */
static bool ask(struct asking *asking, enum ipc_kind kind, const void *asked, enum ipc_kind answer_kind, union ipc_message *answer, struct error *error)
{
    uint64_t deadline_ms = clock_now_ms() + ANSWER_TIMEOUT_MS;
    enum ipc_kind heard = IPC_KINDS;
    int attached = -1;
    enum channel_news news = CHANNEL_EMPTY;
    if (!send_all(asking, kind, asked, deadline_ms))
        return error_set(error, EX_UNAVAILABLE, "the server does not listen any more");
    while ((news = channel_receive(&asking->channel, &heard, answer, &attached)) == CHANNEL_EMPTY)
        if (!wait_ready(asking, POLLIN, deadline_ms))
            break;
    if (attached >= 0)
        close(attached);
    if (news == CHANNEL_MESSAGE && heard == answer_kind)
        return true;
    if (news == CHANNEL_CLOSED)
        return error_set(error, EX_TEMPFAIL, "the server gave no answer: it ended, has too many other askers, or is of another version (see its log)");
    return error_set(error, EX_TEMPFAIL, "the server gave no answer in %d s; look at its log", ANSWER_TIMEOUT_MS / 1000);
}

static bool control_answer(const union ipc_message *answer, uint64_t *count, struct error *error)
{
    if (!answer->control_answer.ok)
        return error_set(error, EX_TEMPFAIL, "%.*s", BYTES_ARG(answer->control_answer.text));
    *count += answer->control_answer.count;
    return true;
}

bool asking_control(struct asking *asking, enum control_verb verb, uint64_t id, uint64_t *count, struct error *error)
{
    struct ipc_control asked = {.request = ++asking->request, .verb = verb, .id = id};
    union ipc_message answer;
    *count = 0;
    return ask(asking, IPC_CONTROL, &asked, IPC_CONTROL_ANSWER, &answer, error) && control_answer(&answer, count, error);
}

bool asking_choose(struct asking *asking, enum control_verb verb, struct chosen *chosen, size_t chosen_count, uint64_t *count, struct error *error)
{
    struct ipc_choose asked = {.request = ++asking->request, .verb = verb, .chosen = chosen, .chosen_count = chosen_count};
    union ipc_message answer;
    return ask(asking, IPC_CHOOSE, &asked, IPC_CONTROL_ANSWER, &answer, error) && control_answer(&answer, count, error);
}

bool asking_status(struct asking *asking, bool with_under_way, struct ipc_status_answer *answer, struct error *error)
{
    struct ipc_status asked = {.request = ++asking->request, .with_under_way = with_under_way};
    union ipc_message message;
    if (!ask(asking, IPC_STATUS, &asked, IPC_STATUS_ANSWER, &message, error))
        return false;
    *answer = message.status_answer;
    return true;
}

bool asking_locks(struct asking *asking, struct ipc_locks_answer *answer, struct error *error)
{
    struct ipc_locks asked = {.request = ++asking->request};
    union ipc_message message;
    if (!ask(asking, IPC_LOCKS, &asked, IPC_LOCKS_ANSWER, &message, error))
        return false;
    *answer = message.locks_answer;
    return true;
}

bool asking_unlock(struct asking *asking, struct bytes who, uint64_t *count, struct error *error)
{
    struct ipc_unlock asked = {.request = ++asking->request, .who = who};
    union ipc_message answer;
    *count = 0;
    return ask(asking, IPC_UNLOCK, &asked, IPC_CONTROL_ANSWER, &answer, error) && control_answer(&answer, count, error);
}

bool asking_password(struct asking *asking, struct bytes user, struct bytes password, struct bytes client_address, struct ipc_password_answer *answer, struct error *error)
{
    struct ipc_password asked = {.request = ++asking->request, .user = user, .password = password, .client_address = client_address};
    union ipc_message message;
    if (!ask(asking, IPC_PASSWORD, &asked, IPC_PASSWORD_ANSWER, &message, error))
        return false;
    *answer = message.password_answer;
    return true;
}

/* ---- what is under way ---- */

static int compare_chosen(const void *left, const void *right)
{
    const struct chosen *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

void under_way_ask(struct under_way *under_way, const char *folder)
{
    struct asking asking;
    struct ipc_status_answer answer;
    struct error error = {0};
    *under_way = (struct under_way){0};
    if (store_sqlite_owner(folder) == 0 || !asking_open(&asking, folder, &error))
        return;
    under_way->served = asking_status(&asking, true, &answer, &error);
    if (under_way->served) {
        under_way->all_held = answer.is_held;
        under_way->disk_full = answer.is_full;
        under_way->count = answer.under_way_count;
        under_way->chosen = ARENA_ARRAY(&under_way->arena, struct chosen, answer.under_way_count);
        if (under_way->count > 0)
            memcpy(under_way->chosen, answer.under_way, under_way->count * sizeof *under_way->chosen);
        qsort(under_way->chosen, under_way->count, sizeof *under_way->chosen, compare_chosen);
    }
    asking_close(&asking);
}

void under_way_free(struct under_way *under_way)
{
    arena_clear(&under_way->arena);
}

bool under_way_has(const struct under_way *under_way, uint64_t id, uint32_t number)
{
    const struct chosen wanted = {.id = id, .number = number};
    return under_way->count > 0 && bsearch(&wanted, under_way->chosen, under_way->count, sizeof wanted, compare_chosen) != NULL;
}

bool under_way_has_any(const struct under_way *under_way, uint64_t id)
{
    size_t low = 0, high = under_way->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (under_way->chosen[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < under_way->count && under_way->chosen[low].id == id;
}
