/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_throttle: slows down who guesses passwords (a login throttle with lockout).
 * Failures are counted for each pair of client address and account, for each
 * address alone (one account after the other), for each IPv6 /48, and for each
 * account alone (from many addresses). After some free tries each failure
 * doubles the time for which nothing is checked.
 *
 * A try is counted before the password is looked at: login_throttle_begin() when it
 * arrives, and login_throttle_failed(), login_throttle_succeeded() or login_throttle_undone() once,
 * when it is decided. As many tries are under way as are free; further ones
 * wait for the outcome of those (LOGIN_WAITS). So guesses in parallel win
 * nothing, and a program that opens many connections with the right password
 * is not locked out.
 *
 * An account is counted by its canonical form, whatever is typed: quotes, case,
 * a +tag, a U-label, full-width letters, a final dot and a source route lead to
 * the same counter. What is no address at all is one name. An IPv6 address
 * counts as its /64: whoever has one has all of it; IPv4-mapped ones are IPv4.
 *
 * A pair that signed in before goes on signing in whatever others do: the
 * locks of the account, of the address and of the /48 are not for it, and its
 * own comes later. While an account is locked because many addresses guess at
 * it, an address that has not failed at it (nor, more than a few times, its
 * /48 at any) gets a turn: one such try in LOGIN_THROTTLE_TURN_MS, given out up to
 * LOGIN_THROTTLE_TURN_WAIT_MS ahead. So its owner gets in from a new place within a minute, and a botnet gets
 * six tries a minute at the account, however large it is.
 *
 * Memory is bounded: tables of fixed size (base/slots.h). In a full row the one with the
 * fewest failures makes room. Pairs that signed in have a table of their own,
 * which no guess can crowd.
 *
 * The tables are of memory that outlives the process: who makes it end, or
 * waits for a restart, wins no new tries; those that were under way count as
 * failed. It has no pointers, and each text in it ends in NUL at any moment:
 * one that was killed while it wrote leaves nothing that could hurt its
 * successor.
 */
#ifndef MAILBOAT_SERVICE_AUTH_LOGIN_THROTTLE_H
#define MAILBOAT_SERVICE_AUTH_LOGIN_THROTTLE_H

#include "base/buffer.h"

enum login_throttle_limit {
    LOGIN_THROTTLE_SLOTS = 8192,
    LOGIN_THROTTLE_ROW = 8,            /* slots where a key may stand */
    LOGIN_THROTTLE_TRUSTED = 65536,    /* pairs that signed in */
    LOGIN_THROTTLE_FREE = 5,           /* failures of a pair before it is locked at all */
    LOGIN_THROTTLE_FREE_TRUSTED = 20,  /* of a pair that signed in before */
    LOGIN_THROTTLE_FREE_ADDRESS = 30,  /* failures of an address, over all accounts */
    LOGIN_THROTTLE_FREE_NETWORK = 120, /* failures of an IPv6 /48, over all its /64s */
    LOGIN_THROTTLE_FREE_ACCOUNT = 50,  /* failures of an account, over all addresses */
    /* between two tries of newcomers at an account that is locked for strangers */
    LOGIN_THROTTLE_TURN_MS = 10 * 1000,
    LOGIN_THROTTLE_TURN_WAIT_MS = 50 * 1000, /* the longest wait for such a turn */
    LOGIN_THROTTLE_LOCK_FIRST_MS = 2000,
    LOGIN_THROTTLE_LOCK_MAX_MS = 15 * 60 * 1000,
    LOGIN_THROTTLE_FORGET_MS = 60 * 60 * 1000, /* without a failure */
    LOGIN_THROTTLE_NAME_MAX = 128,             /* octets of a name that are kept to be shown */
    LOGIN_THROTTLE_ADDRESS = 52,
};
#define LOGIN_THROTTLE_TRUSTED_MS (30 * 24 * 60 * 60 * 1000ull) /* since it last signed in */

struct throttle_slot {
    uint64_t key; /* 0: free */
    uint64_t locked_until_ms, last_ms;
    uint64_t turn_ms; /* of an account: when the next newcomer's turn is */
    uint32_t failures;
    uint32_t open;                         /* tries under way */
    char address[LOGIN_THROTTLE_ADDRESS];  /* "" for the account over all addresses */
    char account[LOGIN_THROTTLE_NAME_MAX]; /* "" for the address over all accounts; canonical */
};

/* Who tries, as it is counted. */
struct throttle_try {
    char address[LOGIN_THROTTLE_ADDRESS];  /* IPv4, or IPv6's "2001:db8:1:2::/64" */
    char network[LOGIN_THROTTLE_ADDRESS];  /* "2001:db8:1::/48"; "" for IPv4 */
    char account[LOGIN_THROTTLE_NAME_MAX]; /* canonical; LOGIN_THROTTLE_NO_NAME for what is no address */
    /* when its turn is, at an account that is locked for strangers; 0: it has none */
    uint64_t turn_ms;
    bool known; /* as a pair that signed in before, when it was begun */
};
#define LOGIN_THROTTLE_NO_NAME "(no address)"

enum throttle_verdict {
    LOGIN_TRY,   /* it is counted: check, then say how it ended */
    LOGIN_WAITS, /* ask again when another try has ended, or at turn_ms */
    LOGIN_LOCKED,
};

struct trusted_pair {
    uint64_t key;
    uint64_t last_ms;
};

struct login_throttle_kept {
    uint64_t seed; /* 0: it is fresh */
    struct throttle_slot slots[LOGIN_THROTTLE_SLOTS];
    struct trusted_pair good[LOGIN_THROTTLE_TRUSTED];
};

struct login_throttle {
    struct throttle_slot *slots;
    struct trusted_pair *good;
    uint64_t seed;
};

/* Goes on with what stands in `kept`, which must outlive
 * `throttle`; the seed is for fresh memory, all zeros. */
void login_throttle_start(struct login_throttle *throttle, struct login_throttle_kept *kept, uint64_t seed);
/* Works out by what it is counted. `account` is as it was typed. */
void login_throttle_try_start(struct throttle_try *tried, struct bytes address, struct bytes account);
/* True for a pair that signed in within LOGIN_THROTTLE_TRUSTED_MS: never locked by what others do. */
bool login_throttle_know(const struct login_throttle *throttle, const struct throttle_try *tried,
                         uint64_t now_ms);
/* May it be checked now? Where it may, it counts from here on. */
enum throttle_verdict login_throttle_begin(struct login_throttle *throttle, struct throttle_try *tried,
                                           uint64_t now_ms);

/* Ends of a try that was begun. The first tells the longest time for which
 * something is locked by it now; 0: nothing is. */
uint64_t login_throttle_failed(struct login_throttle *throttle, const struct throttle_try *tried,
                               uint64_t now_ms);
void login_throttle_succeeded(struct login_throttle *throttle, const struct throttle_try *tried,
                              uint64_t now_ms);
/* it was not checked after all */
void login_throttle_undone(struct login_throttle *throttle, const struct throttle_try *tried);

/* What is locked now, one after the other: `at` begins with 0. NULL: no more. */
const struct throttle_slot *login_throttle_next_locked(const struct login_throttle *throttle, size_t *at,
                                                       uint64_t now_ms);
/* Forgets the failures of an account, of a client's address, or of a /48; how many locks that undid. */
size_t login_throttle_unlock(struct login_throttle *throttle, struct bytes who, uint64_t now_ms);

#endif
