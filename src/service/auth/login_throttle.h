/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_throttle: brute-force protection with lockouts. Failures are counted per pair of client address
 * and account, per address (across accounts), per IPv6 /48, and per account (across addresses). After some
 * free attempts each failure doubles the lockout, during which no password is checked.
 *
 * A try is counted before its password is checked: login_throttle_begin() when it arrives, and
 * login_throttle_failed(), login_throttle_succeeded() or login_throttle_undone() once, with the result. At
 * most as many tries are in progress as there are free attempts; further ones wait for their results
 * (LOGIN_WAITS). So parallel guesses gain nothing, and a program that opens many connections with the
 * right password is not locked out.
 *
 * Accounts are counted in canonical form: quotes, case, a +tag, a U-label, full-width letters, a final dot
 * and a source route lead to the same counter. All texts that are not addresses share one name. IPv6
 * clients are counted per /64, since one host can use all of it; IPv4-mapped addresses are IPv4.
 *
 * A pair that authenticated before is not affected by others: lockouts of the account, of the address and
 * of the /48 do not apply to it, and its own starts later. While an account is locked because of many
 * addresses, an address without failures at it (and with few failures of its /48 in total) gets a turn:
 * one such try per LOGIN_THROTTLE_TURN_MS, reserved up to LOGIN_THROTTLE_TURN_WAIT_MS ahead. So its owner
 * can log in from a new place within a minute, and a botnet of any size gets six tries per minute at the
 * account.
 *
 * Memory is bounded: tables of fixed size (base/slots.h). In a full row the one with the
 * fewest failures makes room. Pairs that signed in have a table of their own,
 * which no guess can crowd.
 *
 * The tables are in memory that outlives the process: a crash or restart gains no new tries; those in
 * progress count as failed. The memory has no pointers, and each text in it is NUL-terminated at any
 * moment: a process killed while writing leaves nothing harmful to its successor.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOGIN_THROTTLE_H
#define MAILBOAT_SERVICE_AUTH_LOGIN_THROTTLE_H

#include "base/buffer.h"

enum login_throttle_limit {
    LOGIN_THROTTLE_SLOTS = 8192,
    LOGIN_THROTTLE_ROW = 8,            /* possible slots of a key */
    LOGIN_THROTTLE_TRUSTED = 65536,    /* pairs that authenticated */
    LOGIN_THROTTLE_FREE = 5,           /* failures of a pair before its first lockout */
    LOGIN_THROTTLE_FREE_TRUSTED = 20,  /* of a pair that authenticated before */
    LOGIN_THROTTLE_FREE_ADDRESS = 30,  /* failures of an address, over all accounts */
    LOGIN_THROTTLE_FREE_NETWORK = 120, /* failures of an IPv6 /48, over all its /64s */
    LOGIN_THROTTLE_FREE_ACCOUNT = 50,  /* failures of an account, over all addresses */
    /* interval of tries by new addresses at an account locked for strangers */
    LOGIN_THROTTLE_TURN_MS = 10 * 1000,
    LOGIN_THROTTLE_TURN_WAIT_MS = 50 * 1000, /* longest wait for such a turn */
    LOGIN_THROTTLE_LOCK_FIRST_MS = 2000,
    LOGIN_THROTTLE_LOCK_MAX_MS = 15 * 60 * 1000,
    LOGIN_THROTTLE_FORGET_MS = 60 * 60 * 1000, /* without a failure */
    LOGIN_THROTTLE_NAME_MAX = 128,             /* octets of a name stored for display */
    LOGIN_THROTTLE_ADDRESS = 52,
};
#define LOGIN_THROTTLE_TRUSTED_MS (30 * 24 * 60 * 60 * 1000ull) /* since it last authenticated */

struct throttle_slot {
    uint64_t key; /* 0: free */
    uint64_t locked_until_ms, last_ms;
    uint64_t turn_ms; /* of an account: time of the next turn of a new address */
    uint32_t failures;
    uint32_t open;                         /* tries in progress */
    char address[LOGIN_THROTTLE_ADDRESS];  /* "" for the account over all addresses */
    char account[LOGIN_THROTTLE_NAME_MAX]; /* "" for the address over all accounts; canonical */
};

/* The counter keys of a try. */
struct throttle_try {
    char address[LOGIN_THROTTLE_ADDRESS]; /* IPv4, or IPv6's "2001:db8:1:2::/64" */
    char network[LOGIN_THROTTLE_ADDRESS]; /* "2001:db8:1::/48"; "" for IPv4 */
    /* canonical; LOGIN_THROTTLE_NO_NAME for a text that is not an address */
    char account[LOGIN_THROTTLE_NAME_MAX];
    /* its turn at an account locked for strangers; 0: none */
    uint64_t turn_ms;
    bool known; /* the pair had authenticated before, at the start */
};
#define LOGIN_THROTTLE_NO_NAME "(no address)"

enum throttle_verdict {
    LOGIN_TRY,   /* counted: check it, then report the result */
    LOGIN_WAITS, /* ask again when another try has ended, or at turn_ms */
    LOGIN_LOCKED,
};

struct trusted_pair {
    uint64_t key;
    uint64_t last_ms;
};

struct login_throttle_kept {
    uint64_t seed; /* 0: not initialized */
    struct throttle_slot slots[LOGIN_THROTTLE_SLOTS];
    struct trusted_pair good[LOGIN_THROTTLE_TRUSTED];
};

struct login_throttle {
    struct throttle_slot *slots;
    struct trusted_pair *good;
    uint64_t seed;
};

/* Continues with the memory in `kept`, which must outlive `throttle`; the seed is for fresh memory, all
 * zeros. */
void login_throttle_start(struct login_throttle *throttle, struct login_throttle_kept *kept, uint64_t seed);
/* Computes the counter keys. `account` is as typed. */
void login_throttle_try_start(struct throttle_try *tried, struct bytes address, struct bytes account);
/* True for a pair that authenticated within LOGIN_THROTTLE_TRUSTED_MS: lockouts caused by others do not
 * apply to it. */
bool login_throttle_know(const struct login_throttle *throttle, const struct throttle_try *tried,
                         uint64_t now_ms);
/* Decides whether it may be checked now. If so, it is counted. */
enum throttle_verdict login_throttle_begin(struct login_throttle *throttle, struct throttle_try *tried,
                                           uint64_t now_ms);

/* Results of a started try. The first returns the longest lockout that it caused; 0: none. */
uint64_t login_throttle_failed(struct login_throttle *throttle, const struct throttle_try *tried,
                               uint64_t now_ms);
void login_throttle_succeeded(struct login_throttle *throttle, const struct throttle_try *tried,
                              uint64_t now_ms);
/* it was not checked */
void login_throttle_undone(struct login_throttle *throttle, const struct throttle_try *tried);

/* Iterates over the current lockouts: `at` starts with 0. NULL: no more. */
const struct throttle_slot *login_throttle_next_locked(const struct login_throttle *throttle, size_t *at,
                                                       uint64_t now_ms);
/* Clears the failures of an account, of a client address, or of a /48; returns the number of lockouts
 * removed. */
size_t login_throttle_unlock(struct login_throttle *throttle, struct bytes who, uint64_t now_ms);

#endif
