/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_cache: passwords that were right a moment ago, so that a sending
 * application is not slowed by the slow hash on each message. Kept is only
 * HMAC-SHA-256 of user, password and stored hash under a random key of this
 * process: a changed password or a removed user is forgotten by that alone.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOGIN_CACHE_H
#define MAILBOAT_SERVICE_AUTH_LOGIN_CACHE_H

#include "base/bytes.h"

enum { REMEMBERED_SLOTS = 4096, REMEMBERED_MS = 5 * 60 * 1000, REMEMBERED_DIGEST = 32 };

struct remembered {
    unsigned char key[REMEMBERED_DIGEST];
    struct {
        unsigned char digest[REMEMBERED_DIGEST];
        uint64_t until_ms;
    } *slots;
};

void remembered_start(struct remembered *remembered);
void remembered_free(struct remembered *remembered);
bool remembered_has(const struct remembered *remembered, struct bytes user, struct bytes password, struct bytes hash, uint64_t now_ms);
void remembered_add(struct remembered *remembered, struct bytes user, struct bytes password, struct bytes hash, uint64_t now_ms);

#endif
