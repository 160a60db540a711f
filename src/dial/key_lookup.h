/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_lookup: one look at the record of a signing key: does this machine's resolver show it, and do the
 * domain's own servers? Where the name is an alias (CNAME), the servers are those of its target: a provider
 * may publish the keys.
 *
 * key_lookup_start(), then on_done() from the loop, once; `look` is filled then, but its now_s. Then
 * key_lookup_end(), also before it is done. The caller's `dns` and the texts of the record outlive it.
 */
#ifndef MAILBOAT_DIAL_KEY_LOOKUP_H
#define MAILBOAT_DIAL_KEY_LOOKUP_H

#include "core/dns/host.h"
#include "core/trust/key_state.h"
#include "io/dns.h"

enum key_lookup_limit {
    KEY_LOOKUP_MS = 10 * 1000,  /* for all of it */
    KEY_LOOKUP_ZONES_MAX = 6,   /* names above the record that may be a zone's */
    KEY_LOOKUP_SERVERS_MAX = 4, /* of the domain */
    KEY_LOOKUP_NAMES_MAX = KEY_LOOKUP_ZONES_MAX + KEY_LOOKUP_SERVERS_MAX + 4,
};

struct key_lookup_options {
    uint16_t authority_port; /* of the domain's servers; 0: 53 */
};

struct key_lookup;
struct key_lookup_question {
    struct dns_question question;
    struct key_lookup *of;
    size_t at; /* among those of its kind */
};

struct key_lookup {
    struct key_record record;
    struct key_lookup_options options;
    struct loop *loop;
    struct dns *dns, *authority; /* this machine's resolver, the domain's own servers */
    struct timer limit, turn;
    enum { LOOKUP_RESOLVER, LOOKUP_ALIAS, LOOKUP_SERVERS, LOOKUP_AUTHORITY, LOOKUP_DONE } stage;
    size_t waiting; /* questions of this stage that are open */
    struct key_lookup_question questions[KEY_LOOKUP_NAMES_MAX];
    size_t question_count;
    char name[DOMAIN_NAME_MAX + 1];   /* of the record */
    char target[DOMAIN_NAME_MAX + 1]; /* of its alias; "": it is none */
    size_t zone;                      /* the longest so far that has servers of its own; smaller is longer */
    bool no_domain, aliased;
    char servers[KEY_LOOKUP_SERVERS_MAX][DOMAIN_NAME_MAX + 1];
    char addresses[KEY_LOOKUP_SERVERS_MAX][64];
    size_t server_count, address_count;
    struct key_look look;
    void (*on_done)(void *owner);
    void *owner;
};

void key_lookup_start(struct key_lookup *lookup, struct loop *loop, struct dns *dns,
                      const struct key_record *record, const struct key_lookup_options *options,
                      void (*on_done)(void *owner), void *owner);
void key_lookup_end(struct key_lookup *lookup);

#endif
