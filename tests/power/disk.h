/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: a file system in memory that does what disks do at the worst moment.
 * mount.c shows it to the kernel; tests/power-loss lets a server live on it.
 *
 * What reads well is one thing, what is on the disk another. Of a file that
 * is what was there at its last sync; of a folder, the names that it had at
 * its own last sync: the sync of a file does not bring its name there. When
 * the power fails,
 *   of what was written to a file since, each sector of 512 octets may be on
 *   the disk as it was after any of those writes, in any order, and the file
 *   may have any length that it had since;
 *   of the names made, moved and removed since, each such step may be there
 *   or not, in any order. A step is never there by half: a file that was
 *   renamed has the old name, or the new one, unless the folder of one of the
 *   two was synced since;
 *   a file's owner and rights may be the old ones.
 * Any operation may be the last one. Then the disk is dead, in the middle of
 * a write or a sync even, until disk_lose_power().
 */
#ifndef MAILBOAT_POWER_DISK_H
#define MAILBOAT_POWER_DISK_H

#include <sys/types.h>
#include <time.h>

#include "base/buffer.h"
#include "base/map.h"

enum { DISK_SECTOR = 512, DISK_ROOT = 1 };

/* Syncs that do nothing, but report success: for testing the test. */
enum disk_lie { DISK_HONEST = 0, DISK_LIES_ABOUT_FILES = 1, DISK_LIES_ABOUT_FOLDERS = 2 };

struct disk_facts {
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct disk_change; /* of a file's content, not synced */
struct disk_step;   /* of a folder's names, not synced */

/* A file, a folder or a socket. */
struct disk_node {
    uint64_t number;
    struct disk_facts now, durable;
    struct timespec changed;
    uint64_t names; /* that lead to it now */
    uint64_t held;  /* by the kernel, and by steps that may be taken back */
    struct buffer content;
    struct disk_change *changes; /* oldest first; each knows what it replaced */
    size_t change_count, change_room;
    struct map children; /* of a folder: name -> node */
    struct disk_step *steps;
    size_t step_count, step_room;
    bool reached; /* by a name, after a power loss */
};

struct disk_losses {
    uint64_t names_kept, names_lost, sectors_kept, sectors_lost; /* of what was not synced */
};

struct disk {
    struct map nodes; /* number -> node */
    struct disk_node *root;
    uint64_t last_number, random;
    uint64_t operations;      /* changes and syncs since it started */
    uint64_t operations_left; /* until it dies; 0: it does not */
    unsigned lies;            /* of enum disk_lie */
    bool dead, merciless;
    struct disk_losses losses;
    struct buffer back; /* paths, a line each, that were removed and are there again */
};

/* An empty one, whose root belongs to the caller. */
void disk_start(struct disk *disk);

/* Begins an operation: false if the disk is dead, or dies now. */
bool disk_survives(struct disk *disk);

struct disk_node *disk_node(const struct disk *disk, uint64_t number);
struct disk_node *disk_find(const struct disk_node *folder, const char *name);

/* Names; the caller looked whether they are free, or there. `replaced` names go. */
struct disk_node *disk_make(struct disk *disk, struct disk_node *folder, const char *name,
                            struct disk_facts facts);
void disk_link(struct disk *disk, struct disk_node *node, struct disk_node *folder, const char *name);
void disk_unlink(struct disk *disk, struct disk_node *folder, const char *name);
void disk_rename(struct disk *disk, struct disk_node *from, const char *old, struct disk_node *to,
                 const char *new);
/* The kernel has dropped it. */
void disk_forget(struct disk *disk, struct disk_node *node, uint64_t times);

void disk_write(struct disk_node *file, uint64_t offset, struct bytes octets);
void disk_resize(struct disk_node *file, uint64_t size);

/* Makes its current state durable; with `data_only` (fdatasync) not its owner and rights. */
void disk_sync(struct disk *disk, struct disk_node *node, bool data_only);

/* Simulates a power cycle: the seed chooses what is left, which is then durable. With seed 0 nothing
 * unsynced is left. */
void disk_lose_power(struct disk *disk, uint64_t seed);

#endif
