/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/top_counts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

void top_counts_start(struct top_counts *tally, size_t max)
{
    assert(max >= 2);
    *tally = (struct top_counts){.max = max, .entries = memory_new(max * sizeof *tally->entries)};
    map_start(&tally->map, (uint64_t)(uintptr_t)tally);
}

void top_counts_free(struct top_counts *tally)
{
    for (size_t i = 0; i < tally->count; i++)
        free(tally->entries[i]);
    free(tally->entries);
    map_free(&tally->map);
}

static int compare(const void *left, const void *right)
{
    const struct top_counts_entry *a = *(struct top_counts_entry *const *)left,
                                  *b = *(struct top_counts_entry *const *)right;
    if (a->total != b->total)
        return a->total > b->total ? -1 : 1;
    return bytes_compare(a->name, b->name);
}

void top_counts_sort(struct top_counts *tally)
{
    qsort(tally->entries, tally->count, sizeof(struct top_counts_entry *), compare);
}

static void note_first(struct top_counts_entry *entry, uint64_t first_ms)
{
    if (first_ms != 0 && (entry->first_ms == 0 || first_ms < entry->first_ms))
        entry->first_ms = first_ms;
}

/* Merges the smaller half into the rest. */
static void sum_up(struct top_counts *tally)
{
    top_counts_sort(tally);
    for (; tally->count > tally->max / 2; tally->count--) {
        struct top_counts_entry *least = tally->entries[tally->count - 1];
        for (unsigned kind = 0; kind < TOP_COUNTS_KINDS; kind++)
            tally->rest.counts[kind] += least->counts[kind];
        tally->rest.total += least->total;
        note_first(&tally->rest, least->first_ms);
        tally->rest_names++;
        map_remove(&tally->map, least->name);
        free(least);
    }
}

static struct top_counts_entry *make(struct top_counts *tally, struct bytes name)
{
    if (tally->count == tally->max)
        sum_up(tally);
    struct top_counts_entry *entry = memory_new(sizeof *entry + name.length + 1);
    if (name.length > 0)
        memcpy(entry + 1, name.at, name.length);
    entry->name = bytes_of(entry + 1, name.length);
    tally->entries[tally->count++] = entry;
    map_put(&tally->map, entry->name, entry);
    return entry;
}

void top_counts_add(struct top_counts *tally, struct bytes name, unsigned kind, uint64_t first_ms)
{
    assert(kind < TOP_COUNTS_KINDS);
    struct top_counts_entry *entry = map_get(&tally->map, name);
    if (entry == NULL)
        entry = make(tally, name);
    entry->counts[kind]++;
    entry->total++;
    note_first(entry, first_ms);
}

/* ---- similar replies ---- */

static const char *stands_for(struct bytes word)
{
    bool digit = false;
    for (size_t i = 0; i < word.length; i++) {
        if (word.at[i] == '@')
            return "<address>";
        digit = digit || ascii_is_digit(word.at[i]);
    }
    return digit ? "#" : NULL;
}

void top_counts_likeness(struct buffer *out, struct bytes text, size_t max)
{
    struct buffer like = {0};
    while (text.length > 0 && like.length < max) {
        struct bytes word = bytes_split(&text, ' ');
        const char *name = stands_for(word);
        if (word.length == 0)
            continue;
        if (like.length > 0)
            buffer_add_octet(&like, ' ');
        buffer_add(&like, name != NULL ? bytes_of_text(name) : word);
    }
    buffer_add(out, bytes_first(buffer_bytes(&like), max));
    buffer_free(&like);
}
