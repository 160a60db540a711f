/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipient_cache: what the accounts said lately about recipients and senders, so
 * that a busy mailbox costs no look-up a message: auth keeps what it read,
 * smtpd what auth told it. All of it is forgotten as soon as the accounts
 * change: answers_check() comes before each use.
 */
#ifndef MAILBOAT_SERVICE_RECIPIENT_CACHE_H
#define MAILBOAT_SERVICE_RECIPIENT_CACHE_H

#include "store/accounts.h"
#include "base/map.h"

enum { ANSWERS_MAX = 4096 }; /* then all are forgotten, and it begins anew */

struct answer {
    uint32_t verdict; /* enum accounts_target, or enum sender_verdict */
    struct recipient *targets;
    size_t target_count;
};

struct answers {
    struct map known;
    struct arena arena;
    uint64_t version; /* of the accounts when they were asked */
};

void answers_start(struct answers *answers, uint64_t seed);
void answers_free(struct answers *answers);
/* Forgets all where the accounts have changed since. */
void answers_check(struct answers *answers, uint64_t version);
/* A question as octets, in `room`: who asks (empty where it does not matter), about whom. */
enum answers_kind { ANSWERS_SENDER = 's', ANSWERS_RECIPIENT = 'r', ANSWERS_RECIPIENT_OF_USER = 'u' };
struct bytes answers_key(struct buffer *room, enum answers_kind kind, struct bytes account, struct bytes address);
/* NULL: not known. */
const struct answer *answers_find(const struct answers *answers, struct bytes key);
void answers_keep(struct answers *answers, struct bytes key, const struct answer *answer); /* copies */

#endif
