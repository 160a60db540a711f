/* SPDX-License-Identifier: Apache-2.0 */
/*
 * other_resolver: a second opinion on a host's addresses, for a diagnosis: what
 * do the servers of the domain itself say, and where these cannot be found or do
 * not answer, what do public resolvers? This machine's hosts file and resolver
 * are believed in nothing but where the domain's servers are.
 *
 * other_resolver_start(), then on_done() from the loop, once; then
 * other_resolver_fill(), and other_resolver_end(). The caller's `dns` outlives it.
 */
#ifndef MAILBOAT_DIAL_OTHER_RESOLVER_H
#define MAILBOAT_DIAL_OTHER_RESOLVER_H

#include "core/diagnosis/facts.h"
#include "io/dns.h"

enum other_resolver_limit {
    OTHER_RESOLVER_MS = 3000,           /* for all of it */
    OTHER_RESOLVER_AUTHORITY_MS = 1500, /* of these, for the domain's own servers */
    OTHER_RESOLVER_ZONES_MAX = 4,       /* smtp.mail.example.org, mail.example.org, example.org */
    OTHER_RESOLVER_SERVERS_MAX = 4,     /* of the domain */
};

struct other_resolver_options {
    const char *host;                  /* lives as long as the question */
    const char *const *public_servers; /* "address" or "address:port"; NULL: 9.9.9.9 and 1.1.1.1 */
    size_t public_count;
    uint16_t authority_port; /* 0: 53 */
};

struct other_resolver;
struct other_resolver_question {
    struct dns_question question;
    struct other_resolver *of;
    size_t at; /* which of its kind */
};

struct other_resolver {
    struct other_resolver_options options;
    struct loop *loop;
    struct dns *first, *authority, *others; /* this machine's; the domain's; public ones */
    struct timer limit, turn;               /* the end of all, and of what is under way */
    struct other_resolver_question zones[OTHER_RESOLVER_ZONES_MAX], servers[OTHER_RESOLVER_SERVERS_MAX];
    struct other_resolver_question addresses[2], mx;
    enum { RESOLVER_ZONES, RESOLVER_SERVERS, RESOLVER_AUTHORITY, RESOLVER_PUBLIC, RESOLVER_DONE } stage;
    size_t waiting; /* questions of this stage that are open */
    size_t zone;    /* the longest so far that has servers of its own */
    char names[OTHER_RESOLVER_SERVERS_MAX][FACTS_HOST_MAX];
    char texts[OTHER_RESOLVER_SERVERS_MAX][FACTS_ADDRESS_MAX + 8];
    size_t name_count, text_count;
    enum dns_status status[2], mx_status; /* of A, AAAA */
    struct fact_address found[FACTS_ADDRESSES_MAX];
    size_t found_count;
    void (*on_done)(void *owner);
    void *owner;
};

void other_resolver_start(struct other_resolver *other, struct loop *loop, struct dns *dns,
                          const struct other_resolver_options *options, void (*on_done)(void *owner),
                          void *owner);
/* Fills other_dns, other_dns_agrees, other_addresses and host_in_mail_domain beside what `facts` has of
 * this machine's own resolver (dns, addresses). */
void other_resolver_fill(const struct other_resolver *other, struct diagnosis_facts *facts);
void other_resolver_end(struct other_resolver *other); /* also before it is done */

#endif
