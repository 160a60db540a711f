/* SPDX-License-Identifier: Apache-2.0 */
#include "node_errands.h"

#include <assert.h>

struct envelope node_copy_envelope(struct arena *arena, const struct envelope *from)
{
    struct envelope to = *from;
    to.sender = arena_copy(arena, from->sender);
    to.recipients = ARENA_ARRAY(arena, struct recipient, from->recipient_count);
    for (size_t i = 0; i < from->recipient_count; i++) {
        to.recipients[i] = from->recipients[i];
        to.recipients[i].address = arena_copy(arena, from->recipients[i].address);
        to.recipients[i].via = arena_copy(arena, from->recipients[i].via);
    }
    return to;
}

struct node_errand {
    struct node *node;
    struct node_errand *next, *previous;
    uint64_t number, id;
    enum schedule_transport transport;
    struct envelope envelope; /* copies, in the world's memory */
    struct bytes content;
    struct bytes after; /* of a look-up that expands: where its page begins */
    bool delivered;
};

/* As maildir does it: the same message comes to the same mailbox once. */
static void into_mailbox(struct node *node, uint64_t id, struct bytes address, struct bytes content)
{
    for (size_t i = 0; i < node->mailbox_count; i++)
        if (node->mailbox[i].id == id && bytes_equal(node->mailbox[i].address, address))
            return;
    assert(node->mailbox_count < NODE_MAILBOX_MAX);
    node->mailbox[node->mailbox_count].id = id;
    node->mailbox[node->mailbox_count++].address = address;
    letters_arrived(node->letters, address, content);
}

void node_errand_forget(struct node_errand *errand)
{
    *(errand->previous == NULL ? &errand->node->errands : &errand->previous->next) = errand->next;
    if (errand->next != NULL)
        errand->next->previous = errand->previous;
    errand->node = NULL; /* its events find nobody */
}

static void local_done(void *owner)
{
    struct node_errand *errand = owner;
    struct node *node = errand->node;
    if (node == NULL)
        return;
    struct delivery_result results[DELIVERY_RECIPIENTS_MAX];
    for (size_t i = 0; i < errand->envelope.recipient_count; i++)
        results[i] = errand->delivered ? (struct delivery_result){.outcome = OUTCOME_DELIVERED,
                                                                  .step = STEP_DATA,
                                                                  .enhanced = BYTES("2.0.0")}
                                       : (struct delivery_result){.outcome = OUTCOME_DEFERRED,
                                                                  .step = STEP_DATA,
                                                                  .enhanced = BYTES("4.3.1"),
                                                                  .text = BYTES("no room")};
    struct ipc_deliver_answer answer = {
        .delivery = errand->number, .results = results, .result_count = errand->envelope.recipient_count};
    node_errand_forget(errand);
    queue_delivered(&node->queue, &answer, node->world->now_ms);
    alarm_set(&node->turn, 0);
}

static void deliver_locally(void *owner)
{
    struct node_errand *errand = owner;
    struct node *node = errand->node;
    if (node == NULL)
        return;
    errand->delivered = !world_chance(node->world, 50);
    for (size_t i = 0; errand->delivered && i < errand->envelope.recipient_count; i++)
        into_mailbox(node, errand->id, errand->envelope.recipients[i].address, errand->content);
    world_after(node->world, world_random(node->world, 20), local_done, errand);
}

/* "list3" and "more3" have the recipients of letter 3, one or two a page; the
 * list leads to "more3" too, and that back to the list. */
static void expand(struct node *node, const struct node_errand *errand)
{
    struct bytes address = errand->envelope.recipients[0].address;
    const struct letter *letter =
        &node->letters->all[address.at[4] == '1' && ascii_is_digit(address.at[5]) ? 10 + (address.at[5] - '0')
                                                                                  : address.at[4] - '0'];
    struct recipient members[3] = {{.local = false}};
    bool is_list = bytes_starts_nocase(address, "list");
    size_t from = errand->after.length == 0 ? 0 : (size_t)(errand->after.at[0] - '0'),
           to = from + 1 + world_random(node->world, 2), count = 0;
    struct ipc_expand_answer answer = {.request = errand->number,
                                       .members = members,
                                       .verdict = world_chance(node->world, 100) ? RECIPIENT_UNAVAILABLE
                                                                                 : RECIPIENT_KNOWN};
    if (from == 0) { /* each of them to the other */
        members[count] = (struct recipient){.expands = EXPANDS_ALIAS, .via = BYTES("another@here.test")};
        members[count++].address = bytes_of_text(arena_format(
            &node->world->memory, "%s%.*s", is_list ? "more" : "list", BYTES_ARG(bytes_from(address, 4))));
    }
    for (size_t i = from; i < to && i < letter->recipient_count; i++, count++)
        members[count] = (struct recipient){
            .address = letter->recipients[i].address,
            .local = bytes_ends_nocase(letter->recipients[i].address, "@here.test")};
    answer.member_count = count;
    answer.after = to < letter->recipient_count ? bytes_of_text(arena_format(&node->world->memory, "%zu", to))
                                                : bytes_none();
    queue_members_answered(&node->queue, &answer, node->world->now_ms);
}

static void looked_up(void *owner)
{
    struct node_errand *errand = owner;
    struct node *node = errand->node;
    if (node == NULL)
        return;
    if (errand->envelope.recipients[0].expands != EXPANDS_NOT) {
        node_errand_forget(errand);
        expand(node, errand);
        alarm_set(&node->turn, 0);
        return;
    }
    struct recipient target = {.address = errand->envelope.recipients[0].address, .local = true};
    bool ours = bytes_ends_nocase(target.address, "@here.test");
    struct ipc_recipient_answer answer = {.request = errand->number,
                                          .targets = &target,
                                          .target_count = ours ? 1 : 0,
                                          .verdict = world_chance(node->world, 100) ? RECIPIENT_UNAVAILABLE
                                                     : ours                         ? RECIPIENT_KNOWN
                                                                                    : RECIPIENT_FOREIGN};
    node_errand_forget(errand);
    queue_looked_up(&node->queue, &answer, node->world->now_ms);
    alarm_set(&node->turn, 0);
}

void node_errand_begin(struct node *node, enum schedule_transport transport,
                       const struct ipc_deliver *deliver)
{
    struct node_errand *errand = ARENA_NEW(&node->world->memory, struct node_errand);
    *errand = (struct node_errand){.node = node,
                                   .next = node->errands,
                                   .number = deliver->delivery,
                                   .id = deliver->id,
                                   .transport = transport,
                                   .envelope = node_copy_envelope(&node->world->memory, &deliver->envelope),
                                   .content = letters_sent(node->letters, deliver)};
    if (transport == SCHEDULE_LOOKUP && deliver->envelope.recipients[0].expands != EXPANDS_NOT)
        errand->after = arena_copy(&node->world->memory,
                                   queue_expansion(&node->queue, deliver->delivery).after);
    if (errand->next != NULL)
        errand->next->previous = errand;
    node->errands = errand;
    world_after(node->world, world_random(node->world, 20),
                transport == SCHEDULE_LOCAL ? deliver_locally : looked_up, errand);
}
