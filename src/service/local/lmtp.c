/* SPDX-License-Identifier: Apache-2.0 */
#include "service/local/lmtp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/message/received.h"
#include "io/conn.h"
#include "io/timer.h"
#include "service/local/maildir.h"
#include "service/local/quota_batch.h"

/* A message in delivery, with all its data. */
struct lmtp_message {
    struct lmtp_message *next;
    struct arena arena;
    struct channel *from; /* NULL: queue is gone, and will request the delivery again */
    uint64_t delivery;
    struct envelope envelope;        /* with only the recipients that LMTP can address */
    struct delivery_result *results; /* of all recipients */
    size_t result_count, *places;    /* index in `results` of each of the envelope's recipients */
    struct bytes prefix;             /* precedes the content */
    struct bytes content;            /* inline */
    int file;                        /* or in this file */
    uint64_t given;                  /* octets passed to the session, including the prefix */
};

enum lmtp_stage {
    LMTP_CONNECTING,  /* no session yet */
    LMTP_TALKING,     /* with or without a message */
    LMTP_AWAITS_ROOM, /* the content waits for space in the connection */
    LMTP_IDLE,        /* for the next message */
    LMTP_ENDED,       /* freed by the loop */
};

struct lmtp_connection {
    struct lmtp *lmtp;
    struct lmtp_connection *next, *previous; /* list of all */
    struct lmtp_connection *idle_next;
    struct released released;
    enum lmtp_stage stage;
    struct conn conn;
    struct client_session session;
    struct lmtp_message *message; /* NULL: none in progress */
    size_t messages;
    struct timer idle_timer;
};

static void run(struct lmtp_connection *connection);
static void send_next(struct lmtp *lmtp);

bool lmtp_is_own(const struct config *config)
{
    const char *path = config->mailboxes.lmtp_at.path;
    size_t length = strlen(config->data_dir);
    return path != NULL && strncmp(path, config->data_dir, length) == 0 &&
           strncmp(path + length, "/dovecot/lmtp/", strlen("/dovecot/lmtp/")) == 0;
}

/* ---- messages ---- */

/* Most Sieve scripts look for this field; SpamAssassin and rspamd write it. */
static const char junk_field[] = "X-Spam-Flag: YES\r\n";

/* The message is one for all its recipients: it says for whom it was where that is one address. */
static void add_prefix(struct lmtp_message *message, const struct ipc_deliver *deliver)
{
    const struct envelope *envelope = &deliver->envelope;
    struct bytes original = envelope->recipients[0].original;
    struct buffer prefix = {0};
    for (size_t i = 1; i < envelope->recipient_count; i++)
        if (!bytes_equal(envelope->recipients[i].original, original))
            original = bytes_none();
    received_add_original(&prefix, original, "\r\n");
    if (deliver->disposition == DISPOSITION_JUNK)
        buffer_add_text(&prefix, junk_field);
    message->envelope.size += prefix.length;
    buffer_add(&prefix, deliver->prefix);
    message->prefix = arena_copy(&message->arena, buffer_bytes(&prefix));
    buffer_free(&prefix);
}

static struct lmtp_message *lmtp_message_make(struct channel *from, const struct ipc_deliver *deliver,
                                              struct delivery_result *results, int content)
{
    struct lmtp_message *message = memory_new(sizeof *message);
    const struct envelope *envelope = &deliver->envelope;
    *message = (struct lmtp_message){.from = from,
                                     .delivery = deliver->delivery,
                                     .file = content,
                                     .envelope = *envelope,
                                     .results = results,
                                     .result_count = envelope->recipient_count};
    message->envelope.sender = arena_copy(&message->arena, envelope->sender);
    message->envelope.envid = bytes_none(); /* no DSN: this server reports, since the mailbox is local */
    message->envelope.ret = RET_UNSAID;
    message->envelope.requiretls = false; /* it does not leave this host */
    message->envelope.recipients = ARENA_ARRAY(&message->arena, struct recipient, envelope->recipient_count);
    message->envelope.recipient_count = 0;
    message->places = ARENA_ARRAY(&message->arena, size_t, envelope->recipient_count);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (lmtp_can_name(envelope->recipients[i].address)) {
            message->places[message->envelope.recipient_count] = i;
            message->envelope.recipients[message->envelope.recipient_count++].address = arena_copy(
                &message->arena, envelope->recipients[i].address);
        } else {
            results[i].text = arena_copy(&message->arena, results[i].text);
        }
    add_prefix(message, deliver);
    if (content < 0)
        message->content = arena_copy(&message->arena, deliver->content);
    return message;
}

static void lmtp_message_free(struct lmtp_message *message)
{
    if (message->file >= 0)
        close(message->file);
    arena_clear(&message->arena);
    free(message->results);
    free(message);
}

/* A large message that does not fit does not show that the mailbox is full; a small one, or a rejected
 * RCPT, does. */
static void note_fullness(const struct lmtp *lmtp, const struct lmtp_message *message, struct bytes user,
                          const struct delivery_result *result)
{
    bool is_small = message->envelope.size <= QUOTA_BATCH_SMALL_OCTETS;
    if (result->outcome == OUTCOME_DELIVERED)
        over_quota_list_remove(lmtp->over_quota_list, user);
    else if ((result->step == STEP_RCPT || is_small) && result->outcome == OUTCOME_FAILED &&
             bytes_is(result->enhanced, "5.2.2"))
        over_quota_list_add(lmtp->over_quota_list, user);
}

/* `results` has one per recipient of the envelope. */
static void lmtp_message_answer(struct lmtp *lmtp, struct lmtp_message *message,
                                const struct delivery_result *results)
{
    struct ipc_deliver_answer answer = {.delivery = message->delivery,
                                        .peer = BYTES("lmtp"),
                                        .result_count = message->result_count,
                                        .results = message->results};
    for (size_t i = 0; i < message->envelope.recipient_count; i++) {
        message->results[message->places[i]] = results[i];
        message->results[message->places[i]].peer_reports = false; /* this server sends the reports */
        note_fullness(lmtp, message, message->envelope.recipients[i].address, &results[i]);
    }
    if (message->from != NULL)
        child_send(lmtp->child, message->from, IPC_DELIVER_ANSWER, &answer, -1);
    lmtp_message_free(message);
}

/* ---- ending ---- */

static void leave_if_done(struct lmtp *lmtp)
{
    if (lmtp->draining && lmtp->busy_count == 0 && lmtp->waiting == NULL)
        child_exit(lmtp->child, EX_OK);
}

/* Asserts what each stage owns. */
static void lmtp_check(const struct lmtp_connection *connection)
{
    enum lmtp_stage stage = connection->stage;
    assert((stage == LMTP_ENDED) == (connection->conn.loop == NULL));
    assert(stage == LMTP_ENDED || (connection->session.state == NULL) == (stage == LMTP_CONNECTING));
    assert(stage == LMTP_TALKING || (connection->message != NULL) == (stage == LMTP_AWAITS_ROOM));
    assert(connection->message == NULL || connection->messages > 0);
}

static void leave_idle(struct lmtp_connection *connection)
{
    struct lmtp_connection **at = &connection->lmtp->idle;
    if (connection->stage != LMTP_IDLE)
        return;
    timer_cancel(&connection->idle_timer);
    while (*at != connection)
        at = &(*at)->idle_next;
    *at = connection->idle_next;
    connection->stage = LMTP_TALKING;
}

static void lmtp_connection_free(void *owner)
{
    struct lmtp_connection *connection = owner;
    assert(connection->stage == LMTP_ENDED && connection->message == NULL);
    client_session_free(&connection->session);
    free(connection);
}

static void take_message(struct lmtp_connection *connection)
{
    struct lmtp *lmtp = connection->lmtp;
    leave_idle(connection);
    connection->message = lmtp->waiting;
    lmtp->waiting = connection->message->next;
    if (lmtp->waiting == NULL)
        lmtp->waiting_end = &lmtp->waiting;
    lmtp->busy_count++;
    connection->messages++;
    client_session_send(&connection->session, &connection->message->envelope);
}

static void answered(struct lmtp_connection *connection, const struct delivery_result *results)
{
    struct lmtp_message *message = connection->message;
    connection->message = NULL;
    connection->lmtp->busy_count--;
    lmtp_message_answer(connection->lmtp, message, results);
}

static bool is_served(const struct lmtp *lmtp)
{
    for (const struct lmtp_connection *connection = lmtp->connections; connection != NULL;
         connection = connection->next)
        if (connection->messages > 0)
            return true;
    return false;
}

/* No server listens, or it hangs up immediately: waiting messages are deferred. If other connections are
 * busy they wait for those. */
static void turn_away(struct lmtp_connection *connection, struct delivery_result why)
{
    struct lmtp *lmtp = connection->lmtp;
    why.outcome = OUTCOME_DEFERRED;
    if (is_served(lmtp))
        return;
    while (lmtp->waiting != NULL) {
        struct lmtp_message *message = lmtp->waiting;
        size_t count = message->envelope.recipient_count;
        struct delivery_result *results = memory_new(count * sizeof *results);
        for (size_t i = 0; i < count; i++)
            results[i] = why;
        lmtp->waiting = message->next;
        lmtp_message_answer(lmtp, message, results);
        free(results);
    }
    lmtp->waiting_end = &lmtp->waiting;
}

static void end(struct lmtp_connection *connection)
{
    struct lmtp *lmtp = connection->lmtp;
    leave_idle(connection);
    conn_close(&connection->conn);
    *(connection->previous == NULL ? &lmtp->connections : &connection->previous->next) = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    lmtp->connection_count--;
    connection->stage = LMTP_ENDED;
    loop_release(lmtp->child->loop, &connection->released, lmtp_connection_free, connection);
}

/* ---- the session ---- */

static void give_content(struct lmtp_connection *connection)
{
    struct lmtp_message *message = connection->message;
    char buffer[CONTENT_RUN_MAX];
    const size_t before = message->prefix.length;
    struct bytes part;
    bool last;
    if (conn_output_is_full(&connection->conn)) {
        connection->stage = LMTP_AWAITS_ROOM; /* on_drained continues */
        return;
    }
    connection->stage = LMTP_TALKING;
    if (message->given < before) {
        part = bytes_from(message->prefix, message->given);
        last = message->envelope.size == before;
    } else if (message->file < 0) {
        part = bytes_first(bytes_from(message->content, message->given - before), CONTENT_RUN_MAX);
        last = message->given + part.length == before + message->content.length;
    } else {
        ssize_t count = pread(message->file, buffer, sizeof buffer, (off_t)(message->given - before));
        if (count <= 0) { /* never completes a truncated message */
            client_session_failed(&connection->session, STEP_DATA, BYTES("the content could not be read"));
            return;
        }
        part = bytes_of(buffer, (size_t)count);
        last = message->given + part.length >= message->envelope.size;
    }
    message->given += part.length;
    client_session_content(&connection->session, part, last);
}

static void idle_for_long(void *owner)
{
    struct lmtp_connection *connection = owner;
    lmtp_check(connection);
    leave_idle(connection);
    client_session_quit(&connection->session);
    run(connection);
}

/* Ready for the next message. */
static void ready(struct lmtp_connection *connection)
{
    struct lmtp *lmtp = connection->lmtp;
    if (lmtp->waiting != NULL && connection->messages < LMTP_MESSAGES_MAX) {
        take_message(connection);
    } else if (lmtp->draining || connection->messages >= LMTP_MESSAGES_MAX) {
        client_session_quit(&connection->session);
    } else {
        connection->stage = LMTP_IDLE;
        connection->idle_next = lmtp->idle;
        lmtp->idle = connection;
        timer_set(&connection->idle_timer, LMTP_IDLE_MS);
    }
}

static void act(struct lmtp_connection *connection, const struct client_action *action)
{
    switch (action->kind) {
    case CLIENT_SEND: conn_write(&connection->conn, action->bytes); break;
    case CLIENT_READY: ready(connection); break;
    case CLIENT_WANT_CONTENT:
        if (action->begins)
            connection->message->given = 0;
        give_content(connection);
        break;
    case CLIENT_SENT: answered(connection, action->results); break;
    case CLIENT_FAILED:
        if (client_session_may_quit(&connection->session)) {
            conn_write(&connection->conn, BYTES("QUIT\r\n"));
            conn_flush(&connection->conn);
        }
        if (connection->messages == 0)
            turn_away(connection, action->failure);
        end(connection);
        break;
    case CLIENT_CLOSE: end(connection); break;
    case CLIENT_NOTHING:
    case CLIENT_STARTTLS: /* neither applies to a socket of this host */
    case CLIENT_ASK_NONCE:
    case CLIENT_ASK_PROOF: break;
    }
}

static void run(struct lmtp_connection *connection)
{
    struct client_action action;
    if (connection->stage == LMTP_AWAITS_ROOM)
        give_content(connection);
    while (connection->stage != LMTP_ENDED && connection->stage != LMTP_AWAITS_ROOM &&
           client_session_action(&connection->session, &action))
        act(connection, &action);
    lmtp_check(connection);
    if (connection->stage == LMTP_ENDED)
        send_next(connection->lmtp); /* replaces it if messages are waiting */
    else
        conn_set_timeout(&connection->conn, connection->stage == LMTP_IDLE
                                                ? 0
                                                : client_session_timeout_ms(&connection->session));
    leave_if_done(connection->lmtp);
}

/* ---- the connection ---- */

static void on_connected(void *owner)
{
    struct lmtp_connection *connection = owner;
    struct client_options options = {.helo = bytes_of_text(connection->lmtp->child->config->hostname),
                                     .tls = CLIENT_TLS_NEVER,
                                     .lmtp = true};
    lmtp_check(connection);
    connection->stage = LMTP_TALKING;
    client_session_start(&connection->session, &options);
    run(connection);
}

static void on_input(void *owner)
{
    struct lmtp_connection *connection = owner;
    size_t used;
    lmtp_check(connection);
    while (connection->stage != LMTP_CONNECTING && connection->stage != LMTP_ENDED &&
           (used = client_session_feed(&connection->session, conn_input(&connection->conn))) > 0) {
        conn_consume(&connection->conn, used);
        run(connection);
    }
}

static void on_drained(void *owner)
{
    lmtp_check(owner);
    run(owner);
}

static void lost(struct lmtp_connection *connection, const char *why)
{
    char text[200];
    snprintf(text, sizeof text, "the LMTP server at %.90s: %.80s", connection->lmtp->place, why);
    lmtp_check(connection);
    if (connection->stage != LMTP_CONNECTING) {
        client_session_failed(&connection->session, client_session_step(&connection->session),
                              bytes_of_text(text));
        run(connection);
    } else {
        turn_away(connection, (struct delivery_result){.step = STEP_CONNECT,
                                                       .enhanced = BYTES("4.3.0"),
                                                       .text = bytes_of_text(text)});
        end(connection);
        leave_if_done(connection->lmtp);
    }
}

static void on_end(void *owner, enum conn_end end_kind)
{
    struct lmtp_connection *connection = owner;
    on_input(connection); /* input received before */
    if (connection->stage != LMTP_ENDED)
        lost(connection, connection->conn.why[0] != '\0' ? connection->conn.why : "the connection ended");
}

static void on_timeout(void *owner)
{
    lost(owner, "timed out");
}

static const struct conn_events lmtp_connection_events = {.on_connected = on_connected,
                                                          .on_input = on_input,
                                                          .on_drained = on_drained,
                                                          .on_end = on_end,
                                                          .on_timeout = on_timeout};

static void lmtp_connection_start(struct lmtp *lmtp)
{
    struct lmtp_connection *connection = memory_new(sizeof *connection);
    connection->lmtp = lmtp;
    connection->next = lmtp->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    lmtp->connections = connection;
    lmtp->connection_count++;
    timer_start(&connection->idle_timer, lmtp->child->loop, idle_for_long, connection);
    conn_connect(&connection->conn, lmtp->child->loop, (const struct sockaddr *)&lmtp->address,
                 lmtp->address_length, &lmtp_connection_events, connection);
    conn_set_timeout(&connection->conn, LMTP_CONNECT_MS);
}

/* ---- the service ---- */

/* The configuration has validated it. */
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

static void drain_limit_passed(void *owner)
{
    struct lmtp *lmtp = owner;
    child_exit(lmtp->child, EX_OK); /* deliveries without an answer are tried again */
}

void lmtp_start(struct lmtp *lmtp, struct child *child, struct over_quota_list *over_quota_list)
{
    *lmtp = (struct lmtp){
        .child = child, .over_quota_list = over_quota_list, .place = child->config->mailboxes.lmtp};
    lmtp->address_length = lmtp_address(child->config, &lmtp->address);
    lmtp->waiting_end = &lmtp->waiting;
    timer_start(&lmtp->drained, child->loop, drain_limit_passed, lmtp);
}

/* Starts or reuses a connection for waiting messages. */
static void send_next(struct lmtp *lmtp)
{
    if (lmtp->waiting == NULL)
        return;
    if (lmtp->idle != NULL) {
        struct lmtp_connection *connection = lmtp->idle;
        take_message(connection);
        run(connection);
    } else if (lmtp->connection_count < LMTP_CONNECTIONS_MAX) {
        lmtp_connection_start(lmtp);
    }
}

bool lmtp_can_name(struct bytes address)
{
    return bytes_is_ascii(address) && maildir_is_plain(address);
}

void lmtp_deliver(struct lmtp *lmtp, struct channel *from, const struct ipc_deliver *deliver,
                  struct delivery_result *results, int content)
{
    struct lmtp_message *message = lmtp_message_make(from, deliver, results, content);
    if (message->envelope.recipient_count == 0) {
        lmtp_message_answer(lmtp, message, NULL);
        return;
    }
    *lmtp->waiting_end = message;
    lmtp->waiting_end = &message->next;
    send_next(lmtp);
}

void lmtp_peer_lost(struct lmtp *lmtp, const struct channel *peer)
{
    for (struct lmtp_message *message = lmtp->waiting; message != NULL; message = message->next)
        if (message->from == peer)
            message->from = NULL;
    for (struct lmtp_connection *connection = lmtp->connections; connection != NULL;
         connection = connection->next)
        if (connection->message != NULL && connection->message->from == peer)
            connection->message->from = NULL;
}

void lmtp_drain(struct lmtp *lmtp)
{
    lmtp->draining = true;
    timer_set(&lmtp->drained, LMTP_DRAIN_MS);
    leave_if_done(lmtp);
}
