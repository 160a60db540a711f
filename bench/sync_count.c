/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync count: counts how often a server's processes ask the disk to keep
 * something. Loaded into each of them, of whatever user and however started,
 * by /etc/ld.so.preload in the server's own mount namespace; the counters lie
 * in a file that all of them map (COUNTS_FILE, made before they start).
 * Nothing is changed: each call goes on to the kernel as it came.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* As bench/syncs.py reads them. */
static struct counts {
    atomic_ulong processes;  /* that were counted at all */
    atomic_ulong file_syncs; /* fsync, fdatasync, sync_file_range that waits, msync(MS_SYNC) */
    atomic_ulong disk_syncs; /* sync, syncfs */
    /* files opened with O_SYNC or O_DSYNC, and writes with RWF_SYNC or RWF_DSYNC */
    atomic_ulong synced_opens;
} nowhere, *counts = &nowhere;

__attribute__((constructor)) static void begin(void)
{
    int file = (int)syscall(SYS_openat, AT_FDCWD, COUNTS_FILE, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        return;
    counts = mapped;
    atomic_fetch_add(&counts->processes, 1);
}

int fsync(int file)
{
    atomic_fetch_add(&counts->file_syncs, 1);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    atomic_fetch_add(&counts->file_syncs, 1);
    return (int)syscall(SYS_fdatasync, file);
}

/* Without waiting it only starts writing, which a later sync completes. */
int sync_file_range(int file, off64_t offset, off64_t length, unsigned int flags)
{
    if (flags & SYNC_FILE_RANGE_WAIT_AFTER)
        atomic_fetch_add(&counts->file_syncs, 1);
    return (int)syscall(SYS_sync_file_range, file, offset, length, flags);
}

int msync(void *start, size_t length, int flags)
{
    if (flags & MS_SYNC)
        atomic_fetch_add(&counts->file_syncs, 1);
    return (int)syscall(SYS_msync, start, length, flags);
}

void sync(void)
{
    atomic_fetch_add(&counts->disk_syncs, 1);
    syscall(SYS_sync);
}

int syncfs(int file)
{
    atomic_fetch_add(&counts->disk_syncs, 1);
    return (int)syscall(SYS_syncfs, file);
}

static int opened(int folder, const char *path, int flags, va_list rest)
{
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(rest, unsigned int) : 0;
    if (flags & (O_SYNC | O_DSYNC))
        atomic_fetch_add(&counts->synced_opens, 1);
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define OPEN(name, more, folder, extra)                       \
    int name(more const char *path, int flags, ...)           \
    {                                                         \
        va_list rest;                                         \
        va_start(rest, flags);                                \
        int file = opened(folder, path, flags | extra, rest); \
        va_end(rest);                                         \
        return file;                                          \
    }
#define AND ,
OPEN(open, , AT_FDCWD, 0)
OPEN(open64, , AT_FDCWD, O_LARGEFILE)
OPEN(openat, int folder AND, folder, 0)
OPEN(openat64, int folder AND, folder, O_LARGEFILE)

ssize_t pwritev2(int file, const struct iovec *pieces, int count, off_t offset, int flags)
{
    if (flags & (RWF_SYNC | RWF_DSYNC))
        atomic_fetch_add(&counts->synced_opens, 1);
    return syscall(SYS_pwritev2, file, pieces, count, offset, 0, flags);
}
