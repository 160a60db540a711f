/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_reader: reads a configuration file into a struct config; shared by the files of this folder, and
 * included only here.
 *
 * config.c walks the tree of keys; values.c reads single values, lists.c lists and maps; complete.c fills
 * in derived values, and checks keys against each other. Each reader returns false on an error, after
 * config_read_fail() has reported the place, the problem and a hint.
 */
#ifndef MAILBOAT_CONFIG_CONFIG_READER_H
#define MAILBOAT_CONFIG_CONFIG_READER_H

#include <yaml.h>

#include "config/keys.h"

enum { CONFIG_AS_ALL = UINT32_MAX }; /* a limit that is not set in an entry, until it is complete */

/* State of the reader. */
struct config_reader {
    struct config *config;
    const char *name; /* of the file, for errors */
    yaml_document_t *document;
    struct error *error;
    bool as_anybody;                          /* does not read the files that it references */
    const yaml_node_t *seen[CONFIG_KEYS_MAX]; /* node of each key of config_keys; NULL: not set */
};

/* Reports "FILE:LINE: what; hint"; returns false. `node`: the place; NULL: the first line. */
bool config_read_fail(const struct config_reader *reader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reports a key that is not in `keys`, and suggests a similar one. */
bool config_read_fail_unknown(const struct config_reader *reader, const yaml_node_t *node,
                              const struct config_key *keys, size_t count, const char *prefix);
/* Returns the text of a scalar, owned by the document. */
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
bool config_read_is_list(const struct config_reader *reader, const yaml_node_t *node,
                         const struct config_key *key, size_t *count);
const yaml_node_t *config_read_list_entry(const struct config_reader *reader, const yaml_node_t *node,
                                          size_t i);
/* Reads an entry of a list into its struct; `said` gets which of `keys` are set. */
bool config_read_entry(const struct config_reader *reader, const yaml_node_t *node, const char *list,
                       const struct config_key *keys, size_t count, void *into, bool *said);
bool config_read_listeners(const struct config_reader *reader, const yaml_node_t *node,
                           const struct config_key *key);
bool config_read_routes(const struct config_reader *reader, const yaml_node_t *node,
                        const struct config_key *key);
bool config_read_local_users(const struct config_reader *reader, const yaml_node_t *node,
                             const struct config_key *key);
bool config_read_tls(const struct config_reader *reader, const yaml_node_t *node,
                     const struct config_key *key);

/* ---- exceptions.c ---- */
bool config_read_relay_domains(const struct config_reader *reader, const yaml_node_t *node,
                               const struct config_key *key);
bool config_complete_old_tls(const struct config_reader *reader, const yaml_node_t *node,
                             struct config_listener *listener);

/* ---- trust_keys.c ---- */
bool config_complete_trust(const struct config_reader *reader);

/* ---- sts_keys.c ---- */
bool config_complete_sts(const struct config_reader *reader);

/* ---- dkim_keys.c ---- */
bool config_complete_dkim(const struct config_reader *reader);

/* ---- complete.c ---- */
/* Returns where a key is set; NULL: nowhere. */
const yaml_node_t *config_read_said_at(const struct config_reader *reader, const char *path);
bool config_complete(struct config_reader *reader);

#endif
