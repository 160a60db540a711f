/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provider: facts about well-known sending services and mailbox providers: their hosts, ports and TLS
 * modes, and credentials to use. The replies of a server always override this table.
 */
#ifndef MAILBOAT_CORE_PORT_PROVIDER_H
#define MAILBOAT_CORE_PORT_PROVIDER_H

#include "base/bytes.h"

enum { PROVIDER_PORTS_MAX = 6 };

struct provider {
    const char *name;    /* "SendGrid" */
    const char *aliases; /* other names, in lower case, separated by commas */
    /* separated by commas; "*" stands for a region; the usual one first */
    const char *hosts;
    /* most preferred first; 0 ends the list; may be empty; 25 is left out, though some offer it; both
     * empty: no SMTP */
    uint16_t starttls[PROVIDER_PORTS_MAX];
    uint16_t implicit[PROVIDER_PORTS_MAX];
    const char *user, *password; /* credentials to use, in words */
    const char *fixed_user;      /* a fixed user ("apikey"), or NULL */
    const char *domains;         /* of its mail addresses, separated by commas */
    const char *mx;              /* MX targets of domains hosted there: suffixes */
    const char *https;           /* its API: the alternative when every port is blocked, or "" */
    const char *remark, *source;
    /* 'A' from the provider's own page, 'B' from others; unconfirmed facts are left out */
    char confidence;
    uint16_t unclear[PROVIDER_PORTS_MAX]; /* it may offer these, too: unconfirmed */
    bool user_is_local;                   /* the user name is the part of the address before the @ */
};

extern const struct provider providers[];
extern const size_t provider_count;
/* A provider that is not among them, as may be expected: the usual ports. */
extern const struct provider provider_unknown;

/* Names are compared without regard to case, by whole labels, with or without a final dot. NULL if
 * unknown. */
const struct provider *provider_by_name(struct bytes name);     /* "gmail", "Amazon SES" */
const struct provider *provider_by_host(struct bytes host);     /* "smtp.gmail.com" */
const struct provider *provider_by_domain(struct bytes domain); /* "gmail.com" */
const struct provider *provider_by_mx(struct bytes host);       /* "aspmx.l.google.com" */
/* Matches name, alias, host or domain; several may match. */
bool provider_is_called(const struct provider *provider, struct bytes name);
/* Returns its usual host; empty if it contains a region, which only the customer knows. */
struct bytes provider_host(const struct provider *provider);
/* True if it accepts submission there. */
bool provider_offers(const struct provider *provider, uint16_t port);
/* True if it certainly does not. An unclear port is neither. */
bool provider_lacks(const struct provider *provider, uint16_t port);
/* True if it accepts submission by mail programs. Tuta and HEY do not. */
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
