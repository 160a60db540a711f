/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue retry, hold, release, remove. What a filter means is found here, page
 * by page, and told to the running queue process in batches; it touches no
 * more than what was found. When no server runs, this is the store's writer.
 */
#include "cli/queue/queue.h"
#include "cli/queue/search.h"

#include "io/clock.h"
#include "io/log.h"
#include "queue/queue.h"
#include "queue/queue_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* Whoever carries it out: the server, or we ourselves. */
struct hand {
    bool served;
    struct asking asking;
    struct store *store; /* ours to write, or to read beside the server; NULL: not opened */
    struct queue queue;  /* ours, where no server runs */
    struct timeline timeline;
};

static bool hand_open(struct hand *hand, const struct queue_call *call, struct error *error)
{
    *hand = (struct hand){.served = store_sqlite_owner(call->folder) != 0};
    if (hand->served)
        return asking_open(&hand->asking, call->folder, error);
    hand->store = store_sqlite_open(call->folder, STORE_WRITE, error);
    if (hand->store == NULL)
        return false;
    struct queue_options options = {.hostname = bytes_of_text(call->config->hostname), .routes = config_rules(call->config), .hold = true};
    log_start("queue", (enum log_format)call->config->log.format, LOG_EVENT_WARN); /* the count that is printed says it; a line a message is for the server's log */
    timeline_open(&hand->timeline);
    timeline_start(&hand->timeline, hand->store);
    queue_start(&hand->queue, hand->store, &options, clock_epoch_ms(), timeline_now_ms(&hand->timeline));
    return true;
}

static void hand_close(struct hand *hand)
{
    if (hand->served)
        asking_close(&hand->asking);
    else if (hand->store != NULL)
        queue_free(&hand->queue);
    store_close(hand->store);
}

/* For reading. */
static bool hand_look(struct hand *hand, const struct queue_call *call, struct error *error)
{
    if (hand->store == NULL)
        hand->store = store_sqlite_open(call->folder, STORE_READ, error);
    return hand->store != NULL;
}

static bool commit(struct hand *hand, struct error *error)
{
    return queue_commit(&hand->queue, timeline_now_ms(&hand->timeline), error) == STORE_DONE;
}

static bool all_here(struct hand *hand, enum control_verb verb, uint64_t *count, struct error *error)
{
    uint64_t after = 0;
    do {
        *count += queue_control_some(&hand->queue, verb, &after, timeline_now_ms(&hand->timeline));
        if (!commit(hand, error))
            return false;
    } while (after != 0);
    return true;
}

static bool one_here(struct hand *hand, enum control_verb verb, uint64_t id, uint64_t *count, struct error *error)
{
    *count = queue_control(&hand->queue, verb, id, timeline_now_ms(&hand->timeline));
    return commit(hand, error);
}

static bool chosen_here(struct hand *hand, enum control_verb verb, const struct chosen *chosen, size_t chosen_count, uint64_t *count, struct error *error)
{
    *count += queue_control_chosen(&hand->queue, verb, chosen, chosen_count, timeline_now_ms(&hand->timeline));
    return commit(hand, error);
}

/* ---- what a filter means ---- */

struct choice {
    struct hand *hand;
    enum control_verb verb;
    struct chosen chosen[CHOSEN_MAX];
    size_t chosen_count;
    uint64_t *count;
    struct error *error;
};

static bool tell(struct choice *choice)
{
    size_t chosen_count = choice->chosen_count;
    choice->chosen_count = 0;
    if (chosen_count == 0)
        return true;
    if (choice->hand->served)
        return asking_choose(&choice->hand->asking, choice->verb, choice->chosen, chosen_count, choice->count, choice->error);
    return chosen_here(choice->hand, choice->verb, choice->chosen, chosen_count, choice->count, choice->error);
}

static bool choose_recipients(struct choice *choice, const struct selection *selection, uint64_t id, struct store_recipient *page)
{
    struct arena arena = {0};
    uint32_t from = 0;
    bool done = true;
    for (size_t count; done && (count = store_recipients(choice->hand->store, id, from, STORE_READ_MAX, &arena, page)) > 0; arena_clear(&arena)) {
        from = page[count - 1].number + 1;
        for (size_t i = 0; done && i < count; i++) {
            if (!selection_takes_recipient(selection, &page[i]))
                continue;
            choice->chosen[choice->chosen_count++] = (struct chosen){id, page[i].number};
            done = choice->chosen_count < CHOSEN_MAX || tell(choice);
        }
    }
    arena_clear(&arena);
    return done;
}

static bool choose(struct hand *hand, const struct queue_call *call, enum control_verb verb, uint64_t *count, struct error *error)
{
    struct choice *choice = memory_new(sizeof *choice);
    struct store_recipient *recipients = memory_new(STORE_READ_MAX * sizeof *recipients);
    choice->hand = hand;
    choice->verb = verb;
    choice->count = count;
    choice->error = error;
    bool done = hand_look(hand, call, error);
    if (done) {
        struct search search;
        search_start(&search, hand->store, &call->selection, timeline_read_ms(hand->store));
        for (const struct store_summary *found; done && (found = search_next(&search)) != NULL;)
            done = choose_recipients(choice, &call->selection, found->id, recipients);
        search_free(&search);
    }
    done = done && tell(choice);
    free(recipients);
    free(choice);
    return done;
}

/* ---- a person's word ---- */

/* It touched nobody: is there such a message, and is that what was wanted? */
static bool explain_nobody(struct hand *hand, const struct queue_call *call, enum control_verb verb, const char *text, uint64_t id, struct error *error)
{
    struct arena arena = {0};
    struct store_message message;
    if (!hand_look(hand, call, error))
        return false;
    bool there = store_read(hand->store, id, false, &arena, &message);
    arena_clear(&arena);
    if (!there)
        return error_set(error, EX_DATAERR, "no message %s waits", text);
    return verb != CONTROL_RETRY || error_set(error, EX_DATAERR, "%s is held: say release", text);
}

static bool each_id(struct hand *hand, const struct queue_call *call, enum control_verb verb, uint64_t *count, struct error *error)
{
    bool done = true;
    for (size_t i = 0; i < call->id_count; i++) {
        uint64_t id, touched = 0;
        if (!queue_read_id(&queue_command, call->ids[i], &id))
            continue; /* they were checked before */
        bool told = hand->served ? asking_control(&hand->asking, verb, id, &touched, error) : one_here(hand, verb, id, &touched, error);
        if (!told)
            return false;
        *count += touched;
        struct error former = *error;
        bool ended_well = touched > 0 || explain_nobody(hand, call, verb, call->ids[i], id, error);
        if (!ended_well && !done)
            command_fail(&queue_command, &former);
        done = done && ended_well;
    }
    return done;
}

static bool carry_out(struct hand *hand, const struct queue_call *call, enum control_verb verb, uint64_t *count, struct error *error)
{
    if (call->id_count > 0)
        return each_id(hand, call, verb, count, error);
    if (!selection_is_everything(&call->selection))
        return choose(hand, call, verb, count, error);
    return hand->served ? asking_control(&hand->asking, verb, 0, count, error) : all_here(hand, verb, count, error);
}

static void say_done(const char *word, uint64_t count, bool json)
{
    if (json)
        printf("{\"recipients\":%llu}\n", (unsigned long long)count);
    else
        printf("%s: %llu recipient%s\n", word, (unsigned long long)count, count == 1 ? "" : "s");
}

int queue_word(const struct queue_call *call, enum control_verb verb, const char *word)
{
    struct hand *hand = memory_new(sizeof *hand);
    struct error error = {0};
    uint64_t count = 0, id;
    for (size_t i = 0; i < call->id_count; i++)
        if (!queue_read_id(&queue_command, call->ids[i], &id)) {
            free(hand);
            return EX_USAGE;
        }
    bool opened = hand_open(hand, call, &error);
    bool done = opened && carry_out(hand, call, verb, &count, &error);
    if (done || count > 0)
        say_done(word, count, call->json);
    if (opened)
        hand_close(hand);
    free(hand);
    return done ? EX_OK : command_fail(&queue_command, &error);
}
