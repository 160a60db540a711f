/* SPDX-License-Identifier: Apache-2.0 */
#include "service/relay/relay.h"

#include "io/clock.h"
#include "dial/sasl_client.h"
#include "io/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void run(struct carrier *carrier);

/* ---- the message ---- */

/* An address whose domain alone is international goes in ASCII: every server knows it then (RFC 5890 2.3.2.1). */
static struct bytes copy_address(struct arena *arena, struct bytes address)
{
    char domain[DOMAIN_MAX + 1], name[DOMAIN_MAX + 1];
    size_t at = bytes_find_last(address, '@');
    if (bytes_is_ascii(address) || at == SIZE_MAX || !bytes_is_ascii(bytes_first(address, at)) || address.length - at > DOMAIN_MAX)
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

static void take_message(struct carrier *carrier, struct channel *from, const struct ipc_deliver *deliver, int content)
{
    arena_clear(&carrier->arena);
    carrier->envelope = copy_envelope(&carrier->arena, &deliver->envelope);
    carrier->front = arena_copy(&carrier->arena, deliver->front);
    carrier->content = content >= 0 ? bytes_none() : arena_copy(&carrier->arena, deliver->content);
    carrier->file = content;
    carrier->content_at = carrier->progress = 0;
    carrier->content_given = carrier->wants_content = carrier->waited = false;
    carrier->id = deliver->id;
    carrier->number = deliver->delivery;
    carrier->from = from;
    carrier->began_ms = clock_now_ms();
    carrier->relay->busy_count++;
}

static void let_message_go(struct carrier *carrier)
{
    if (carrier->number == 0)
        return;
    if (carrier->file >= 0)
        close(carrier->file);
    carrier->file = -1;
    carrier->number = 0;
    carrier->relay->busy_count--;
}

bool carrier_has_given_all(const struct carrier *carrier)
{
    return carrier->content_given;
}

/* ---- ending ---- */

static void end_knock(struct carrier *carrier)
{
    if (carrier->knock == NULL)
        return;
    knock_stop(carrier->knock);
    free(carrier->knock);
    carrier->knock = NULL;
}

static void carrier_free(struct carrier *carrier)
{
    struct relay *relay = carrier->relay;
    relay_not_idle(relay, carrier);
    if (carrier->question.asked)
        dns_cancel(&carrier->question);
    policies_cancel(&carrier->sts);
    timer_cancel(&carrier->idle_timer);
    timer_cancel(&carrier->step_timer);
    if (carrier->has_conn)
        conn_close(&carrier->conn);
    end_knock(carrier);
    delivery_free(&carrier->delivery);
    secret_forget(carrier);
    let_message_go(carrier);
    arena_clear(&carrier->arena);
    *(carrier->previous == NULL ? &relay->carriers : &carrier->previous->next) = carrier->next;
    if (carrier->next != NULL)
        carrier->next->previous = carrier->previous;
    free(carrier);
    relay_leave_if_done(relay);
}

void carrier_cut(struct carrier *carrier)
{
    carrier_free(carrier);
}

/* ---- the connection ---- */

static bool is_connected(const struct carrier *carrier)
{
    return carrier->has_conn;
}

/* What comes next is logged where it is not what was wished for. */
static void tell_of_clear(const struct carrier *carrier)
{
    struct buffer peer = {0};
    if (carrier->delivery.next != TLS_NEXT_CLEAR)
        return;
    delivery_peer(&carrier->delivery, &peer);
    log_event(LOG_EVENT_WARN, "tls_abandoned", LOG_ID(carrier->id), LOG_BYTES("peer", buffer_bytes(&peer)),
              LOG_BYTES("reason", delivery_clear_reason(&carrier->delivery)));
    buffer_free(&peer);
}

static void lost(struct carrier *carrier, bool in_tls, enum tls_loss how, const char *why)
{
    if (is_connected(carrier))
        conn_close(&carrier->conn);
    carrier->has_conn = carrier->handshaking = carrier->connecting_tls = false;
    carrier->wants_content = false;
    carrier->relay->trouble.now_ms = clock_boot_ms();
    delivery_lost(&carrier->delivery, in_tls, how, bytes_of_text(why));
    tell_of_clear(carrier);
    run(carrier);
}

static void feed(struct carrier *carrier)
{
    size_t used;
    while (is_connected(carrier) && !carrier->handshaking && (used = delivery_feed(&carrier->delivery, conn_input(&carrier->conn))) > 0) {
        conn_consume(&carrier->conn, used);
        run(carrier);
        if (carrier->over)
            return;
    }
}

static void finish_if_over(struct carrier *carrier)
{
    if (carrier->over)
        carrier_free(carrier);
}

static void on_connected(void *owner)
{
    struct carrier *carrier = owner;
    ways_reached(carrier);
    if (carrier->connecting_tls) {
        carrier->handshaking = true;
        conn_start_tls_peer(&carrier->conn, &carrier->relay->tls, &carrier->peer);
        return;
    }
    delivery_connected(&carrier->delivery);
    run(carrier);
    finish_if_over(carrier);
}

static void on_tls(void *owner)
{
    struct carrier *carrier = owner;
    struct bytes text = conn_tls_text(&carrier->conn, carrier->tls_text, sizeof carrier->tls_text - 72);
    snprintf(carrier->tls_text + text.length, sizeof carrier->tls_text - text.length, " certificate=%s%s policy=%.*s",
             tls_certificate_name(conn_tls_certificate(&carrier->conn)), conn_tls_resumed(&carrier->conn) ? " resumed" : "",
             BYTES_ARG(delivery_tls_word(&carrier->delivery)));
    carrier->handshaking = false;
    if (carrier->connecting_tls)
        delivery_connected(&carrier->delivery);
    else
        delivery_tls_started(&carrier->delivery);
    carrier->connecting_tls = false;
    run(carrier);
    finish_if_over(carrier);
}

static void on_input(void *owner)
{
    struct carrier *carrier = owner;
    feed(carrier);
    finish_if_over(carrier);
}

static void on_drained(void *owner)
{
    struct carrier *carrier = owner;
    run(carrier);
    finish_if_over(carrier);
}

static void on_end(void *owner, enum conn_end end)
{
    struct carrier *carrier = owner;
    char why[sizeof carrier->conn.why];
    snprintf(why, sizeof why, "%s", carrier->conn.why[0] != '\0' ? carrier->conn.why : "the connection ended");
    feed(carrier); /* what it said before */
    if (end == CONN_END_REFUSED)
        ways_reached(carrier); /* who refuses answers */
    else if (end == CONN_END_TIMEOUT && !carrier->delivery.connected)
        ways_silent(carrier);
    /* After STARTTLS; a port that expects no TLS at once is just the wrong one. */
    bool injected = conn_met_clear_text(&carrier->conn) && !carrier->connecting_tls;
    enum tls_loss how = end == CONN_END_TIMEOUT ? TLS_LOSS_SILENT : TLS_LOSS_ENDED;
    if (injected)
        how = TLS_LOSS_CLEAR_TEXT;
    if (!carrier->over)
        lost(carrier, end == CONN_END_TLS || carrier->handshaking, how, injected ? CLEAR_TEXT_BEHIND : why);
    finish_if_over(carrier);
}

/* Silence; but while our own octets still leave, and not one by one, the peer
 * need not speak. */
static void on_timeout(void *owner)
{
    struct carrier *carrier = owner;
    size_t unsent = conn_unsent(&carrier->conn);
    uint64_t progress = carrier->content_at > unsent ? carrier->content_at - unsent : 0;
    char why[120];
    if (carrier->wants_content && progress >= carrier->progress + CARRIER_PACE_OCTETS) {
        carrier->progress = progress;
        conn_set_deadline(&carrier->conn, delivery_timeout_ms(&carrier->delivery));
        return;
    }
    if (!carrier->reached && !carrier->handshaking && delivery_step(&carrier->delivery) == STEP_CONNECT)
        ways_silent(carrier);
    snprintf(why, sizeof why, "timed out: no answer in the step %s", client_step_name(carrier->handshaking ? STEP_TLS : delivery_step(&carrier->delivery)));
    lost(carrier, carrier->handshaking, TLS_LOSS_SILENT, why);
    finish_if_over(carrier);
}

static const struct conn_events carrier_events = {
    .on_connected = on_connected, .on_input = on_input, .on_drained = on_drained, .on_tls = on_tls, .on_end = on_end, .on_timeout = on_timeout};

/* A smarthost whose port we found is expected to be quick until it takes a
 * message: when it is not, another port is looked for. */
static uint32_t patience_ms(const struct carrier *carrier, uint32_t usual_ms)
{
    if (ways_is_auto(carrier) && !carrier->by_smarthost && !carrier->delivery.has_session)
        return usual_ms > DIRECT_PATIENCE_MS ? DIRECT_PATIENCE_MS : usual_ms; /* there is another way */
    uint32_t most_ms = carrier->delivery.has_session ? RACE_STEP_MS : RACE_CONNECT_MS;
    return smarthost_is_auto(carrier) && carrier->delivery.messages == 0 && usual_ms > most_ms ? most_ms : usual_ms;
}

/* What the delivery asks of the peer; its texts are the delivery's. */
static struct conn_peer peer_of(struct carrier *carrier, const struct delivery_action *action)
{
    struct bytes name = bytes_first(action->name, DOMAIN_MAX);
    memcpy(carrier->name, name.at, name.length);
    carrier->name[name.length] = '\0';
    return (struct conn_peer){.name = carrier->name, .verify = action->verify, .tlsa = action->tlsa, .tlsa_count = action->tlsa_count,
                              .names = {action->names[0], action->names[1]}, .protocol = carrier->delivery.options.port == RACE_LAST_PORT ? "smtp" : NULL};
}

static void on_knocked(void *owner, int descriptor, size_t index, enum conn_end end, const char *why)
{
    struct carrier *carrier = owner;
    char text[sizeof carrier->knock->why];
    snprintf(text, sizeof text, "%s", why);
    end_knock(carrier);
    if (descriptor >= 0) {
        delivery_took(&carrier->delivery, index);
        carrier->has_conn = true;
        conn_start(&carrier->conn, carrier->relay->child->loop, descriptor, &carrier_events, carrier);
        conn_set_deadline(&carrier->conn, patience_ms(carrier, CONNECT_TIMEOUT_MS));
        on_connected(carrier);
        return;
    }
    if (end == CONN_END_REFUSED)
        ways_reached(carrier);
    else if (end == CONN_END_TIMEOUT)
        ways_silent(carrier);
    delivery_tried_all(&carrier->delivery);
    lost(carrier, false, TLS_LOSS_ENDED, text);
    finish_if_over(carrier);
}

static void connect_to(struct carrier *carrier, const struct delivery_action *action)
{
    static const struct knock_events knocked = {.on_done = on_knocked};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(action->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(action->port)};
    memcpy(&six.sin6_addr, action->address.octets, 16);
    memcpy(&four.sin_addr, action->address.octets, 4);
    const void *address = action->address.six ? (const void *)&six : (const void *)&four;
    socklen_t length = action->address.six ? sizeof six : sizeof four;
    carrier->peer = peer_of(carrier, action);
    carrier->tls_text[0] = '\0';
    carrier->content_at = carrier->progress = 0; /* a fresh connection gets the whole message */
    carrier->content_given = false;
    carrier->connecting_tls = action->tls;
    if (action->address_count > 1) {
        carrier->knock = memory_new(sizeof *carrier->knock);
        knock_start(carrier->knock, carrier->relay->child->loop, action->addresses, action->address_count, action->port, patience_ms(carrier, action->timeout_ms),
                    &knocked, carrier);
        return;
    }
    carrier->has_conn = true;
    conn_connect(&carrier->conn, carrier->relay->child->loop, address, length, &carrier_events, carrier);
    conn_set_deadline(&carrier->conn, patience_ms(carrier, action->timeout_ms));
}

/* ---- content ---- */

static void give_content(struct carrier *carrier)
{
    char room[CONTENT_READ_MAX];
    struct bytes part = bytes_none();
    size_t front = carrier->front.length;
    bool last;
    if (carrier->content_at < front) {
        part = bytes_from(carrier->front, carrier->content_at);
        last = carrier->envelope.size == front;
    } else if (carrier->file < 0) {
        part = bytes_first(bytes_from(carrier->content, carrier->content_at - front), CONTENT_RUN_MAX);
        last = carrier->content_at + part.length == front + carrier->content.length;
    } else {
        ssize_t count = pread(carrier->file, room, sizeof room, (off_t)(carrier->content_at - front));
        if (count <= 0) { /* never end a message that is not whole */
            lost(carrier, false, TLS_LOSS_ENDED, "the content could not be read");
            return;
        }
        part = bytes_of(room, (size_t)count);
        last = carrier->content_at + part.length >= carrier->envelope.size;
    }
    carrier->content_at += part.length;
    carrier->content_given = carrier->content_given || last;
    delivery_content(&carrier->delivery, part, last);
}

/* ---- the machine ---- */

/* Another port may do: the message waits until it is found. */
static void begin_again(struct carrier *carrier)
{
    if (is_connected(carrier))
        conn_close(&carrier->conn);
    carrier->has_conn = carrier->handshaking = carrier->connecting_tls = false;
    delivery_free(&carrier->delivery);
    carrier->delivery = (struct delivery){0};
    ways_choose(carrier);
    if (!smarthost_must_wait(carrier))
        timer_set(&carrier->step_timer, 0); /* it is known already; not from within the old delivery's call */
}

static void on_resolved(void *owner, const struct dns_answer *answer)
{
    struct carrier *carrier = owner;
    struct dns_facts facts = dns_facts(answer);
    delivery_learned(&carrier->delivery, carrier->question.type, &facts);
    run(carrier);
    finish_if_over(carrier);
}

static void on_sts(void *owner, const struct sts_policy *policy)
{
    struct carrier *carrier = owner;
    delivery_sts(&carrier->delivery, policy);
    if (carrier->running) /* it was known at once */
        return;
    run(carrier);
    finish_if_over(carrier);
}

/* A domain of fifty servers that are all silent holds its place in the queue no longer. */
static bool is_out_of_time(const struct carrier *carrier, enum delivery_action_kind kind)
{
    return (kind == DELIVERY_RESOLVE || kind == DELIVERY_CONNECT) &&
           clock_now_ms() - carrier->began_ms > CARRIER_SEARCH_MS;
}

/* True when it goes on at once. */
static bool act(struct carrier *carrier, const struct delivery_action *action)
{
    if (is_out_of_time(carrier, action->kind)) {
        delivery_out_of_time(&carrier->delivery);
        return true;
    }
    switch (action->kind) {
    case DELIVERY_RESOLVE:
        dns_ask(carrier->relay->dns, &carrier->question, action->name, action->type, on_resolved, carrier);
        break;
    case DELIVERY_ASK_STS:
        policies_ask(&carrier->relay->policies, &carrier->sts, action->name, on_sts, carrier);
        break;
    case DELIVERY_CONNECT:
        connect_to(carrier, action);
        break;
    case DELIVERY_SEND:
        conn_write(&carrier->conn, action->bytes);
        break;
    case DELIVERY_STARTTLS:
        if (conn_input(&carrier->conn).length > 0) { /* RFC 3207 6 */
            lost(carrier, true, TLS_LOSS_CLEAR_TEXT, CLEAR_TEXT_BEHIND);
            break;
        }
        carrier->handshaking = true;
        carrier->peer = peer_of(carrier, action);
        conn_start_tls_peer(&carrier->conn, &carrier->relay->tls, &carrier->peer);
        break;
    case DELIVERY_ASK:
        signing_answer(&carrier->delivery.session, &action->asked, &carrier->conn);
        break;
    case DELIVERY_WANT_CONTENT:
        carrier->wants_content = true;
        if (action->begins)
            carrier->content_at = carrier->progress = 0;
        if (conn_output_is_full(&carrier->conn))
            return false; /* on_drained goes on */
        carrier->wants_content = false;
        give_content(carrier);
        break;
    case DELIVERY_DONE:
        if (ways_has_other(carrier) || smarthost_has_failed(carrier, action->results, action->result_count)) {
            begin_again(carrier);
            return false;
        }
        if (action->results[0].step == STEP_AUTH && action->results[0].code >= 500)
            secret_refused(carrier);
        relay_answer(carrier->relay, carrier, action->results, action->result_count);
        let_message_go(carrier);
        break;
    case DELIVERY_CLOSE:
        if (is_connected(carrier))
            conn_close(&carrier->conn);
        carrier->has_conn = carrier->handshaking = false;
        break;
    case DELIVERY_NOTHING:
        return false;
    }
    return true;
}

static void idle_for_long(void *owner)
{
    struct carrier *carrier = owner;
    carrier_quit(carrier);
}

/* Pulls what there is to do; sets `over` when nothing ever will be. */
static void run(struct carrier *carrier)
{
    struct delivery_action action;
    if (carrier->running) /* from within: the outer one goes on */
        return;
    carrier->running = true;
    carrier->relay->trouble.now_ms = clock_boot_ms();
    if (carrier->wants_content && is_connected(carrier) && !conn_output_is_full(&carrier->conn)) {
        carrier->wants_content = false;
        give_content(carrier);
    }
    while (!carrier->wants_content && delivery_action(&carrier->delivery, &action))
        if (!act(carrier, &action))
            break;
    carrier->running = false;
    if (is_connected(carrier) && carrier->delivery.connected)
        conn_set_deadline(&carrier->conn, patience_ms(carrier, delivery_timeout_ms(&carrier->delivery)));
    if (carrier->number == 0 && delivery_is_open(&carrier->delivery) && !carrier->idle && !carrier->relay->draining) {
        relay_is_idle(carrier->relay, carrier);
        timer_set(&carrier->idle_timer, CARRIER_IDLE_MS);
    } else if (carrier->number == 0 && delivery_is_open(&carrier->delivery) && !carrier->idle) {
        carrier_quit(carrier);
        return;
    }
    carrier->over = carrier->number == 0 && !is_connected(carrier) && !carrier->question.asked && carrier->sts.inquiry == NULL;
    if (carrier->over)
        timer_set(&carrier->step_timer, 0);
}

static void step_over(void *owner)
{
    struct carrier *carrier = owner;
    if (carrier->number != 0 && carrier->delivery.envelope == NULL && !carrier->waiting && !carrier->wants_secret)
        carrier_go(carrier);
    else
        finish_if_over(carrier);
}

/* ---- beginning ---- */

void carrier_start(struct relay *relay, struct channel *from, const struct ipc_deliver *deliver, int content)
{
    struct carrier *carrier = memory_new(sizeof *carrier);
    struct bytes destination = bytes_first(deliver->destination, sizeof carrier->destination);
    carrier->relay = relay;
    carrier->conn.descriptor = -1;
    memcpy(carrier->destination, destination.at, destination.length);
    carrier->destination_length = destination.length;
    carrier->next = relay->carriers;
    if (carrier->next != NULL)
        carrier->next->previous = carrier;
    relay->carriers = carrier;
    timer_start(&carrier->idle_timer, relay->child->loop, idle_for_long, carrier);
    timer_start(&carrier->step_timer, relay->child->loop, step_over, carrier);
    take_message(carrier, from, deliver, content);
    ways_choose(carrier);
    if (!smarthost_must_wait(carrier))
        carrier_go(carrier);
}

void carrier_go(struct carrier *carrier)
{
    if (secret_must_wait(carrier))
        return;
    struct delivery_options options = relay_options(carrier);
    secret_give(carrier, &options);
    delivery_start(&carrier->delivery, &options, &carrier->envelope);
    run(carrier);
}

void carrier_defer(struct carrier *carrier, struct bytes why)
{
    size_t count = carrier->envelope.recipient_count;
    struct client_result *results = ARENA_ARRAY(&carrier->arena, struct client_result, count);
    for (size_t i = 0; i < count; i++)
        results[i] = (struct client_result){.outcome = OUTCOME_DEFERRED, .step = STEP_CONNECT, .enhanced = BYTES("4.4.1"), .text = arena_copy(&carrier->arena, why)};
    relay_answer(carrier->relay, carrier, results, count);
    carrier_free(carrier);
}

void carrier_next(struct carrier *carrier, struct channel *from, const struct ipc_deliver *deliver, int content)
{
    relay_not_idle(carrier->relay, carrier);
    timer_cancel(&carrier->idle_timer);
    take_message(carrier, from, deliver, content);
    delivery_next(&carrier->delivery, &carrier->envelope);
    run(carrier);
}

bool carrier_suits(const struct carrier *carrier, const struct envelope *envelope)
{
    return delivery_suits(&carrier->delivery, envelope);
}

void carrier_quit(struct carrier *carrier)
{
    relay_not_idle(carrier->relay, carrier);
    timer_cancel(&carrier->idle_timer);
    delivery_quit(&carrier->delivery);
    run(carrier);
}
