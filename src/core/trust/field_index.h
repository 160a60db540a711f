/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field_index: the fields of a header, found by name from the bottom up, as signatures choose them (RFC 6376
 * 5.4.2).
 *
 * The octets are the caller's and must outlive the index. Finding takes constant time, so that a signature
 * with thousands of names in its h= costs no more than reading them.
 */
#ifndef MAILBOAT_CORE_TRUST_FIELD_INDEX_H
#define MAILBOAT_CORE_TRUST_FIELD_INDEX_H

#include "core/trust/canon.h"

enum field_index_limit {
    FIELD_INDEX_OCTETS_MAX = 256 * 1024, /* of a header */
    FIELD_INDEX_MAX = 1000,              /* fields */
    FIELD_INDEX_SLOTS = 2048,
    FIELD_INDEX_NONE = 0xffff, /* no such field */
};

struct indexed_field {
    struct bytes whole; /* with its line end */
    struct bytes name;  /* without white space before the colon */
    struct bytes value; /* after the colon, without the final line end */
    uint16_t above;     /* the next field upwards of the same name, or FIELD_INDEX_NONE */
};

/* The fields are its end, and large: only the first `count` are ever written. */
struct field_index {
    size_t count;
    bool over;                                    /* a limit was passed: what is above it is indexed */
    uint16_t lowest[FIELD_INDEX_SLOTS];           /* hash table of names: the lowest field */
    struct indexed_field fields[FIELD_INDEX_MAX]; /* from the top */
};

/* Indexes the header up to its empty line, or all of the octets. Lines that are not fields are skipped.
 * Nothing need be in the index before. */
void field_index_start(struct field_index *index, struct bytes header);
/* Returns the lowest field of that name, in any case, or FIELD_INDEX_NONE. */
uint16_t field_index_lowest(const struct field_index *index, struct bytes name);

/*
 * Appends the canonical fields that a list of names, separated by colons, selects: for each name the lowest
 * field not yet taken; nothing where there is none. `skipped` is never taken: the field of the signature
 * itself.
 */
void field_index_select(const struct field_index *index, struct bytes names, uint16_t skipped,
                        enum canon_form form, struct buffer *out);

#endif
