/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_state: the life of a key that we sign with, and what it waits for. Pure: looks in DNS and the clock
 * are facts.
 *
 * | stage     | waits for                                                             | signs |
 * | prepared  | a person publishes the record; DNS shows it                           | no    |
 * | published | the TTL of the record: until then caches may hold what was before     | no    |
 * | active    | the rotation: after dkim.rotate a successor is prepared, and the key  | yes   |
 * |           | signs until the successor is active                                   |       |
 * | retired   | 14 days, in which receivers still verify mail that waits in queues    | no    |
 * | removed   | a person empties the record's p= for 30 days, then deletes it         | no    |
 *
 * A key whose record DNS no longer shows is prepared again, and signs nothing. DNS shows a record if this
 * machine's resolver and the domain's own servers do; where the latter do not answer this machine for a day,
 * the resolver alone.
 *
 * The clock may be wrong: then nothing is rotated, removed or forgotten, and active keys go on signing.
 *
 *     key_state_start(&state, number, now_s);
 *     key_state_look(&state, &look);          after each look in DNS: moves the state
 *     key_state_settle(states, count, now_s); of each algorithm of a domain one key is active
 *     key_state_wait(&state, &facts)          what it waits for; key_state_words() says so
 */
#ifndef MAILBOAT_CORE_TRUST_KEY_STATE_H
#define MAILBOAT_CORE_TRUST_KEY_STATE_H

#include "core/trust/key_record.h"

enum key_stage { KEY_PREPARED, KEY_PUBLISHED, KEY_ACTIVE, KEY_RETIRED, KEY_REMOVED, KEY_STAGES };

enum key_state_limit {
    KEY_DAY_S = 24 * 60 * 60,
    KEY_TTL_MAX_S = KEY_DAY_S,            /* a longer TTL is waited for no longer than that */
    KEY_SERVERS_SILENT_S = KEY_DAY_S,     /* after that the resolver alone is believed */
    KEY_RETIRED_S = 14 * KEY_DAY_S,       /* 5 days of other servers' queues, and slow readers */
    KEY_REMOVED_S = 30 * KEY_DAY_S,       /* how long the record stays with an empty p= */
    KEY_ROTATE_MIN_S = KEY_DAY_S,         /* of dkim.rotate */
    KEY_LOOK_OFTEN_S = 5 * 60,            /* between two looks while a record is awaited, */
    KEY_LOOK_OFTEN_FOR_S = 2 * KEY_DAY_S, /* for so long, and */
    KEY_LOOK_S = 60 * 60,                 /* otherwise */
    KEY_GAP_S = 31 * KEY_DAY_S,    /* between two looks: a clock that jumped so far is not believed once */
    KEY_CLOCK_SLACK_S = KEY_DAY_S, /* how far a time may be in the future */
};
/* Seconds of the Unix clock; a time outside is impossible: 1 Jan 2025, 1 Jan 2100. */
#define KEY_CLOCK_MIN_S ((uint64_t)1735689600)
#define KEY_CLOCK_MAX_S ((uint64_t)4102444800)
#define KEY_TIME_MAX_S ((uint64_t)1 << 40) /* greatest time that is kept */

struct key_state {
    enum key_stage stage;
    uint32_t number; /* order in which the keys of a domain were made, from 1; the store gives it */
    uint64_t since_s[KEY_STAGES]; /* when it entered each stage last, by the Unix clock; 0: never */
    /* ---- the last look ---- */
    uint64_t looked_s; /* 0: never */
    uint64_t shown_s;  /* since when our resolver has shown the record without a break; 0: it does not */
    enum key_seen resolver, servers;
    uint32_t ttl_s; /* of the record */
};

/* One look in DNS. */
struct key_look {
    uint64_t now_s;
    enum key_seen resolver, servers; /* this machine's resolver, the domain's own servers */
    uint32_t ttl_s;                  /* of the record; 0 if none was found */
};

const char *key_stage_name(enum key_stage stage); /* "prepared" */
bool key_stage_named(struct bytes name, enum key_stage *stage);

/* Begins the life of a key. */
void key_state_start(struct key_state *state, uint32_t number, uint64_t now_s);
/* Takes in a look, and moves the state as far as it goes; true if its stage has changed. */
bool key_state_look(struct key_state *state, const struct key_look *look);
/* Of the active keys of one domain and algorithm keeps the one that was made last, and retires the others;
 * true if there were any. */
bool key_state_settle(struct key_state *const *states, size_t count, uint64_t now_s);
/* Ends its use, because a person says so: a key that was never active is removed immediately. False if it
 * is retired or removed already. */
bool key_state_retire(struct key_state *state, uint64_t now_s);

/* True if mail is signed with it. */
bool key_state_signs(const struct key_state *state);
/* True while the private key is needed: until it is removed. */
bool key_state_has_secret(const struct key_state *state);
/* True if an active key is older than `rotate_s` (0: never) and the clock is possible: it is time to prepare
 * a successor. */
bool key_state_is_old(const struct key_state *state, uint64_t now_s, uint64_t rotate_s);
/* True if nothing of it is needed any more: its files can go. */
bool key_state_is_over(const struct key_state *state, uint64_t now_s);
/* Returns the seconds until the next look is due; 0: now. */
uint64_t key_state_next_look_s(const struct key_state *state, uint64_t now_s);
/* True if the clock is impossible, by itself or beside the times of the state. */
bool key_state_clock_is_wrong(const struct key_state *state, uint64_t now_s);

enum key_wait {
    KEY_WAIT_NONE,     /* an active key that is not rotated */
    KEY_WAIT_CLOCK,    /* the clock is impossible */
    KEY_WAIT_LOOK,     /* DNS was not asked yet, or gave no answer */
    KEY_WAIT_PUBLISH,  /* a person: the record */
    KEY_WAIT_RESOLVER, /* the domain's servers show the record, this machine's resolver does not yet */
    KEY_WAIT_SERVERS,  /* the resolver shows it, the domain's servers do not answer */
    KEY_WAIT_TTL,
    KEY_WAIT_ROTATION,
    KEY_WAIT_SUCCESSOR, /* the rotation is due: the successor is not active yet */
    KEY_WAIT_RETIRED,
    KEY_WAIT_REVOKE,  /* a person: the record with an empty p= */
    KEY_WAIT_REMOVED, /* it stays so for 30 days */
    KEY_WAIT_DELETE,  /* a person: the record can go */
    KEY_WAITS
};

struct key_wait_facts {
    uint64_t now_s;
    uint64_t rotate_s; /* dkim.rotate; 0: never */
};

/* Returns what it waits for. *until_s, if not NULL: the time at which the wait ends by itself; 0: none. */
enum key_wait key_state_wait(const struct key_state *state, const struct key_wait_facts *facts,
                             uint64_t *until_s);
const char *key_wait_name(enum key_wait wait); /* the word of JSON: "publish" */
/* True if a person must act. */
bool key_wait_is_for_person(enum key_wait wait);
/* Appends the sentence about it, without a full stop: what is so, and what to do. */
void key_state_words(const struct key_record *record, const struct key_state *state,
                     const struct key_wait_facts *facts, struct buffer *out);

#endif
