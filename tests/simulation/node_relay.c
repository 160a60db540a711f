/* SPDX-License-Identifier: Apache-2.0 */
#include "node_relay.h"

#include <assert.h>

#include "node_errands.h"

struct node_carrier {
    struct node *node;
    struct node_carrier *next, *previous;
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

static void carry(struct node_carrier *carrier);

static void drop_carrier(struct node_carrier *carrier)
{
    if (carrier->over)
        return;
    carrier->over = true;
    alarm_cancel(&carrier->step);
    alarm_cancel(&carrier->silence);
    alarm_cancel(&carrier->idle);
    if (carrier->end != NULL)
        end_close(carrier->end);
    delivery_free(&carrier->delivery);
    *(carrier->previous == NULL ? &carrier->node->carriers : &carrier->previous->next) = carrier->next;
    if (carrier->next != NULL)
        carrier->next->previous = carrier->previous;
}

static void far_input(void *owner)
{
    carry(owner);
}

static void lost(struct node_carrier *carrier, enum tls_loss how, struct bytes why)
{
    end_close(carrier->end);
    carrier->end = NULL;
    delivery_lost(&carrier->delivery, false, how, why);
    carry(carrier);
}

static void far_ended(void *owner)
{
    lost(owner, TLS_LOSS_ENDED, BYTES("the connection ended"));
}

static void far_silent(void *owner)
{
    struct node_carrier *carrier = owner;
    if (carrier->end != NULL)
        lost(carrier, TLS_LOSS_SILENT, BYTES("timed out"));
}

static enum far_policy policy_of(const struct node_carrier *carrier)
{
    return carrier->node->policies[bytes_is(carrier->destination, "there.test") ? 0 : 1];
}

/* The worst DNS answers. Only those about a domain's MX can be final. */
static enum dns_status dns_trouble(struct node_carrier *carrier)
{
    bool final = carrier->type == DNS_MX && world_random(carrier->node->world, 8) == 0;
    carrier->nowhere = carrier->nowhere || final;
    return final ? DNS_NXDOMAIN : world_random(carrier->node->world, 3) == 0 ? DNS_BOGUS : DNS_SERVER_FAILURE;
}

static void resolved(struct node_carrier *carrier)
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
    if (world_chance(carrier->node->world, 50)) {
        status = dns_trouble(carrier);
    } else if (carrier->type == DNS_MX && world_chance(carrier->node->world, 10)) {
        carrier->nowhere = true;
        status = DNS_FOUND;
        found = &null_mx;
        count = 1;
    } else if (carrier->type == DNS_TLSA && policy_of(carrier) == FAR_DANE) {
        status = DNS_FOUND;
        found = &tlsa;
        count = 1;
    } else if (carrier->type == DNS_MX && bytes_is(carrier->name, "there.test")) {
        status = DNS_FOUND;
        count = 2;
    } else if (carrier->type == DNS_A) {
        status = DNS_FOUND;
        count = 1;
        found = &address;
        address.address[0] = 192;
        address.address[3] = bytes_is(carrier->name, "mx1.there.test")   ? 1
                             : bytes_is(carrier->name, "mx2.there.test") ? 2
                                                                         : 3;
    }
    struct dns_answer facts = {
        .status = status, .secure = policy_of(carrier) == FAR_DANE, .records = found, .count = count};
    delivery_learned(&carrier->delivery, carrier->type, &facts);
}

static void connected(struct node_carrier *carrier)
{
    struct node *node = carrier->node;
    uint8_t which = carrier->delivery.address.octets[3];
    if (world_chance(node->world, 200)) {
        delivery_lost(&carrier->delivery, false, TLS_LOSS_ENDED, BYTES("refused"));
        return;
    }
    struct link *link = link_new(node->world);
    carrier->end = &link->ends[0];
    *carrier->end = (struct end){
        .link = link, .other = &link->ends[1], .on_input = far_input, .on_end = far_ended, .owner = carrier};
    carrier->given = false;
    carrier->said_never = carrier->said_never || (carrier->peer != NULL && carrier->peer->said_never);
    carrier->peer = NULL;
    delivery_connected(&carrier->delivery);
    carrier->certificate_good = !world_chance(node->world, 200);
    if (world_chance(node->world, 600)) {
        carrier->peer = peer_open(node->world, node->letters, &link->ends[1], policy_of(carrier) != FAR_MAY);
        carrier->peer->next = node->peers;
        node->peers = carrier->peer;
    } else {
        server_open(&node->far[which - 1], &link->ends[1]);
    }
}

/* A certificate is checked where something asks for that; a handshake may fail for other reasons. */
static void shaken_hands(struct node_carrier *carrier)
{
    bool checked = policy_of(carrier) == FAR_DANE || policy_of(carrier) == FAR_STS;
    if (carrier->end == NULL)
        return;
    if (!world_chance(carrier->node->world, 100) && (carrier->certificate_good || !checked)) {
        delivery_tls_started(&carrier->delivery);
        return;
    }
    end_close(carrier->end);
    carrier->end = NULL;
    delivery_lost(&carrier->delivery, true,
                  world_chance(carrier->node->world, 500) ? TLS_LOSS_SILENT : TLS_LOSS_ENDED,
                  BYTES("no handshake"));
}

/* Delivers the result of DNS, a connection or a handshake, after a while. */
static void stepped(void *owner)
{
    struct node_carrier *carrier = owner;
    if (carrier->delivery.stage == DELIVERY_HANDSHAKING)
        shaken_hands(carrier);
    else if (carrier->delivery.stage == DELIVERY_RESOLVING)
        resolved(carrier);
    else
        connected(carrier);
    carry(carrier);
}

static void answer(struct node_carrier *carrier, const struct delivery_action *action)
{
    struct node *node = carrier->node;
    carrier->said_never = carrier->said_never || (carrier->peer != NULL && carrier->peer->said_never);
    struct delivery_result results[DELIVERY_RECIPIENTS_MAX];
    struct ipc_deliver_answer said = {
        .delivery = carrier->number, .results = results, .result_count = action->result_count};
    bool any_delivered = false, unsure = false;
    for (size_t i = 0; i < action->result_count; i++) {
        const struct delivery_result *r = &action->results[i];
        results[i] = *r;
        any_delivered = any_delivered || r->outcome == OUTCOME_DELIVERED;
        if (r->outcome == OUTCOME_FAILED) {
            /* Far servers reject names with "reject"; others only if the server misbehaves. */
            struct bytes address = carrier->envelope.recipients[i].address;
            bool founded = r->code == 0 ? carrier->nowhere
                                        : bytes_starts_nocase(address, "reject@") || carrier->said_never;
            letters_failed(node->letters, carrier->content, address, founded);
        }
        unsure = unsure || (r->outcome == OUTCOME_DEFERRED && r->code == 0);
    }
    if ((carrier->given && unsure) || (carrier->orphan && any_delivered))
        letters_uncertain(node->letters, carrier->content,
                          carrier->orphan ? "delivered, and nobody left to tell"
                                          : "sent, and no answer came");
    carrier->number = 0;
    if (carrier->orphan)
        return;
    if (any_delivered && node->unsaved_count < NODE_WAITING_MAX)
        node->unsaved[node->unsaved_count++] = carrier->content;
    queue_delivered(&node->queue, &said, node->world->now_ms);
    alarm_set(&node->turn, 0);
}

static void perform(struct node_carrier *carrier, const struct delivery_action *action)
{
    static const struct sts_policy sts = {.mode = STS_ENFORCE,
                                          .max_age_s = 86400,
                                          .patterns = {BYTES("*.there.test"), BYTES("far.test")},
                                          .pattern_count = 2};
    struct world *world = carrier->node->world;
    switch (action->kind) {
    case DELIVERY_RESOLVE:
        carrier->type = action->type;
        carrier->name = arena_copy(&world->memory, action->name);
        alarm_set(&carrier->step, world_random(world, world_chance(world, 50) ? 20000 : 40));
        break;
    case DELIVERY_ASK_STS:
        delivery_sts(&carrier->delivery, policy_of(carrier) == FAR_STS ? &sts : NULL);
        break;
    case DELIVERY_CONNECT:
        alarm_set(&carrier->step, world_random(world, world_chance(world, 50) ? 20000 : 40));
        break;
    case DELIVERY_SEND: end_send(carrier->end, action->bytes); break;
    case DELIVERY_WANT_CONTENT:
        carrier->given = true;
        delivery_content(&carrier->delivery, carrier->content, true);
        break;
    case DELIVERY_DONE: answer(carrier, action); break;
    case DELIVERY_CLOSE:
        if (carrier->end != NULL)
            end_close(carrier->end);
        carrier->end = NULL;
        break;
    case DELIVERY_ASK: /* nobody signs in here */
    case DELIVERY_NOTHING: break;
    case DELIVERY_STARTTLS:
        assert((action->tlsa_count > 0) == (policy_of(carrier) == FAR_DANE) &&
               action->verify == (policy_of(carrier) == FAR_STS));
        if (carrier->end->input.length > 0) { /* as relay's carrier */
            end_close(carrier->end);
            carrier->end = NULL;
            delivery_lost(&carrier->delivery, true, TLS_LOSS_CLEAR_TEXT, BYTES(CLEAR_TEXT_AFTER_STARTTLS));
        } else {
            alarm_set(&carrier->step, world_random(world, 40));
        }
        break;
    }
}

static void carry(struct node_carrier *carrier)
{
    struct delivery_action action;
    size_t used = 1;
    carrier->node->fallback.now_ms = carrier->node->world->now_ms;
    while (used > 0) {
        while (delivery_action(&carrier->delivery, &action))
            perform(carrier, &action);
        used = carrier->end == NULL ? 0
                                    : delivery_feed(&carrier->delivery, buffer_bytes(&carrier->end->input));
        if (used > 0)
            buffer_consume(&carrier->end->input, used);
    }
    if (carrier->number == 0 && carrier->end == NULL)
        drop_carrier(carrier);
    else if (carrier->number == 0 && delivery_is_open(&carrier->delivery))
        alarm_set(&carrier->idle, 3000);
    if (!carrier->over && carrier->end != NULL)
        alarm_set(&carrier->silence, delivery_timeout_ms(&carrier->delivery));
}

static void idle_for_long(void *owner)
{
    struct node_carrier *carrier = owner;
    delivery_quit(&carrier->delivery);
    carry(carrier);
}

void node_relay_begin(struct node *node, const struct ipc_deliver *deliver)
{
    struct node_carrier *carrier = node->carriers;
    while (carrier != NULL && !(carrier->number == 0 && delivery_is_open(&carrier->delivery) &&
                                bytes_equal(carrier->destination, deliver->destination)))
        carrier = carrier->next;
    bool kept = carrier != NULL;
    if (!kept) {
        carrier = ARENA_NEW(&node->world->memory, struct node_carrier);
        *carrier = (struct node_carrier){
            .node = node,
            .next = node->carriers,
            .destination = arena_copy(&node->world->memory, deliver->destination)};
        if (carrier->next != NULL)
            carrier->next->previous = carrier;
        node->carriers = carrier;
        alarm_start(&carrier->step, node->world, stepped, carrier);
        alarm_start(&carrier->silence, node->world, far_silent, carrier);
        alarm_start(&carrier->idle, node->world, idle_for_long, carrier);
    }
    alarm_cancel(&carrier->idle);
    carrier->number = deliver->delivery;
    carrier->orphan = carrier->given = carrier->nowhere = false;
    carrier->envelope = node_copy_envelope(&node->world->memory, &deliver->envelope);
    carrier->content = letters_sent(node->letters, deliver);
    struct delivery_options options = {.hostname = BYTES("mx.here.test"),
                                       .domain = carrier->destination,
                                       .random = world_random(node->world, 0),
                                       .port = 25,
                                       .tls = CLIENT_TLS_OPPORTUNISTIC,
                                       .fallback = &node->fallback,
                                       .wish = policy_of(carrier) == FAR_ENCRYPT ? WISH_ENCRYPT : WISH_AUTO};
    if (kept)
        delivery_next(&carrier->delivery, &carrier->envelope);
    else
        delivery_start(&carrier->delivery, &options, &carrier->envelope);
    carry(carrier);
}

void node_relay_forget_queue(struct node *node)
{
    for (struct node_carrier *carrier = node->carriers, *next; carrier != NULL; carrier = next) {
        next = carrier->next;
        carrier->orphan = true;
        if (carrier->number != 0 && !carrier->given)
            drop_carrier(carrier);
    }
}

void node_relay_drop(struct node *node)
{
    while (node->carriers != NULL) {
        struct node_carrier *carrier = node->carriers;
        if (carrier->number != 0 && carrier->given)
            letters_uncertain(node->letters, carrier->content, "the relay died with it");
        drop_carrier(carrier);
    }
}
