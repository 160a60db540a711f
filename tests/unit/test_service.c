/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service is a row: test services unknown to run/ are started as their users, sandboxed, connected by an
 * unlisted channel, restarted after a forbidden call, replaced by a reload, and drained in order.
 *
 * Three rows: `asker` asks `answerer` on a command of the test through a FIFO; `sessions` overlaps, as
 * smtpd does. They use roles that ask each other in the table of ipc/.
 */
#define _GNU_SOURCE
#include "io/watch.h"
#include "run/child.h"
#include "toy_ground.h"

enum { SESSIONS = 2 };

/* ---- what they share ---- */

struct board {
    _Atomic uint32_t asked;  /* the answerer alone writes it */
    _Atomic uint32_t forgot; /* answerers that ended */
};

static void board_forget(void *at, uint32_t number)
{
    struct board *board = at;
    board->forgot++;
}

static const struct shared_memory board_memory = {"the board", sizeof(struct board), NULL, board_forget};

/* ---- what all do ---- */

static bool start(struct child *child, struct error *error)
{
    uint32_t *lives = child->kept;
    log_event(LOG_EVENT_INFO, "toy_started", LOG_U64("number", child->number), LOG_U64("uid", getuid()),
              LOG_U64("lives", lives == NULL ? 1 : ++*lives));
    return true;
}

static void drain(struct child *child, bool quick)
{
    log_event(LOG_EVENT_INFO, "toy_drained", LOG_U64("number", child->number), LOG_FLAG("quick", quick));
    child_deafen(child);
    child_exit(child, 0);
}

/* ---- the answerer ---- */

static bool prepare(const struct config *config, struct error *error)
{
    log_event(LOG_EVENT_INFO, "toy_prepared", LOG_TEXT("hostname", config->hostname));
    return true;
}

/* Dies of the first question: its row does not allow creating sockets. */
static void answer(struct child *child, struct channel *from, enum ipc_kind kind, union ipc_message *message,
                   int attached)
{
    struct board *board = child_shared(child, &board_memory);
    if (++board->asked == 1)
        socket(AF_INET, SOCK_STREAM, 0);
    child_send(child, from, IPC_EXAMINED, &(struct ipc_examined){BYTES("2525")}, -1);
}

static const struct service answerer = {
    .role = PROCESS_RELAY,
    .stop = STOP_ANSWERERS,
    .folder = "toys",
    .shares = {{&board_memory, false}},
    .kept_octets = sizeof(uint32_t),
    .prepare = prepare,
    .start = start,
    .on_message = answer,
    .on_drain = drain,
};

/* ---- the asker ---- */

struct asker {
    int fifo;
    struct watch watch;
    bool waits; /* for an answer */
};

static bool asker_open(struct child *child, struct error *error)
{
    static struct asker asker;
    child->service_data = &asker;
    asker.fifo = toy_fifo(child->config->data_dir);
    return asker.fifo >= 0 || error_set_errno(error, 1, "the FIFO");
}

static void ask(struct child *child)
{
    struct channel *peer = child_peer(child, PROCESS_RELAY);
    if (peer != NULL)
        child_send(child, peer, IPC_EXAMINE, &(struct ipc_nothing){0}, -1);
}

static void told(void *owner, bool readable, bool writable)
{
    struct child *child = owner;
    struct asker *asker = child->service_data;
    char octet;
    if (read(asker->fifo, &octet, 1) != 1)
        return;
    asker->waits = true;
    ask(child);
}

static bool asker_start(struct child *child, struct error *error)
{
    struct asker *asker = child->service_data;
    watch_start(&asker->watch, child->loop, asker->fifo, true, false, told, child);
    return start(child, error);
}

static void asker_peer(struct child *child, struct channel *peer)
{
    const struct asker *asker = child->service_data;
    if (asker->waits && peer->peer == PROCESS_RELAY)
        ask(child);
}

static void answered(struct child *child, struct channel *from, enum ipc_kind kind,
                     union ipc_message *message, int attached)
{
    const struct board *board = child_shared(child, &board_memory);
    struct asker *asker = child->service_data;
    asker->waits = false;
    log_event(LOG_EVENT_INFO, "toy_answered", LOG_BYTES("text", message->examined.closed),
              LOG_U64("asked", board->asked), LOG_U64("forgot", board->forgot));
}

static const struct service asker = {
    .role = PROCESS_WEB,
    .follows = "version",
    .stop = STOP_INTAKE,
    .shares = {{&board_memory, true}},
    .open = asker_open,
    .start = asker_start,
    .on_message = answered,
    .on_peer = asker_peer,
    .on_drain = drain,
};

/* ---- those that overlap ---- */

static uint32_t session_count(const struct config *config)
{
    return SESSIONS;
}

static void ignore(struct child *child, struct channel *from, enum ipc_kind kind, union ipc_message *message,
                   int attached)
{
    if (attached >= 0)
        close(attached);
}

static const struct service sessions = {
    .role = PROCESS_SMTPD,
    .count = session_count,
    .overlaps = true,
    .stop = STOP_INTAKE,
    .keeps = SANDBOX_ACCEPTS,
    .socket = "toy.sock",
    .listens = true,
    .start = start,
    .on_message = ignore,
    .on_drain = drain,
};

static service_list toys[] = {&answerer, &asker, &sessions, NULL};

static int set_up(void **state)
{
    return toys_start(toys);
}

/* ---- the tests, one life ---- */

static void each_row_is_started_as_its_user(void **state)
{
    struct stat facts;
    char path[96], uid[32];
    wait_for(1, "supervisor", "ready", "");
    for (service_list *at = toys; *at != NULL; at++) {
        snprintf(uid, sizeof uid, "uid=%u", (unsigned)users_of((*at)->role, "mailboat").uid);
        wait_for(*at == &sessions ? SESSIONS : 1, service_name(*at), "toy_started", uid);
    }
    wait_for(1, "smtpd", "toy_started", "number=1");
    wait_for(1, "supervisor", "toy_prepared", "hostname=toys.example");
    snprintf(path, sizeof path, "%s/toys", server.folder);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_uid, users_of(PROCESS_RELAY, "mailboat").uid);
    assert_int_equal(facts.st_mode & 07777, 0700);
}

static void a_process_that_breaks_its_sandbox_ends_and_is_restarted(void **state)
{
    tell('?');
    wait_for(1, "supervisor", "process_died", "role=relay");
    wait_for(1, "supervisor", "process_died", "call=socket");
    wait_for(1, "relay", "toy_started", "lives=2"); /* what it kept outlived it */
    wait_for(1, "web", "toy_answered", "text=2525 asked=2 forgot=1");
}

static void a_reload_replaces_each(void **state)
{
    assert_int_equal(kill(server.supervisor, SIGHUP), 0);
    wait_for(1, "supervisor", "reloaded", "");
    wait_for(2, "supervisor", "toy_prepared", "");
    wait_for(1, "relay", "toy_started", "lives=3");
    wait_for(2, "web", "toy_started", "");
    wait_for(2 * SESSIONS, "smtpd", "toy_started", "");
    wait_for(1, "smtpd", "toy_started", "number=3"); /* beside the old ones */
    wait_for(1, "smtpd", "toy_drained", "number=0 quick=false");
    wait_for(1, "smtpd", "toy_drained", "number=1 quick=false");
    tell('?');
    wait_for(2, "web", "toy_answered", "");
    wait_for(1, "web", "toy_answered", "asked=3");
}

static void a_file_that_changes_replaces_its_follower_alone(void **state)
{
    unsigned others = lines("relay", "toy_started", "");
    replace_file("version");
    wait_for(3, "web", "toy_started", "");
    assert_int_equal(lines("relay", "toy_started", ""), others);
}

static void askers_end_before_those_who_answer(void **state)
{
    int status;
    assert_int_equal(kill(server.supervisor, SIGTERM), 0);
    wait_for(1, "relay", "toy_drained", "quick=true"); /* all others have ended; they may be told more than
                                                          once */
    assert_true(lines("web", "toy_drained", "quick=true") > 0);
    assert_true(lines("smtpd", "toy_drained", "number=2 quick=true") > 0);
    assert_true(lines("smtpd", "toy_drained", "number=3 quick=true") > 0);
    while (read_log())
        continue;
    assert_int_equal(waitpid(server.supervisor, &status, 0), server.supervisor);
    server.supervisor = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || lines("supervisor", "process_died", "") != 1)
        fail_msg("status %x:\n%s", (unsigned)status, buffer_text(&server.log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_started_as_its_user),
        cmocka_unit_test(a_process_that_breaks_its_sandbox_ends_and_is_restarted),
        cmocka_unit_test(a_reload_replaces_each),
        cmocka_unit_test(a_file_that_changes_replaces_its_follower_alone),
        cmocka_unit_test(askers_end_before_those_who_answer),
    };
    return cmocka_run_group_tests(tests, set_up, toys_stop);
}
