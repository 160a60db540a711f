/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign_keys: the active private keys of all domains, in memory. sign reads them before it enters its
 * sandbox; new ones are read by its successor.
 *
 * A key that is active but cannot be read or used stays in the list without its key: mail of its domain
 * must not leave without a signature only because a file has the wrong owner.
 */
#ifndef MAILBOAT_SERVICE_SIGN_SIGN_KEYS_H
#define MAILBOAT_SERVICE_SIGN_SIGN_KEYS_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/map.h"
#include "io/signature.h"

struct sign_key {
    struct sign_key *next; /* of the same domain */
    struct bytes domain, selector;
    struct signing_key key; /* key.key NULL: not usable */
};

struct sign_keys {
    struct map domains; /* of the first struct sign_key */
    struct arena arena;
};

/* Reads the active keys of DATA/keys, whose private halves belong to that user. A key that is not usable is
 * logged; false only if the folder cannot be read. */
bool sign_keys_read(struct sign_keys *keys, const char *data_dir, uid_t uid, gid_t gid, struct error *error);
/* Adds a key of a domain (in the form of DNS, lower case), in the order of their numbers: of two with one
 * algorithm the later one signs. `pem` empty: it is not usable, because of `why`; otherwise `why` is its
 * name for errors. */
void sign_keys_add(struct sign_keys *keys, struct bytes domain, struct bytes selector, struct bytes pem,
                   const char *why);
void sign_keys_start(struct sign_keys *keys, uint64_t seed);
void sign_keys_free(struct sign_keys *keys);
/* Returns the first key of the domain or, with `takes_parent`, of the nearest domain above it; NULL: there
 * is none. */
const struct sign_key *sign_keys_find(const struct sign_keys *keys, struct bytes domain, bool takes_parent);

#endif
