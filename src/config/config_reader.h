/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_reader: one configuration file on its way into a struct config; what the
 * files of this folder share, and nobody else includes.
 *
 * config.c walks the tree of keys; values.c reads single values, lists.c the
 * lists and maps; complete.c fills in what follows from what was said, and
 * checks what several keys say together. Each reader returns false where
 * something is wrong: config_read_fail() has told where, what and the mend.
 */
#ifndef MAILBOAT_CONFIG_CONFIG_READER_H
#define MAILBOAT_CONFIG_CONFIG_READER_H

#include <yaml.h>

#include "config/keys.h"

enum { CONFIG_AS_ALL = UINT32_MAX }; /* a limit that an entry does not say, until it is complete */

/* What reading needs at hand. */
struct config_reader {
    struct config *config;
    const char *name; /* of the file, for errors */
    yaml_document_t *document;
    struct error *error;
    bool as_anybody;             /* the files that it names are not looked at */
    const yaml_node_t *seen[64]; /* where each key of config_keys was said; NULL: not */
};

/* "FILE:LINE: what; mend"; false, to be returned. `node`: where; NULL: the first line. */
bool config_read_fail(const struct config_reader *reader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The key is none of `keys`; says which one may have been meant. */
bool config_read_fail_unknown(const struct config_reader *reader, const yaml_node_t *node,
                              const struct config_key *keys, size_t count, const char *prefix);
/* The text of a scalar; the document's. */
struct bytes config_read_text(const yaml_node_t *node);

/* ---- values.c ---- */
bool config_read_scalar(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, void *at);
bool config_read_choice(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key, int *at);

/* ---- lists.c ---- */
struct text_list {
    const char **texts;
    size_t count;
};
bool config_read_list(const struct config_reader *reader, const yaml_node_t *node,
                      const struct config_key *key, struct text_list *list);
bool config_read_listeners(const struct config_reader *reader, const yaml_node_t *node,
                           const struct config_key *key);
bool config_read_routes(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key);
bool config_read_local_users(const struct config_reader *reader, const yaml_node_t *node,
                             const struct config_key *key);
bool config_read_tls(const struct config_reader *reader, const yaml_node_t *node,
                     const struct config_key *key);

/* ---- complete.c ---- */
bool config_complete(struct config_reader *reader);

#endif
