/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "dial/sasl_client.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/relay/relay.h"

static void run(struct outbound_connection *connection);

static bool has_conn(const struct outbound_connection *connection)
{
    return connection->peer.conn.loop != NULL;
}

static bool has_message(const struct outbound_connection *connection)
{
    return connection->message.number != 0;
}

/* ---- ending ---- */

static void stop_eyeballs(struct outbound_peer *peer, struct loop *loop)
{
    if (peer->eyeballs == NULL)
        return;
    happy_eyeballs_stop(peer->eyeballs);
    loop_release(loop, &peer->eyeballs->released, free, peer->eyeballs); /* it may be the caller */
    peer->eyeballs = NULL;
}

static void leave_idle(struct outbound_connection *connection)
{
    if (connection->stage != OUTBOUND_IDLE)
        return;
    timer_cancel(&connection->idle_timer);
    relay_remove_idle(connection->relay, connection);
    connection->stage = OUTBOUND_TALKING;
}

/* Closes the connection; another may follow. */
static void hang_up(struct outbound_connection *connection)
{
    leave_idle(connection);
    signatures_leave(&connection->signature);
    conn_close(&connection->peer.conn);
    stop_eyeballs(&connection->peer, connection->relay->child->loop);
    connection->stage = OUTBOUND_ROUTING;
}

static void let_message_go(struct outbound_connection *connection)
{
    if (has_message(connection))
        connection->relay->busy_count--;
    outbound_message_let_go(&connection->message);
}

static void outbound_free(void *owner)
{
    struct outbound_connection *connection = owner;
    assert(connection->stage == OUTBOUND_ENDED);
    delivery_free(&connection->delivery);
    smarthost_secret_forget(connection);
    arena_clear(&connection->message.arena);
    free(connection);
}

static void end(struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    if (connection->stage == OUTBOUND_ENDED)
        return;
    hang_up(connection);
    dns_cancel(&connection->question);
    sts_policies_cancel(&connection->sts);
    let_message_go(connection);
    *(connection->previous == NULL ? &relay->connections : &connection->previous->next) = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    connection->stage = OUTBOUND_ENDED;
    loop_release(relay->child->loop, &connection->released, outbound_free, connection);
    relay_leave_if_done(relay);
}

void outbound_cut(struct outbound_connection *connection)
{
    outbound_check(connection);
    end(connection);
}

/* ---- the connection ---- */

/* Logs the TLS outcome if it is not as wanted. */
static void log_clear(const struct outbound_connection *connection)
{
    struct buffer peer = {0};
    if (connection->delivery.next != TLS_NEXT_CLEAR)
        return;
    delivery_peer(&connection->delivery, &peer);
    log_event(LOG_EVENT_WARN, "tls_abandoned", LOG_ID(connection->message.id),
              LOG_BYTES("peer", buffer_bytes(&peer)),
              LOG_BYTES("reason", delivery_clear_reason(&connection->delivery)));
    buffer_free(&peer);
}

/* Reports a lost connection; run() continues with the delivery's decision. */
static void lose(struct outbound_connection *connection, bool in_tls, enum tls_loss how, const char *why)
{
    relay_cause_lost(connection, in_tls);
    hang_up(connection);
    connection->relay->fallback.now_ms = clock_boot_ms();
    delivery_lost(&connection->delivery, in_tls, how, bytes_of_text(why));
    log_clear(connection);
}

static bool hears(const struct outbound_connection *connection)
{
    enum outbound_stage stage = connection->stage;
    return stage == OUTBOUND_TALKING || stage == OUTBOUND_AWAITS_ROOM || stage == OUTBOUND_IDLE;
}

static void feed(struct outbound_connection *connection)
{
    struct conn *conn = &connection->peer.conn;
    size_t used;
    while (hears(connection) && (used = delivery_feed(&connection->delivery, conn_input(conn))) > 0) {
        conn_consume(conn, used);
        run(connection);
    }
}

static void shake_hands(struct outbound_connection *connection)
{
    connection->stage = OUTBOUND_HANDSHAKING;
    conn_start_tls_peer(&connection->peer.conn, &connection->relay->tls, &connection->peer.asked);
}

static void on_connected(void *owner)
{
    struct outbound_connection *connection = owner;
    outbound_check(connection);
    relay_route_reached(connection);
    relay_cause_saw(connection, CONN_END_CLOSED);
    if (connection->peer.tls_first) {
        shake_hands(connection);
        return;
    }
    connection->stage = OUTBOUND_TALKING;
    delivery_connected(&connection->delivery);
    run(connection);
}

static void on_tls(void *owner)
{
    struct outbound_connection *connection = owner;
    outbound_check(connection);
    connection->peer.tls = conn_tls_result(&connection->peer.conn);
    tls_counts_secured(connection);
    connection->stage = OUTBOUND_TALKING;
    if (connection->peer.tls_first)
        delivery_connected(&connection->delivery);
    else
        delivery_tls_started(&connection->delivery);
    run(connection);
}

static void on_input(void *owner)
{
    struct outbound_connection *connection = owner;
    outbound_check(connection);
    feed(connection);
}

static void on_drained(void *owner)
{
    struct outbound_connection *connection = owner;
    outbound_check(connection);
    run(connection);
}

static void on_end(void *owner, enum conn_end how_ended)
{
    struct outbound_connection *connection = owner;
    struct conn *conn = &connection->peer.conn;
    char why[sizeof conn->why];
    bool heard = hears(connection);
    outbound_check(connection);
    snprintf(why, sizeof why, "%s", conn->why[0] != '\0' ? conn->why : "the connection ended");
    feed(connection); /* input received before */
    if (heard && !hears(connection) && connection->stage != OUTBOUND_HANDSHAKING)
        return; /* the connection ended there */
    relay_route_ended(connection, how_ended);
    bool injected = conn_met_clear_text(conn) && !connection->peer.tls_first; /* else merely a wrong port */
    bool handshaking = connection->stage == OUTBOUND_HANDSHAKING;
    enum tls_loss how = how_ended == CONN_END_TIMEOUT ? TLS_LOSS_SILENT : TLS_LOSS_ENDED;
    if (injected)
        how = TLS_LOSS_CLEAR_TEXT;
    lose(connection, how_ended == CONN_END_TLS || handshaking, how,
         injected ? CLEAR_TEXT_AFTER_STARTTLS : why);
    run(connection);
}

/* True if the peer accepts output at a useful rate: it need not reply then. */
static bool is_making_progress(struct outbound_connection *connection)
{
    struct outbound_message *message = &connection->message;
    size_t unsent = conn_unsent(&connection->peer.conn);
    uint64_t progress = message->given > unsent ? message->given - unsent : 0;
    if (connection->stage != OUTBOUND_AWAITS_ROOM || progress < message->progress + OUTBOUND_PACE_OCTETS)
        return false;
    message->progress = progress;
    return true;
}

static void on_timeout(void *owner)
{
    struct outbound_connection *connection = owner;
    bool handshaking = connection->stage == OUTBOUND_HANDSHAKING;
    char why[120];
    outbound_check(connection);
    bool signing = connection->stage == OUTBOUND_AWAITS_SIGNATURE; /* which has its own limit */
    if (signing || is_making_progress(connection)) {
        conn_set_deadline(&connection->peer.conn, delivery_timeout_ms(&connection->delivery));
        return;
    }
    if (!connection->route.reached && !handshaking && delivery_step(&connection->delivery) == STEP_CONNECT)
        relay_route_silent(connection);
    relay_cause_saw(connection, CONN_END_TIMEOUT);
    snprintf(why, sizeof why, "timed out during %s",
             client_step_name(handshaking ? STEP_TLS : delivery_step(&connection->delivery)));
    lose(connection, handshaking, TLS_LOSS_SILENT, why);
    run(connection);
}

static const struct conn_events outbound_events = {.on_connected = on_connected,
                                                   .on_input = on_input,
                                                   .on_drained = on_drained,
                                                   .on_tls = on_tls,
                                                   .on_end = on_end,
                                                   .on_timeout = on_timeout};

/* Returns the timeout: short for a smarthost on a detected port before its first message, to search on. */
static uint32_t patience_ms(const struct outbound_connection *connection, uint32_t usual_ms)
{
    if (relay_route_is_auto(connection) && !connection->route.by_smarthost &&
        !connection->delivery.has_session) /* an alternative exists */
        return usual_ms > PORT25_MONITOR_PATIENCE_MS ? PORT25_MONITOR_PATIENCE_MS : usual_ms;
    uint32_t most_ms = connection->delivery.has_session ? RACE_STEP_MS : RACE_CONNECT_MS;
    return smarthost_is_auto(connection) && connection->delivery.messages == 0 && usual_ms > most_ms
               ? most_ms
               : usual_ms;
}

/* Stores the delivery's TLS requirements for the peer; the delivery owns its texts. */
static void ask_of_peer(struct outbound_connection *connection, const struct delivery_action *action)
{
    struct outbound_peer *peer = &connection->peer;
    struct bytes name = bytes_first(action->name, DOMAIN_MAX);
    memcpy(peer->name, name.at, name.length);
    peer->name[name.length] = '\0';
    peer->asked = (struct conn_peer){
        .name = peer->name,
        .verify = action->verify,
        .tlsa = action->tlsa,
        .tlsa_count = action->tlsa_count,
        .names = {action->names[0], action->names[1]},
        .protocol = connection->delivery.options.port == PORT_LAST_RESORT ? "smtp" : NULL};
}

static void on_eyeballs_done(void *owner, int descriptor, size_t index, enum conn_end how_ended,
                             const char *why)
{
    struct outbound_connection *connection = owner;
    struct outbound_peer *peer = &connection->peer;
    struct loop *loop = connection->relay->child->loop;
    outbound_check(connection);
    stop_eyeballs(peer, loop);
    if (descriptor >= 0) {
        delivery_took(&connection->delivery, index);
        conn_start(&peer->conn, loop, descriptor, &outbound_events, connection);
        conn_set_deadline(&peer->conn, patience_ms(connection, CONNECT_TIMEOUT_MS));
        on_connected(connection);
        return;
    }
    relay_route_ended(connection, how_ended);
    delivery_tried_all(&connection->delivery);
    lose(connection, false, TLS_LOSS_ENDED, why);
    run(connection);
}

static void connect_to(struct outbound_connection *connection, const struct delivery_action *action)
{
    static const struct happy_eyeballs_events eyeballs_events = {.on_done = on_eyeballs_done};
    struct outbound_peer *peer = &connection->peer;
    struct loop *loop = connection->relay->child->loop;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(action->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(action->port)};
    memcpy(&six.sin6_addr, action->address.octets, 16);
    memcpy(&four.sin_addr, action->address.octets, 4);
    const void *address = action->address.six ? (const void *)&six : (const void *)&four;
    socklen_t length = action->address.six ? sizeof six : sizeof four;
    ask_of_peer(connection, action);
    peer->tls = (struct tls_result){0};
    peer->tls_first = action->tls;
    relay_cause_begin(connection, &action->address);
    outbound_message_rewind(&connection->message); /* a fresh connection gets the whole message */
    connection->message.given_all = false;
    connection->stage = OUTBOUND_CONNECTING;
    if (action->address_count > 1) {
        peer->eyeballs = memory_new(sizeof *peer->eyeballs);
        happy_eyeballs_start(peer->eyeballs, loop, action->addresses, action->address_count, action->port,
                             patience_ms(connection, action->timeout_ms), &eyeballs_events, connection);
        return;
    }
    conn_connect(&peer->conn, loop, address, length, &outbound_events, connection);
    conn_set_deadline(&peer->conn, patience_ms(connection, action->timeout_ms));
}

static void start_tls(struct outbound_connection *connection, const struct delivery_action *action)
{
    if (conn_input(&connection->peer.conn).length > 0) { /* RFC 3207 6 */
        lose(connection, true, TLS_LOSS_CLEAR_TEXT, CLEAR_TEXT_AFTER_STARTTLS);
        return;
    }
    ask_of_peer(connection, action);
    shake_hands(connection);
}

/* ---- content ---- */

/* Sends content; never completes a truncated message. */
static void give_content(struct outbound_connection *connection)
{
    char buffer[CONTENT_READ_MAX];
    struct bytes part;
    bool last;
    if (conn_output_is_full(&connection->peer.conn)) {
        connection->stage = OUTBOUND_AWAITS_ROOM; /* on_drained continues */
        return;
    }
    connection->stage = OUTBOUND_TALKING;
    if (outbound_message_read(&connection->message, buffer, &part, &last))
        delivery_content(&connection->delivery, part, last);
    else
        lose(connection, false, TLS_LOSS_ENDED, "the content could not be read");
}

/* ---- signing ---- */

static void take_signature(struct outbound_connection *connection, const struct signature_result *result)
{
    connection->stage = OUTBOUND_TALKING;
    if (result->is_deferred)
        delivery_not_signed(&connection->delivery, result->enhanced, result->why);
    else
        delivery_signed(&connection->delivery, result->fields);
}

void outbound_signed(void *owner, const struct signature_result *result)
{
    struct outbound_connection *connection = owner;
    take_signature(connection, result);
    run(connection);
    feed(connection); /* input received meanwhile */
}

static void sign_message(struct outbound_connection *connection, struct content_form form)
{
    const struct signature_message wanted = outbound_message_to_sign(&connection->message);
    struct signature_result result;
    tls_counts_clear(connection);
    connection->signature.owner = connection;
    connection->stage = OUTBOUND_AWAITS_SIGNATURE;
    if (signatures_get(&connection->relay->signatures, &wanted, form, &connection->signature, &result))
        take_signature(connection, &result);
}

/* ---- actions ---- */

static void on_resolved(void *owner, const struct dns_answer *answer)
{
    struct outbound_connection *connection = owner;
    connection->stage = OUTBOUND_ROUTING;
    outbound_check(connection);
    delivery_learned(&connection->delivery, connection->question.type, answer);
    run(connection);
}

static void on_sts(void *owner, const struct sts_policy *policy)
{
    struct outbound_connection *connection = owner;
    connection->stage = OUTBOUND_ROUTING;
    outbound_check(connection);
    delivery_sts(&connection->delivery, policy);
    run(connection);
}

/* Ends the attempt: answers the message, or restarts it on another route. */
static void finish_message(struct outbound_connection *connection, const struct delivery_action *action)
{
    const struct delivery_result *first = &action->results[0];
    tls_counts_refused(connection);
    if (relay_route_has_other(connection) ||
        smarthost_has_failed(connection, action->results, action->result_count)) {
        hang_up(connection);
        connection->stage = OUTBOUND_RESTARTING;
        return;
    }
    if (first->step == STEP_AUTH && first->code >= 500)
        smarthost_secret_refused(connection);
    relay_answer(connection->relay, connection, action->results, action->result_count);
    let_message_go(connection);
}

/* Limits the time that a domain with fifty silent servers occupies a queue slot. */
static bool is_out_of_time(const struct outbound_connection *connection, enum delivery_action_kind kind)
{
    return (kind == DELIVERY_RESOLVE || kind == DELIVERY_CONNECT) &&
           clock_now_ms() - connection->message.began_ms > OUTBOUND_SEARCH_MS;
}

static void act(struct outbound_connection *connection, const struct delivery_action *action)
{
    struct relay *relay = connection->relay;
    switch (action->kind) {
    case DELIVERY_RESOLVE:
        connection->stage = OUTBOUND_AWAITS_ANSWER;
        dns_ask(relay->dns, &connection->question, action->name, action->type, on_resolved, connection);
        break;
    case DELIVERY_ASK_STS: /* on_sts() is called immediately if the policy is known */
        connection->stage = OUTBOUND_AWAITS_ANSWER;
        sts_policies_ask(&relay->policies, &connection->sts, action->name, on_sts, connection);
        break;
    case DELIVERY_CONNECT: connect_to(connection, action); break;
    case DELIVERY_SEND: conn_write(&connection->peer.conn, action->bytes); break;
    case DELIVERY_STARTTLS: start_tls(connection, action); break;
    case DELIVERY_ASK:
        sasl_client_answer(&connection->delivery.session, &action->asked, &connection->peer.conn);
        break;
    case DELIVERY_SIGN: sign_message(connection, action->form); break;
    case DELIVERY_WANT_CONTENT:
        if (action->begins)
            outbound_message_rewind(&connection->message);
        give_content(connection);
        break;
    case DELIVERY_DONE: finish_message(connection, action); break;
    case DELIVERY_CLOSE:
        if (action->quit) {
            conn_write(&connection->peer.conn, BYTES("QUIT\r\n"));
            conn_flush(&connection->peer.conn);
        }
        tls_counts_closing(connection);
        hang_up(connection);
        break;
    case DELIVERY_NOTHING: break;
    }
}

static void pull(struct outbound_connection *connection)
{
    struct delivery_action action;
    while (connection->stage != OUTBOUND_AWAITS_ROOM && connection->stage != OUTBOUND_RESTARTING &&
           delivery_action(&connection->delivery, &action)) {
        if (is_out_of_time(connection, action.kind))
            delivery_out_of_time(&connection->delivery);
        else
            act(connection, &action);
    }
}

/* Starts a new delivery through another port or the smarthost. */
static void restart(struct outbound_connection *connection)
{
    delivery_free(&connection->delivery);
    connection->delivery = (struct delivery){0};
    connection->peer.tls = (struct tls_result){0};
    connection->stage = OUTBOUND_ROUTING;
    relay_route_choose(connection);
    if (!smarthost_must_wait(connection))
        outbound_go(connection);
}

static void idle_for_long(void *owner)
{
    outbound_quit(owner);
}

/* After the answer: keeps the connection, or closes it. */
static void rest(struct outbound_connection *connection)
{
    if (connection->stage == OUTBOUND_ROUTING) {
        end(connection);
    } else if (connection->stage == OUTBOUND_TALKING && delivery_is_open(&connection->delivery)) {
        connection->stage = OUTBOUND_IDLE;
        relay_add_idle(connection->relay, connection);
        timer_set(&connection->idle_timer, OUTBOUND_IDLE_MS);
        if (connection->relay->draining || connection->message.any_tls)
            outbound_quit(connection);
    }
}

/* Executes actions until one must wait. A nested call leaves the work to the outer one. */
static void run(struct outbound_connection *connection)
{
    if (connection->pulling)
        return;
    connection->pulling = true;
    connection->relay->fallback.now_ms = clock_boot_ms();
    if (connection->stage == OUTBOUND_AWAITS_ROOM)
        give_content(connection);
    pull(connection);
    connection->pulling = false;
    if (has_conn(connection) && connection->delivery.connected)
        conn_set_deadline(&connection->peer.conn,
                          patience_ms(connection, delivery_timeout_ms(&connection->delivery)));
    if (connection->stage == OUTBOUND_RESTARTING)
        restart(connection);
    else if (!has_message(connection))
        rest(connection);
    outbound_check(connection);
}

/* ---- start ---- */

void outbound_start(struct relay *relay, struct channel *from, const struct ipc_deliver *deliver, int content)
{
    struct outbound_connection *connection = memory_new(sizeof *connection);
    struct bytes destination = bytes_first(deliver->destination, sizeof connection->destination);
    connection->relay = relay;
    connection->peer.conn.descriptor = -1;
    memcpy(connection->destination, destination.at, destination.length);
    connection->destination_length = destination.length;
    connection->route.hop = (enum next_hop)deliver->hop;
    connection->next = relay->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    relay->connections = connection;
    timer_start(&connection->idle_timer, relay->child->loop, idle_for_long, connection);
    outbound_message_take(&connection->message, from, deliver, content);
    connection->relay->busy_count++;
    relay_route_choose(connection);
    if (!smarthost_must_wait(connection))
        outbound_go(connection);
}

void outbound_go(struct outbound_connection *connection)
{
    connection->stage = OUTBOUND_ROUTING;
    outbound_check(connection);
    if (smarthost_secret_must_wait(connection))
        return;
    struct delivery_options options = relay_options(connection);
    smarthost_secret_give(connection, &options);
    delivery_start(&connection->delivery, &options, &connection->message.envelope);
    run(connection);
}

void outbound_defer(struct outbound_connection *connection, struct bytes why)
{
    struct arena *arena = &connection->message.arena;
    size_t count = connection->message.envelope.recipient_count;
    struct delivery_result *results = ARENA_ARRAY(arena, struct delivery_result, count);
    outbound_check(connection);
    for (size_t i = 0; i < count; i++)
        results[i] = (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                              .step = STEP_CONNECT,
                                              .enhanced = BYTES("4.4.1"),
                                              .text = arena_copy(arena, why)};
    relay_answer(connection->relay, connection, results, count);
    end(connection);
}

void outbound_next(struct outbound_connection *connection, struct channel *from,
                   const struct ipc_deliver *deliver, int content)
{
    outbound_check(connection);
    leave_idle(connection);
    outbound_message_take(&connection->message, from, deliver, content);
    connection->relay->busy_count++;
    delivery_next(&connection->delivery, &connection->message.envelope);
    run(connection);
}

void outbound_quit(struct outbound_connection *connection)
{
    outbound_check(connection);
    leave_idle(connection);
    delivery_quit(&connection->delivery);
    run(connection);
}
