/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harvest: detects directory harvest attacks, and tells them from a mailing list with some dead addresses.
 * Unknown recipients are counted against recipients that got mail: two good ones offset one bad one. Mail
 * to different recipients offsets without limit; repeated mail to the same ones only up to a few times the
 * free number, since otherwise one known address could be used to pay for all guesses. If more than a free
 * number remains within about an hour, rejections are delayed more and more, and at twice that number the
 * client is blocked: longer each time.
 *
 * smtpd keeps one harvest per client address, and per network around it with a larger free number
 * (smtpd/harvest_table.c). This module holds the rules, with the time as an argument.
 */
#ifndef MAILBOAT_CORE_SERVER_HARVEST_H
#define MAILBOAT_CORE_SERVER_HARVEST_H

#include <stdbool.h>
#include <stdint.h>

enum harvest_limit {
    HARVEST_PART = 16,          /* counted parts of a recipient */
    HARVEST_COUNT_MAX = 0xffff, /* parts; beyond it, both counts are halved */
    HARVEST_HALF_LIFE_MIN = 60, /* counts decay by half in so many minutes */
    HARVEST_GOOD_FOR_BAD = 2,   /* recipients that got mail to offset one unknown recipient */
    /* times the free number: maximum credit for repeated mail to the same recipients */
    HARVEST_REPEATS_EXCUSE = 4,
    /* times the free number: limit of a network beyond which good members are blocked too */
    HARVEST_HOPELESS = 4,
    HARVEST_DELAY_FIRST_MS = 500, /* doubled with each quarter of the free number */
    HARVEST_DELAY_MAX_MS = 8000,
    HARVEST_BLOCK_FIRST_MIN = 15, /* doubled for each repetition */
    HARVEST_BLOCK_MAX_MIN = 4 * 60,
    HARVEST_OFFENCES_MAX = 15,
    HARVEST_FREE_MAX = 1000, /* largest free number, so that counts suffice */
};

struct harvest {
    uint16_t bad, good;         /* parts: see HARVEST_PART */
    uint32_t minute;            /* when they last decayed; any monotonic clock */
    uint32_t blocked_until_min; /* blocked before this minute; 0: not blocked */
    uint8_t offences;           /* number of blocks, which decays with time */
};

/* Consequence of a rejection. */
enum harvest_news { HARVEST_NOTHING_NEW, HARVEST_SLOWED, HARVEST_BLOCKED };

/* Counts a rejected recipient. `free`: the tolerated number of unknown recipients, 1 to HARVEST_FREE_MAX.
 * `fresh` recipients of the open transaction count as good, too. */
enum harvest_news harvest_refused(struct harvest *harvest, uint32_t free, uint32_t fresh, uint32_t minute);
/* Counts an accepted message: recipients that recently got mail of this client (`repeats`), and those that
 * did not. */
void harvest_accepted(struct harvest *harvest, uint32_t free, uint32_t fresh, uint32_t repeats,
                      uint32_t minute);
/* Returns the delay of the next rejection. */
uint32_t harvest_delay_ms(const struct harvest *harvest, uint32_t free, uint32_t fresh);
/* Returns the minutes left of the block; 0: not blocked. */
uint32_t harvest_blocked_min(const struct harvest *harvest, uint32_t minute);
/* True if it delivers mail, and more than enough to offset its rejections. */
bool harvest_is_good(const struct harvest *harvest);
/* For a network: true if so much remains that members with a good record are blocked too. */
bool harvest_is_hopeless(const struct harvest *harvest, uint32_t free);
void harvest_fade(struct harvest *harvest, uint32_t minute);
/* Returns the weight of an entry: in a full table the lightest is replaced. */
uint32_t harvest_weight(const struct harvest *harvest);

#endif
