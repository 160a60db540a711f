/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_looks: looks in DNS for the records of many signing keys, in a short-lived process that has no
 * privileges, no files and no key: it reads what other servers say.
 */
#ifndef MAILBOAT_SERVICE_KEY_LOOKS_H
#define MAILBOAT_SERVICE_KEY_LOOKS_H

#include "config/config.h"
#include "store/signing_keys.h"

enum key_looks_limit {
    KEY_LOOKS_MAX = 2000,          /* keys in one go */
    KEY_LOOKS_AT_ONCE = 8,         /* concurrent */
    KEY_LOOKS_MS = 10 * 60 * 1000, /* for all; the rest stays unknown */
};

struct looked_key {
    char domain[DOMAIN_NAME_MAX + 1], selector[KEY_SELECTOR_MAX + 1];
    struct bytes public_key; /* the caller's */
    enum dkim_algorithm algorithm;
    struct key_look look; /* the result, without its time */
    bool looked;          /* false: there was no time for it */
};

/* Looks for all of `keys`, at most KEY_LOOKS_MAX. False with a reason if it could not begin. */
bool key_looks_run(const struct config *config, struct looked_key *keys, size_t count, struct error *error);

#endif
