/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "io/whole_sync.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io/clock.h"

#ifndef XFS_SUPER_MAGIC
enum { XFS_SUPER_MAGIC = 0x58465342 };
#endif

void whole_sync_start(struct whole_sync *sync, int folder)
{
    struct statfs system;
    struct stat facts;
    *sync = (struct whole_sync){.folder = folder};
    if (fstatfs(folder, &system) != 0 || fstat(folder, &facts) != 0)
        return;
    sync->device = facts.st_dev;
    sync->usable = system.f_type == EXT4_SUPER_MAGIC || system.f_type == XFS_SUPER_MAGIC;
}

bool whole_sync_may_run(const struct whole_sync *sync, uint64_t now_ms)
{
    return sync->usable && now_ms >= sync->rests_until_ms;
}

bool whole_sync_covers(const struct whole_sync *sync, int file)
{
    struct stat facts;
    return sync->usable && fstat(file, &facts) == 0 && facts.st_dev == sync->device;
}

int whole_sync_run(struct whole_sync *sync)
{
    assert(sync->usable);
    uint64_t start_ms = clock_now_ms();
    int error = syncfs(sync->folder) == 0 ? 0 : errno;
    uint64_t end_ms = clock_now_ms();
    whole_sync_took(sync, end_ms, end_ms - start_ms);
    return error;
}

void whole_sync_took(struct whole_sync *sync, uint64_t now_ms, uint64_t took_ms)
{
    if (took_ms > WHOLE_SYNC_SLOW_MS)
        sync->rests_until_ms = now_ms + WHOLE_SYNC_REST_MS;
}
