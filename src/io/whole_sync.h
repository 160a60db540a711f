/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whole_sync: one sync of a whole file system in place of one for each of many new files and folders.
 *
 * fdatasync() costs a commit of the file system's journal and a flush of the disk's cache each; syncfs()
 * costs one for all that was written before it. It promises as much only where the file system says so:
 * on ext4 and XFS; a FUSE file system does not even hear of it. It also writes what other programs have
 * written to that disk: where this takes long, files are synced by themselves for a while.
 *
 * The caller keeps to the rule: a file or folder for which whole_sync_covers() is false has a sync of its
 * own, and after whole_sync_run() has failed each has. A failure does not say whose writing failed, and
 * is reported once; the file's own sync reports its own (Linux 5.8, syncfs(2)).
 */
#ifndef MAILBOAT_IO_WHOLE_SYNC_H
#define MAILBOAT_IO_WHOLE_SYNC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum whole_sync_limit {
    WHOLE_SYNC_SLOW_MS = 250,      /* longer than this: somebody else writes much */
    WHOLE_SYNC_REST_MS = 30 * 1000 /* so long it is not used then */
};

struct whole_sync {
    int folder;              /* on the file system; owned by the caller; open since before the first write */
    dev_t device;            /* of the folder */
    bool usable;             /* a file system whose syncfs() is known to keep the promise */
    uint64_t rests_until_ms; /* monotonic; 0: it does not */
};

/* Looks at the file system of an open folder. */
void whole_sync_start(struct whole_sync *sync, int folder);
/* True if a sync of the whole, now, costs no more than others' writing allows. Times are monotonic. */
bool whole_sync_may_run(const struct whole_sync *sync, uint64_t now_ms);
/* True if the open file is on that file system: not below a mount or a link to another one. */
bool whole_sync_covers(const struct whole_sync *sync, int file);
/* All that was written to the file system is on disk; 0, or an errno. */
int whole_sync_run(struct whole_sync *sync);
/* Notes how long a run took: a slow one makes it rest. */
void whole_sync_took(struct whole_sync *sync, uint64_t now_ms, uint64_t took_ms);

#endif
