/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discovery: the outgoing server of a mail address, from what its domain
 * publishes: SRV records (RFC 6186, RFC 8314), the table of providers, the
 * settings that Mozilla's autoconfig serves over HTTPS, the provider that
 * its MX tells, and at last the usual names. Pure: it asks one question at a
 * time.
 *
 * discovery_start(), then discovery_next() until it is false; each question
 * is answered with discovery_learn_records(), discovery_learn_settings() or,
 * where nothing came, discovery_learn_nothing().
 */
#ifndef MAILBOAT_CORE_PORT_DISCOVERY_H
#define MAILBOAT_CORE_PORT_DISCOVERY_H

#include "core/port/provider.h"
#include "core/port/race.h"

enum {
    DISCOVERY_TEXT_MAX = 256,
    /* the longest domain, and the longest address with each octet escaped */
    DISCOVERY_URL_MAX = 7 * DISCOVERY_TEXT_MAX + 64,
};

struct discovery_question {
    enum { DISCOVERY_DNS, DISCOVERY_FETCH } kind;
    struct bytes name;  /* DNS */
    enum dns_type type; /* SRV, MX, A: is there such a host? */
    struct bytes url;   /* FETCH; over HTTPS alone */
};

/* What a published file of settings says of one outgoing server. */
struct published_server {
    struct bytes host, user; /* user: with %EMAILADDRESS% and the like */
    uint16_t port;
    enum client_tls tls; /* NEVER: in clear; such a server is passed over */
};

struct discovery {
    char address[2 * DISCOVERY_TEXT_MAX], domain[DISCOVERY_TEXT_MAX];
    unsigned step;
    char asked[DISCOVERY_URL_MAX];
    /* The outcome, once discovery_next() is false: */
    char host[DISCOVERY_TEXT_MAX]; /* "" when nothing was found */
    char user[2 * DISCOVERY_TEXT_MAX];
    char source[2 * DISCOVERY_TEXT_MAX];    /* "the SRV records of example.org" */
    struct race_port ports[RACE_PORTS_MAX]; /* in the published order; none: not published */
    unsigned priorities[RACE_PORTS_MAX];    /* of SRV records */
    size_t port_count;
    const struct provider *provider;
    bool none_offered; /* the domain says that it has no submission (RFC 6186 3.4), or its provider has none
                        */
    bool done;
};

/* False when the address has no domain that could be. */
bool discovery_start(struct discovery *discovery, struct bytes address);
bool discovery_next(struct discovery *discovery, struct discovery_question *question);
void discovery_learn_records(struct discovery *discovery, const struct dns_record *records, size_t count);
void discovery_learn_settings(struct discovery *discovery, const struct published_server *servers,
                              size_t count);
void discovery_learn_nothing(struct discovery *discovery);

#endif
