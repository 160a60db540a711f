/* SPDX-License-Identifier: Apache-2.0 */
#include "node_relay.h"

#include <assert.h>

#include "node_errands.h"

struct node_connection {
    struct node *node;
    struct node_connection *next, *previous;
    struct delivery delivery;
    struct end *end;
    struct envelope envelope;
    struct bytes destination, content;
    uint64_t number;          /* 0: nothing under way */
    bool given, over, orphan; /* orphan: the queue that asked is gone */
    bool nowhere;             /* DNS said that there is no such place */
    struct peer *peer;        /* whom it talks with, where that one misbehaves */
    bool said_never;          /* some peer of this delivery said 5xx */
    bool certificate_good;
    enum dns_type type;
    struct bytes name;
    struct alarm step, silence, idle;
};

static void advance(struct node_connection *connection);

static void drop_connection(struct node_connection *connection)
{
    if (connection->over)
        return;
    connection->over = true;
    alarm_cancel(&connection->step);
    alarm_cancel(&connection->silence);
    alarm_cancel(&connection->idle);
    if (connection->end != NULL)
        end_close(connection->end);
    delivery_free(&connection->delivery);
    *(connection->previous == NULL ? &connection->node->connections
                                   : &connection->previous->next) = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
}

static void far_input(void *owner)
{
    advance(owner);
}

static void lost(struct node_connection *connection, enum tls_loss how, struct bytes why)
{
    end_close(connection->end);
    connection->end = NULL;
    delivery_lost(&connection->delivery, false, how, why);
    advance(connection);
}

static void far_ended(void *owner)
{
    lost(owner, TLS_LOSS_ENDED, BYTES("the connection ended"));
}

static void far_silent(void *owner)
{
    struct node_connection *connection = owner;
    if (connection->end != NULL)
        lost(connection, TLS_LOSS_SILENT, BYTES("timed out"));
}

static enum far_policy policy_of(const struct node_connection *connection)
{
    return connection->node->policies[bytes_is(connection->destination, "there.test") ? 0 : 1];
}

/* The worst DNS answers. Only those about a domain's MX can be final. */
static enum dns_status dns_trouble(struct node_connection *connection)
{
    bool final = connection->type == DNS_MX && world_random(connection->node->world, 8) == 0;
    connection->nowhere = connection->nowhere || final;
    return final                                           ? DNS_NXDOMAIN
           : world_random(connection->node->world, 3) == 0 ? DNS_BOGUS
                                                           : DNS_SERVER_FAILURE;
}

static void resolved(struct node_connection *connection)
{
    static const struct dns_record null_mx = {.name = BYTES("")};
    static const char digest[32] = "a hash of the key of the server";
    struct dns_record tlsa = {.usage = 3, .selector = 1, .matching = 1, .data = {digest, sizeof digest}};
    struct dns_record records[2] = {{.preference = 10, .name = BYTES("mx1.there.test")},
                                    {.preference = 20, .name = BYTES("mx2.there.test")}};
    struct dns_record address = {0};
    size_t count = 0;
    enum dns_status status = DNS_NO_DATA;
    const struct dns_record *found = records;
    if (world_chance(connection->node->world, 50)) {
        status = dns_trouble(connection);
    } else if (connection->type == DNS_MX && world_chance(connection->node->world, 10)) {
        connection->nowhere = true;
        status = DNS_FOUND;
        found = &null_mx;
        count = 1;
    } else if (connection->type == DNS_TLSA && policy_of(connection) == FAR_DANE) {
        status = DNS_FOUND;
        found = &tlsa;
        count = 1;
    } else if (connection->type == DNS_MX && bytes_is(connection->name, "there.test")) {
        status = DNS_FOUND;
        count = 2;
    } else if (connection->type == DNS_A) {
        status = DNS_FOUND;
        count = 1;
        found = &address;
        address.address[0] = 192;
        address.address[3] = bytes_is(connection->name, "mx1.there.test")   ? 1
                             : bytes_is(connection->name, "mx2.there.test") ? 2
                                                                            : 3;
    }
    struct dns_answer facts = {
        .status = status, .secure = policy_of(connection) == FAR_DANE, .records = found, .count = count};
    delivery_learned(&connection->delivery, connection->type, &facts);
}

static void connected(struct node_connection *connection)
{
    struct node *node = connection->node;
    uint8_t which = connection->delivery.address.octets[3];
    if (world_chance(node->world, 200)) {
        delivery_lost(&connection->delivery, false, TLS_LOSS_ENDED, BYTES("refused"));
        return;
    }
    struct link *link = link_new(node->world);
    connection->end = &link->ends[0];
    *connection->end = (struct end){.link = link,
                                    .other = &link->ends[1],
                                    .on_input = far_input,
                                    .on_end = far_ended,
                                    .owner = connection};
    connection->given = false;
    connection->said_never = connection->said_never ||
                             (connection->peer != NULL && connection->peer->said_never);
    connection->peer = NULL;
    delivery_connected(&connection->delivery);
    connection->certificate_good = !world_chance(node->world, 200);
    if (world_chance(node->world, 600)) {
        connection->peer = peer_open(node->world, node->letters, &link->ends[1],
                                     policy_of(connection) != FAR_MAY);
        connection->peer->next = node->peers;
        node->peers = connection->peer;
    } else {
        server_open(&node->far[which - 1], &link->ends[1]);
    }
}

/* A certificate is checked where something asks for that; a handshake may fail for other reasons. */
static void shaken_hands(struct node_connection *connection)
{
    bool checked = policy_of(connection) == FAR_DANE || policy_of(connection) == FAR_STS;
    if (connection->end == NULL)
        return;
    if (!world_chance(connection->node->world, 100) && (connection->certificate_good || !checked)) {
        delivery_tls_started(&connection->delivery);
        return;
    }
    end_close(connection->end);
    connection->end = NULL;
    delivery_lost(&connection->delivery, true,
                  world_chance(connection->node->world, 500) ? TLS_LOSS_SILENT : TLS_LOSS_ENDED,
                  BYTES("no handshake"));
}

/* Delivers the result of DNS, a connection or a handshake, after a while. */
static void stepped(void *owner)
{
    struct node_connection *connection = owner;
    if (connection->delivery.stage == DELIVERY_HANDSHAKING)
        shaken_hands(connection);
    else if (connection->delivery.stage == DELIVERY_RESOLVING)
        resolved(connection);
    else
        connected(connection);
    advance(connection);
}

static void answer(struct node_connection *connection, const struct delivery_action *action)
{
    struct node *node = connection->node;
    connection->said_never = connection->said_never ||
                             (connection->peer != NULL && connection->peer->said_never);
    struct delivery_result results[DELIVERY_RECIPIENTS_MAX];
    struct ipc_deliver_answer said = {
        .delivery = connection->number, .results = results, .result_count = action->result_count};
    bool any_delivered = false, unsure = false;
    for (size_t i = 0; i < action->result_count; i++) {
        const struct delivery_result *r = &action->results[i];
        results[i] = *r;
        any_delivered = any_delivered || r->outcome == OUTCOME_DELIVERED;
        if (r->outcome == OUTCOME_FAILED) {
            /* Far servers reject names with "reject"; others only if the server misbehaves. */
            struct bytes address = connection->envelope.recipients[i].address;
            bool founded = r->code == 0 ? connection->nowhere
                                        : bytes_starts_nocase(address, "reject@") || connection->said_never;
            letters_failed(node->letters, connection->content, address, founded);
        }
        unsure = unsure || (r->outcome == OUTCOME_DEFERRED && r->code == 0);
    }
    if ((connection->given && unsure) || (connection->orphan && any_delivered))
        letters_uncertain(node->letters, connection->content,
                          connection->orphan ? "delivered, and nobody left to tell"
                                             : "sent, and no answer came");
    connection->number = 0;
    if (connection->orphan)
        return;
    if (any_delivered && node->unsaved_count < NODE_WAITING_MAX)
        node->unsaved[node->unsaved_count++] = connection->content;
    queue_delivered(&node->queue, &said, node->world->now_ms);
    alarm_set(&node->turn, 0);
}

static void perform(struct node_connection *connection, const struct delivery_action *action)
{
    static const struct sts_policy sts = {.mode = STS_ENFORCE,
                                          .max_age_s = 86400,
                                          .patterns = {BYTES("*.there.test"), BYTES("far.test")},
                                          .pattern_count = 2};
    struct world *world = connection->node->world;
    switch (action->kind) {
    case DELIVERY_RESOLVE:
        connection->type = action->type;
        connection->name = arena_copy(&world->memory, action->name);
        alarm_set(&connection->step, world_random(world, world_chance(world, 50) ? 20000 : 40));
        break;
    case DELIVERY_ASK_STS:
        delivery_sts(&connection->delivery, policy_of(connection) == FAR_STS ? &sts : NULL);
        break;
    case DELIVERY_CONNECT:
        alarm_set(&connection->step, world_random(world, world_chance(world, 50) ? 20000 : 40));
        break;
    case DELIVERY_SEND: end_send(connection->end, action->bytes); break;
    case DELIVERY_WANT_CONTENT:
        connection->given = true;
        delivery_content(&connection->delivery, connection->content, true);
        break;
    case DELIVERY_DONE: answer(connection, action); break;
    case DELIVERY_CLOSE:
        if (connection->end != NULL)
            end_close(connection->end);
        connection->end = NULL;
        break;
    case DELIVERY_ASK:  /* nobody signs in here */
    case DELIVERY_SIGN: /* options.signs is off */
    case DELIVERY_NOTHING: break;
    case DELIVERY_STARTTLS:
        assert((action->tlsa_count > 0) == (policy_of(connection) == FAR_DANE) &&
               action->verify == (policy_of(connection) == FAR_STS));
        if (connection->end->input.length > 0) { /* as relay's connection */
            end_close(connection->end);
            connection->end = NULL;
            delivery_lost(&connection->delivery, true, TLS_LOSS_CLEAR_TEXT, BYTES(CLEAR_TEXT_AFTER_STARTTLS));
        } else {
            alarm_set(&connection->step, world_random(world, 40));
        }
        break;
    }
}

static void advance(struct node_connection *connection)
{
    struct delivery_action action;
    size_t used = 1;
    connection->node->fallback.now_ms = connection->node->world->now_ms;
    while (used > 0) {
        while (delivery_action(&connection->delivery, &action))
            perform(connection, &action);
        used = connection->end == NULL
                   ? 0
                   : delivery_feed(&connection->delivery, buffer_bytes(&connection->end->input));
        if (used > 0)
            buffer_consume(&connection->end->input, used);
    }
    if (connection->number == 0 && connection->end == NULL)
        drop_connection(connection);
    else if (connection->number == 0 && delivery_is_open(&connection->delivery))
        alarm_set(&connection->idle, 3000);
    if (!connection->over && connection->end != NULL)
        alarm_set(&connection->silence, delivery_timeout_ms(&connection->delivery));
}

static void idle_for_long(void *owner)
{
    struct node_connection *connection = owner;
    delivery_quit(&connection->delivery);
    advance(connection);
}

void node_relay_begin(struct node *node, const struct ipc_deliver *deliver)
{
    struct node_connection *connection = node->connections;
    while (connection != NULL && !(connection->number == 0 && delivery_is_open(&connection->delivery) &&
                                   bytes_equal(connection->destination, deliver->destination)))
        connection = connection->next;
    bool kept = connection != NULL;
    if (!kept) {
        connection = ARENA_NEW(&node->world->memory, struct node_connection);
        *connection = (struct node_connection){
            .node = node,
            .next = node->connections,
            .destination = arena_copy(&node->world->memory, deliver->destination)};
        if (connection->next != NULL)
            connection->next->previous = connection;
        node->connections = connection;
        alarm_start(&connection->step, node->world, stepped, connection);
        alarm_start(&connection->silence, node->world, far_silent, connection);
        alarm_start(&connection->idle, node->world, idle_for_long, connection);
    }
    alarm_cancel(&connection->idle);
    connection->number = deliver->delivery;
    connection->orphan = connection->given = connection->nowhere = false;
    connection->envelope = node_copy_envelope(&node->world->memory, &deliver->envelope);
    connection->content = letters_sent(node->letters, deliver);
    struct delivery_options options = {.hostname = BYTES("mx.here.test"),
                                       .domain = connection->destination,
                                       .random = world_random(node->world, 0),
                                       .port = 25,
                                       .tls = CLIENT_TLS_OPPORTUNISTIC,
                                       .fallback = &node->fallback,
                                       .wish = policy_of(connection) == FAR_ENCRYPT ? WISH_ENCRYPT
                                                                                    : WISH_AUTO};
    if (kept)
        delivery_next(&connection->delivery, &connection->envelope);
    else
        delivery_start(&connection->delivery, &options, &connection->envelope);
    advance(connection);
}

void node_relay_forget_queue(struct node *node)
{
    for (struct node_connection *connection = node->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        connection->orphan = true;
        if (connection->number != 0 && !connection->given)
            drop_connection(connection);
    }
}

void node_relay_drop(struct node *node)
{
    while (node->connections != NULL) {
        struct node_connection *connection = node->connections;
        if (connection->number != 0 && connection->given)
            letters_uncertain(node->letters, connection->content, "the relay died with it");
        drop_connection(connection);
    }
}
