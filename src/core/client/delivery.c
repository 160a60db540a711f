/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "core/client/delivery_tls.h"

/* ---- results ---- */

static void decide_all(struct delivery *delivery, struct delivery_result result)
{
    delivery->results = ARENA_ARRAY(&delivery->arena, struct delivery_result,
                                    delivery->envelope->recipient_count);
    for (size_t i = 0; i < delivery->envelope->recipient_count; i++)
        delivery->results[i] = result;
}

static struct delivery_result copied(struct delivery *delivery, const struct delivery_result *result)
{
    struct delivery_result copy = *result;
    copy.enhanced = arena_copy(&delivery->arena, result->enhanced);
    copy.text = arena_copy(&delivery->arena, result->text);
    return copy;
}

static void drop_session(struct delivery *delivery)
{
    delivery->quit_due = delivery->has_session && client_session_may_quit(&delivery->session);
    if (delivery->has_session)
        client_session_free(&delivery->session);
    delivery->has_session = false;
    delivery->close_due = delivery->close_due || delivery->connected;
    delivery->connected = delivery->sign_due = false;
}

/* Returns the reason, with the server's name. */
static struct delivery_result name_last(struct delivery *delivery)
{
    if (delivery->last_host.length > 0) {
        delivery->host = delivery->last_host;
        delivery->address = delivery->last_address;
    }
    return delivery->last;
}

/* Ends the route: the last host's failure is the reason. */
static void end_route(struct delivery *delivery, const struct route_answer *answer)
{
    struct delivery_result result;
    if (answer->reason == NULL)
        result = name_last(delivery);
    else
        result = (struct delivery_result){.outcome = answer->final ? OUTCOME_FAILED : OUTCOME_DEFERRED,
                                          .step = STEP_DNS,
                                          .enhanced = bytes_of_text(answer->enhanced),
                                          .text = bytes_of_text(answer->reason)};
    /* If no host accepted a session, the recipient is deferred. Missing REQUIRETLS on all hosts is
     * permanent (RFC 8689 4.2.1). */
    if (answer->reason == NULL && (!delivery->any_unfit || delivery->any_other || delivery->route.any_unsure))
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
    delivery->done_reported = delivery->any_unfit = delivery->any_other = false;
    delivery->last = (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                              .step = STEP_CONNECT,
                                              .enhanced = BYTES("4.4.1"),
                                              .text = BYTES("no server could be reached")};
    delivery->last_host = bytes_none();
    delivery->refused_count = 0;
}

void delivery_start(struct delivery *delivery, const struct delivery_options *options,
                    const struct envelope *envelope)
{
    assert(options->port != 0 && envelope->recipient_count > 0);
    *delivery = (struct delivery){.options = *options, .stage = DELIVERY_ROUTING};
    route_start(&delivery->route, options->domain, options->hostname, options->smarthost, options->random);
    route_know_own(&delivery->route, options->own);
    begin(delivery, envelope);
}

void delivery_free(struct delivery *delivery)
{
    if (delivery->has_session)
        client_session_free(&delivery->session);
    delivery->has_session = false;
    route_free(&delivery->route);
    arena_clear(&delivery->arena);
    arena_clear(&delivery->tls.arena);
}

/* Describes the failure at the last host. */
static struct delivery_result tls_failure(struct delivery *delivery, bool unfit, struct bytes why)
{
    struct delivery_result result = {.outcome = OUTCOME_DEFERRED,
                                     .step = STEP_TLS,
                                     .enhanced = BYTES("4.7.5"),
                                     .text = arena_copy(&delivery->arena, why)};
    if (!unfit)
        return result;
    struct buffer text = {0};
    buffer_add_text(&text, "the message requires TLS (REQUIRETLS): ");
    buffer_add(&text, why);
    result.outcome = OUTCOME_FAILED;
    result.enhanced = BYTES("5.7.30");
    result.text = arena_copy(&delivery->arena, buffer_bytes(&text));
    buffer_free(&text);
    return result;
}

/* True if the failure says less than an earlier one: an unreachable address must not hide what a server
 * before it replied. */
static bool says_less(const struct delivery *delivery, const struct delivery_result *why)
{
    return why->step == STEP_CONNECT && delivery->last.step > STEP_CONNECT && !delivery->any_unfit;
}

static void be_last(struct delivery *delivery, struct delivery_result result)
{
    delivery->last = result;
    delivery->last_host = delivery->host;
    delivery->last_address = delivery->address;
}

/* Records why this host failed. */
static void remember(struct delivery *delivery, const struct delivery_result *why)
{
    bool unfit = delivery->envelope->requiretls && why->step == STEP_TLS;
    delivery->any_unfit = delivery->any_unfit || unfit;
    delivery->any_other = delivery->any_other || !unfit;
    if (!says_less(delivery, why))
        be_last(delivery, unfit ? tls_failure(delivery, true, why->text) : copied(delivery, why));
}

/* ---- TLS policy of a host ---- */

/* Skips the host. */
static void refuse_host(struct delivery *delivery)
{
    struct buffer text = {0};
    buffer_add_format(&text, "%.*s: %s", BYTES_ARG(delivery->host), delivery->tls.policy.reason);
    be_last(delivery, tls_failure(delivery, false, buffer_bytes(&text)));
    if (delivery->tls.policy.final) {
        delivery->last.outcome = OUTCOME_FAILED;
        delivery->last.enhanced = BYTES("5.7.30");
    }
    if (delivery->refused_count < DELIVERY_REFUSED_MAX)
        delivery->refused[delivery->refused_count++] = (struct delivery_refused){
            delivery->host, delivery->tls.policy.level, delivery->tls.policy.lacks_dane};
    delivery->any_unfit = delivery->any_unfit || delivery->tls.policy.final;
    delivery->any_other = delivery->any_other || !delivery->tls.policy.final;
    delivery->stage = DELIVERY_ROUTING;
    route_leave_host(&delivery->route);
    buffer_free(&text);
}

/* ---- routing ---- */

static bool connect_action(struct delivery *delivery, struct delivery_action *action)
{
    delivery->stage = DELIVERY_CONNECTING;
    *action = (struct delivery_action){.kind = DELIVERY_CONNECT,
                                       .name = delivery->host,
                                       .address = delivery->address,
                                       .port = delivery->options.port,
                                       .timeout_ms = CONNECT_TIMEOUT_MS,
                                       .tls = delivery_tls_mode(delivery) == CLIENT_TLS_IMPLICIT};
    action->addresses = &delivery->address;
    action->address_count = 1;
    if (!delivery->again)
        action->addresses = route_side_by_side(&delivery->route, &action->address_count);
    delivery_tls_add_checks(delivery, action);
    return true;
}

void delivery_took(struct delivery *delivery, size_t i)
{
    size_t count;
    assert(delivery->stage == DELIVERY_CONNECTING && !delivery->again);
    route_took(&delivery->route, i);
    delivery->address = route_side_by_side(&delivery->route, &count)[0];
}

void delivery_tried_all(struct delivery *delivery)
{
    size_t count;
    assert(delivery->stage == DELIVERY_CONNECTING && !delivery->again);
    route_side_by_side(&delivery->route, &count);
    route_tried(&delivery->route, count);
}

/* False if the host was refused. */
static bool secure(struct delivery *delivery, struct delivery_action *action)
{
    struct delivery_tls *tls = &delivery->tls;
    struct buffer name = {0};
    tls->policy = delivery_tls_policy(delivery);
    switch (tls->policy.kind) {
    case TLS_POLICY_ASK_TLSA:
        buffer_add_format(&name, "_%u._tcp.%.*s", (unsigned)delivery->options.port,
                          BYTES_ARG(tls->facts.bases[tls->policy.base]));
        *action = (struct delivery_action){
            .kind = DELIVERY_RESOLVE, .name = arena_copy(&tls->arena, buffer_bytes(&name)), .type = DNS_TLSA};
        buffer_free(&name);
        delivery->stage = DELIVERY_RESOLVING;
        return true;
    case TLS_POLICY_ASK_ALIAS:
        *action = (struct delivery_action){
            .kind = DELIVERY_RESOLVE, .name = delivery->host, .type = DNS_CNAME};
        delivery->stage = DELIVERY_RESOLVING;
        return true;
    case TLS_POLICY_ASK_STS:
        *action = (struct delivery_action){.kind = DELIVERY_ASK_STS, .name = delivery->options.domain};
        delivery->stage = DELIVERY_RESOLVING;
        return true;
    case TLS_POLICY_DECIDED: break;
    }
    if (tls->policy.demand != DEMAND_REFUSE) {
        delivery_tls_heed_fallback(delivery);
        return connect_action(delivery, action);
    }
    refuse_host(delivery);
    return false;
}

/* True if an action follows. */
static bool next_step(struct delivery *delivery, struct delivery_action *action)
{
    if (delivery->stage == DELIVERY_SECURING)
        return secure(delivery, action);
    if (delivery->next != TLS_NEXT_HOST) { /* the same address again, perhaps without TLS */
        delivery->next = TLS_NEXT_HOST;
        delivery->again = true;
        return connect_action(delivery, action);
    }
    delivery->in_clear = delivery->again = false;
    delivery->tls_tries = 0;
    delivery->clear_reason = bytes_none();
    struct route_answer answer = route_next(&delivery->route);
    switch (answer.kind) {
    case ROUTE_ASK:
        delivery->stage = DELIVERY_RESOLVING;
        *action = (struct delivery_action){
            .kind = DELIVERY_RESOLVE, .name = answer.name, .type = answer.type};
        return true;
    case ROUTE_TRY:
        if (!bytes_equal(delivery->host, answer.name) || delivery->tls.policy.level == TLS_LEVEL_UNDECIDED ||
            delivery->tls.facts.requiretls != delivery->envelope->requiretls) {
            delivery->host = answer.name;
            delivery_tls_meet_host(delivery);
        }
        delivery->address = answer.address;
        delivery->stage = DELIVERY_SECURING;
        return secure(delivery, action);
    case ROUTE_END: break;
    }
    end_route(delivery, &answer);
    return false;
}

void delivery_resolved(struct delivery *delivery, enum dns_type type, enum dns_status status,
                       const struct dns_record *records, size_t count)
{
    delivery_learned(delivery, type,
                     &(struct dns_answer){.status = status, .records = records, .count = count});
}

void delivery_learned(struct delivery *delivery, enum dns_type type, const struct dns_answer *answer)
{
    assert(delivery->stage == DELIVERY_RESOLVING);
    delivery->stage = type == DNS_TLSA || type == DNS_CNAME ? DELIVERY_SECURING : DELIVERY_ROUTING;
    if (type == DNS_TLSA) {
        delivery_tls_learn_tlsa(delivery, answer);
    } else if (type == DNS_CNAME) {
        delivery->tls.facts.alias = answer->status;
        delivery->tls.facts.alias_secure = answer->secure;
    } else {
        route_learn_answer(&delivery->route, type, answer);
    }
}

/* ---- the session ---- */

void delivery_connected(struct delivery *delivery)
{
    struct client_options options = {.helo = delivery->options.hostname,
                                     .tls = delivery_tls_mode(delivery),
                                     .user = delivery->options.user,
                                     .password = delivery->options.password,
                                     .token = delivery->options.token};
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
    return delivery->has_session && delivery->stage != DELIVERY_HANDSHAKING
               ? client_session_feed(&delivery->session, input)
               : 0;
}

void delivery_content(struct delivery *delivery, struct bytes run, bool last)
{
    client_session_content(&delivery->session, run, last);
}

static void give_message(struct delivery *delivery, struct bytes top)
{
    delivery->transacting = true;
    delivery->messages++;
    delivery->stage = DELIVERY_TALKING;
    client_session_send_below(&delivery->session, delivery->envelope, top);
}

/* The session is ready for the message, whose form is known now. */
static void begin_message(struct delivery *delivery)
{
    if (!delivery->options.signs) {
        give_message(delivery, bytes_none());
        return;
    }
    delivery->stage = DELIVERY_SIGNING;
    delivery->sign_due = true;
}

void delivery_signed(struct delivery *delivery, struct bytes top)
{
    assert(delivery->stage == DELIVERY_SIGNING && !delivery->sign_due);
    give_message(delivery, top);
}

void delivery_not_signed(struct delivery *delivery, const char *enhanced, struct bytes why)
{
    assert(delivery->stage == DELIVERY_SIGNING && !delivery->sign_due);
    decide_all(delivery, (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                                  .step = STEP_DATA,
                                                  .enhanced = bytes_of_text(enhanced),
                                                  .text = arena_copy(&delivery->arena, why)});
    delivery->stage = DELIVERY_OPEN;
}

/* Gives up this host; tries the next one, unless further attempts would do harm. */
static void give_up_host(struct delivery *delivery, const struct delivery_result *why)
{
    remember(delivery, why);
    drop_session(delivery);
    delivery->stage = DELIVERY_ROUTING;
    /* other addresses share the accounts: further attempts could lock one out */
    if (why->step == STEP_AUTH && why->code >= 500) {
        delivery->last.outcome = OUTCOME_DEFERRED;
        decide_all(delivery, delivery->last);
        delivery->stage = DELIVERY_OVER;
    }
}

static void take_results(struct delivery *delivery, const struct client_action *sent)
{
    delivery->results = ARENA_ARRAY(&delivery->arena, struct delivery_result, sent->result_count);
    for (size_t i = 0; i < sent->result_count; i++)
        delivery->results[i] = copied(delivery, &sent->results[i]);
    delivery->transacting = false;
    delivery->stage = DELIVERY_OPEN;
}

/* True if a reused connection ended before it accepted anything of this message: that says nothing about
 * the message. */
static bool is_stale(const struct delivery *delivery, const struct client_action *sent)
{
    const struct delivery_result *first = &sent->results[0];
    return delivery->messages > 1 && (first->code == 0 || first->code == 421) &&
           first->outcome == OUTCOME_DEFERRED && (first->step == STEP_MAIL || first->step == STEP_RCPT);
}

/* Ends the session; a fresh connection follows. */
static void forget_stale(struct delivery *delivery)
{
    delivery->transacting = false;
    route_rewind(&delivery->route);
}

/* Handles one action of the session; true if it needs an action of the shell. */
static bool take_session_action(struct delivery *delivery, const struct client_action *from,
                                struct delivery_action *action)
{
    switch (from->kind) {
    case CLIENT_SEND:
        *action = (struct delivery_action){.kind = DELIVERY_SEND, .bytes = from->bytes};
        return true;
    case CLIENT_STARTTLS:
        delivery->stage = DELIVERY_HANDSHAKING;
        *action = (struct delivery_action){.kind = DELIVERY_STARTTLS, .name = delivery->host};
        delivery_tls_add_checks(delivery, action);
        return true;
    case CLIENT_ASK_NONCE:
    case CLIENT_ASK_PROOF:
        *action = (struct delivery_action){.kind = DELIVERY_ASK, .asked = *from};
        return true;
    case CLIENT_WANT_CONTENT:
        *action = (struct delivery_action){.kind = DELIVERY_WANT_CONTENT, .begins = from->begins};
        return true;
    case CLIENT_READY:
        if (delivery->results == NULL) {
            delivery_tls_note_ready(delivery);
            begin_message(delivery);
        }
        return false;
    case CLIENT_SENT:
        if (is_stale(delivery, from))
            forget_stale(delivery);
        else
            take_results(delivery, from);
        return false;
    case CLIENT_FAILED:
        if (delivery->results == NULL) {
            if (delivery->stage == DELIVERY_SIGNING && delivery->messages > 0)
                forget_stale(delivery); /* a reused connection, before anything of this message */
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
    case CLIENT_NOTHING: break;
    }
    return false;
}

/* True if the connection has reached its message limit, and is idle. */
static bool is_used_up(const struct delivery *delivery)
{
    return delivery->has_session && delivery->stage == DELIVERY_OPEN && delivery->done_reported &&
           delivery->messages >= DELIVERY_MESSAGES_MAX && client_session_is_ready(&delivery->session);
}

bool delivery_action(struct delivery *delivery, struct delivery_action *action)
{
    struct client_action from;
    *action = (struct delivery_action){.kind = DELIVERY_NOTHING};
    if (is_used_up(delivery))
        delivery_quit(delivery);
    while (delivery->has_session && client_session_action(&delivery->session, &from))
        if (take_session_action(delivery, &from, action))
            return true;
    if (delivery->close_due) {
        *action = (struct delivery_action){.kind = DELIVERY_CLOSE, .quit = delivery->quit_due};
        delivery->close_due = delivery->quit_due = false;
        return true;
    }
    if (delivery->sign_due) {
        delivery->sign_due = false;
        *action = (struct delivery_action){
            .kind = DELIVERY_SIGN, .form = client_session_form(&delivery->session, delivery->envelope)};
        return true;
    }
    while (delivery->stage == DELIVERY_ROUTING || delivery->stage == DELIVERY_SECURING)
        if (next_step(delivery, action))
            return true;
    if (delivery->results == NULL || delivery->done_reported)
        return false;
    delivery->done_reported = true;
    action->kind = DELIVERY_DONE;
    action->results = delivery->results;
    action->result_count = delivery->envelope->recipient_count;
    return true;
}

void delivery_lost(struct delivery *delivery, bool in_tls, enum tls_loss how, struct bytes why)
{
    if (delivery->has_session && delivery->stage != DELIVERY_OVER) {
        bool for_tls = in_tls || client_session_is_securing(&delivery->session);
        if (for_tls && !delivery->transacting && delivery->results == NULL)
            delivery_tls_meet_failure(delivery, how, why);
        client_session_failed(&delivery->session, in_tls ? STEP_TLS : client_session_step(&delivery->session),
                              why);
        if (delivery->stage == DELIVERY_HANDSHAKING)
            delivery->stage = DELIVERY_TALKING;
        return;
    }
    if (delivery->stage == DELIVERY_CONNECTING) {
        remember(delivery, &(struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                                     .step = in_tls ? STEP_TLS : STEP_CONNECT,
                                                     .enhanced = in_tls ? BYTES("4.7.5") : BYTES("4.4.1"),
                                                     .text = why});
        delivery->stage = DELIVERY_ROUTING;
        delivery->close_due = true;
    }
}

void delivery_out_of_time(struct delivery *delivery)
{
    struct delivery_result result = {
        .outcome = OUTCOME_DEFERRED,
        .step = STEP_CONNECT,
        .enhanced = BYTES("4.4.1"),
        .text = BYTES("not all of the domain's servers could be tried within the time of one attempt")};
    assert(delivery->stage == DELIVERY_RESOLVING || delivery->stage == DELIVERY_CONNECTING);
    if (delivery->any_other && delivery->last.outcome == OUTCOME_DEFERRED)
        result = name_last(delivery);
    decide_all(delivery, result);
    delivery->stage = DELIVERY_OVER;
}

/* ---- the next message ---- */

bool delivery_is_open(const struct delivery *delivery)
{
    return delivery->has_session && delivery->stage == DELIVERY_OPEN && delivery->results != NULL &&
           delivery->messages < DELIVERY_MESSAGES_MAX && client_session_is_ready(&delivery->session);
}

bool delivery_suits(const struct delivery *delivery, const struct envelope *envelope)
{
    enum tls_demand demand = delivery->tls.policy.demand;
    bool verified = demand == DEMAND_VERIFY || demand == DEMAND_DANE ||
                    (delivery->options.verify && delivery->options.tls >= CLIENT_TLS_REQUIRED);
    return !envelope->requiretls || verified;
}

void delivery_next(struct delivery *delivery, const struct envelope *envelope)
{
    assert(delivery_is_open(delivery) && delivery_suits(delivery, envelope));
    begin(delivery, envelope);
    begin_message(delivery);
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
    if (!delivery->has_session)
        return CONNECT_TIMEOUT_MS;
    bool in_tls = client_session_step(&delivery->session) == STEP_TLS;
    return delivery->hurried && in_tls ? HANDSHAKE_AGAIN_MS : client_session_timeout_ms(&delivery->session);
}

enum client_step delivery_step(const struct delivery *delivery)
{
    if (delivery->stage == DELIVERY_RESOLVING || delivery->stage == DELIVERY_ROUTING ||
        delivery->stage == DELIVERY_SECURING)
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
