/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dial/sasl_client.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/relay/relay.h"

static void run(struct outbound_connection *connection);

/* ---- the message ---- */

/* An address whose domain alone is international goes in
 * ASCII: every server knows it then (RFC 5890 2.3.2.1). */
static struct bytes copy_address(struct arena *arena, struct bytes address)
{
    char domain[DOMAIN_MAX + 1], name[DOMAIN_MAX + 1];
    size_t at = bytes_find_last(address, '@');
    if (bytes_is_ascii(address) || at == SIZE_MAX || !bytes_is_ascii(bytes_first(address, at)) ||
        address.length - at > DOMAIN_MAX)
        return arena_copy(arena, address);
    snprintf(domain, sizeof domain, "%.*s", BYTES_ARG(bytes_from(address, at + 1)));
    if (!dns_ascii_name(domain, name, sizeof name))
        return arena_copy(arena, address);
    return bytes_of_text(arena_format(arena, "%.*s%s", BYTES_ARG(bytes_first(address, at + 1)), name));
}

static struct envelope copy_envelope(struct arena *arena, const struct envelope *from)
{
    struct envelope to = *from;
    to.sender = copy_address(arena, from->sender);
    to.envid = arena_copy(arena, from->envid);
    to.recipients = ARENA_ARRAY(arena, struct recipient, from->recipient_count);
    for (size_t i = 0; i < from->recipient_count; i++) {
        to.recipients[i] = from->recipients[i];
        to.recipients[i].address = copy_address(arena, from->recipients[i].address);
        to.recipients[i].original = arena_copy(arena, from->recipients[i].original);
        to.recipients[i].orcpt = arena_copy(arena, from->recipients[i].orcpt);
    }
    return to;
}

static void take_message(struct outbound_connection *connection, struct channel *from,
                         const struct ipc_deliver *deliver, int content)
{
    arena_clear(&connection->arena);
    connection->envelope = copy_envelope(&connection->arena, &deliver->envelope);
    connection->front = arena_copy(&connection->arena, deliver->prefix);
    connection->content = content >= 0 ? bytes_none() : arena_copy(&connection->arena, deliver->content);
    connection->file = content;
    connection->content_at = connection->progress = 0;
    connection->content_given = connection->wants_content = connection->waited = false;
    connection->id = deliver->id;
    connection->number = deliver->delivery;
    connection->from = from;
    connection->began_ms = clock_now_ms();
    connection->relay->busy_count++;
}

static void let_message_go(struct outbound_connection *connection)
{
    if (connection->number == 0)
        return;
    if (connection->file >= 0)
        close(connection->file);
    connection->file = -1;
    connection->number = 0;
    connection->relay->busy_count--;
}

bool outbound_has_given_all(const struct outbound_connection *connection)
{
    return connection->content_given;
}

/* ---- ending ---- */

static void end_eyeballs(struct outbound_connection *connection)
{
    if (connection->eyeballs == NULL)
        return;
    happy_eyeballs_stop(connection->eyeballs);
    free(connection->eyeballs);
    connection->eyeballs = NULL;
}

static void outbound_free(struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    relay_not_idle(relay, connection);
    if (connection->question.asked)
        dns_cancel(&connection->question);
    sts_policies_cancel(&connection->sts);
    timer_cancel(&connection->idle_timer);
    timer_cancel(&connection->step_timer);
    if (connection->has_conn)
        conn_close(&connection->conn);
    end_eyeballs(connection);
    delivery_free(&connection->delivery);
    smarthost_secret_forget(connection);
    let_message_go(connection);
    arena_clear(&connection->arena);
    *(connection->previous == NULL ? &relay->connections : &connection->previous->next) = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    free(connection);
    relay_leave_if_done(relay);
}

void outbound_cut(struct outbound_connection *connection)
{
    outbound_free(connection);
}

/* ---- the connection ---- */

static bool is_connected(const struct outbound_connection *connection)
{
    return connection->has_conn;
}

/* What comes next is logged where it is not what was wished for. */
static void log_clear(const struct outbound_connection *connection)
{
    struct buffer peer = {0};
    if (connection->delivery.next != TLS_NEXT_CLEAR)
        return;
    delivery_peer(&connection->delivery, &peer);
    log_event(LOG_EVENT_WARN, "tls_abandoned", LOG_ID(connection->id), LOG_BYTES("peer", buffer_bytes(&peer)),
              LOG_BYTES("reason", delivery_clear_reason(&connection->delivery)));
    buffer_free(&peer);
}

static void lost(struct outbound_connection *connection, bool in_tls, enum tls_loss how, const char *why)
{
    if (is_connected(connection))
        conn_close(&connection->conn);
    connection->has_conn = connection->handshaking = connection->connecting_tls = false;
    connection->wants_content = false;
    connection->relay->fallback.now_ms = clock_boot_ms();
    delivery_lost(&connection->delivery, in_tls, how, bytes_of_text(why));
    log_clear(connection);
    run(connection);
}

static void feed(struct outbound_connection *connection)
{
    size_t used;
    while (is_connected(connection) && !connection->handshaking &&
           (used = delivery_feed(&connection->delivery, conn_input(&connection->conn))) > 0) {
        conn_consume(&connection->conn, used);
        run(connection);
        if (connection->over)
            return;
    }
}

static void finish_if_over(struct outbound_connection *connection)
{
    if (connection->over)
        outbound_free(connection);
}

static void on_connected(void *owner)
{
    struct outbound_connection *connection = owner;
    relay_route_reached(connection);
    if (connection->connecting_tls) {
        connection->handshaking = true;
        conn_start_tls_peer(&connection->conn, &connection->relay->tls, &connection->peer);
        return;
    }
    delivery_connected(&connection->delivery);
    run(connection);
    finish_if_over(connection);
}

static void on_tls(void *owner)
{
    struct outbound_connection *connection = owner;
    connection->tls = conn_tls_result(&connection->conn);
    connection->handshaking = false;
    if (connection->connecting_tls)
        delivery_connected(&connection->delivery);
    else
        delivery_tls_started(&connection->delivery);
    connection->connecting_tls = false;
    run(connection);
    finish_if_over(connection);
}

static void on_input(void *owner)
{
    struct outbound_connection *connection = owner;
    feed(connection);
    finish_if_over(connection);
}

static void on_drained(void *owner)
{
    struct outbound_connection *connection = owner;
    run(connection);
    finish_if_over(connection);
}

static void on_end(void *owner, enum conn_end end)
{
    struct outbound_connection *connection = owner;
    char why[sizeof connection->conn.why];
    snprintf(why, sizeof why, "%s",
             connection->conn.why[0] != '\0' ? connection->conn.why : "the connection ended");
    feed(connection); /* what it said before */
    if (end == CONN_END_REFUSED)
        relay_route_reached(connection); /* who refuses answers */
    else if (end == CONN_END_TIMEOUT && !connection->delivery.connected)
        relay_route_silent(connection);
    /* After STARTTLS; a port that expects no TLS at once is just the wrong one. */
    bool injected = conn_met_clear_text(&connection->conn) && !connection->connecting_tls;
    enum tls_loss how = end == CONN_END_TIMEOUT ? TLS_LOSS_SILENT : TLS_LOSS_ENDED;
    if (injected)
        how = TLS_LOSS_CLEAR_TEXT;
    if (!connection->over)
        lost(connection, end == CONN_END_TLS || connection->handshaking, how,
             injected ? CLEAR_TEXT_AFTER_STARTTLS : why);
    finish_if_over(connection);
}

/* Silence; but while our own octets still leave, and not one by one, the peer
 * need not speak. */
static void on_timeout(void *owner)
{
    struct outbound_connection *connection = owner;
    size_t unsent = conn_unsent(&connection->conn);
    uint64_t progress = connection->content_at > unsent ? connection->content_at - unsent : 0;
    char why[120];
    if (connection->wants_content && progress >= connection->progress + OUTBOUND_PACE_OCTETS) {
        connection->progress = progress;
        conn_set_deadline(&connection->conn, delivery_timeout_ms(&connection->delivery));
        return;
    }
    if (!connection->reached && !connection->handshaking &&
        delivery_step(&connection->delivery) == STEP_CONNECT)
        relay_route_silent(connection);
    snprintf(why, sizeof why, "timed out: no answer in the step %s",
             client_step_name(connection->handshaking ? STEP_TLS : delivery_step(&connection->delivery)));
    lost(connection, connection->handshaking, TLS_LOSS_SILENT, why);
    finish_if_over(connection);
}

static const struct conn_events outbound_events = {.on_connected = on_connected,
                                                   .on_input = on_input,
                                                   .on_drained = on_drained,
                                                   .on_tls = on_tls,
                                                   .on_end = on_end,
                                                   .on_timeout = on_timeout};

/* A smarthost whose port we found is expected to be quick until it takes a
 * message: when it is not, another port is looked for. */
static uint32_t patience_ms(const struct outbound_connection *connection, uint32_t usual_ms)
{
    if (relay_route_is_auto(connection) && !connection->by_smarthost && !connection->delivery.has_session)
        /* there is another way */
        return usual_ms > PORT25_MONITOR_PATIENCE_MS ? PORT25_MONITOR_PATIENCE_MS : usual_ms;
    uint32_t most_ms = connection->delivery.has_session ? RACE_STEP_MS : RACE_CONNECT_MS;
    return smarthost_is_auto(connection) && connection->delivery.messages == 0 && usual_ms > most_ms
               ? most_ms
               : usual_ms;
}

/* What the delivery asks of the peer; its texts are the delivery's. */
static struct conn_peer peer_of(struct outbound_connection *connection, const struct delivery_action *action)
{
    struct bytes name = bytes_first(action->name, DOMAIN_MAX);
    memcpy(connection->name, name.at, name.length);
    connection->name[name.length] = '\0';
    return (struct conn_peer){.name = connection->name,
                              .verify = action->verify,
                              .tlsa = action->tlsa,
                              .tlsa_count = action->tlsa_count,
                              .names = {action->names[0], action->names[1]},
                              .protocol = connection->delivery.options.port == RACE_LAST_PORT ? "smtp"
                                                                                              : NULL};
}

static void on_eyeballs_done(void *owner, int descriptor, size_t index, enum conn_end end, const char *why)
{
    struct outbound_connection *connection = owner;
    char text[sizeof connection->eyeballs->why];
    snprintf(text, sizeof text, "%s", why);
    end_eyeballs(connection);
    if (descriptor >= 0) {
        delivery_took(&connection->delivery, index);
        connection->has_conn = true;
        conn_start(&connection->conn, connection->relay->child->loop, descriptor, &outbound_events,
                   connection);
        conn_set_deadline(&connection->conn, patience_ms(connection, CONNECT_TIMEOUT_MS));
        on_connected(connection);
        return;
    }
    if (end == CONN_END_REFUSED)
        relay_route_reached(connection);
    else if (end == CONN_END_TIMEOUT)
        relay_route_silent(connection);
    delivery_tried_all(&connection->delivery);
    lost(connection, false, TLS_LOSS_ENDED, text);
    finish_if_over(connection);
}

static void connect_to(struct outbound_connection *connection, const struct delivery_action *action)
{
    static const struct happy_eyeballs_events eyeballs_events = {.on_done = on_eyeballs_done};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(action->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(action->port)};
    memcpy(&six.sin6_addr, action->address.octets, 16);
    memcpy(&four.sin_addr, action->address.octets, 4);
    const void *address = action->address.six ? (const void *)&six : (const void *)&four;
    socklen_t length = action->address.six ? sizeof six : sizeof four;
    connection->peer = peer_of(connection, action);
    connection->tls = (struct tls_result){0};
    connection->content_at = connection->progress = 0; /* a fresh connection gets the whole message */
    connection->content_given = false;
    connection->connecting_tls = action->tls;
    if (action->address_count > 1) {
        connection->eyeballs = memory_new(sizeof *connection->eyeballs);
        happy_eyeballs_start(connection->eyeballs, connection->relay->child->loop, action->addresses,
                             action->address_count, action->port, patience_ms(connection, action->timeout_ms),
                             &eyeballs_events, connection);
        return;
    }
    connection->has_conn = true;
    conn_connect(&connection->conn, connection->relay->child->loop, address, length, &outbound_events,
                 connection);
    conn_set_deadline(&connection->conn, patience_ms(connection, action->timeout_ms));
}

/* ---- content ---- */

static void give_content(struct outbound_connection *connection)
{
    char buffer[CONTENT_READ_MAX];
    struct bytes part = bytes_none();
    size_t front = connection->front.length;
    bool last;
    if (connection->content_at < front) {
        part = bytes_from(connection->front, connection->content_at);
        last = connection->envelope.size == front;
    } else if (connection->file < 0) {
        part = bytes_first(bytes_from(connection->content, connection->content_at - front), CONTENT_RUN_MAX);
        last = connection->content_at + part.length == front + connection->content.length;
    } else {
        ssize_t count = pread(connection->file, buffer, sizeof buffer,
                              (off_t)(connection->content_at - front));
        if (count <= 0) { /* never end a message that is not whole */
            lost(connection, false, TLS_LOSS_ENDED, "the content could not be read");
            return;
        }
        part = bytes_of(buffer, (size_t)count);
        last = connection->content_at + part.length >= connection->envelope.size;
    }
    connection->content_at += part.length;
    connection->content_given = connection->content_given || last;
    delivery_content(&connection->delivery, part, last);
}

/* ---- the machine ---- */

/* Another port may do: the message waits until it is found. */
static void begin_again(struct outbound_connection *connection)
{
    if (is_connected(connection))
        conn_close(&connection->conn);
    connection->has_conn = connection->handshaking = connection->connecting_tls = false;
    delivery_free(&connection->delivery);
    connection->delivery = (struct delivery){0};
    relay_route_choose(connection);
    if (!smarthost_must_wait(connection))
        /* it is known already; not from within the old delivery's call */
        timer_set(&connection->step_timer, 0);
}

static void on_resolved(void *owner, const struct dns_answer *answer)
{
    struct outbound_connection *connection = owner;
    struct dns_facts facts = dns_facts(answer);
    delivery_learned(&connection->delivery, connection->question.type, &facts);
    run(connection);
    finish_if_over(connection);
}

static void on_sts(void *owner, const struct sts_policy *policy)
{
    struct outbound_connection *connection = owner;
    delivery_sts(&connection->delivery, policy);
    if (connection->running) /* it was known at once */
        return;
    run(connection);
    finish_if_over(connection);
}

/* A domain of fifty servers that are all silent holds its place in the queue no longer. */
static bool is_out_of_time(const struct outbound_connection *connection, enum delivery_action_kind kind)
{
    return (kind == DELIVERY_RESOLVE || kind == DELIVERY_CONNECT) &&
           clock_now_ms() - connection->began_ms > OUTBOUND_SEARCH_MS;
}

/* True when it goes on at once. */
static bool act(struct outbound_connection *connection, const struct delivery_action *action)
{
    if (is_out_of_time(connection, action->kind)) {
        delivery_out_of_time(&connection->delivery);
        return true;
    }
    switch (action->kind) {
    case DELIVERY_RESOLVE:
        dns_ask(connection->relay->dns, &connection->question, action->name, action->type, on_resolved,
                connection);
        break;
    case DELIVERY_ASK_STS:
        sts_policies_ask(&connection->relay->policies, &connection->sts, action->name, on_sts, connection);
        break;
    case DELIVERY_CONNECT: connect_to(connection, action); break;
    case DELIVERY_SEND: conn_write(&connection->conn, action->bytes); break;
    case DELIVERY_STARTTLS:
        if (conn_input(&connection->conn).length > 0) { /* RFC 3207 6 */
            lost(connection, true, TLS_LOSS_CLEAR_TEXT, CLEAR_TEXT_AFTER_STARTTLS);
            break;
        }
        connection->handshaking = true;
        connection->peer = peer_of(connection, action);
        conn_start_tls_peer(&connection->conn, &connection->relay->tls, &connection->peer);
        break;
    case DELIVERY_ASK:
        sasl_client_answer(&connection->delivery.session, &action->asked, &connection->conn);
        break;
    case DELIVERY_WANT_CONTENT:
        connection->wants_content = true;
        if (action->begins)
            connection->content_at = connection->progress = 0;
        if (conn_output_is_full(&connection->conn))
            return false; /* on_drained goes on */
        connection->wants_content = false;
        give_content(connection);
        break;
    case DELIVERY_DONE:
        if (relay_route_has_other(connection) ||
            smarthost_has_failed(connection, action->results, action->result_count)) {
            begin_again(connection);
            return false;
        }
        if (action->results[0].step == STEP_AUTH && action->results[0].code >= 500)
            smarthost_secret_refused(connection);
        relay_answer(connection->relay, connection, action->results, action->result_count);
        let_message_go(connection);
        break;
    case DELIVERY_CLOSE:
        if (is_connected(connection))
            conn_close(&connection->conn);
        connection->has_conn = connection->handshaking = false;
        break;
    case DELIVERY_NOTHING: return false;
    }
    return true;
}

static void idle_for_long(void *owner)
{
    struct outbound_connection *connection = owner;
    outbound_quit(connection);
}

/* Pulls what there is to do; sets `over` when nothing ever will be. */
static void run(struct outbound_connection *connection)
{
    struct delivery_action action;
    if (connection->running) /* from within: the outer one goes on */
        return;
    connection->running = true;
    connection->relay->fallback.now_ms = clock_boot_ms();
    if (connection->wants_content && is_connected(connection) && !conn_output_is_full(&connection->conn)) {
        connection->wants_content = false;
        give_content(connection);
    }
    while (!connection->wants_content && delivery_action(&connection->delivery, &action))
        if (!act(connection, &action))
            break;
    connection->running = false;
    if (is_connected(connection) && connection->delivery.connected)
        conn_set_deadline(&connection->conn,
                          patience_ms(connection, delivery_timeout_ms(&connection->delivery)));
    if (connection->number == 0 && delivery_is_open(&connection->delivery) && !connection->idle &&
        !connection->relay->draining) {
        relay_is_idle(connection->relay, connection);
        timer_set(&connection->idle_timer, OUTBOUND_IDLE_MS);
    } else if (connection->number == 0 && delivery_is_open(&connection->delivery) && !connection->idle) {
        outbound_quit(connection);
        return;
    }
    connection->over = connection->number == 0 && !is_connected(connection) && !connection->question.asked &&
                       connection->sts.inquiry == NULL;
    if (connection->over)
        timer_set(&connection->step_timer, 0);
}

static void step_over(void *owner)
{
    struct outbound_connection *connection = owner;
    if (connection->number != 0 && connection->delivery.envelope == NULL && !connection->waiting &&
        !connection->wants_secret)
        outbound_go(connection);
    else
        finish_if_over(connection);
}

/* ---- beginning ---- */

void outbound_start(struct relay *relay, struct channel *from, const struct ipc_deliver *deliver, int content)
{
    struct outbound_connection *connection = memory_new(sizeof *connection);
    struct bytes destination = bytes_first(deliver->destination, sizeof connection->destination);
    connection->relay = relay;
    connection->conn.descriptor = -1;
    memcpy(connection->destination, destination.at, destination.length);
    connection->destination_length = destination.length;
    connection->hop = (enum next_hop)deliver->hop;
    connection->next = relay->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    relay->connections = connection;
    timer_start(&connection->idle_timer, relay->child->loop, idle_for_long, connection);
    timer_start(&connection->step_timer, relay->child->loop, step_over, connection);
    take_message(connection, from, deliver, content);
    relay_route_choose(connection);
    if (!smarthost_must_wait(connection))
        outbound_go(connection);
}

void outbound_go(struct outbound_connection *connection)
{
    if (smarthost_secret_must_wait(connection))
        return;
    struct delivery_options options = relay_options(connection);
    smarthost_secret_give(connection, &options);
    delivery_start(&connection->delivery, &options, &connection->envelope);
    run(connection);
}

void outbound_defer(struct outbound_connection *connection, struct bytes why)
{
    size_t count = connection->envelope.recipient_count;
    struct delivery_result *results = ARENA_ARRAY(&connection->arena, struct delivery_result, count);
    for (size_t i = 0; i < count; i++)
        results[i] = (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                              .step = STEP_CONNECT,
                                              .enhanced = BYTES("4.4.1"),
                                              .text = arena_copy(&connection->arena, why)};
    relay_answer(connection->relay, connection, results, count);
    outbound_free(connection);
}

void outbound_next(struct outbound_connection *connection, struct channel *from,
                   const struct ipc_deliver *deliver, int content)
{
    relay_not_idle(connection->relay, connection);
    timer_cancel(&connection->idle_timer);
    take_message(connection, from, deliver, content);
    delivery_next(&connection->delivery, &connection->envelope);
    run(connection);
}

bool outbound_suits(const struct outbound_connection *connection, const struct envelope *envelope)
{
    return delivery_suits(&connection->delivery, envelope);
}

void outbound_quit(struct outbound_connection *connection)
{
    relay_not_idle(connection->relay, connection);
    timer_cancel(&connection->idle_timer);
    delivery_quit(&connection->delivery);
    run(connection);
}
