/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "config/yaml_memory.h"

#include <malloc.h>
#include <stdlib.h>

bool yaml_memory_parser(yaml_parser_t *parser, struct bytes text)
{
    if (!yaml_parser_initialize(parser))
        return false;
    yaml_parser_set_input_string(parser, (const unsigned char *)(text.at == NULL ? "" : text.at),
                                 text.length);
    return true;
}

/* ---- functions of libyaml (yaml_private.h), replaced ---- */

void *yaml_malloc(size_t size);
void *yaml_realloc(void *at, size_t size);
void yaml_free(void *at);
yaml_char_t *yaml_strdup(const yaml_char_t *text);

/* Uses the size reported by the allocator: also correct for memory that libyaml allocated elsewhere. */
void yaml_free(void *at)
{
    if (at != NULL)
        explicit_bzero(at, malloc_usable_size(at));
    free(at);
}

void *yaml_malloc(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

void *yaml_realloc(void *at, size_t size)
{
    size_t before = at == NULL ? 0 : malloc_usable_size(at);
    void *moved = yaml_malloc(size);
    if (moved == NULL)
        return NULL;
    if (before > 0)
        memcpy(moved, at, before < size ? before : size);
    yaml_free(at);
    return moved;
}

yaml_char_t *yaml_strdup(const yaml_char_t *text)
{
    return text == NULL ? NULL : (yaml_char_t *)strdup((const char *)text);
}
