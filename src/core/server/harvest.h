/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harvest: tells who reads out our addresses from who writes to a list with
 * some that are gone. Recipients that do not exist are counted against those
 * that got mail: two good ones excuse one bad one. Mail for different people
 * excuses without end; mail for the same ones again and again does so up to
 * a few times the free number, for else whoever knows one address of ours
 * would pay for all others with messages to it. Where more than a free
 * number is left over within an hour or so, the refusals come slower and
 * slower, and at twice that number the client is shut out for a while: longer
 * each time.
 *
 * smtpd keeps one harvest for each client address, and for the networks
 * around it with a larger number (smtpd/harvest_table.c). Here is what it comes to,
 * with the time as an argument.
 */
#ifndef MAILBOAT_CORE_SERVER_HARVEST_H
#define MAILBOAT_CORE_SERVER_HARVEST_H

#include <stdbool.h>
#include <stdint.h>

enum harvest_limit {
    HARVEST_PART = 16,            /* parts of a recipient that are counted */
    HARVEST_COUNT_MAX = 0xffff,   /* parts; beyond, both counts are halved */
    HARVEST_HALF_LIFE_MIN = 60,   /* counts fade by half in so many minutes */
    HARVEST_GOOD_FOR_BAD = 2,     /* recipients that got mail, and excuse one that does not exist */
    HARVEST_REPEATS_EXCUSE = 4,   /* times the free number, by mail for the same recipients again */
    HARVEST_HOPELESS = 4,         /* times the free number: a network in which no good record helps */
    HARVEST_DELAY_FIRST_MS = 500, /* doubled with each quarter of the free number */
    HARVEST_DELAY_MAX_MS = 8000,
    HARVEST_BLOCK_FIRST_MIN = 15, /* doubled each time it happens again */
    HARVEST_BLOCK_MAX_MIN = 4 * 60,
    HARVEST_OFFENCES_MAX = 15,
    HARVEST_FREE_MAX = 1000, /* largest free number, so that counts suffice */
};

struct harvest {
    uint16_t bad, good;         /* parts: see HARVEST_PART */
    uint32_t minute;            /* when they were last faded; any clock that only goes on */
    uint32_t blocked_until_min; /* shut out before this minute; 0: it is not */
    uint8_t offences;           /* how often it was shut out, forgotten with time */
};

/* What a refusal led to. */
enum harvest_news { HARVEST_NOTHING_NEW, HARVEST_SLOWED, HARVEST_BLOCKED };

/* `free` is the number of unknown recipients that are nobody's business, 1 to
 * HARVEST_FREE_MAX. `fresh` recipients of a message that has not come yet excuse, too. */
enum harvest_news harvest_refused(struct harvest *harvest, uint32_t free, uint32_t fresh, uint32_t minute);
/* A message came for so many who had mail of this client lately (`repeats`), or had none. */
void harvest_accepted(struct harvest *harvest, uint32_t free, uint32_t fresh, uint32_t repeats,
                      uint32_t minute);
/* How long the next refusal waits. */
uint32_t harvest_delay_ms(const struct harvest *harvest, uint32_t free, uint32_t fresh);
/* Minutes for which nothing is answered; 0: all is. */
uint32_t harvest_blocked_min(const struct harvest *harvest, uint32_t minute);
/* It gets mail through, and more than enough for what was refused. */
bool harvest_is_good(const struct harvest *harvest);
/* Of a network: so much is left over that its members with a good record are part of it. */
bool harvest_is_hopeless(const struct harvest *harvest, uint32_t free);
void harvest_fade(struct harvest *harvest, uint32_t minute);
/* The one with less to it makes room in a full table. */
uint32_t harvest_weight(const struct harvest *harvest);

#endif
