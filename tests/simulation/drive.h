/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive: a disk as SQLite sees one (a VFS), in memory, that does what disks
 * do at the worst moment. What was written lies in the machine's cache until
 * it is synced. When the power fails, of what was not synced each sector may
 * have reached the disk or not, in any order, and a file may have any length
 * that it had since. A sync that fails leaves octets that read well and are
 * on no disk, and that the next sync does not bring there: what a kernel does.
 *
 * Any operation may be the last: then the drive is dead, in the middle of a
 * write even, until drive_revive() or drive_lose_power().
 */
#ifndef MAILBOAT_SIMULATION_DRIVE_H
#define MAILBOAT_SIMULATION_DRIVE_H

#include "world.h"

enum { DRIVE_FILES_MAX = 4, DRIVE_NAME_MAX = 200 };

struct drive_change {
    uint64_t offset, size_after; /* octets */
    struct bytes octets;         /* empty: only the size changed */
};

struct drive_file {
    char name[DRIVE_NAME_MAX]; /* empty: there is none */
    struct buffer current;     /* as it reads */
    struct buffer durable;     /* as the disk has it */
    /* between the two, oldest first; what a failed sync dropped is not among them */
    struct drive_change *changes;
    size_t change_count, change_room;
    bool named;    /* its name is on the disk */
    bool removed;  /* it is gone, and the disk does not know that yet */
    bool doubtful; /* a sync of it failed: what the cache has may not stay there */
};

struct drive {
    struct world *world;
    struct drive_file files[DRIVE_FILES_MAX];
    uint64_t operations_left; /* changes and syncs until it dies; 0: it does not */
    uint64_t syncs_left;      /* until one fails; 0: none does */
    uint64_t octets_max;      /* 0: any number */
    bool dead;
    bool lies; /* a sync does nothing, and says that it did: for the test of the test */
    uint64_t power_losses, failed_syncs, operations; /* for people */
};

/* From now on SQLite's files are here. One drive at a time. */
void drive_start(struct drive *drive, struct world *world);
void drive_free(struct drive *drive);
/* The process is gone, the machine is not; what a failed sync left may be read once more, or not. */
void drive_revive(struct drive *drive);
void drive_lose_power(struct drive *drive);
uint64_t drive_size(const struct drive *drive);

#endif
