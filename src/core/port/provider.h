/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provider: what is known of well-known sending services and mailbox
 * providers: their hosts, ports and TLS modes, and what to sign in with. What
 * a server itself answers always wins over this table.
 */
#ifndef MAILBOAT_CORE_PORT_PROVIDER_H
#define MAILBOAT_CORE_PORT_PROVIDER_H

#include "base/bytes.h"

enum { PROVIDER_PORTS_MAX = 6 };

struct provider {
    const char *name;    /* "SendGrid" */
    const char *aliases; /* other names to ask by, in lower case, between commas */
    /* between commas; "*" stands for a region; the first is the usual one */
    const char *hosts;
    /* the best first; 0 ends; may be empty; 25 is left out, though some offer it */
    uint16_t starttls[PROVIDER_PORTS_MAX];
    uint16_t implicit[PROVIDER_PORTS_MAX];
    const char *user, *password; /* what to sign in with, in words */
    const char *fixed_user;      /* always this one ("apikey"), or NULL */
    const char *domains;         /* of mail addresses with it, between commas */
    const char *mx;              /* where the MX of domains hosted there point to: suffixes */
    const char *https;           /* its API: the way out when every port is blocked, or "" */
    const char *remark, *source;
    /* 'A' read on the provider's page, 'B' quoted by others, 'C' unconfirmed */
    char confidence;
};

extern const struct provider providers[];
extern const size_t provider_count;

/* Names are compared without regard to case, at the borders of labels, with or
 * without a final dot. NULL when nobody is known. */
const struct provider *provider_by_name(struct bytes name);     /* "gmail", "Amazon SES" */
const struct provider *provider_by_host(struct bytes host);     /* "smtp.gmail.com" */
const struct provider *provider_by_domain(struct bytes domain); /* "gmail.com" */
const struct provider *provider_by_mx(struct bytes host);       /* "aspmx.l.google.com" */
/* By name, alias, host or domain; several may be called the same. */
bool provider_is_called(const struct provider *provider, struct bytes name);
/* Its usual host; empty where a region stands in it, which only the customer knows. */
struct bytes provider_host(const struct provider *provider);
/* Can mail be submitted to it there? */
bool provider_offers(const struct provider *provider, uint16_t port);

#endif
