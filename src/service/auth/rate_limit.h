/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_limit: how much each account, and each local user, has sent recently (a sliding window). An hour
 * consists of parts of five minutes: messages count for 60 to 65 minutes, so that in no 60 minutes more is
 * sent than allowed, and each part expires by itself.
 *
 * rate_limit_take() counts a message before it is sent, and rejects it if the limit is reached;
 * rate_limit_give_back() if it was not sent. One process does all of it, so that two messages cannot use
 * the same quota.
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
    RATE_LIMIT_ROW = 64,   /* possible slots of an account: base/slots.h */
    RATE_LIMIT_PARTS = 13, /* of an hour, and the current one */
    RATE_LIMIT_PART_MS = 5 * 60 * 1000,
};

struct rate_limit_slot {
    uint64_t key;       /* 0: free */
    uint64_t part;      /* the newest counted part */
    uint64_t logged_ms; /* when the limit was last logged; 0: not yet */
    uint32_t messages[RATE_LIMIT_PARTS], recipients[RATE_LIMIT_PARTS];
};

struct rate_limits_kept {
    uint64_t seed; /* 0: not initialized */
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
    RATE_LIMIT_REACHED, /* temporarily */
    RATE_LIMIT_NEVER,   /* more recipients than any hour allows */
};

/* A counted message. */
struct rate_limit_taken {
    uint64_t key, part; /* key 0: nothing was counted */
    uint32_t recipients;
};

/* Continues with the memory in `kept`, which must outlive it; the seed is for fresh memory, all zeros. */
void rate_limit_start(struct rate_limits *rate_limits, struct rate_limits_kept *kept, uint64_t seed);
/* Counts one message to so many recipients. `wait_s`: seconds until it fits, if REACHED. */
enum rate_limit_verdict rate_limit_take(struct rate_limits *rate_limits, struct bytes account,
                                        struct rate_limit_max limits, uint32_t recipients, uint64_t now_ms,
                                        struct rate_limit_taken *taken, uint32_t *wait_s);
/* Returns whether one message to one recipient would fit. Counts nothing. */
enum rate_limit_verdict rate_limit_look(const struct rate_limits *rate_limits, struct bytes account,
                                        struct rate_limit_max limits, uint64_t now_ms, uint32_t *wait_s);
void rate_limit_give_back(struct rate_limits *rate_limits, const struct rate_limit_taken *taken);
/* True at most once an hour: the reached limit is to be logged. `sent`, if not NULL, gets the recent
 * messages. */
bool rate_limit_log_is_due(struct rate_limits *rate_limits, struct bytes account, uint64_t now_ms,
                           struct rate_limit_max *sent);

#endif
