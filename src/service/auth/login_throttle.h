/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_throttle: slows down who guesses passwords (a login throttle with lockout).
 * Failures are counted for each pair of client address and account, for each
 * address alone (one account after the other), for each IPv6 /48, and for each
 * account alone (from many addresses). After some free tries each failure
 * doubles the time for which nothing is checked.
 *
 * A try is counted before the password is looked at: guesses_begin() when it
 * arrives, and guesses_failed(), guesses_succeeded() or guesses_undone() once,
 * when it is decided. As many tries are under way as are free; further ones
 * wait for the outcome of those (GUESS_WAITS). So guesses in parallel win
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
 * /48 at any) gets a turn: one such try in GUESSES_TURN_MS, given out up to GUESSES_TURN_WAIT_MS ahead. So its owner
 * gets in from a new place within a minute, and a botnet gets six tries a
 * minute at the account, however large it is.
 *
 * Memory is bounded: tables of fixed size. In a full row the one with the
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

enum guesses_limit {
    GUESSES_SLOTS = 8192,
    GUESSES_ROW = 8,           /* slots where a key may stand */
    GUESSES_GOOD = 65536,      /* pairs that signed in */
    GUESSES_FREE = 5,          /* failures of a pair before it is locked at all */
    GUESSES_FREE_GOOD = 20,    /* of a pair that signed in before */
    GUESSES_FREE_ADDRESS = 30, /* failures of an address, over all accounts */
    GUESSES_FREE_NETWORK = 120, /* failures of an IPv6 /48, over all its /64s */
    GUESSES_FREE_ACCOUNT = 50, /* failures of an account, over all addresses */
    GUESSES_TURN_MS = 10 * 1000,      /* between two tries of newcomers at an account that is locked for strangers */
    GUESSES_TURN_WAIT_MS = 50 * 1000, /* the longest wait for such a turn */
    GUESSES_LOCK_FIRST_MS = 2000,
    GUESSES_LOCK_MAX_MS = 15 * 60 * 1000,
    GUESSES_FORGET_MS = 60 * 60 * 1000, /* without a failure */
    GUESSES_WHO = 128,                  /* octets of a name that are kept to be shown */
    GUESSES_ADDRESS = 52,
};
#define GUESSES_GOOD_MS (30 * 24 * 60 * 60 * 1000ull) /* since it last signed in */

struct guess {
    uint64_t key; /* 0: free */
    uint64_t locked_until_ms, last_ms;
    uint64_t turn_ms;          /* of an account: when the next newcomer's turn is */
    uint32_t failures;
    uint32_t open;             /* tries under way */
    char address[GUESSES_ADDRESS]; /* "" for the account over all addresses */
    char account[GUESSES_WHO]; /* "" for the address over all accounts; canonical */
};

/* Who tries, as it is counted. */
struct guess_try {
    char address[GUESSES_ADDRESS]; /* IPv4, or IPv6's "2001:db8:1:2::/64" */
    char network[GUESSES_ADDRESS]; /* "2001:db8:1::/48"; "" for IPv4 */
    char account[GUESSES_WHO];     /* canonical; GUESSES_NO_NAME for what is no address */
    uint64_t turn_ms;              /* when its turn is, at an account that is locked for strangers; 0: it has none */
    bool known;                    /* as a pair that signed in before, when it was begun */
};
#define GUESSES_NO_NAME "(no address)"

enum guess_verdict {
    GUESS_TRY,    /* it is counted: check, then say how it ended */
    GUESS_WAITS,  /* ask again when another try has ended, or at turn_ms */
    GUESS_LOCKED,
};

struct good {
    uint64_t key;
    uint64_t last_ms;
};

struct guesses_kept {
    uint64_t seed; /* 0: it is fresh */
    struct guess slots[GUESSES_SLOTS];
    struct good good[GUESSES_GOOD];
};

struct guesses {
    struct guess *slots;
    struct good *good;
    uint64_t seed;
};

/* Goes on with what stands in `kept`, which must outlive `guesses`; the seed is for fresh memory, all zeros. */
void guesses_start(struct guesses *guesses, struct guesses_kept *kept, uint64_t seed);
/* Works out by what it is counted. `account` is as it was typed. */
void guess_try_start(struct guess_try *tried, struct bytes address, struct bytes account);
/* True for a pair that signed in within GUESSES_GOOD_MS: never locked by what others do. */
bool guesses_know(const struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms);
/* May it be checked now? Where it may, it counts from here on. */
enum guess_verdict guesses_begin(struct guesses *guesses, struct guess_try *tried, uint64_t now_ms);

/* Ends of a try that was begun. The first tells the longest time for which
 * something is locked by it now; 0: nothing is. */
uint64_t guesses_failed(struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms);
void guesses_succeeded(struct guesses *guesses, const struct guess_try *tried, uint64_t now_ms);
void guesses_undone(struct guesses *guesses, const struct guess_try *tried); /* it was not checked after all */

/* What is locked now, one after the other: `at` begins with 0. NULL: no more. */
const struct guess *guesses_next_locked(const struct guesses *guesses, size_t *at, uint64_t now_ms);
/* Forgets the failures of an account, of a client's address, or of a /48; how many locks that undid. */
size_t guesses_unlock(struct guesses *guesses, struct bytes who, uint64_t now_ms);

#endif
