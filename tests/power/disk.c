/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "disk.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

/* A write, or with `length` 0 a new size. Until the power fails `octets` are
 * those that it replaced; then, while it is taken back, those that it brought. */
struct disk_change {
    uint64_t offset, length, size_before, size_after;
    struct buffer octets;
};

/* One name of one folder. A rename is two of the same operation. */
struct disk_step {
    uint64_t operation;
    char *name;
    struct disk_node *was, *is; /* NULL: there was, or is, none */
    bool moved;                 /* it is a half of a rename */
};

/* ---- chance ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t below(struct disk *disk, uint64_t bound)
{
    disk->random += 0x9e3779b97f4a7c15u;
    return mix(disk->random) % bound;
}

/* ---- nodes ---- */

static void touch(struct disk_node *node)
{
    clock_gettime(CLOCK_REALTIME, &node->changed);
}

static struct disk_node *new_node(struct disk *disk, struct disk_facts facts)
{
    struct disk_node *node = memory_new(sizeof *node);
    *node = (struct disk_node){.number = ++disk->last_number, .now = facts, .durable = facts};
    map_start(&node->children, node->number);
    map_put_u64(&disk->nodes, node->number, node);
    touch(node);
    return node;
}

static void free_node(struct disk_node *node)
{
    assert(node->step_count == 0 && node->change_count == 0);
    free(node->steps);
    free(node->changes);
    buffer_free(&node->content);
    map_free(&node->children);
    free(node);
}

static void forget_changes(struct disk_node *file)
{
    for (size_t i = 0; i < file->change_count; i++)
        buffer_free(&file->changes[i].octets);
    file->change_count = 0;
}

/* True if nothing leads to it, now or after a power loss. */
static void drop_if_gone(struct disk *disk, struct disk_node *node)
{
    if (node == NULL || node == disk->root || node->names > 0 || node->held > 0 || node->step_count > 0)
        return;
    forget_changes(node);
    map_remove_u64(&disk->nodes, node->number);
    free_node(node);
}

void disk_start(struct disk *disk)
{
    *disk = (struct disk){0};
    map_start(&disk->nodes, 1);
    disk->root = new_node(disk, (struct disk_facts){S_IFDIR | 0755, getuid(), getgid()});
    assert(disk->root->number == DISK_ROOT);
}

bool disk_survives(struct disk *disk)
{
    disk->operations++;
    if (disk->operations_left > 0 && --disk->operations_left == 0)
        disk->dead = true;
    return !disk->dead;
}

struct disk_node *disk_node(const struct disk *disk, uint64_t number)
{
    return map_get_u64(&disk->nodes, number);
}

struct disk_node *disk_find(const struct disk_node *folder, const char *name)
{
    return map_get(&folder->children, bytes_of_text(name));
}

void disk_forget(struct disk *disk, struct disk_node *node, uint64_t times)
{
    assert(node->held >= times);
    node->held -= times;
    drop_if_gone(disk, node);
}

/* ---- names ---- */

static void set_name(struct disk_node *folder, const char *name, struct disk_node *node)
{
    if (node != NULL)
        map_put(&folder->children, bytes_of_text(name), node);
    else
        map_remove(&folder->children, bytes_of_text(name));
}

static void step(struct disk *disk, struct disk_node *folder, const char *name, struct disk_node *is,
                 bool moved)
{
    if (folder->step_count == folder->step_room) {
        folder->step_room = folder->step_room == 0 ? 8 : folder->step_room * 2;
        folder->steps = memory_resize(folder->steps, folder->step_room * sizeof *folder->steps);
    }
    struct disk_node *was = disk_find(folder, name);
    folder->steps[folder->step_count++] = (struct disk_step){disk->operations, strdup(name), was, is, moved};
    if (was != NULL) {
        was->names--;
        was->held++;
        touch(was);
    }
    if (is != NULL) {
        is->names++;
        is->held++;
        touch(is);
    }
    set_name(folder, name, is);
    touch(folder);
}

struct disk_node *disk_make(struct disk *disk, struct disk_node *folder, const char *name,
                            struct disk_facts facts)
{
    if ((folder->now.mode & S_ISGID) != 0) {
        facts.gid = folder->now.gid;
        facts.mode |= S_ISDIR(facts.mode) ? S_ISGID : 0;
    }
    struct disk_node *node = new_node(disk, facts);
    step(disk, folder, name, node, false);
    return node;
}

void disk_link(struct disk *disk, struct disk_node *node, struct disk_node *folder, const char *name)
{
    step(disk, folder, name, node, false);
}

void disk_unlink(struct disk *disk, struct disk_node *folder, const char *name)
{
    step(disk, folder, name, NULL, false);
}

void disk_rename(struct disk *disk, struct disk_node *from, const char *old, struct disk_node *to,
                 const char *new)
{
    struct disk_node *node = disk_find(from, old);
    step(disk, to, new, node, true);
    step(disk, from, old, NULL, true);
}

static void forget_steps(struct disk *disk, struct disk_node *folder)
{
    size_t count = folder->step_count;
    struct disk_step *steps = folder->steps;
    folder->steps = NULL;
    folder->step_count = folder->step_room = 0;
    for (size_t i = 0; i < count; i++) {
        struct disk_node *const nodes[] = {steps[i].was, steps[i].is};
        free(steps[i].name);
        for (size_t j = 0; j < 2; j++)
            if (nodes[j] != NULL)
                disk_forget(disk, nodes[j], 1);
    }
    free(steps);
}

/* ---- contents ---- */

static char *octets_at(struct disk_node *file, uint64_t offset)
{
    return file->content.at + file->content.start + offset;
}

static void set_size(struct disk_node *file, uint64_t size)
{
    if (size > file->content.length)
        memset(buffer_reserve(&file->content, (size_t)size - file->content.length), 0,
               (size_t)size - file->content.length);
    file->content.length = (size_t)size;
}

static void put(struct disk_node *file, uint64_t offset, struct bytes octets)
{
    if (file->content.length < offset + octets.length)
        set_size(file, offset + octets.length);
    if (octets.length > 0)
        memcpy(octets_at(file, offset), octets.at, octets.length);
}

static struct bytes part_of(struct disk_node *file, uint64_t offset, uint64_t length)
{
    uint64_t size = file->content.length;
    if (offset >= size)
        return bytes_none();
    return bytes_of(octets_at(file, offset), (size_t)(length < size - offset ? length : size - offset));
}

static void note_change(struct disk_node *file, uint64_t offset, uint64_t length, uint64_t size_after,
                        struct bytes replaced)
{
    if (file->change_count == file->change_room) {
        file->change_room = file->change_room == 0 ? 4 : file->change_room * 2;
        file->changes = memory_resize(file->changes, file->change_room * sizeof *file->changes);
    }
    struct disk_change *change = &file->changes[file->change_count++];
    *change = (struct disk_change){
        .offset = offset, .length = length, .size_before = file->content.length, .size_after = size_after};
    buffer_add(&change->octets, replaced);
    touch(file);
}

void disk_write(struct disk_node *file, uint64_t offset, struct bytes octets)
{
    uint64_t end = offset + octets.length, size = file->content.length;
    note_change(file, offset, octets.length, end > size ? end : size, part_of(file, offset, octets.length));
    put(file, offset, octets);
}

void disk_resize(struct disk_node *file, uint64_t size)
{
    note_change(file, size, 0, size, part_of(file, size, UINT64_MAX));
    set_size(file, size);
}

void disk_sync(struct disk *disk, struct disk_node *node, bool data_only)
{
    enum disk_lie kind = S_ISDIR(node->now.mode) ? DISK_LIES_ABOUT_FOLDERS : DISK_LIES_ABOUT_FILES;
    if ((disk->lies & kind) != 0)
        return;
    forget_changes(node);
    forget_steps(disk, node);
    if (!data_only)
        node->durable = node->now;
}

/* ---- the end ---- */

/* How much unsynced data a power loss keeps. */
enum disk_mercy { KEEPS_NOTHING, KEEPS_BEGINNING, KEEPS_SOME, KEEPS_ALL, MERCIES };

static enum disk_mercy mercy_of(struct disk *disk)
{
    enum disk_mercy mercy = (enum disk_mercy)below(disk, MERCIES);
    return disk->merciless ? KEEPS_NOTHING : mercy;
}

/* The changes after which one sector, or the size, is on the disk. */
static size_t kept_of(struct disk *disk, const struct disk_node *file, enum disk_mercy mercy,
                      size_t beginning)
{
    switch (mercy) {
    case KEEPS_NOTHING: return 0;
    case KEEPS_BEGINNING: return beginning;
    case KEEPS_SOME:
        return below(disk, 3) == 0 ? file->change_count : (size_t)below(disk, file->change_count + 1);
    default: return file->change_count;
    }
}

/* Restores the synced state; each change then holds its new octets. */
static void take_back(struct disk_node *file)
{
    for (size_t i = file->change_count; i-- > 0;) {
        struct disk_change *change = &file->changes[i];
        struct buffer brought = {0};
        buffer_add(&brought, part_of(file, change->offset, change->length));
        set_size(file, change->size_before);
        put(file, change->offset, buffer_bytes(&change->octets));
        buffer_free(&change->octets);
        change->octets = brought;
    }
}

/* One sector as it was after the first `kept` changes. */
static void settle_sector(struct disk *disk, struct disk_node *file, uint64_t sector, size_t kept)
{
    uint64_t from = sector * DISK_SECTOR, to = from + DISK_SECTOR;
    bool lost = false, met = false;
    for (size_t i = 0; i < file->change_count; i++) {
        const struct disk_change *change = &file->changes[i];
        uint64_t end = change->offset + change->octets.length;
        uint64_t low = change->offset > from ? change->offset : from, high = end < to ? end : to;
        if (low >= high)
            continue;
        met = true;
        if (i < kept)
            put(file, low,
                bytes_first(bytes_from(buffer_bytes(&change->octets), (size_t)(low - change->offset)),
                            (size_t)(high - low)));
        else
            lost = true;
    }
    disk->losses.sectors_lost += met && lost;
    disk->losses.sectors_kept += met && !lost;
}

static void settle_content(struct disk *disk, struct disk_node *file)
{
    enum disk_mercy mercy = mercy_of(disk);
    size_t beginning = (size_t)below(disk, file->change_count + 1),
           sized = kept_of(disk, file, mercy, beginning);
    uint64_t size = sized == 0 ? file->changes[0].size_before : file->changes[sized - 1].size_after,
             first = UINT64_MAX, end = 0;
    for (size_t i = 0; i < file->change_count; i++) {
        const struct disk_change *change = &file->changes[i];
        first = change->length > 0 && change->offset < first ? change->offset : first;
        end = change->offset + change->length > end ? change->offset + change->length : end;
    }
    take_back(file);
    for (uint64_t sector = first / DISK_SECTOR; sector * DISK_SECTOR < end; sector++)
        settle_sector(disk, file, sector, kept_of(disk, file, mercy, beginning));
    set_size(file, size);
    forget_changes(file);
}

/* Which steps are durable: the same for both halves of a rename. */
struct disk_fate {
    enum disk_mercy mercy;
    uint64_t last_kept, salt;
};

static bool is_kept(const struct disk_fate *fate, uint64_t operation)
{
    switch (fate->mercy) {
    case KEEPS_NOTHING: return false;
    case KEEPS_BEGINNING: return operation <= fate->last_kept;
    case KEEPS_SOME: return (mix(operation ^ fate->salt) & 1) == 0;
    default: return true;
    }
}

static void settle_names(struct disk *disk, struct disk_node *folder, const struct disk_fate *fate)
{
    for (size_t i = folder->step_count; i-- > 0;)
        set_name(folder, folder->steps[i].name, folder->steps[i].was);
    for (size_t i = 0; i < folder->step_count; i++) {
        struct disk_step *s = &folder->steps[i];
        bool kept = is_kept(fate, s->operation);
        *(kept ? &disk->losses.names_kept : &disk->losses.names_lost) += 1;
        if (kept)
            set_name(folder, s->name, s->is);
    }
}

/* Reports removed names that are back. */
static void report_back(struct disk *disk, const struct disk_node *folder, const char *path,
                        const struct disk_fate *fate)
{
    for (size_t i = 0; i < folder->step_count; i++) {
        const struct disk_step *s = &folder->steps[i];
        if (s->is == NULL && !s->moved && !is_kept(fate, s->operation) && disk_find(folder, s->name) != NULL)
            buffer_add_format(&disk->back, "%s%s\n", path, s->name);
    }
}

static void end_steps(struct disk_node *folder)
{
    for (size_t i = 0; i < folder->step_count; i++)
        free(folder->steps[i].name);
    folder->step_count = 0;
}

/* From the root to all that a name leads to. `path` ends in a slash, or is empty. */
static void reach(struct disk *disk, struct disk_node *node, const char *path, const struct disk_fate *fate)
{
    struct bytes key;
    void *value;
    node->names++;
    if (node->reached)
        return;
    node->reached = true;
    report_back(disk, node, path, fate);
    for (size_t at = 0; map_next(&node->children, &at, &key, &value);) {
        struct buffer below_it = {0};
        buffer_add_format(&below_it, "%s%.*s/", path, (int)key.length, key.at);
        reach(disk, value, buffer_text(&below_it), fate);
        buffer_free(&below_it);
    }
}

static void drop_unreached(struct disk *disk)
{
    struct bytes key;
    void *value;
    for (size_t at = 0; map_next(&disk->nodes, &at, &key, &value);) {
        struct disk_node *node = value;
        if (node->reached)
            continue;
        map_remove_u64(&disk->nodes, node->number);
        free_node(node);
    }
}

void disk_lose_power(struct disk *disk, uint64_t seed)
{
    struct bytes key;
    void *value;
    uint64_t span = disk->operations + 1;
    disk->random = seed;
    disk->merciless = seed == 0;
    disk->losses = (struct disk_losses){0};
    buffer_clear(&disk->back);
    /* The beginning that is kept ends somewhere among the last operations, where the unsynced ones are. */
    uint64_t back = below(disk, span < 400 ? span : 400);
    const struct disk_fate fate = {mercy_of(disk), disk->operations - back, below(disk, UINT64_MAX)};
    for (size_t at = 0; map_next(&disk->nodes, &at, &key, &value);) {
        struct disk_node *node = value;
        settle_names(disk, node, &fate);
        if (node->change_count > 0)
            settle_content(disk, node);
        if (below(disk, 2) == 0 || disk->merciless)
            node->now = node->durable;
        node->durable = node->now;
        node->names = node->held = 0;
        node->reached = false;
    }
    reach(disk, disk->root, "", &fate);
    for (size_t at = 0; map_next(&disk->nodes, &at, &key, &value);)
        end_steps(value);
    drop_unreached(disk);
    disk->dead = false;
    disk->operations_left = 0;
}
