/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_tending: all of a signing key's life that needs no person: makes the keys that hosted domains lack,
 * looks in DNS for the records, moves the states, prepares successors, and forgets keys that are over.
 *
 * The supervisor runs it soon after the start and then at least once an hour, and `mailboat dkim tend` does
 * when a person does not want to wait. It is a process that ends, and runs as the starting user, as only that
 * user writes keys; all it reads from outside comes from a process without privileges (key_looks.h).
 */
#ifndef MAILBOAT_SERVICE_KEY_TENDING_H
#define MAILBOAT_SERVICE_KEY_TENDING_H

#include "config/config.h"
#include "run/users.h"
#include "store/signing_keys.h"

enum key_tending_limit {
    KEY_TENDING_MINUTES_MAX = 60, /* until the next time */
};

/* Called back for each key that was made, that moved, that is over (key->forget), or that has a fault;
 * `before`: its stage before; KEY_STAGES: it is new. */
typedef void key_tending_story(void *owner, const struct stored_key *key, enum key_stage before);

struct key_tending_wish {
    const char *domain; /* only its keys; NULL: all */
    bool now;           /* also keys whose next look is not due */
    key_tending_story *tell;
    void *owner;
};

/* False with a reason; a domain whose keys cannot be tended stops no other. *minutes, if not NULL: until the
 * next time. */
bool key_tending_run(const struct config *config, const struct key_tending_wish *wish, uint32_t *minutes,
                     struct error *error);

/* Opens the keys as the starting user; `make`: for changes. */
bool key_tending_open(struct signing_keys *keys, const struct config *config, bool make, struct error *error);
/* For the service table (service->prepare): private keys of the user that `sign` had before belong to its
 * present one: a user that was created since, or root, before there was one. */
bool key_tending_prepare(const struct config *config, struct error *error);
/* Makes the keys of a domain that it lacks of the configured algorithms. */
bool key_tending_make(struct signing_keys *keys, const struct config *config, const char *domain,
                      key_tending_story *tell, void *owner, struct error *error);
/* Returns the facts of the configuration and the clock for key_state_wait(). */
struct key_wait_facts key_tending_facts(const struct config *config);

/* For the service table: tends and logs; returns the minutes until the next time. */
uint32_t key_tending_chore(const struct config *config);

#endif
