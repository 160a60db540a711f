/* SPDX-License-Identifier: Apache-2.0 */
#include "drive.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, SHARED_PIECES_MAX = 64 };

/* What SQLite holds of an open file. */
struct opened {
    sqlite3_file base; /* the first member */
    struct drive *drive;
    struct drive_file *file;
    void *shared[SHARED_PIECES_MAX]; /* the index of the log, which no disk needs to keep */
};

static struct opened *opened_of(sqlite3_file *file)
{
    return (struct opened *)(void *)file;
}

/* ---- files ---- */

static struct drive_file *find(struct drive *drive, const char *name)
{
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        if (strcmp(drive->files[i].name, name) == 0 && !drive->files[i].removed)
            return &drive->files[i];
    return NULL;
}

static void forget_changes(struct drive_file *file)
{
    for (size_t i = 0; i < file->change_count; i++)
        free((void *)(uintptr_t)file->changes[i].octets.at);
    file->change_count = 0;
}

static void clear_file(struct drive_file *file)
{
    forget_changes(file);
    free(file->changes);
    buffer_free(&file->current);
    buffer_free(&file->durable);
    *file = (struct drive_file){0};
}

static struct drive_file *make(struct drive *drive, const char *name)
{
    assert(strlen(name) < DRIVE_NAME_MAX);
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        if (drive->files[i].removed && strcmp(drive->files[i].name, name) == 0)
            clear_file(&drive->files[i]);
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        if (drive->files[i].name[0] == '\0') {
            memcpy(drive->files[i].name, name, strlen(name) + 1);
            return &drive->files[i];
        }
    return NULL;
}

static void resize(struct buffer *content, size_t size)
{
    if (content->length < size)
        memset(buffer_reserve(content, size - content->length), 0, size - content->length);
    content->length = size;
}

static void put(struct buffer *content, uint64_t offset, struct bytes octets)
{
    if (content->length < offset + octets.length)
        resize(content, (size_t)offset + octets.length);
    if (octets.length > 0)
        memcpy(content->at + content->start + offset, octets.at, octets.length);
}

static void note_change(struct drive_file *file, uint64_t offset, struct bytes octets)
{
    if (file->change_count == file->change_room) {
        file->change_room = file->change_room == 0 ? 64 : file->change_room * 2;
        file->changes = memory_resize(file->changes, file->change_room * sizeof *file->changes);
    }
    struct drive_change *change = &file->changes[file->change_count++];
    *change = (struct drive_change){.offset = offset, .size_after = file->current.length};
    if (octets.length > 0) {
        char *copy = memory_new(octets.length);
        memcpy(copy, octets.at, octets.length);
        change->octets = bytes_of(copy, octets.length);
    }
}

static void write_file(struct drive_file *file, uint64_t offset, struct bytes octets)
{
    put(&file->current, offset, octets);
    note_change(file, offset, octets);
}

uint64_t drive_size(const struct drive *drive)
{
    uint64_t size = 0;
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        size += drive->files[i].current.length;
    return size;
}

/* One change or sync begins. False: the drive is dead, or dies of it. */
static bool survives(struct drive *drive)
{
    drive->operations++;
    if (drive->operations_left > 0 && --drive->operations_left == 0)
        drive->dead = true;
    return !drive->dead;
}

/* ---- what SQLite asks of an open file ---- */

static int file_close(sqlite3_file *base)
{
    for (size_t i = 0; i < SHARED_PIECES_MAX; i++)
        free(opened_of(base)->shared[i]);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int length, sqlite3_int64 offset)
{
    struct opened *opened = opened_of(base);
    if (opened->drive->dead)
        return SQLITE_IOERR_READ;
    struct bytes found = buffer_bytes(&opened->file->current);
    found = bytes_first(bytes_from(found, (size_t)offset < found.length ? (size_t)offset : found.length),
                        (size_t)length);
    if (found.length > 0)
        memcpy(to, found.at, found.length);
    memset((char *)to + found.length, 0, (size_t)length - found.length);
    return found.length == (size_t)length ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *from, int length, sqlite3_int64 offset)
{
    struct opened *opened = opened_of(base);
    struct drive *drive = opened->drive;
    struct bytes octets = bytes_of(from, (size_t)length);
    uint64_t end = (uint64_t)offset + octets.length, now = opened->file->current.length;
    bool was_alive = !drive->dead;
    if (!survives(drive)) {
        if (was_alive) /* it dies in the middle */
            write_file(opened->file, (uint64_t)offset,
                       bytes_first(octets, world_random(drive->world, octets.length + 1)));
        return SQLITE_IOERR_WRITE;
    }
    if (drive->octets_max > 0 && end > now && drive_size(drive) + (end - now) > drive->octets_max)
        return SQLITE_FULL;
    write_file(opened->file, (uint64_t)offset, octets);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct opened *opened = opened_of(base);
    if (!survives(opened->drive))
        return SQLITE_IOERR_TRUNCATE;
    resize(&opened->file->current, (size_t)size);
    note_change(opened->file, (uint64_t)size, bytes_none());
    return SQLITE_OK;
}

static void make_durable(struct drive_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) {
        put(&file->durable, file->changes[i].offset, file->changes[i].octets);
        resize(&file->durable, (size_t)file->changes[i].size_after);
    }
    forget_changes(file);
}

static void sync_folder(struct drive *drive)
{
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        if (drive->files[i].removed)
            clear_file(&drive->files[i]);
}

static int file_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    struct opened *opened = opened_of(base);
    struct drive *drive = opened->drive;
    if (!survives(drive))
        return SQLITE_IOERR_FSYNC;
    if (drive->syncs_left > 0 && --drive->syncs_left == 0) {
        drive->failed_syncs++;
        opened->file->doubtful = true;
        forget_changes(opened->file); /* the kernel takes them for written */
        return SQLITE_IOERR_FSYNC;
    }
    if (drive->lies)
        return SQLITE_OK;
    make_durable(opened->file);
    if (!opened->file->named) /* with the first sync of a new log or journal SQLite syncs the folder */
        sync_folder(drive);
    opened->file->named = true;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct opened *opened = opened_of(base);
    *size = (sqlite3_int64)opened->file->current.length;
    return opened->drive->dead ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int kind)
{
    (void)kind;
    return opened_of(base)->drive->dead ? SQLITE_IOERR_LOCK : SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int kind)
{
    (void)base;
    (void)kind;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *reserved)
{
    (void)base;
    *reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
    (void)base;
    return 4096; /* as on Linux */
}

static int file_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as on Linux */
}

static int shared_map(sqlite3_file *base, int piece, int size, int extend, void volatile **to)
{
    struct opened *opened = opened_of(base);
    assert(piece < SHARED_PIECES_MAX);
    if (opened->shared[piece] == NULL && extend)
        opened->shared[piece] = memory_new((size_t)size);
    *to = opened->shared[piece];
    return opened->drive->dead ? SQLITE_IOERR_SHMMAP : SQLITE_OK;
}

static int shared_lock(sqlite3_file *base, int offset, int count, int flags)
{
    (void)offset;
    (void)count;
    (void)flags;
    return opened_of(base)->drive->dead ? SQLITE_IOERR_SHMLOCK : SQLITE_OK;
}

static void shared_barrier(sqlite3_file *base)
{
    (void)base;
}

static int shared_unmap(sqlite3_file *base, int remove)
{
    (void)base;
    (void)remove;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shared_map,
    .xShmLock = shared_lock,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = shared_unmap,
};

/* ---- what it asks of the drive ---- */

static int drive_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *flags_out)
{
    struct drive *drive = vfs->pAppData;
    struct opened *opened = opened_of(base);
    *opened = (struct opened){.drive = drive};
    if (drive->dead || name == NULL)
        return SQLITE_CANTOPEN;
    opened->file = find(drive, name);
    if (opened->file == NULL)
        opened->file = make(drive, name);
    if (opened->file == NULL)
        return SQLITE_CANTOPEN;
    if (flags & SQLITE_OPEN_MAIN_DB)
        opened->file->named = true; /* the store makes it and its folder before SQLite comes */
    base->pMethods = &methods;
    if (flags_out != NULL)
        *flags_out = flags;
    return SQLITE_OK;
}

static int drive_delete(sqlite3_vfs *vfs, const char *name, int with_folder)
{
    struct drive *drive = vfs->pAppData;
    struct drive_file *file = find(drive, name);
    if (!survives(drive))
        return SQLITE_IOERR_DELETE;
    if (file == NULL)
        return SQLITE_IOERR_DELETE_NOENT;
    file->removed = true;
    if (with_folder && !drive->lies)
        sync_folder(drive);
    return SQLITE_OK;
}

static int drive_access(sqlite3_vfs *vfs, const char *name, int flags, int *found)
{
    struct drive *drive = vfs->pAppData;
    (void)flags;
    *found = find(drive, name) != NULL;
    return drive->dead ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int drive_path(sqlite3_vfs *vfs, const char *name, int room, char *to)
{
    (void)vfs;
    return sqlite3_snprintf(room, to, "%s", name) == NULL ? SQLITE_CANTOPEN : SQLITE_OK;
}

static int drive_randomness(sqlite3_vfs *vfs, int length, char *to)
{
    struct drive *drive = vfs->pAppData;
    for (int i = 0; i < length; i++)
        to[i] = (char)world_random(drive->world, 256);
    return length;
}

static int drive_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int drive_time(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 2460000.5;
    return SQLITE_OK;
}

static int drive_last_error(sqlite3_vfs *vfs, int length, char *to)
{
    (void)vfs;
    (void)length;
    (void)to;
    return 0;
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(struct opened),
    .mxPathname = DRIVE_NAME_MAX - 1,
    .zName = "drive",
    .xOpen = drive_open,
    .xDelete = drive_delete,
    .xAccess = drive_access,
    .xFullPathname = drive_path,
    .xRandomness = drive_randomness,
    .xSleep = drive_sleep,
    .xCurrentTime = drive_time,
    .xGetLastError = drive_last_error,
};

void drive_start(struct drive *drive, struct world *world)
{
    *drive = (struct drive){.world = world};
    vfs.pAppData = drive;
    sqlite3_vfs_register(&vfs, 1);
    /* it asks this drive's world again: each history by itself can be told again */
    sqlite3_randomness(0, NULL);
}

void drive_free(struct drive *drive)
{
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        clear_file(&drive->files[i]);
    sqlite3_vfs_unregister(&vfs);
}

/* ---- the end ---- */

static void drop_cache(struct drive_file *file)
{
    buffer_clear(&file->current);
    buffer_add(&file->current, buffer_bytes(&file->durable));
    for (size_t i = 0; i < file->change_count; i++) {
        put(&file->current, file->changes[i].offset, file->changes[i].octets);
        resize(&file->current, (size_t)file->changes[i].size_after);
    }
    file->doubtful = false;
}

void drive_revive(struct drive *drive)
{
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++)
        if (drive->files[i].doubtful && world_random(drive->world, 2) == 0)
            drop_cache(&drive->files[i]);
    drive->dead = false;
    drive->operations_left = 0;
}

/* How much unsynced data a power loss keeps. */
enum mercy { KEEPS_NOTHING, KEEPS_BEGINNING, KEEPS_SECTORS, KEEPS_ALL, MERCIES };

/* The changes up to which one sector is on the disk. */
static size_t kept_of_sector(struct world *world, const struct drive_file *file, enum mercy mercy,
                             size_t beginning)
{
    switch (mercy) {
    case KEEPS_NOTHING: return 0;
    case KEEPS_BEGINNING: return beginning;
    case KEEPS_SECTORS:
        return world_random(world, 3) == 0 ? file->change_count : world_random(world, file->change_count + 1);
    default: return file->change_count;
    }
}

/* One sector as it was after the first `kept` changes. */
static void settle_sector(struct drive_file *file, uint64_t sector, size_t kept)
{
    uint64_t from = sector * SECTOR, to = from + SECTOR;
    for (size_t i = 0; i < kept; i++) {
        const struct drive_change *change = &file->changes[i];
        uint64_t end = change->offset + change->octets.length;
        uint64_t low = change->offset > from ? change->offset : from, high = end < to ? end : to;
        if (low < high)
            put(&file->durable, low,
                bytes_first(bytes_from(change->octets, (size_t)(low - change->offset)),
                            (size_t)(high - low)));
    }
}

static void lose_unsynced(struct drive *drive, struct drive_file *file)
{
    enum mercy mercy = (enum mercy)world_random(drive->world, MERCIES);
    size_t beginning = world_random(drive->world, file->change_count + 1);
    /* the change after which the disk knows the size */
    size_t sized = kept_of_sector(drive->world, file, mercy, beginning);
    uint64_t size = sized == 0 ? file->durable.length : file->changes[sized - 1].size_after, end = 0;
    for (size_t i = 0; i < file->change_count; i++)
        if (file->changes[i].offset + file->changes[i].octets.length > end)
            end = file->changes[i].offset + file->changes[i].octets.length;
    for (uint64_t sector = 0; sector * SECTOR < end; sector++)
        settle_sector(file, sector, kept_of_sector(drive->world, file, mercy, beginning));
    resize(&file->durable, (size_t)size);
    forget_changes(file);
    drop_cache(file);
}

void drive_lose_power(struct drive *drive)
{
    drive->power_losses++;
    for (size_t i = 0; i < DRIVE_FILES_MAX; i++) {
        struct drive_file *file = &drive->files[i];
        bool unsure = !file->named || file->removed;
        if (file->name[0] != '\0' && unsure && world_random(drive->world, 2) == 0)
            clear_file(file);
        file->removed = false;
        lose_unsynced(drive, file);
    }
    drive_revive(drive);
}
