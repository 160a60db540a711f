/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "node_errands.h"

/* ---- taking mail in ---- */

static enum recipient_verdict on_recipient(void *owner, struct bytes address, struct recipient *target)
{
    bool is_list = bytes_starts_nocase(address, "list");
    target->local = bytes_ends_nocase(address, "@here.test") && !is_list;
    target->expands = is_list ? EXPANDS_ALIAS : EXPANDS_NOT;
    target->via = is_list ? address : bytes_none();
    return RECIPIENT_KNOWN;
}

static void take_in(struct node *node, struct server *server, const struct envelope *envelope,
                    struct bytes content)
{
    struct store_message message = {.id = queue_id_next(&node->ids, node->world->now_ms * 1000),
                                    .envelope = *envelope,
                                    .prefix = BYTES(LETTERS_PREFIX),
                                    .content = content};
    if (!node->up || node->waiting_count == NODE_WAITING_MAX ||
        queue_accept(&node->queue, &message, 0, node->world->now_ms) != STORE_DONE) {
        server_stored(server, STORE_FAILED);
        if (node->up)
            alarm_set(&node->turn, 0);
        return;
    }
    node->waiting[node->waiting_count].content = arena_copy(&node->world->memory, content);
    node->waiting[node->waiting_count++].server = server;
    alarm_set(&node->turn, world_random(node->world, 3));
}

static void on_message(void *owner, struct server *server, const struct envelope *envelope,
                       struct bytes content)
{
    struct node *node = owner;
    struct arena *memory = &node->world->memory;
    if (!node->up || !node->queue.committing) {
        take_in(node, server, envelope, content);
        return;
    }
    assert(node->given_count < NODE_WAITING_MAX);
    node->given[node->given_count].server = server;
    node->given[node->given_count].envelope = node_copy_envelope(memory, envelope);
    node->given[node->given_count++].content = arena_copy(memory, content);
}

struct end *node_connect(void *owner)
{
    struct node *node = owner;
    if (world_chance(node->world, 50))
        return NULL;
    struct link *link = link_new(node->world);
    server_open(&node->host, &link->ends[1]);
    return &link->ends[0];
}

/* ---- relay ---- */

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

static void begin_carrier(struct node *node, const struct ipc_deliver *deliver)
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

/* ---- the servers far away ---- */

static enum recipient_verdict far_recipient(void *owner, struct bytes address, struct recipient *target)
{
    target->local = true;
    return bytes_starts_nocase(address, "reject@") ? RECIPIENT_UNKNOWN : RECIPIENT_KNOWN;
}

static void far_message(void *owner, struct server *server, const struct envelope *envelope,
                        struct bytes content)
{
    struct node *node = owner;
    enum far_policy policy = node->policies[server->host == &node->far[2] ? 1 : 0];
    bool refuses = world_chance(node->world, 100), dies = world_chance(node->world, 50);
    node->letters->in_clear += policy != FAR_MAY && !server->secured;
    for (size_t i = 0; i < envelope->recipient_count && !refuses; i++)
        letters_arrived(node->letters, envelope->recipients[i].address, content);
    if (dies)
        server_crash(server);
    else
        server_stored(server, refuses ? STORE_FULL : STORE_DONE);
}

/* ---- dying and coming back ---- */

static void come_back(void *owner)
{
    struct node *node = owner;
    if (!shaky_open(&node->store, &node->damaged)) {
        world_say(node->world, "the queue cannot be opened");
        if (!node->damaged)
            world_after(node->world, 100 + world_random(node->world, 2000), come_back, node);
        return;
    }
    queue_start(&node->queue, &node->store.store, &node->options, world_random(node->world, 0),
                node->world->now_ms);
    node->up = true;
    world_say(node->world, "the queue is back");
    alarm_set(&node->turn, 0);
}

static void queue_dies(struct node *node)
{
    world_say(node->world, "the queue dies");
    node->up = false;
    alarm_cancel(&node->turn);
    queue_free(&node->queue);
    for (size_t i = 0; i < node->waiting_count; i++) {
        letters_uncertain(node->letters, node->waiting[i].content, "the queue died before it answered");
        server_stored(node->waiting[i].server, STORE_FAILED);
    }
    for (size_t i = 0; i < node->given_count; i++)
        server_stored(node->given[i].server, STORE_FAILED);
    node->given_count = 0;
    for (size_t i = 0; i < node->unsaved_count; i++)
        letters_uncertain(node->letters, node->unsaved[i],
                          "delivered, and the queue died before that was stored");
    node->waiting_count = node->unsaved_count = 0;
    while (node->errands != NULL)
        node_errand_forget(node->errands);
    for (struct node_carrier *carrier = node->carriers, *next; carrier != NULL; carrier = next) {
        next = carrier->next;
        carrier->orphan = true;
        if (carrier->number != 0 && !carrier->given)
            drop_carrier(carrier);
    }
    shaky_fall(&node->store);
    world_after(node->world, 100 + world_random(node->world, 2000), come_back, node);
}

static void plan_crash(void *owner)
{
    struct node *node = owner;
    if (!node->world->stormy)
        return;
    struct drive *drive = node->store.ground == NULL ? NULL : &node->store.ground->drive;
    if (drive != NULL && world_random(node->world, 3) == 0)
        drive->operations_left = 1 + world_random(node->world, 200);
    else if (drive != NULL && world_random(node->world, 3) == 0)
        drive->syncs_left = 1 + world_random(node->world, 20);
    else
        node->store.operations_left = 1 + world_random(node->world, 60);
    node->store.after = world_random(node->world, 2) == 0;
    alarm_set(&node->crash, world_random(node->world, node->calm_ms));
}

/* The remote store: reachable most of the time. */
static void store_goes_or_comes(void *owner)
{
    struct node *node = owner;
    if (!node->world->stormy)
        return;
    node->store.away = !node->store.away;
    world_say(node->world, node->store.away ? "nobody reaches the store" : "the store is there again");
    alarm_set(&node->departure, world_random(node->world, node->store.away ? 20 * 1000 : 90 * 1000));
}

static void relay_dies(void *owner)
{
    struct node *node = owner;
    if (!node->world->stormy)
        return;
    world_say(node->world, "the relay dies");
    while (node->carriers != NULL) {
        struct node_carrier *carrier = node->carriers;
        if (carrier->number != 0 && carrier->given)
            letters_uncertain(node->letters, carrier->content, "the relay died with it");
        drop_carrier(carrier);
    }
    if (node->up) {
        queue_transport_lost(&node->queue, SCHEDULE_AWAY, node->world->now_ms);
        alarm_set(&node->turn, 0);
    }
    alarm_set(&node->relay_crash, 1000 + world_random(node->world, 240 * 1000));
}

/* ---- the turn: as in the queue process ---- */

static void answer_waiting(struct node *node, enum store_verdict verdict)
{
    for (size_t i = 0; i < node->waiting_count; i++)
        server_stored(node->waiting[i].server, verdict);
    node->waiting_count = 0;
}

static void start_some(struct node *node, enum schedule_transport transport)
{
    struct ipc_deliver deliver;
    int content;
    while (!node->store.dead) {
        if (!queue_next(&node->queue, transport, node->world->now_ms, &deliver, &content)) {
            if (!queue_looks_on(&node->queue, transport))
                return;
            continue;
        }
        assert(content < 0);
        if (node->store.dead) /* what it says is not true any more */
            return;
        if (transport == SCHEDULE_AWAY)
            begin_carrier(node, &deliver);
        else
            node_errand_begin(node, transport, &deliver);
    }
}

/* Submissions that arrived during a commit. */
static void take_in_given(struct node *node)
{
    size_t count = node->given_count;
    node->given_count = 0;
    for (size_t i = 0; i < count; i++)
        take_in(node, node->given[i].server, &node->given[i].envelope, node->given[i].content);
}

/* False: it is under way, or the queue died of it. */
static bool commit(struct node *node)
{
    struct error error;
    uint64_t now_ms = node->world->now_ms;
    enum store_verdict verdict;
    if (!node->queue.committing)
        queue_commit_start(&node->queue, now_ms);
    if (!queue_commit_done(&node->queue, now_ms, &verdict, &error)) {
        alarm_set(&node->turn, node->store.commit_end_ms - now_ms);
        return false;
    }
    if (node->store.dead || verdict == STORE_FAILED) {
        queue_dies(node);
        return false;
    }
    ledger_take(&node->ledger, &node->queue);
    answer_waiting(node, verdict);
    return true;
}

static void take_turn(void *owner)
{
    struct node *node = owner;
    uint64_t now_ms = node->world->now_ms, wake_ms = node->up ? queue_wake_ms(&node->queue) : 0;
    if (!node->up)
        return;
    if (wake_ms != 0 && wake_ms <= now_ms)
        queue_wake(&node->queue, now_ms);
    if (!commit(node))
        return;
    if (node->queue.unsaved == NULL)
        node->unsaved_count = 0;
    for (int transport = 0; transport < SCHEDULE_TRANSPORTS; transport++)
        start_some(node, (enum schedule_transport)transport);
    if (node->store.dead) {
        queue_dies(node);
        return;
    }
    take_in_given(node);
    wake_ms = queue_wake_ms(&node->queue);
    if (store_is_changed(&node->store.store) || queue_has_kept_results(&node->queue))
        alarm_set(&node->turn, 1);
    else if (wake_ms != 0)
        alarm_set(&node->turn, wake_ms <= now_ms ? 1 : wake_ms - now_ms);
}

/* ---- life ---- */

static struct host make_host(struct node *node, const char *name, enum server_role role)
{
    struct host host = {
        .world = node->world, .owner = node, .on_recipient = far_recipient, .on_message = far_message};
    host.policy = (struct server_policy){.role = role,
                                         .tls = role == ROLE_LOCAL ? TLS_NONE : TLS_STARTTLS,
                                         .hostname = bytes_of_text(name),
                                         .message_size_max = 1 << 20,
                                         .recipients_max = 100};
    return host;
}

void node_start(struct node *node, struct world *world, struct letters *letters, struct shaky_ground *ground)
{
    static const char *const names[] = {"mx1.there.test", "mx2.there.test", "far.test"};
    *node = (struct node){.world = world, .letters = letters};
    shaky_start(&node->store, world, ground);
    if (world_random(world, 4) == 0)
        shaky_limit(&node->store, 3000 + world_random(world, 5000));
    node->options = (struct queue_options){
        .hostname = BYTES("mx.here.test"),
        .retry = {.first_ms = 30 * 1000, .max_ms = 10 * 60 * 1000, .factor = 2},
        .expire_ms = UINT64_C(5) * 24 * 3600 * 1000};
    node->host = make_host(node, "mx.here.test", ROLE_LOCAL);
    node->host.on_recipient = on_recipient;
    node->host.on_message = on_message;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        node->far[i] = make_host(node, names[i], ROLE_MX);
    for (size_t i = 0; i < ARRAY_LENGTH(node->policies); i++)
        node->policies[i] = (enum far_policy)world_random(world, FAR_POLICIES);
    alarm_start(&node->turn, world, take_turn, node);
    alarm_start(&node->crash, world, plan_crash, node);
    alarm_start(&node->relay_crash, world, relay_dies, node);
    alarm_start(&node->departure, world, store_goes_or_comes, node);
    come_back(node);
    node->calm_ms = UINT64_C(500) << world_random(world, 10);
    alarm_set(&node->crash, world_random(world, node->calm_ms));
    alarm_set(&node->relay_crash, world_random(world, 300 * 1000));
    node->store.far = ground == NULL && world_random(world, 3) == 0;
    if (node->store.far)
        alarm_set(&node->departure, world_random(world, 60 * 1000));
}

void node_calm(struct node *node)
{
    shaky_limit(&node->store, 0);
    node->store.operations_left = 0;
    node->store.away = false;
    if (node->store.ground != NULL)
        node->store.ground->drive.operations_left = node->store.ground->drive.syncs_left = 0;
}

bool node_is_empty(struct node *node)
{
    uint64_t id;
    return node->up && node->errands == NULL && node->carriers == NULL &&
           store_ids(node->store.inner, 0, 1, &id, NULL) == 0;
}

static void hosts_close(struct host *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (struct server *server = hosts[i].servers; server != NULL; server = server->next)
            server_crash(server);
}

void node_free(struct node *node)
{
    while (node->carriers != NULL)
        drop_carrier(node->carriers);
    hosts_close(&node->host, 1);
    hosts_close(node->far, ARRAY_LENGTH(node->far));
    for (struct peer *peer = node->peers; peer != NULL; peer = peer->next)
        peer_close(peer);
    if (node->up)
        queue_free(&node->queue);
    shaky_free(&node->store);
}
