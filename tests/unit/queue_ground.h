/* SPDX-License-Identifier: Apache-2.0 */
/* queue_ground: the queue over the memory store, with time as an argument. */
#ifndef MAILBOAT_TEST_QUEUE_GROUND_H
#define MAILBOAT_TEST_QUEUE_GROUND_H

#include <stdio.h>

#include "core/client/client_session.h"
#include "io/log.h"
#include "queue/queue.h"
#include "store/queue/memory.h"
#include "unit.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

static struct queue_ground {
    struct store *store;
    struct queue queue;
    struct queue_options options;
    uint64_t now_ms, last_id;
    struct ipc_deliver deliver;
    char told[65536]; /* content of the last delivery */
} g;

static inline int prepare(void **state)
{
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    g = (struct queue_ground){.now_ms = 1000 * 1000, .store = memory_store_open()};
    g.options = (struct queue_options){.hostname = BYTES("mx.example.org"),
                                       .retry = {.first_ms = 300 * 1000, .max_ms = 4 * HOUR_MS, .factor = 2},
                                       .expire_ms = UINT64_C(5) * DAY_MS};
    queue_start(&g.queue, g.store, &g.options, 1, g.now_ms);
    return 0;
}

static inline int clean_up(void **state)
{
    queue_free(&g.queue);
    store_close(g.store);
    return 0;
}

static inline void restart(void)
{
    queue_free(&g.queue);
    queue_start(&g.queue, g.store, &g.options, 1, g.now_ms);
    queue_wake(&g.queue, g.now_ms);
}

static inline void commit(void)
{
    struct error error;
    assert_int_equal(queue_commit(&g.queue, g.now_ms, &error), STORE_DONE);
}

static inline uint64_t accept(const char *const *addresses, size_t count)
{
    static struct recipient recipients[2000];
    for (size_t i = 0; i < count; i++)
        recipients[i] = (struct recipient){.address = bytes_of_text(addresses[i]),
                                           .local = strstr(addresses[i], "@here.org") != NULL};
    struct store_message m = {
        .id = ++g.last_id,
        .envelope = {.sender = BYTES("ada@here.org"), .recipients = recipients, .recipient_count = count},
        .content = BYTES("Subject: hi\r\n\r\nx\r\n")};
    assert_int_equal(queue_accept(&g.queue, &m, 0, g.now_ms), STORE_DONE);
    return g.last_id;
}

static inline uint64_t accept_one(const char *address)
{
    return accept(&address, 1);
}

static inline bool next(enum schedule_transport transport)
{
    int content;
    if (!queue_next(&g.queue, transport, g.now_ms, &g.deliver, &content))
        return false;
    snprintf(g.told, sizeof g.told, "%.*s", BYTES_ARG(g.deliver.content));
    return true;
}

/* Ends the last delivery with this outcome for all recipients. */
static inline void fate_of(uint64_t delivery, size_t count, enum client_outcome outcome,
                           enum client_step step)
{
    struct delivery_result results[DELIVERY_RECIPIENTS_MAX];
    for (size_t i = 0; i < count; i++)
        results[i] = (struct delivery_result){.outcome = outcome,
                                              .step = step,
                                              .code = step >= STEP_MAIL ? (outcome == OUTCOME_DELIVERED ? 250
                                                                           : outcome == OUTCOME_FAILED  ? 550
                                                                                                        : 451)
                                                                        : 0,
                                              .enhanced = BYTES("4.0.0"),
                                              .text = BYTES("as it goes")};
    struct ipc_deliver_answer answer = {
        .delivery = delivery, .peer = BYTES("mx[192.0.2.1]:25"), .results = results, .result_count = count};
    queue_delivered(&g.queue, &answer, g.now_ms);
}

static inline void fate(enum client_outcome outcome, enum client_step step)
{
    fate_of(g.deliver.delivery, g.deliver.envelope.recipient_count, outcome, step);
}

static inline size_t waiting(void)
{
    uint64_t ids[STORE_READ_MAX];
    return store_ids(g.store, 0, STORE_READ_MAX, ids, NULL);
}

/* Advances to the next due time; false if there is none. */
static inline bool sleep_until_woken(void)
{
    uint64_t wake_ms = queue_wake_ms(&g.queue);
    if (wake_ms == 0)
        return false;
    if (wake_ms > g.now_ms)
        g.now_ms = wake_ms;
    queue_wake(&g.queue, g.now_ms);
    commit();
    return true;
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

#endif
