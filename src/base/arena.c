/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 2048 - 32 }; /* usual size of a block, in octets */

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    max_align_t capacity[];
};

static size_t rounded(size_t size)
{
    size_t unit = _Alignof(max_align_t);
    assert(size < SIZE_MAX - unit);
    return (size + unit - 1) / unit * unit;
}

void *arena_take(struct arena *arena, size_t size)
{
    size = rounded(size == 0 ? 1 : size);
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t usual = arena->block_size != 0 ? arena->block_size : BLOCK_SIZE;
        size_t capacity = size > usual ? size : usual;
        block = memory_resize(NULL, sizeof *block + capacity);
        block->size = capacity;
        block->used = 0;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    char *at = (char *)block->capacity + block->used;
    block->used += size;
    arena->used += size;
    memset(at, 0, size);
    return at;
}

struct bytes arena_copy(struct arena *arena, struct bytes b)
{
    char *at = arena_take(arena, b.length + 1);
    if (b.length > 0)
        memcpy(at, b.at, b.length);
    return bytes_of(at, b.length);
}

char *arena_text(struct arena *arena, struct bytes b)
{
    return (char *)(uintptr_t)arena_copy(arena, b).at;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    char *text = arena_take(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}

void arena_wipe(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block != NULL; block = block->next)
        explicit_bzero(block->capacity, block->used);
    arena_clear(arena);
}
