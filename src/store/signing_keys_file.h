/* SPDX-License-Identifier: Apache-2.0 */
/* signing_keys_file: shared by the files of signing_keys: names, and reading. */
#ifndef MAILBOAT_STORE_SIGNING_KEYS_FILE_H
#define MAILBOAT_STORE_SIGNING_KEYS_FILE_H

#include "store/signing_keys.h"

enum { SIGNING_KEYS_NAME_SIZE = KEY_SELECTOR_MAX + 10 };

/* "SELECTOR.pem" */
void signing_keys_name(char file[SIGNING_KEYS_NAME_SIZE], const char *selector, const char *ending);

struct signing_keys_names {
    char **names;
    size_t count;
};
/* True for a wanted name; may take its ending off. */
typedef bool signing_keys_filter(struct bytes *name);
bool signing_keys_is_domain(struct bytes *name);
/* Lists up to `max` names that pass the filter, sorted; signing_keys_names_free() frees them. */
bool signing_keys_names(const struct folder *folder, signing_keys_filter *filter, size_t max,
                        struct signing_keys_names *list, struct error *error);
void signing_keys_names_free(struct signing_keys_names *list);

/* Loads all keys of a domain from its folder, ordered by number; the caller frees them. NULL if there are
 * none, or with a reason. */
struct stored_key *signing_keys_load(const struct signing_keys *keys, const struct folder *folder,
                                     const char *domain, size_t *count, struct error *error);

#endif
