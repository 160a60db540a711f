/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_reader: one configuration file on its way into a struct config; what the
 * files of this folder share, and nobody else includes.
 *
 * config.c walks the tree of keys; values.c reads single values, lists.c the
 * lists and maps; complete.c fills in what follows from what was said, and
 * checks what several keys say together. Each reader returns false where
 * something is wrong: reading_fail() has told where, what and the mend.
 */
#ifndef MAILBOAT_CONFIG_CONFIG_READER_H
#define MAILBOAT_CONFIG_CONFIG_READER_H

#include "config/keys.h"

#include <yaml.h>

enum { CONFIG_AS_ALL = UINT32_MAX }; /* a limit that an entry does not say, until it is complete */

/* What reading needs at hand. */
struct reading {
    struct config *config;
    const char *name; /* of the file, for errors */
    yaml_document_t *document;
    struct error *error;
    bool as_anybody; /* the files that it names are not looked at */
    const yaml_node_t *seen[64]; /* where each key of config_keys was said; NULL: not */
};

/* "FILE:LINE: what; mend"; false, to be returned. `node`: where; NULL: the first line. */
bool reading_fail(const struct reading *reading, const yaml_node_t *node, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The key is none of `keys`; says which one may have been meant. */
bool reading_fail_unknown(const struct reading *reading, const yaml_node_t *node, const struct key *keys, size_t count, const char *prefix);
/* The text of a scalar; the document's. */
struct bytes reading_text(const yaml_node_t *node);

/* ---- values.c ---- */
bool reading_scalar(const struct reading *reading, const yaml_node_t *node, const struct key *key, void *at);
bool reading_choice(const struct reading *reading, const yaml_node_t *node, const struct key *key, int *at);

/* ---- lists.c ---- */
struct text_list {
    const char **texts;
    size_t count;
};
bool reading_list(const struct reading *reading, const yaml_node_t *node, const struct key *key, struct text_list *list);
bool reading_listeners(const struct reading *reading, const yaml_node_t *node, const struct key *key);
bool reading_routes(const struct reading *reading, const yaml_node_t *node, const struct key *key);
bool reading_local_users(const struct reading *reading, const yaml_node_t *node, const struct key *key);
bool reading_tls(const struct reading *reading, const yaml_node_t *node, const struct key *key);

/* ---- complete.c ---- */
bool reading_complete(struct reading *reading);

#endif
