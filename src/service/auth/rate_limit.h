/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_limit: how much each account, and each local user, has sent lately
 * (a rate limit by a sliding window). An hour is counted in parts of five
 * minutes: what was sent counts for 60 to 65 minutes, so that in no 60 minutes
 * more is sent than is allowed, and each part comes free by itself.
 *
 * allowances_take() counts a message before it is sent, and refuses it where
 * it does not fit; allowances_give_back() when it was not sent after all. One
 * process does all of it, so that no two messages see the same room.
 *
 * The table is of a fixed size, in memory that outlives the process: a restart
 * of it forgets nothing, one of the server all. A new account takes a slot of
 * which nothing counts any more; where there is none within its reach (more
 * than half of the table has sent within the hour), that of the one that sent
 * least: never that of one near its limit.
 */
#ifndef MAILBOAT_SERVICE_AUTH_RATE_LIMIT_H
#define MAILBOAT_SERVICE_AUTH_RATE_LIMIT_H

#include "base/bytes.h"

enum allowances_size {
    ALLOWANCE_SLOTS = 32768,
    ALLOWANCE_REACH = 64, /* slots where an account may stand */
    ALLOWANCE_PARTS = 13, /* of an hour, and the one that has begun */
    ALLOWANCE_PART_MS = 5 * 60 * 1000,
};

struct allowance {
    uint64_t key; /* 0: free */
    uint64_t part; /* the newest that is counted */
    uint64_t told_ms; /* when the log told that it is used up; 0: not yet */
    uint32_t messages[ALLOWANCE_PARTS], recipients[ALLOWANCE_PARTS];
};

struct allowances_kept {
    uint64_t seed; /* 0: it is fresh */
    struct allowance slots[ALLOWANCE_SLOTS];
};

struct allowances {
    struct allowance *slots;
    uint64_t seed;
};

/* 0: no limit. */
struct allowance_limits {
    uint32_t messages, recipients;
};

enum allowance_verdict {
    ALLOWANCE_FITS,
    ALLOWANCE_REACHED, /* not now */
    ALLOWANCE_NEVER, /* more recipients than there may be in any hour */
};

/* One message that was counted. */
struct allowance_taken {
    uint64_t key, part; /* key 0: nothing was */
    uint32_t recipients;
};

/* Goes on with what stands in `kept`, which must outlive it; the seed is for fresh memory, all zeros. */
void allowances_start(struct allowances *allowances, struct allowances_kept *kept, uint64_t seed);
/* One message to so many recipients. `wait_s`: seconds until it fits, where it is REACHED. */
enum allowance_verdict allowances_take(struct allowances *allowances, struct bytes account,
                                       struct allowance_limits limits, uint32_t recipients, uint64_t now_ms,
                                       struct allowance_taken *taken, uint32_t *wait_s);
/* Would one message to one recipient fit? Nothing is counted. */
enum allowance_verdict allowances_look(const struct allowances *allowances, struct bytes account,
                                       struct allowance_limits limits, uint64_t now_ms, uint32_t *wait_s);
void allowances_give_back(struct allowances *allowances, const struct allowance_taken *taken);
/* True once an hour: that the account's allowance is used up is news. `sent`,
 * where not NULL, gets what it sent. */
bool allowances_tell(struct allowances *allowances, struct bytes account, uint64_t now_ms,
                     struct allowance_limits *sent);

#endif
