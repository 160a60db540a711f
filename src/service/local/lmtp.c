/* SPDX-License-Identifier: Apache-2.0 */
#include "service/local/lmtp.h"

#include "io/conn.h"
#include "service/local/quota_batch.h"
#include "service/local/maildir.h"

#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <assert.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

/* A message on its way, with all it needs. */
struct letter {
    struct letter *next;
    struct arena arena;
    struct channel *from; /* NULL: queue is gone; it will ask again */
    uint64_t delivery;
    struct envelope envelope;        /* of those recipients that the server can be told of */
    struct delivery_result *results; /* of all of them */
    size_t result_count, *places;    /* where in `results` each of the envelope's stands */
    struct bytes content; /* inline */
    int file;             /* or here */
    uint64_t given;       /* octets handed to the session */
};

struct courier {
    struct lmtp *lmtp;
    struct courier *next, *previous; /* all */
    struct courier *idle_next;
    struct conn conn;
    struct client_session session;
    struct letter *letter;           /* NULL: none is under way */
    struct timer idle_timer, over_timer;
    size_t messages;
    bool connected, has_session, idle, wants_content, over;
};

static void run(struct courier *courier);
static void send_somebody(struct lmtp *lmtp);

/* ---- letters ---- */

static struct letter *letter_make(struct channel *from, const struct ipc_deliver *deliver, struct delivery_result *results, int content)
{
    struct letter *letter = memory_new(sizeof *letter);
    const struct envelope *envelope = &deliver->envelope;
    *letter = (struct letter){.from = from, .delivery = deliver->delivery, .file = content, .envelope = *envelope,
                              .results = results, .result_count = envelope->recipient_count};
    letter->envelope.sender = arena_copy(&letter->arena, envelope->sender);
    letter->envelope.envid = bytes_none(); /* reports are ours to make: the mailbox is here */
    letter->envelope.ret = RET_UNSAID;
    letter->envelope.requiretls = false;   /* it does not leave this host */
    letter->envelope.recipients = ARENA_ARRAY(&letter->arena, struct recipient, envelope->recipient_count);
    letter->envelope.recipient_count = 0;
    letter->places = ARENA_ARRAY(&letter->arena, size_t, envelope->recipient_count);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (lmtp_can_name(envelope->recipients[i].address)) {
            letter->places[letter->envelope.recipient_count] = i;
            letter->envelope.recipients[letter->envelope.recipient_count++].address = arena_copy(&letter->arena, envelope->recipients[i].address);
        }
    if (content < 0)
        letter->content = arena_copy(&letter->arena, deliver->content);
    return letter;
}

static void letter_free(struct letter *letter)
{
    if (letter->file >= 0)
        close(letter->file);
    arena_clear(&letter->arena);
    free(letter->results);
    free(letter);
}

/* A large message that does not fit says little of the mailbox; a small one, or RCPT refused, that nothing fits any more. */
static void note_fullness(const struct lmtp *lmtp, const struct letter *letter, struct bytes user, const struct client_result *result)
{
    bool is_small = (letter->file < 0 ? letter->content.length : letter->envelope.size) <= LEDGER_SMALL_OCTETS;
    if (result->outcome == OUTCOME_DELIVERED)
        watched_room(lmtp->watched, user);
    else if ((result->step == STEP_RCPT || is_small) && result->outcome == OUTCOME_FAILED && bytes_is(result->enhanced, "5.2.2"))
        watched_full(lmtp->watched, user);
}

/* `results` has one for each recipient of the envelope. */
static void letter_answer(struct lmtp *lmtp, struct letter *letter, const struct client_result *results)
{
    struct ipc_deliver_answer answer = {.delivery = letter->delivery, .peer = BYTES("lmtp"), .result_count = letter->result_count, .results = letter->results};
    for (size_t i = 0; i < letter->envelope.recipient_count; i++) {
        letter->results[letter->places[i]] = (struct delivery_result){.outcome = results[i].outcome, .step = results[i].step, .code = results[i].code,
                                                     .enhanced = results[i].enhanced, .text = results[i].text};
        note_fullness(lmtp, letter, letter->envelope.recipients[i].address, &results[i]);
    }
    if (letter->from != NULL)
        child_send(lmtp->child, letter->from, IPC_DELIVER_ANSWER, &answer, -1);
    letter_free(letter);
}

/* ---- ending ---- */

static void leave_if_done(struct lmtp *lmtp)
{
    if (lmtp->draining && lmtp->busy_count == 0 && lmtp->waiting == NULL)
        child_exit(lmtp->child, EX_OK);
}

static void not_idle(struct courier *courier)
{
    struct courier **at = &courier->lmtp->idle;
    timer_cancel(&courier->idle_timer);
    if (!courier->idle)
        return;
    while (*at != courier)
        at = &(*at)->idle_next;
    *at = courier->idle_next;
    courier->idle = false;
}

static void courier_free(struct courier *courier)
{
    struct lmtp *lmtp = courier->lmtp;
    not_idle(courier);
    timer_cancel(&courier->over_timer);
    conn_close(&courier->conn);
    if (courier->has_session)
        client_session_free(&courier->session);
    *(courier->previous == NULL ? &lmtp->couriers : &courier->previous->next) = courier->next;
    if (courier->next != NULL)
        courier->next->previous = courier->previous;
    lmtp->courier_count--;
    free(courier);
}

static void take_letter(struct courier *courier)
{
    struct lmtp *lmtp = courier->lmtp;
    not_idle(courier);
    courier->letter = lmtp->waiting;
    lmtp->waiting = courier->letter->next;
    if (lmtp->waiting == NULL)
        lmtp->waiting_end = &lmtp->waiting;
    lmtp->busy_count++;
    courier->messages++;
    client_session_send(&courier->session, &courier->letter->envelope);
}

static void answered(struct courier *courier, const struct client_result *results)
{
    struct letter *letter = courier->letter;
    courier->letter = NULL;
    courier->lmtp->busy_count--;
    letter_answer(courier->lmtp, letter, results);
}

static bool is_served(const struct lmtp *lmtp)
{
    for (const struct courier *courier = lmtp->couriers; courier != NULL; courier = courier->next)
        if (courier->messages > 0 && !courier->over)
            return true;
    return false;
}

/* Nobody listens, or hangs up at once: those who wait are told, and come
 * again later. Where other couriers are at work they wait for those. */
static void turn_away(struct courier *courier, struct client_result why)
{
    struct lmtp *lmtp = courier->lmtp;
    why.outcome = OUTCOME_DEFERRED;
    if (is_served(lmtp))
        return;
    while (lmtp->waiting != NULL) {
        struct letter *letter = lmtp->waiting;
        size_t count = letter->envelope.recipient_count;
        struct client_result *results = memory_new(count * sizeof *results);
        for (size_t i = 0; i < count; i++)
            results[i] = why;
        lmtp->waiting = letter->next;
        letter_answer(lmtp, letter, results);
        free(results);
    }
    lmtp->waiting_end = &lmtp->waiting;
}

static void end(struct courier *courier)
{
    not_idle(courier);
    conn_close(&courier->conn);
    courier->over = true;
    timer_set(&courier->over_timer, 0); /* not from within its own calls */
}

static void over(void *owner)
{
    struct courier *courier = owner;
    struct lmtp *lmtp = courier->lmtp;
    courier_free(courier);
    leave_if_done(lmtp);
}

/* ---- the session ---- */

static void give_content(struct courier *courier)
{
    struct letter *letter = courier->letter;
    char room[CONTENT_RUN_MAX];
    struct bytes part;
    bool last;
    if (letter->file < 0) {
        part = bytes_first(bytes_from(letter->content, letter->given), CONTENT_RUN_MAX);
        last = letter->given + part.length == letter->content.length;
    } else {
        ssize_t count = pread(letter->file, room, sizeof room, (off_t)letter->given);
        if (count <= 0) { /* never end a message that is not whole */
            client_session_failed(&courier->session, STEP_DATA, BYTES("the content could not be read"));
            return;
        }
        part = bytes_of(room, (size_t)count);
        last = letter->given + part.length >= letter->envelope.size;
    }
    letter->given += part.length;
    client_session_content(&courier->session, part, last);
}

static void idle_for_long(void *owner)
{
    struct courier *courier = owner;
    not_idle(courier);
    client_session_quit(&courier->session);
    run(courier);
}

/* Ready for the next message. */
static void ready(struct courier *courier)
{
    struct lmtp *lmtp = courier->lmtp;
    if (lmtp->waiting != NULL && courier->messages < LMTP_MESSAGES_MAX) {
        take_letter(courier);
    } else if (lmtp->draining || courier->messages >= LMTP_MESSAGES_MAX) {
        client_session_quit(&courier->session);
    } else {
        courier->idle = true;
        courier->idle_next = lmtp->idle;
        lmtp->idle = courier;
        timer_set(&courier->idle_timer, LMTP_IDLE_MS);
    }
}

/* True when it goes on at once. */
static bool act(struct courier *courier, const struct client_action *action)
{
    switch (action->kind) {
    case CLIENT_SEND:
        conn_write(&courier->conn, action->bytes);
        return true;
    case CLIENT_READY:
        ready(courier);
        return true;
    case CLIENT_WANT_CONTENT:
        if (action->begins)
            courier->letter->given = 0;
        courier->wants_content = conn_output_is_full(&courier->conn);
        if (!courier->wants_content)
            give_content(courier);
        return !courier->wants_content; /* else on_drained goes on */
    case CLIENT_SENT:
        answered(courier, action->results);
        return true;
    case CLIENT_FAILED:
        if (courier->messages == 0)
            turn_away(courier, action->failure);
        end(courier);
        return false;
    case CLIENT_CLOSE:
        end(courier);
        return false;
    case CLIENT_NOTHING:
    case CLIENT_STARTTLS: /* neither is asked of a socket of this host */
    case CLIENT_ASK_NONCE:
    case CLIENT_ASK_PROOF:
        break;
    }
    return false;
}

static void run(struct courier *courier)
{
    struct client_action action;
    if (courier->wants_content && !courier->over && !conn_output_is_full(&courier->conn)) {
        courier->wants_content = false;
        give_content(courier);
    }
    while (!courier->over && !courier->wants_content && client_session_action(&courier->session, &action) && act(courier, &action))
        ;
    if (!courier->over)
        conn_set_timeout(&courier->conn, courier->idle ? 0 : client_session_timeout_ms(&courier->session));
    if (courier->over)
        send_somebody(courier->lmtp); /* in its place, where there are letters */
    leave_if_done(courier->lmtp);
}

/* ---- the connection ---- */

static void on_connected(void *owner)
{
    struct courier *courier = owner;
    struct client_options options = {.helo = bytes_of_text(courier->lmtp->child->config->hostname), .tls = CLIENT_TLS_NEVER, .lmtp = true};
    courier->connected = courier->has_session = true;
    client_session_start(&courier->session, &options);
    run(courier);
}

static void on_input(void *owner)
{
    struct courier *courier = owner;
    size_t used;
    while (courier->has_session && !courier->over && (used = client_session_feed(&courier->session, conn_input(&courier->conn))) > 0) {
        conn_consume(&courier->conn, used);
        run(courier);
    }
}

static void on_drained(void *owner)
{
    run(owner);
}

static void lost(struct courier *courier, const char *why)
{
    char text[200];
    snprintf(text, sizeof text, "the LMTP server at %.90s: %.80s", courier->lmtp->place, why);
    if (courier->has_session) {
        client_session_failed(&courier->session, client_session_step(&courier->session), bytes_of_text(text));
        run(courier);
    } else {
        turn_away(courier, (struct client_result){.step = STEP_CONNECT, .enhanced = BYTES("4.3.0"), .text = bytes_of_text(text)});
        end(courier);
    }
}

static void on_end(void *owner, enum conn_end end_kind)
{
    struct courier *courier = owner;
    on_input(courier); /* what it said before */
    if (!courier->over)
        lost(courier, courier->conn.why[0] != '\0' ? courier->conn.why : "the connection ended");
}

static void on_timeout(void *owner)
{
    lost(owner, "timed out");
}

static const struct conn_events courier_events = {
    .on_connected = on_connected, .on_input = on_input, .on_drained = on_drained, .on_end = on_end, .on_timeout = on_timeout};

static void courier_start(struct lmtp *lmtp)
{
    struct courier *courier = memory_new(sizeof *courier);
    courier->lmtp = lmtp;
    courier->next = lmtp->couriers;
    if (courier->next != NULL)
        courier->next->previous = courier;
    lmtp->couriers = courier;
    lmtp->courier_count++;
    timer_start(&courier->idle_timer, lmtp->child->loop, idle_for_long, courier);
    timer_start(&courier->over_timer, lmtp->child->loop, over, courier);
    conn_connect(&courier->conn, lmtp->child->loop, (const struct sockaddr *)&lmtp->address, lmtp->address_length, &courier_events, courier);
    conn_set_timeout(&courier->conn, LMTP_CONNECT_MS);
}

/* ---- the service ---- */

/* The configuration has checked all of it. */
socklen_t lmtp_address(const struct config *config, struct sockaddr_storage *address)
{
    const char *path = config->mailboxes.lmtp_at.path, *host = config->mailboxes.lmtp_at.address;
    struct sockaddr_un *here = (struct sockaddr_un *)address;
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    *address = (struct sockaddr_storage){0};
    if (path != NULL) {
        assert(strlen(path) < sizeof here->sun_path);
        here->sun_family = AF_UNIX;
        memcpy(here->sun_path, path, strlen(path) + 1);
        return sizeof *here;
    }
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(config->mailboxes.lmtp_at.port);
        return sizeof *four;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(config->mailboxes.lmtp_at.port);
    inet_pton(AF_INET6, host, &six->sin6_addr);
    return sizeof *six;
}

void lmtp_allow(const struct config *config, struct sandbox_paths *paths)
{
    struct sockaddr_storage address;
    (void)lmtp_address(config, &address);
    paths->call_family = address.ss_family;
    paths->call_port = config->mailboxes.lmtp_at.port;
}

void lmtp_start(struct lmtp *lmtp, struct child *child, struct watched *watched)
{
    *lmtp = (struct lmtp){.child = child, .watched = watched, .place = child->config->mailboxes.lmtp};
    lmtp->address_length = lmtp_address(child->config, &lmtp->address);
    lmtp->waiting_end = &lmtp->waiting;
}

/* Somebody for whoever waits. */
static void send_somebody(struct lmtp *lmtp)
{
    if (lmtp->waiting == NULL)
        return;
    if (lmtp->idle != NULL) {
        struct courier *courier = lmtp->idle;
        take_letter(courier);
        run(courier);
    } else if (lmtp->courier_count < LMTP_COURIERS_MAX) {
        courier_start(lmtp);
    }
}

bool lmtp_can_name(struct bytes address)
{
    return bytes_is_ascii(address) && maildir_is_plain(address);
}

void lmtp_deliver(struct lmtp *lmtp, struct channel *from, const struct ipc_deliver *deliver, struct delivery_result *results, int content)
{
    struct letter *letter = letter_make(from, deliver, results, content);
    if (letter->envelope.recipient_count == 0) {
        letter_answer(lmtp, letter, NULL);
        return;
    }
    *lmtp->waiting_end = letter;
    lmtp->waiting_end = &letter->next;
    send_somebody(lmtp);
}

void lmtp_peer_lost(struct lmtp *lmtp, const struct channel *peer)
{
    for (struct letter *letter = lmtp->waiting; letter != NULL; letter = letter->next)
        if (letter->from == peer)
            letter->from = NULL;
    for (struct courier *courier = lmtp->couriers; courier != NULL; courier = courier->next)
        if (courier->letter != NULL && courier->letter->from == peer)
            courier->letter->from = NULL;
}

static void drain_limit_passed(void *owner)
{
    struct lmtp *lmtp = owner;
    child_exit(lmtp->child, EX_OK); /* what has no answer is tried again */
}

void lmtp_drain(struct lmtp *lmtp)
{
    lmtp->draining = true;
    timer_start(&lmtp->drained, lmtp->child->loop, drain_limit_passed, lmtp);
    timer_set(&lmtp->drained, LMTP_DRAIN_MS);
    leave_if_done(lmtp);
}
