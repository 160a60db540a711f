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
    /* the best first; 0 ends; may be empty; 25 is left out, though some offer it; both empty: no SMTP */
    uint16_t starttls[PROVIDER_PORTS_MAX];
    uint16_t implicit[PROVIDER_PORTS_MAX];
    const char *user, *password; /* what to sign in with, in words */
    const char *fixed_user;      /* always this one ("apikey"), or NULL */
    const char *domains;         /* of mail addresses with it, between commas */
    const char *mx;              /* where the MX of domains hosted there point to: suffixes */
    const char *https;           /* its API: the way out when every port is blocked, or "" */
    const char *remark, *source;
    /* 'A' read on the provider's page, 'B' quoted by others; what nobody confirmed is not here */
    char confidence;
    uint16_t unclear[PROVIDER_PORTS_MAX]; /* it may offer these, too: nobody confirmed it */
    bool user_is_local;                   /* the user name is the part of the address before the @ */
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
/* Is it known that it cannot? Of an unclear port neither is. */
bool provider_lacks(const struct provider *provider, uint16_t port);
/* Does it take mail from mail programs at all? Tuta and HEY do not. */
bool provider_has_smtp(const struct provider *provider);

/*
 * The host that a name was probably meant to be: "smtp.gmail.com" for
 * smtp.gmial.com, smtp.gmail.co, stmp.gmail.com, imap.gmail.com or
 * mail.google.com. Empty for a provider's own host and for all that only looks a
 * little like one: the registered domain must be a near miss of a long,
 * well-known one, its first letter right (smtp.mail.com is not smtp.gmail.com).
 */
struct bytes provider_near(struct bytes host);

#endif
