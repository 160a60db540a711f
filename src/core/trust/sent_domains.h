/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sent_domains: the domains that users here sent mail to, by day: reports on DMARC go to these alone, so that
 * nobody gets mail from this server by sending to it. The queue keeps a note for each day: a line with the
 * day, then one with each domain. There are SENT_DOMAINS_NOTES of them, written in turn.
 *
 *     sent_domains_begin(&sent, day, note)      the first time, and when the day has changed
 *     sent_domains_add(&sent, domain)           true: sent.text is the note, and has changed
 *
 * What makes the reports reads all notes with sent_since_take(), then asks sent_since_has().
 */
#ifndef MAILBOAT_CORE_TRUST_SENT_DOMAINS_H
#define MAILBOAT_CORE_TRUST_SENT_DOMAINS_H

#include "base/buffer.h"
#include "base/map.h"

enum sent_domains_limit {
    SENT_DOMAINS_DAYS = 30,               /* before today that count */
    SENT_DOMAINS_NOTES = 32,              /* more than the days that count */
    SENT_DOMAINS_MAX = 4000,              /* of a day; further ones are not remembered */
    SENT_DOMAINS_OCTETS_MAX = 128 * 1024, /* of a day's note */
    SENT_DOMAINS_LABELS_MAX = 8,          /* of a domain; none with more is remembered */
    SENT_DOMAINS_NAME_MAX = 16,           /* octets of a note's name with its NUL */
};

/* ---- writing ---- */

struct sent_domains {
    uint32_t day; /* since the epoch */
    struct map names;
    struct buffer text;
};

/* `seed`: random. */
void sent_domains_start(struct sent_domains *sent, uint64_t seed);
void sent_domains_free(struct sent_domains *sent);
/* Begins a day with its note, which is ignored if it is of another one. */
void sent_domains_begin(struct sent_domains *sent, uint32_t day, struct bytes note);
/* False if it is known already, past a limit, or not a domain in A-labels. */
bool sent_domains_add(struct sent_domains *sent, struct bytes domain);
/* Writes the name of a day's note. */
void sent_domains_note_name(uint32_t day, char name[SENT_DOMAINS_NAME_MAX]);

/* ---- reading ---- */

struct sent_since {
    struct map names; /* to `itself`: mail was sent to the domain; or to `below`: only to one below it */
    char itself, below;
    uint32_t today;
};

void sent_since_start(struct sent_since *since, uint32_t today, uint64_t seed);
void sent_since_free(struct sent_since *since);
/* Adds the domains of a note, unless its day is too long ago. */
void sent_since_take(struct sent_since *since, struct bytes note);
/* True if mail was sent to the domain, to one below it, or to one above it that has at least two labels: a
 * record can be at the organization's domain or below it. */
bool sent_since_has(const struct sent_since *since, struct bytes domain);

#endif
