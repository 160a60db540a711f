/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate: letters through the whole of Mailboat in one process, with a
 * virtual clock: client session, server session, queue, relay, server
 * session. For some minutes of its time the weather is stormy: links are
 * cut, the queue dies between any two operations of its store, disks are
 * full, servers refuse, and rude ones (peer.h) lie, stall, flood and
 * hang up. Then it calms down, and every letter that was
 * answered with 250 must have arrived, no more often than somebody could
 * not know, or its sender must have been told.
 *
 * With --disk the queue's store is the one of life, SQLite's, on a drive
 * (drive.h) that dies at any write and forgets what was not synced. With
 * --lying-disk syncs do nothing there: then mail must be seen to be lost.
 *
 *   simulate [--disk | --lying-disk] [--seeds N] [--seed N] [--verbose]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "client.h"
#include "io/log.h"
#include "node.h"

enum { STORM_MS = 10 * 60 * 1000, PATIENCE_MS = 2 * 24 * 3600 * 1000 };

/* Of all histories. */
struct tally {
    uint64_t copies, letters, reports, uncertain, failed, power_losses, failed_syncs;
};

/* What is asked for. */
struct simulate_options {
    uint64_t first, seeds;
    bool disk, lying, talkative;
    char folder[64]; /* for what is not on the drive */
};

static void add_to_tally(struct tally *tally, const struct letters *letters)
{
    tally->letters += letters->count;
    for (size_t i = 0; i < letters->count; i++) {
        tally->uncertain += letters->all[i].uncertain;
        for (size_t k = 0; k < letters->all[i].recipient_count; k++) {
            tally->copies += letters->all[i].recipients[k].copies;
            tally->reports += letters->all[i].recipients[k].reports;
        }
    }
}

static bool history(uint64_t seed, const struct simulate_options *wish, struct tally *tally)
{
    static struct shaky_ground ground;
    static struct node node;
    static struct letters letters;
    static struct client clients[LETTERS_MAX];
    struct world world;
    struct buffer problem = {0};
    world_start(&world, seed, wish->talkative);
    if (wish->disk) {
        drive_start(&ground.drive, &world);
        ground.drive.lies = wish->lying;
        ground.folder = wish->folder;
    }
    letters_write(&letters, &world, 1 + world_random(&world, LETTERS_MAX));
    node_start(&node, &world, &letters, wish->disk ? &ground : NULL);
    ledger_start(&node.ledger);
    for (size_t i = 0; i < letters.count; i++)
        client_begin(&clients[i], &letters, &letters.all[i], node_connect, &node);
    while (world.now_ms < PATIENCE_MS && !(letters_are_done(&letters) && node_is_empty(&node)) &&
           world_step(&world))
        if (world.stormy && world.now_ms > STORM_MS) {
            world.stormy = false;
            node_calm(&node);
            world_say(&world, "the weather is fair");
        }
    bool kept = letters_check(&letters, &problem) && (wish->lying || ledger_check(&node.ledger, &problem));
    if (node.damaged)
        buffer_add_text(&problem, "the queue is damaged");
    else if (kept && !node_is_empty(&node))
        buffer_add_format(
            &problem,
            "the queue does not become empty (up %d, errands %d, connections %d, stuck %d, look "
            "%llu, wake %llu, now %llu)",
            node.up, node.errands != NULL, node.connections != NULL, node.queue.stuck,
            (unsigned long long)node.queue.look_ms, (unsigned long long)node.queue.wake_ms,
            (unsigned long long)world.now_ms);
    add_to_tally(tally, &letters);
    /* Messages still in progress are completed, so that their memory is freed. */
    for (size_t i = 0; i < letters.count; i++)
        client_end(&clients[i]);
    node_free(&node);
    ledger_free(&node.ledger);
    if (wish->disk) {
        tally->power_losses += ground.drive.power_losses;
        tally->failed_syncs += ground.drive.failed_syncs;
        drive_free(&ground.drive);
    }
    if (problem.length > 0)
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, buffer_text(&problem));
    kept = problem.length == 0;
    buffer_free(&problem);
    world_free(&world);
    return kept;
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {"mailboat.db", "lock", "spool", "content"};
    char path[128];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    remove(folder);
}

static bool read_wish(struct simulate_options *wish, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--verbose") == 0)
            wish->talkative = true;
        else if (strcmp(argv[i], "--disk") == 0)
            wish->disk = true;
        else if (strcmp(argv[i], "--lying-disk") == 0)
            wish->disk = wish->lying = true;
        else if (strcmp(argv[i], "--seeds") == 0 && more)
            wish->seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && more) {
            wish->first = strtoull(argv[++i], NULL, 10);
            wish->seeds = 1;
        } else {
            fprintf(stderr, "usage: simulate [--disk | --lying-disk] [--seeds N] [--seed N] [--verbose]\n");
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct simulate_options wish = {.first = 1, .seeds = 2000, .folder = "/tmp/mailboat-simulate-XXXXXX"};
    struct tally tally = {0};
    if (!read_wish(&wish, argc, argv))
        return EX_USAGE;
    if (wish.disk && mkdtemp(wish.folder) == NULL) {
        perror(wish.folder);
        return EX_CANTCREAT;
    }
    log_start("simulate", LOG_LOGFMT, wish.talkative ? LOG_EVENT_INFO : LOG_EVENT_ERROR);
    for (uint64_t seed = wish.first; seed < wish.first + wish.seeds; seed++)
        tally.failed += !history(seed, &wish, &tally);
    if (wish.disk)
        remove_folder(wish.folder);
    printf("%llu seeds, %llu letters, %llu copies arrived, %llu were reported as failed, %llu times nobody "
           "could know, %llu power losses, %llu failed syncs, %llu failed\n",
           (unsigned long long)wish.seeds, (unsigned long long)tally.letters,
           (unsigned long long)tally.copies, (unsigned long long)tally.reports,
           (unsigned long long)tally.uncertain, (unsigned long long)tally.power_losses,
           (unsigned long long)tally.failed_syncs, (unsigned long long)tally.failed);
    return tally.failed == 0 ? 0 : 1;
}
