/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_bench: what the queue's store does in a second: accept messages, read
 * pages of what is due, settle them; in batches of 1, 16, 64 and 256 messages a
 * commit, optionally beside a queue that stands. Of each it tells messages a
 * second, microseconds of CPU a message, and how long a commit takes: mean and
 * longest. Usage: store_bench [--json] FOLDER [MESSAGES [STANDING]]
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "core/queue/queue_id.h"
#include "store/queue/sqlite.h"

enum { CONTENT_SIZE = 4096, FIRST_MS = 1000, MESSAGES = 20000, STANDING_BATCH = 1000, ALONE_PART = 10 };

static const size_t batches[] = {1, 16, 64, 256};

struct bench {
    struct store *store;
    struct queue_id_maker maker;
    bool json, any;
    size_t batch, in_batch;
    /* of the part that runs */
    double cpu_s, wall_s, commit_s, commit_max_s;
    size_t commits;
};

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void commit(struct bench *bench)
{
    struct error error = {0};
    double before_s = seconds(CLOCK_MONOTONIC);
    if (store_commit(bench->store, &error) != STORE_DONE) {
        fprintf(stderr, "store_bench: %s\n", error.text);
        exit(error.exit_code);
    }
    double took_s = seconds(CLOCK_MONOTONIC) - before_s;
    bench->commit_s += took_s;
    bench->commit_max_s = took_s > bench->commit_max_s ? took_s : bench->commit_max_s;
    bench->commits++;
    bench->in_batch = 0;
}

static void changed(struct bench *bench)
{
    if (++bench->in_batch == bench->batch)
        commit(bench);
}

/* ---- figures ---- */

static void begin(struct bench *bench)
{
    bench->commit_s = bench->commit_max_s = 0;
    bench->commits = 0;
    bench->cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID);
    bench->wall_s = seconds(CLOCK_MONOTONIC);
}

static void end(struct bench *bench, const char *what, size_t count)
{
    if (bench->in_batch > 0)
        commit(bench);
    double cpu_us = (seconds(CLOCK_PROCESS_CPUTIME_ID) - bench->cpu_s) * 1e6 / (double)count;
    double rate = (double)count / (seconds(CLOCK_MONOTONIC) - bench->wall_s);
    double mean_us = bench->commits == 0 ? 0 : bench->commit_s * 1e6 / (double)bench->commits;
    if (bench->json)
        printf("%s\n  {\"what\": \"%s\", \"batch\": %zu, \"messages\": %zu, "
               "\"per_second\": %.0f, \"cpu_us\": %.2f, "
               "\"commits\": %zu, \"commit_us\": %.1f, \"commit_max_us\": %.1f}",
               bench->any ? "," : "", what, bench->batch, count, rate, cpu_us, bench->commits, mean_us,
               bench->commit_max_s * 1e6);
    else
        printf("%-8s %5zu a commit: %8.0f a second, %7.2f us CPU a message; a "
               "commit %8.1f us, at most %8.1f\n",
               what, bench->batch, rate, cpu_us, mean_us, bench->commit_max_s * 1e6);
    bench->any = true;
}

/* ---- what is measured ---- */

static void accept_some(struct bench *bench, size_t count, struct bytes destination)
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
        message.id = queue_id_next(&bench->maker, 0);
        bool taken = store_accept(bench->store, &message, &destination, FIRST_MS, 0);
        assert(taken);
        changed(bench);
    }
}

/* All that is due there, page by page; their ids into `ids`. */
static size_t read_pages(struct bench *bench, struct bytes destination, uint64_t *ids, size_t max)
{
    struct store_due_question question = {.destination = destination,
                                          .now_ms = FIRST_MS,
                                          .deliveries_max = STORE_PAGE_MAX,
                                          .recipients_max = STORE_READ_MAX,
                                          .contents_max = STORE_PAGE_MAX * (uint64_t)CONTENT_SIZE};
    struct store_page page;
    struct arena arena = {0};
    size_t count = 0;
    do {
        arena_clear(&arena);
        store_due(bench->store, &question, &arena, &page);
        for (size_t i = 0; i < page.count && count < max; i++)
            ids[count++] = page.deliveries[i].message.id;
        question.after = page.end;
    } while (page.count > 0);
    arena_clear(&arena);
    return count;
}

static void settle_all(struct bench *bench, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        store_settle(bench->store, ids[i], &(struct store_result){.fate = STORE_FINISHED}, 1);
        changed(bench);
    }
}

static void measure(struct bench *bench, size_t batch, size_t count)
{
    const struct bytes destination = BYTES("elsewhere.example");
    uint64_t *ids = memory_new(count * sizeof *ids);
    bench->batch = batch;
    begin(bench);
    accept_some(bench, count, destination);
    end(bench, "accept", count);
    begin(bench);
    size_t found = read_pages(bench, destination, ids, count);
    end(bench, "due", count);
    assert(found == count);
    begin(bench);
    settle_all(bench, ids, count);
    end(bench, "settle", count);
    free(ids);
}

static void stand(struct bench *bench, size_t count)
{
    bench->batch = STANDING_BATCH;
    accept_some(bench, count, BYTES("standing.example"));
    commit(bench);
}

int main(int argc, char **argv)
{
    struct bench bench = {.json = argc > 1 && strcmp(argv[1], "--json") == 0};
    struct error error = {0};
    argv += bench.json;
    argc -= bench.json;
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : MESSAGES;
    size_t standing = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (argc < 2 || argv[1][0] == '-' || count < ALONE_PART) {
        fprintf(stderr,
                "usage: store_bench [--json] FOLDER [MESSAGES [STANDING]]; "
                "MESSAGES is %d or more\n",
                ALONE_PART);
        return EX_USAGE;
    }
    mkdir(argv[1], 0700);
    bench.store = sqlite_store_open(argv[1], STORE_WRITE, &error);
    if (bench.store == NULL) {
        fprintf(stderr, "store_bench: %s\n", error.text);
        return error.exit_code;
    }
    bench.maker.last_unit = UINT64_C(1000000) / QUEUE_ID_NODES * (uint64_t)time(NULL);
    stand(&bench, standing);
    if (bench.json)
        printf("{\"content\": %d, \"standing\": %zu, \"figures\": [", CONTENT_SIZE, standing);
    for (size_t i = 0; i < ARRAY_LENGTH(batches); i++) /* alone each waits for the disk */
        measure(&bench, batches[i], batches[i] == 1 ? count / ALONE_PART : count);
    fputs(bench.json ? "\n]}\n" : "", stdout);
    store_close(bench.store);
    return 0;
}
