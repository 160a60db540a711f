/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/field_index.h"

#include <assert.h>

#include "core/message/header.h"
#include "core/trust/tags.h"

static size_t slot_of(struct bytes name)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a of the name in lower case */
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (unsigned char)ascii_lower(name.at[i])) * 1099511628211u;
    return (size_t)((hash >> 32 ^ hash) % FIELD_INDEX_SLOTS);
}

/* Returns the slot of the name, or the free one that it may take: there are more slots than fields. */
static size_t find_slot(const struct field_index *index, struct bytes name)
{
    size_t slot = slot_of(name);
    while (index->lowest[slot] != FIELD_INDEX_NONE &&
           !bytes_equal_nocase(index->fields[index->lowest[slot]].name, name))
        slot = (slot + 1) % FIELD_INDEX_SLOTS;
    return slot;
}

static bool field_parse(struct indexed_field *field, struct bytes whole)
{
    size_t colon = bytes_find(whole, ':');
    if (colon == SIZE_MAX)
        return false;
    field->whole = whole;
    field->name = bytes_trim(bytes_first(whole, colon)); /* RFC 5322 4.5 allows white space before the colon
                                                          */
    field->value = bytes_from(whole, colon + 1);
    if (bytes_ends_nocase(field->value, "\n"))
        field->value.length--;
    if (bytes_ends_nocase(field->value, "\r"))
        field->value.length--;
    for (size_t i = 0; i < field->name.length; i++)
        if (field->name.at[i] <= ' ' || field->name.at[i] > '~')
            return false;
    return field->name.length > 0 && field->name.at == whole.at;
}

void field_index_start(struct field_index *index, struct bytes header)
{
    struct indexed_field field;
    size_t lines;
    index->count = 0;
    index->over = header.length > FIELD_INDEX_OCTETS_MAX;
    memset(index->lowest, 0xff, sizeof(index->lowest));
    struct bytes rest = bytes_first(header, FIELD_INDEX_OCTETS_MAX);
    while (rest.length > 0 && rest.at[0] != '\r' && rest.at[0] != '\n') {
        if (!field_parse(&field, header_next_field(&rest, &lines)))
            continue;
        if (index->count == FIELD_INDEX_MAX) {
            index->over = true;
            break;
        }
        size_t slot = find_slot(index, field.name);
        field.above = index->lowest[slot];
        index->fields[index->count] = field;
        index->lowest[slot] = (uint16_t)index->count++;
    }
    assert(index->count <= FIELD_INDEX_MAX);
}

uint16_t field_index_lowest(const struct field_index *index, struct bytes name)
{
    return index->lowest[find_slot(index, name)];
}

void field_index_select(const struct field_index *index, struct bytes names, uint16_t skipped,
                        enum canon_form form, struct buffer *out)
{
    uint16_t next[FIELD_INDEX_SLOTS]; /* as index->lowest, without the fields that are taken */
    struct bytes name;
    memset(next, 0xff, sizeof(next));
    bool seen[FIELD_INDEX_SLOTS] = {false};
    while (tags_next_item(&names, ':', &name)) {
        size_t slot = find_slot(index, name);
        uint16_t at = seen[slot] ? next[slot] : index->lowest[slot];
        seen[slot] = true;
        if (at != FIELD_INDEX_NONE && at == skipped)
            at = index->fields[at].above;
        next[slot] = at == FIELD_INDEX_NONE ? at : index->fields[at].above;
        if (at != FIELD_INDEX_NONE)
            canon_field(out, index->fields[at].whole, form);
    }
}
