/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discovery: finds the outgoing server of a mail address, from its domain's published data: SRV records
 * (RFC 6186, RFC 8314), the table of providers, Mozilla's autoconfig over HTTPS, the provider of its MX,
 * and finally the usual host names. Pure: it requests one query at a time.
 *
 * discovery_start(), then discovery_next() until it is false; each query is answered with
 * discovery_learn_records(), discovery_learn_settings() or, without a result, discovery_learn_nothing().
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
    enum dns_type type; /* SRV, MX, A: whether the host exists */
    struct bytes url;   /* FETCH; only over HTTPS */
};

/* An outgoing server in a published settings file. */
struct published_server {
    struct bytes host, user; /* user: with %EMAILADDRESS% and the like */
    uint16_t port;
    enum client_tls tls; /* NEVER: without TLS; such a server is skipped */
};

struct discovery {
    char address[2 * DISCOVERY_TEXT_MAX], domain[DISCOVERY_TEXT_MAX];
    unsigned step;
    char asked[DISCOVERY_URL_MAX];
    /* The result, once discovery_next() is false: */
    char host[DISCOVERY_TEXT_MAX]; /* "" if nothing was found */
    char user[2 * DISCOVERY_TEXT_MAX];
    char source[2 * DISCOVERY_TEXT_MAX];    /* "the SRV records of example.org" */
    struct race_port ports[RACE_PORTS_MAX]; /* in the published order; none if not published */
    unsigned priorities[RACE_PORTS_MAX];    /* of SRV records */
    size_t port_count;
    const struct provider *provider;
    bool none_offered; /* the domain says that it has no submission (RFC 6186 3.4), or its provider has none
                        */
    bool done;
};

/* False if the address has no valid domain. */
bool discovery_start(struct discovery *discovery, struct bytes address);
bool discovery_next(struct discovery *discovery, struct discovery_question *question);
void discovery_learn_records(struct discovery *discovery, const struct dns_record *records, size_t count);
void discovery_learn_settings(struct discovery *discovery, const struct published_server *servers,
                              size_t count);
void discovery_learn_nothing(struct discovery *discovery);

#endif
