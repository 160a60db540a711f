/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_cf: the parameters of Postfix's main.cf (postconf(5)), with their references to each other expanded.
 * main_cf_read(), then main_cf_value() and main_cf_tables_next() on a value that lists tables.
 */
#ifndef MAILBOAT_CORE_IMPORT_MAIN_CF_H
#define MAILBOAT_CORE_IMPORT_MAIN_CF_H

#include "base/arena.h"
#include "base/map.h"

enum { MAIN_CF_VALUE_MAX = 64 * 1024, MAIN_CF_DEPTH_MAX = 20 }; /* octets; references in references */

struct main_cf {
    struct arena *arena; /* of the caller; owns all texts */
    struct map values;   /* name to struct bytes */
};

/* The last of several lines with the same name counts. The text is copied. */
void main_cf_read(struct main_cf *main_cf, struct arena *arena, struct bytes text);
void main_cf_free(struct main_cf *main_cf);

/* True if the file sets it. */
bool main_cf_has(const struct main_cf *main_cf, const char *name);
/* Sets a parameter that the file does not set: what Postfix would find out on its machine. */
void main_cf_set_default(struct main_cf *main_cf, const char *name, struct bytes value);
/* Returns the value, expanded ($name, ${name}, $(name), ${name?text}, ${name:text}); Postfix's default, or
 * empty, if the file does not set it. Cut after MAIN_CF_VALUE_MAX octets. In the arena. */
struct bytes main_cf_value(const struct main_cf *main_cf, const char *name);

/* An entry of a list of names and tables. */
struct main_cf_entry {
    struct bytes type; /* "hash" of "hash:/etc/postfix/virtual", also of "proxy:hash:..."; empty: a name */
    struct bytes name; /* the file, or the name */
};
/* Takes the next entry from the front of a list, which commas and spaces separate; false at the end. */
bool main_cf_next(struct bytes *list, struct main_cf_entry *entry);
/* True for a type whose text file has the name of the table: hash, btree, lmdb, cdb, dbm, texthash. */
bool main_cf_is_text(const struct main_cf_entry *entry);

/* The next hop of relayhost and transport_maps: "[host]:port", "host:port", "host". */
struct main_cf_hop {
    struct bytes host; /* without brackets; empty: none is named */
    uint16_t port;     /* 0: none is named */
    bool is_domain;    /* without brackets: Postfix looks up its MX hosts */
};
/* False if it is malformed. */
bool main_cf_read_hop(struct bytes text, struct main_cf_hop *hop);

#endif
