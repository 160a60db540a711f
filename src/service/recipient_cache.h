/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipient_cache: what the accounts said lately about recipients and senders, so
 * that a busy mailbox costs no look-up a message: auth keeps what it read,
 * smtpd and pickup what auth told them. All of it is forgotten as soon as the
 * accounts change: recipient_cache_check() comes before each use. (A map and no table of
 * base/slots.h: answers have any size, and a wrong one delivers to a stranger.)
 */
#ifndef MAILBOAT_SERVICE_RECIPIENT_CACHE_H
#define MAILBOAT_SERVICE_RECIPIENT_CACHE_H

#include "base/map.h"
#include "store/accounts.h"

enum { RECIPIENT_CACHE_MAX = 4096 }; /* beyond it all entries are dropped */

struct cached_recipient {
    uint32_t verdict; /* enum accounts_target, or enum sender_verdict */
    struct recipient *targets;
    size_t target_count;
};

struct recipient_cache {
    struct map known;
    struct arena arena;
    uint64_t version; /* of the accounts at the lookup */
};

void recipient_cache_start(struct recipient_cache *recipient_cache, uint64_t seed);
void recipient_cache_free(struct recipient_cache *recipient_cache);
/* Drops all entries if the accounts have changed since. */
void recipient_cache_check(struct recipient_cache *recipient_cache, uint64_t version);
/* The key of a lookup, in `scratch`: its asker (empty if irrelevant), and its subject. */
enum recipient_cache_kind {
    RECIPIENT_CACHE_SENDER = 's',
    RECIPIENT_CACHE_RECIPIENT = 'r',
    RECIPIENT_CACHE_DOMAIN = 'd', /* known: it is hosted here */
    RECIPIENT_CACHE_RECIPIENT_OF_USER = 'u'
};
struct bytes recipient_cache_key(struct buffer *scratch, enum recipient_cache_kind kind, struct bytes account,
                                 struct bytes address);
/* NULL: not cached. */
const struct cached_recipient *recipient_cache_find(const struct recipient_cache *recipient_cache,
                                                    struct bytes key);
/* copies */
void recipient_cache_keep(struct recipient_cache *recipient_cache, struct bytes key,
                          const struct cached_recipient *answer);

#endif
