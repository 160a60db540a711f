/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tags: a list of tag=value pairs (RFC 6376 3.2), the form of DKIM and ARC fields, of their keys, and of the
 * records of DMARC and TLS-RPT.
 *
 *     struct tags tags;
 *     if (tags_parse(&tags, text, TAGS_STRICT) == TAGS_FINE) {
 *         const struct tag *domain = tags_find(&tags, "d");
 *
 * Nothing is copied: names and values point into the text, which must outlive them. White space is space,
 * tab, CR and LF; a value keeps its inner white space (see tags_add_compact()).
 */
#ifndef MAILBOAT_CORE_TRUST_TAGS_H
#define MAILBOAT_CORE_TRUST_TAGS_H

#include "base/buffer.h"

enum tags_limit {
    TAGS_MAX = 64,              /* tags of a list */
    TAGS_OCTETS_MAX = 8 * 1024, /* of a list */
};

enum tags_reading {
    /* RFC 6376 3.2: names are case-sensitive, and what is not a tag makes the list invalid. */
    TAGS_STRICT,
    /* RFC 9989 4.7: names are of any case; what is not a tag is skipped, an empty one too. */
    TAGS_SKIP_MALFORMED,
};

enum tags_fault {
    TAGS_FINE,
    TAGS_TOO_LONG,  /* over TAGS_OCTETS_MAX */
    TAGS_TOO_MANY,  /* over TAGS_MAX */
    TAGS_MALFORMED, /* an empty list, or text that is not a tag; never with TAGS_SKIP_MALFORMED */
    TAGS_DUPLICATE, /* a name twice */
    TAGS_FAULTS
};

struct tag {
    struct bytes name;  /* a letter, then letters, digits and "_" */
    struct bytes value; /* without white space around it; printable ASCII and UTF-8; may be empty */
    struct bytes raw;   /* all octets between "=" and ";": the value with the white space around it */
};

struct tags {
    struct tag list[TAGS_MAX]; /* in their order */
    size_t count;
    enum tags_reading reading;
    size_t skipped; /* pieces that were not tags, without empty ones */
};

/* Parses all of `text`. With another fault than TAGS_FINE the list is empty. */
enum tags_fault tags_parse(struct tags *tags, struct bytes text, enum tags_reading reading);
const char *tags_fault_reason(enum tags_fault fault); /* for people: "duplicate tag" */

/* Returns the tag; NULL if there is none. `name` in lower case. */
const struct tag *tags_find(const struct tags *tags, const char *name);
/* Returns its value; empty with at == NULL if there is none. */
struct bytes tags_value(const struct tags *tags, const char *name);

/* Appends the value without its white space, for base64 and lists. */
void tags_add_compact(struct buffer *out, struct bytes value);
/* Takes the next item of a list such as "a : b" without the white space around it; false at the end. An
 * item can be empty: "a::b" has three, and an empty value one. *rest begins as tags_value(): a tag that is
 * missing has none. */
bool tags_next_item(struct bytes *rest, char separator, struct bytes *item);

#endif
