/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_bench: what a message costs the store: accept in batches, then finish
 * in batches, with an optional standing queue. Prints microseconds of CPU and
 * of wall time a message. Usage: store_bench FOLDER [MESSAGES [BATCH [STANDING]]]
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "core/event/mail_event.h"
#include "core/queue/queue_id.h"
#include "store/queue/sqlite.h"

enum { CONTENT_SIZE = 4096, FIRST_MS = 1000 };

static struct queue_id_maker maker;

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What the queue would tell of the batch, in one row as it puts it. */
static struct buffer events;
static uint64_t event_count;

static void add_event(enum event_kind kind, uint64_t id)
{
    struct mail_event event = {.kind = kind,
                               .id = queue_id_next(&maker, 0),
                               .at_ms = FIRST_MS,
                               .message = id,
                               .sender = BYTES("ada@example.org"),
                               .recipient = BYTES("bob@elsewhere.example"),
                               .recipients = 1,
                               .size = CONTENT_SIZE,
                               .client = BYTES("192.0.2.1"),
                               .protocol = BYTES("ESMTP")};
    if (kind == EVENT_DELIVERED) {
        event.peer = BYTES("mx.elsewhere.example[192.0.2.2]:25");
        event.tls = BYTES("TLSv1.3 TLS_AES_256_GCM_SHA384");
        event.text = BYTES("2.0.0 Ok: queued as 4XyzAbcDEFg");
    }
    mail_event_encode(&events, &event);
    event_count++;
}

static void commit(struct store *store)
{
    struct error error = {0};
    if (event_count > 0)
        store_events_put(store, event_count, buffer_bytes(&events));
    buffer_clear(&events);
    event_count = 0;
    if (store_commit(store, &error) != STORE_DONE) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
}

static void fill(struct store *store, uint64_t *ids, size_t count, size_t batch, struct bytes destination)
{
    static char content[CONTENT_SIZE];
    struct recipient recipient = {.address = BYTES("bob@elsewhere.example")};
    struct store_message message = {
        .arrived_ms = FIRST_MS, .expires_ms = FIRST_MS + 1, .content = bytes_of(content, sizeof content)};
    memset(content, 'x', sizeof content);
    message.envelope = (struct envelope){
        .sender = BYTES("ada@example.org"), .recipients = &recipient, .recipient_count = 1};
    message.origin = (struct origin){.client_address = BYTES("192.0.2.1"),
                                     .client_helo = BYTES("client.example"),
                                     .protocol = BYTES("ESMTP")};
    for (size_t i = 0; i < count; i++) {
        message.id = ids[i] = queue_id_next(&maker, 0);
        bool taken = store_accept(store, &message, &destination, FIRST_MS, 0);
        assert(taken);
        add_event(EVENT_RECEIVED, message.id);
        if ((i + 1) % batch == 0)
            commit(store);
    }
    commit(store);
}

static void empty(struct store *store, const uint64_t *ids, size_t count, size_t batch)
{
    for (size_t i = 0; i < count; i++) {
        store_settle(store, ids[i], &(struct store_result){.fate = STORE_FINISHED}, 1);
        add_event(EVENT_DELIVERED, ids[i]);
        if ((i + 1) % batch == 0)
            commit(store);
    }
    commit(store);
}

static void report(const char *what, size_t count, double cpu, double wall)
{
    printf("%-8s %6.2f us CPU, %7.2f us wall a message\n", what,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)count * 1e6,
           (seconds(CLOCK_MONOTONIC) - wall) / (double)count * 1e6);
}

int main(int argc, char **argv)
{
    struct error error = {0};
    size_t count = argc > 2 ? (size_t)atol(argv[2]) : 20000, batch = argc > 3 ? (size_t)atol(argv[3]) : 64;
    size_t standing = argc > 4 ? (size_t)atol(argv[4]) : 0;
    if (argc < 2 || (mkdir(argv[1], 0700), false))
        return fprintf(stderr, "usage: store_bench FOLDER [MESSAGES [BATCH [STANDING]]]\n"), 64;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    struct store *store = sqlite_store_open(argv[1], STORE_WRITE, &error);
    if (store == NULL)
        return fprintf(stderr, "%s\n", error.text), error.exit_code;
    report("open", 1, cpu, wall);
    maker.last_unit = UINT64_C(1000000) / QUEUE_ID_NODES * (uint64_t)time(NULL);
    uint64_t *ids = calloc(count > standing ? count : standing, sizeof *ids);
    if (standing > 0)
        fill(store, ids, standing, 1000, BYTES("standing.example"));
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    fill(store, ids, count, batch, BYTES("elsewhere.example"));
    report("accept", count, cpu, wall);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    empty(store, ids, count, batch);
    report("finish", count, cpu, wall);
    store_close(store);
    buffer_free(&events);
    free(ids);
    return 0;
}
