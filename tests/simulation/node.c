/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "node_errands.h"
#include "node_relay.h"

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
    node_relay_forget_queue(node);
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
    node_relay_drop(node);
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
            node_relay_begin(node, &deliver);
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
    return node->up && node->errands == NULL && node->connections == NULL &&
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
    node_relay_drop(node);
    hosts_close(&node->host, 1);
    hosts_close(node->far, ARRAY_LENGTH(node->far));
    for (struct peer *peer = node->peers; peer != NULL; peer = peer->next)
        peer_close(peer);
    if (node->up)
        queue_free(&node->queue);
    shaky_free(&node->store);
}
