/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_cache: recently verified passwords, so that a sending application does not pay for the slow hash
 * with each message. It stores only HMAC-SHA-256 of user, password and stored hash under a random key of
 * this process: a changed password or a removed user no longer matches.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOGIN_CACHE_H
#define MAILBOAT_SERVICE_AUTH_LOGIN_CACHE_H

#include "base/bytes.h"

enum {
    LOGIN_CACHE_SLOTS = 4096,
    LOGIN_CACHE_ROW = 4, /* base/slots.h: in a full one the oldest makes room */
    LOGIN_CACHE_MS = 5 * 60 * 1000,
    LOGIN_CACHE_DIGEST = 32
};

struct login_cache {
    unsigned char key[LOGIN_CACHE_DIGEST];
    struct login_cache_slot {
        uint64_t key; /* the beginning of the digest */
        unsigned char digest[LOGIN_CACHE_DIGEST];
        uint64_t until_ms;
    } * slots;
};

void login_cache_start(struct login_cache *login_cache);
void login_cache_free(struct login_cache *login_cache);
bool login_cache_has(const struct login_cache *login_cache, struct bytes user, struct bytes password,
                     struct bytes hash, uint64_t now_ms);
void login_cache_add(struct login_cache *login_cache, struct bytes user, struct bytes password,
                     struct bytes hash, uint64_t now_ms);

#endif
