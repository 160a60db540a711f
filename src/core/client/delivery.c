/* SPDX-License-Identifier: Apache-2.0 */
#include "client/delivery.h"

#include <assert.h>

/* ---- results ---- */

static void decide_all(struct delivery *delivery, struct client_result result)
{
    delivery->results = ARENA_ARRAY(&delivery->arena, struct client_result, delivery->envelope->recipient_count);
    for (size_t i = 0; i < delivery->envelope->recipient_count; i++)
        delivery->results[i] = result;
}

static struct client_result copied(struct delivery *delivery, const struct client_result *result)
{
    struct client_result copy = *result;
    copy.enhanced = arena_copy(&delivery->arena, result->enhanced);
    copy.text = arena_copy(&delivery->arena, result->text);
    return copy;
}

static void drop_session(struct delivery *delivery)
{
    if (delivery->has_session)
        client_session_free(&delivery->session);
    delivery->has_session = false;
    delivery->close_due = delivery->close_due || delivery->connected;
    delivery->connected = false;
}

/* Nothing more can be tried: what the last host said is the reason. */
static void end_route(struct delivery *delivery, const struct route_answer *answer)
{
    struct client_result result = delivery->last;
    if (answer->reason != NULL)
        result = (struct client_result){.outcome = answer->final ? OUTCOME_FAILED : OUTCOME_DEFERRED, .step = STEP_DNS,
                                        .enhanced = bytes_of_text(answer->enhanced), .text = bytes_of_text(answer->reason)};
    /* That no host would talk to us is never the recipient's fault: wait. */
    else
        result.outcome = OUTCOME_DEFERRED;
    decide_all(delivery, result);
    delivery->stage = DELIVERY_OVER;
}

/* ---- life ---- */

static void begin(struct delivery *delivery, const struct envelope *envelope)
{
    arena_clear(&delivery->arena);
    delivery->envelope = envelope;
    delivery->results = NULL;
    delivery->done_told = false;
    delivery->last = (struct client_result){.outcome = OUTCOME_DEFERRED, .step = STEP_CONNECT, .enhanced = BYTES("4.4.1"),
                                            .text = BYTES("no server could be reached")};
}

void delivery_start(struct delivery *delivery, const struct delivery_options *options, const struct envelope *envelope)
{
    assert(options->port != 0 && envelope->recipient_count > 0);
    *delivery = (struct delivery){.options = *options, .stage = DELIVERY_ROUTING};
    route_start(&delivery->route, options->domain, options->hostname, options->smarthost, options->random);
    begin(delivery, envelope);
}

void delivery_free(struct delivery *delivery)
{
    if (delivery->has_session)
        client_session_free(&delivery->session);
    delivery->has_session = false;
    route_free(&delivery->route);
    arena_clear(&delivery->arena);
}

static enum client_tls tls_of(const struct delivery *delivery)
{
    return delivery->in_clear ? CLIENT_TLS_NEVER : delivery->options.tls;
}

/* ---- routing ---- */

static bool connect_action(struct delivery *delivery, struct delivery_action *action)
{
    delivery->stage = DELIVERY_CONNECTING;
    *action = (struct delivery_action){
        .kind = DELIVERY_CONNECT, .name = delivery->host, .address = delivery->address, .port = delivery->options.port,
        .timeout_ms = CONNECT_TIMEOUT_MS,
        .tls = tls_of(delivery) == CLIENT_TLS_IMPLICIT, .verify = delivery->options.verify};
    return true;
}

static bool next_step(struct delivery *delivery, struct delivery_action *action)
{
    if (delivery->clear_next) { /* the same address again, without TLS */
        delivery->clear_next = false;
        delivery->in_clear = true;
        return connect_action(delivery, action);
    }
    delivery->in_clear = false;
    struct route_answer answer = route_next(&delivery->route);
    switch (answer.kind) {
    case ROUTE_ASK:
        delivery->stage = DELIVERY_RESOLVING;
        *action = (struct delivery_action){.kind = DELIVERY_RESOLVE, .name = answer.name, .type = answer.type};
        return true;
    case ROUTE_TRY:
        delivery->host = answer.name;
        delivery->address = answer.address;
        return connect_action(delivery, action);
    case ROUTE_END:
        break;
    }
    end_route(delivery, &answer);
    return false;
}

void delivery_resolved(struct delivery *delivery, enum dns_type type, enum dns_status status, const struct dns_record *records, size_t count)
{
    assert(delivery->stage == DELIVERY_RESOLVING);
    delivery->stage = DELIVERY_ROUTING;
    route_learn(&delivery->route, type, status, records, count);
}

/* ---- the session ---- */

void delivery_connected(struct delivery *delivery)
{
    struct client_options options = {.helo = delivery->options.hostname, .tls = tls_of(delivery),
                                     .user = delivery->options.user, .password = delivery->options.password};
    assert(delivery->stage == DELIVERY_CONNECTING);
    client_session_start(&delivery->session, &options);
    delivery->has_session = delivery->connected = true;
    delivery->messages = 0;
    delivery->stage = DELIVERY_TALKING;
}

void delivery_tls_started(struct delivery *delivery)
{
    delivery->stage = DELIVERY_TALKING;
    client_session_tls_started(&delivery->session);
}

size_t delivery_feed(struct delivery *delivery, struct bytes input)
{
    return delivery->has_session && delivery->stage != DELIVERY_HANDSHAKING ? client_session_feed(&delivery->session, input) : 0;
}

void delivery_content(struct delivery *delivery, struct bytes run, bool last)
{
    client_session_content(&delivery->session, run, last);
}

static void give_message(struct delivery *delivery)
{
    delivery->transacting = true;
    delivery->messages++;
    delivery->stage = DELIVERY_TALKING;
    client_session_send(&delivery->session, delivery->envelope);
}

/* This host would not do; the next one, unless asking on would harm. */
static void give_up_host(struct delivery *delivery, const struct client_result *why)
{
    delivery->last = copied(delivery, why);
    drop_session(delivery);
    delivery->stage = DELIVERY_ROUTING;
    if (why->step == STEP_AUTH && why->code >= 500) { /* other addresses have the same accounts: do not get them locked */
        delivery->last.outcome = OUTCOME_DEFERRED;
        decide_all(delivery, delivery->last);
        delivery->stage = DELIVERY_OVER;
    }
}

static void take_results(struct delivery *delivery, const struct client_action *sent)
{
    delivery->results = ARENA_ARRAY(&delivery->arena, struct client_result, sent->result_count);
    for (size_t i = 0; i < sent->result_count; i++)
        delivery->results[i] = copied(delivery, &sent->results[i]);
    delivery->transacting = false;
    delivery->stage = DELIVERY_OPEN;
}

/* A kept connection that had ended, or ends now, before it took anything of
 * this message: that says nothing about the message. */
static bool is_stale(const struct delivery *delivery, const struct client_action *sent)
{
    const struct client_result *first = &sent->results[0];
    return delivery->messages > 1 && (first->code == 0 || first->code == 421) && first->outcome == OUTCOME_DEFERRED &&
           (first->step == STEP_MAIL || first->step == STEP_RCPT);
}

/* The session fails next; then a fresh connection is made. */
static void forget_stale(struct delivery *delivery)
{
    delivery->transacting = false;
    route_rewind(&delivery->route);
}

/* One action of the session; true when it is one of ours too. */
static bool take_session_action(struct delivery *delivery, const struct client_action *from, struct delivery_action *action)
{
    switch (from->kind) {
    case CLIENT_SEND:
        *action = (struct delivery_action){.kind = DELIVERY_SEND, .bytes = from->bytes};
        return true;
    case CLIENT_STARTTLS:
        delivery->stage = DELIVERY_HANDSHAKING;
        *action = (struct delivery_action){.kind = DELIVERY_STARTTLS, .name = delivery->host, .verify = delivery->options.verify};
        return true;
    case CLIENT_WANT_CONTENT:
        *action = (struct delivery_action){.kind = DELIVERY_WANT_CONTENT};
        return true;
    case CLIENT_READY:
        if (delivery->results == NULL)
            give_message(delivery);
        return false;
    case CLIENT_SENT:
        if (is_stale(delivery, from))
            forget_stale(delivery);
        else
            take_results(delivery, from);
        return false;
    case CLIENT_FAILED:
        if (delivery->results == NULL) {
            give_up_host(delivery, &from->failure);
        } else {
            drop_session(delivery);
            delivery->stage = DELIVERY_OVER;
        }
        return false;
    case CLIENT_CLOSE:
        drop_session(delivery);
        delivery->stage = DELIVERY_OVER;
        return false;
    case CLIENT_NOTHING:
        break;
    }
    return false;
}

bool delivery_action(struct delivery *delivery, struct delivery_action *action)
{
    struct client_action from;
    *action = (struct delivery_action){.kind = DELIVERY_NOTHING};
    while (delivery->has_session && client_session_action(&delivery->session, &from))
        if (take_session_action(delivery, &from, action))
            return true;
    if (delivery->close_due) {
        delivery->close_due = false;
        action->kind = DELIVERY_CLOSE;
        return true;
    }
    if (delivery->stage == DELIVERY_ROUTING && next_step(delivery, action))
        return true;
    if (delivery->results == NULL || delivery->done_told)
        return false;
    delivery->done_told = true;
    action->kind = DELIVERY_DONE;
    action->results = delivery->results;
    action->result_count = delivery->envelope->recipient_count;
    return true;
}

void delivery_lost(struct delivery *delivery, bool in_tls, struct bytes why)
{
    bool opportunistic = tls_of(delivery) == CLIENT_TLS_OPPORTUNISTIC;
    if (delivery->has_session && delivery->stage != DELIVERY_OVER) {
        bool was_transacting = delivery->transacting;
        client_session_failed(&delivery->session, in_tls ? STEP_TLS : client_session_step(&delivery->session), why);
        /* RFC 7435: where TLS is offered but fails, clear text is no worse than before. */
        delivery->clear_next = in_tls && opportunistic && !was_transacting && delivery->results == NULL;
        if (delivery->stage == DELIVERY_HANDSHAKING)
            delivery->stage = DELIVERY_TALKING;
        return;
    }
    if (delivery->stage == DELIVERY_CONNECTING) {
        delivery->last = (struct client_result){.outcome = OUTCOME_DEFERRED, .step = in_tls ? STEP_TLS : STEP_CONNECT,
                                                .enhanced = in_tls ? BYTES("4.7.5") : BYTES("4.4.1"), .text = arena_copy(&delivery->arena, why)};
        delivery->stage = DELIVERY_ROUTING;
        delivery->close_due = true;
    }
}

/* ---- the next message ---- */

bool delivery_is_open(const struct delivery *delivery)
{
    return delivery->has_session && delivery->stage == DELIVERY_OPEN && delivery->results != NULL && delivery->messages < DELIVERY_MESSAGES_MAX &&
           client_session_is_ready(&delivery->session);
}

void delivery_next(struct delivery *delivery, const struct envelope *envelope)
{
    assert(delivery_is_open(delivery));
    begin(delivery, envelope);
    give_message(delivery);
}

void delivery_quit(struct delivery *delivery)
{
    if (!delivery->has_session)
        return;
    delivery->stage = DELIVERY_LEAVING;
    client_session_quit(&delivery->session);
}

uint32_t delivery_timeout_ms(const struct delivery *delivery)
{
    return delivery->has_session ? client_session_timeout_ms(&delivery->session) : CONNECT_TIMEOUT_MS;
}

enum client_step delivery_step(const struct delivery *delivery)
{
    if (delivery->stage == DELIVERY_RESOLVING || delivery->stage == DELIVERY_ROUTING)
        return STEP_DNS;
    return delivery->has_session ? client_session_step(&delivery->session) : STEP_CONNECT;
}

void delivery_peer(const struct delivery *delivery, struct buffer *out)
{
    if (delivery->host.length == 0)
        return;
    buffer_add(out, delivery->host);
    buffer_add_octet(out, '[');
    route_address_text(out, &delivery->address);
    buffer_add_format(out, "]:%u", (unsigned)delivery->options.port);
}
