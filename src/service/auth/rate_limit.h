/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_limit: how much each account, and each local user, has sent lately
 * (a rate limit by a sliding window). An hour is counted in parts of five
 * minutes: what was sent counts for 60 to 65 minutes, so that in no 60 minutes
 * more is sent than is allowed, and each part comes free by itself.
 *
 * rate_limit_take() counts a message before it is sent, and refuses it where
 * it does not fit; rate_limit_give_back() when it was not sent after all. One
 * process does all of it, so that no two messages see the same room.
 *
 * The table is of a fixed size (base/slots.h), in memory that outlives the process: a restart
 * of it forgets nothing, one of the server all. A new account takes a slot of
 * which nothing counts any more; where there is none in its row (more
 * than half of the table has sent within the hour), that of the one that sent
 * least: never that of one near its limit.
 */
#ifndef MAILBOAT_SERVICE_AUTH_RATE_LIMIT_H
#define MAILBOAT_SERVICE_AUTH_RATE_LIMIT_H

#include "base/bytes.h"

enum rate_limit_size {
    RATE_LIMIT_SLOTS = 32768,
    RATE_LIMIT_ROW = 64,   /* slots where an account may stand: base/slots.h */
    RATE_LIMIT_PARTS = 13, /* of an hour, and the one that has begun */
    RATE_LIMIT_PART_MS = 5 * 60 * 1000,
};

struct rate_limit_slot {
    uint64_t key;       /* 0: free */
    uint64_t part;      /* the newest that is counted */
    uint64_t logged_ms; /* when the log told that it is used up; 0: not yet */
    uint32_t messages[RATE_LIMIT_PARTS], recipients[RATE_LIMIT_PARTS];
};

struct rate_limits_kept {
    uint64_t seed; /* 0: it is fresh */
    struct rate_limit_slot slots[RATE_LIMIT_SLOTS];
};

struct rate_limits {
    struct rate_limit_slot *slots;
    uint64_t seed;
};

/* 0: no limit. */
struct rate_limit_max {
    uint32_t messages, recipients;
};

enum rate_limit_verdict {
    RATE_LIMIT_FITS,
    RATE_LIMIT_REACHED, /* not now */
    RATE_LIMIT_NEVER,   /* more recipients than there may be in any hour */
};

/* One message that was counted. */
struct rate_limit_taken {
    uint64_t key, part; /* key 0: nothing was */
    uint32_t recipients;
};

/* Goes on with what stands in `kept`, which must outlive it; the seed is for fresh memory, all zeros. */
void rate_limit_start(struct rate_limits *rate_limits, struct rate_limits_kept *kept, uint64_t seed);
/* One message to so many recipients. `wait_s`: seconds until it fits, where it is REACHED. */
enum rate_limit_verdict rate_limit_take(struct rate_limits *rate_limits, struct bytes account,
                                        struct rate_limit_max limits, uint32_t recipients, uint64_t now_ms,
                                        struct rate_limit_taken *taken, uint32_t *wait_s);
/* Would one message to one recipient fit? Nothing is counted. */
enum rate_limit_verdict rate_limit_look(const struct rate_limits *rate_limits, struct bytes account,
                                        struct rate_limit_max limits, uint64_t now_ms, uint32_t *wait_s);
void rate_limit_give_back(struct rate_limits *rate_limits, const struct rate_limit_taken *taken);
/* True once an hour: that the account's allowance is used up is news. `sent`,
 * where not NULL, gets what it sent. */
bool rate_limit_log_is_due(struct rate_limits *rate_limits, struct bytes account, uint64_t now_ms,
                           struct rate_limit_max *sent);

#endif
