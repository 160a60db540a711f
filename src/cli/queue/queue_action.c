/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue retry, hold, release, remove. Filters are evaluated here, page by page, and the matching
 * recipients are sent to the running queue process in batches; only these are changed. If no server runs,
 * this process is the store's writer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/count.h"
#include "cli/queue/queue.h"
#include "cli/queue/recipient_wait.h"
#include "cli/queue/search.h"
#include "io/clock.h"
#include "io/log.h"
#include "queue/queue.h"
#include "queue/queue_clock.h"
#include "store/queue/store_lock.h"

/* The executor of a queue action: the running server, or this process on the store. */
struct queue_backend {
    bool served;
    struct control_client control;
    struct store *store; /* for writing, or for reading while the server runs; NULL: not open */
    struct queue queue;  /* of this process, if no server runs */
    struct queue_clock queue_clock;
};

static bool backend_open(struct queue_backend *backend, const struct queue_call *call, struct error *error)
{
    *backend = (struct queue_backend){.served = store_lock_owner(call->folder) != 0};
    if (backend->served)
        return control_client_open(&backend->control, call->folder, error);
    backend->store = store_open(&call->place, STORE_WRITE, error);
    if (backend->store == NULL)
        return false;
    struct queue_options options = {.hostname = bytes_of_text(call->config->hostname),
                                    .routes = config_rules(call->config),
                                    .hold = true};
    /* the printed count suffices; lines per message are for the server's log */
    log_start("queue", (enum log_format)call->config->log.format, LOG_EVENT_WARN);
    queue_clock_open(&backend->queue_clock);
    if (!queue_clock_start(&backend->queue_clock, backend->store, error)) {
        store_close(backend->store);
        return false;
    }
    queue_start(&backend->queue, backend->store, &options, clock_epoch_ms(),
                queue_clock_now_ms(&backend->queue_clock));
    return true;
}

static void backend_close(struct queue_backend *backend)
{
    if (backend->served)
        control_client_close(&backend->control);
    else if (backend->store != NULL)
        queue_free(&backend->queue);
    store_close(backend->store);
}

/* Opens it for reading. */
static bool backend_look(struct queue_backend *backend, const struct queue_call *call, struct error *error)
{
    if (backend->store == NULL)
        backend->store = store_open(&call->place, STORE_READ, error);
    return backend->store != NULL;
}

static bool commit(struct queue_backend *backend, struct error *error)
{
    return queue_commit(&backend->queue, queue_clock_now_ms(&backend->queue_clock), error) == STORE_DONE;
}

static bool all_here(struct queue_backend *backend, enum control_verb verb, uint64_t *count,
                     struct error *error)
{
    uint64_t after = 0;
    do {
        *count += queue_control_some(&backend->queue, verb, &after,
                                     queue_clock_now_ms(&backend->queue_clock));
        if (!commit(backend, error))
            return false;
    } while (after != 0);
    return true;
}

static bool one_here(struct queue_backend *backend, enum control_verb verb, uint64_t id, uint64_t *count,
                     struct error *error)
{
    *count = queue_control(&backend->queue, verb, id, queue_clock_now_ms(&backend->queue_clock));
    return commit(backend, error);
}

static bool chosen_here(struct queue_backend *backend, enum control_verb verb, const struct chosen *chosen,
                        size_t chosen_count, uint64_t *count, struct error *error)
{
    *count += queue_control_chosen(&backend->queue, verb, chosen, chosen_count,
                                   queue_clock_now_ms(&backend->queue_clock));
    return commit(backend, error);
}

/* ---- matching recipients ---- */

struct queue_choice {
    struct queue_backend *backend;
    enum control_verb verb;
    struct chosen chosen[CHOSEN_MAX];
    size_t chosen_count;
    uint64_t *count;
    struct error *error;
    struct queue_view view;
    const struct selection *selection;
};

static bool apply_chosen(struct queue_choice *choice)
{
    size_t chosen_count = choice->chosen_count;
    choice->chosen_count = 0;
    if (chosen_count == 0)
        return true;
    if (choice->backend->served)
        return control_client_choose(&choice->backend->control, choice->verb, choice->chosen, chosen_count,
                                     choice->count, choice->error);
    return chosen_here(choice->backend, choice->verb, choice->chosen, chosen_count, choice->count,
                       choice->error);
}

static bool is_taken(void *owner, uint64_t id, const struct store_recipient *recipient)
{
    struct queue_choice *choice = owner;
    return recipient_wait_is_taken(choice->selection, &choice->view, id, recipient);
}

static bool choose_recipients(struct queue_choice *choice, uint64_t id, struct store_recipient *page)
{
    struct arena arena = {0};
    uint32_t from = 0;
    bool done = true;
    for (size_t count; done && (count = store_recipients(choice->backend->store, id, from, STORE_READ_MAX,
                                                         &arena, page)) > 0;
         arena_clear(&arena)) {
        from = page[count - 1].number + 1;
        for (size_t i = 0; done && i < count; i++) {
            if (!selection_takes_recipient(choice->selection, &page[i].recipient, &page[i].last) ||
                !is_taken(choice, id, &page[i]))
                continue;
            choice->chosen[choice->chosen_count++] = (struct chosen){id, page[i].number};
            done = choice->chosen_count < CHOSEN_MAX || apply_chosen(choice);
        }
    }
    arena_clear(&arena);
    return done;
}

static bool choose(struct queue_backend *backend, const struct queue_call *call, enum control_verb verb,
                   uint64_t *count, struct error *error)
{
    struct queue_choice *choice = memory_new(sizeof *choice);
    struct store_recipient *recipients = memory_new(STORE_READ_MAX * sizeof *recipients);
    choice->backend = backend;
    choice->verb = verb;
    choice->count = count;
    choice->error = error;
    choice->selection = &call->selection;
    bool done = backend_look(backend, call, error);
    if (done) {
        struct search search;
        queue_view_open(&choice->view, backend->store, call->config, call->folder);
        search_start(&search, backend->store, &call->selection, choice->view.now_ms);
        search.condition = is_taken;
        search.owner = choice;
        for (const struct store_summary *found; done && (found = search_next(&search)) != NULL;)
            done = choose_recipients(choice, found->id, recipients);
        search_free(&search);
        queue_view_close(&choice->view);
    }
    done = done && apply_chosen(choice) && store_verdict(backend->store, error) == STORE_DONE;
    free(recipients);
    free(choice);
    return done;
}

/* ---- operator actions ---- */

/* Explains why no recipient was changed: whether the message exists, and is already in that state. */
static bool explain_none(struct queue_backend *backend, const struct queue_call *call, enum control_verb verb,
                         const char *text, uint64_t id, struct error *error)
{
    struct arena arena = {0};
    struct store_message message;
    if (!backend_look(backend, call, error))
        return false;
    bool there = store_read(backend->store, id, false, &arena, &message);
    arena_clear(&arena);
    if (store_verdict(backend->store, error) != STORE_DONE)
        return false;
    if (!there)
        return error_set(error, EX_UNAVAILABLE, "message %s is not in the queue", text);
    return verb != CONTROL_RETRY || error_set(error, EX_DATAERR, "%s is held: use release", text);
}

static bool each_id(struct queue_backend *backend, const struct queue_call *call, enum control_verb verb,
                    uint64_t *count, struct error *error)
{
    bool done = true;
    for (size_t i = 0; i < call->id_count; i++) {
        uint64_t id, touched = 0;
        if (!queue_read_id(&queue_command, call->ids[i], &id))
            continue; /* already checked */
        bool told = backend->served ? control_client_control(&backend->control, verb, id, &touched, error)
                                    : one_here(backend, verb, id, &touched, error);
        if (!told)
            return false;
        *count += touched;
        struct error former = *error;
        bool ended_well = touched > 0 || explain_none(backend, call, verb, call->ids[i], id, error);
        if (!ended_well && !done)
            command_fail(&queue_command, &former);
        done = done && ended_well;
    }
    return done;
}

static bool carry_out(struct queue_backend *backend, const struct queue_call *call, enum control_verb verb,
                      uint64_t *count, struct error *error)
{
    if (call->id_count > 0)
        return each_id(backend, call, verb, count, error);
    if (!selection_is_everything(&call->selection))
        return choose(backend, call, verb, count, error);
    return backend->served ? control_client_control(&backend->control, verb, 0, count, error)
                           : all_here(backend, verb, count, error);
}

static void say_done(const char *word, uint64_t count, bool json)
{
    if (json)
        printf("{\"recipients\":%llu}\n", (unsigned long long)count);
    else
        printf("%s: %s\n", word, COUNT_OF(count, "recipient"));
}

int queue_action(const struct queue_call *call, enum control_verb verb, const char *word)
{
    struct queue_backend *backend = memory_new(sizeof *backend);
    struct error error = {0};
    uint64_t count = 0, id;
    for (size_t i = 0; i < call->id_count; i++)
        if (!queue_read_id(&queue_command, call->ids[i], &id)) {
            free(backend);
            return EX_USAGE;
        }
    bool opened = backend_open(backend, call, &error);
    bool done = opened && carry_out(backend, call, verb, &count, &error);
    if (done || count > 0)
        say_done(word, count, call->json);
    if (opened)
        backend_close(backend);
    free(backend);
    return done ? EX_OK : command_fail(&queue_command, &error);
}
