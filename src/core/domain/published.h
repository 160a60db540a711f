/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published: the settings that mail programs fetch for a domain, each in its
 * own form: Mozilla's autoconfig, Outlook's autodiscover (POX and JSON),
 * Apple's configuration profile, and a page for people. Port 25 stands in
 * none of them. What is the same for all addresses of a domain says nothing
 * about which of them there are.
 */
#ifndef MAILBOAT_CORE_DOMAIN_PUBLISHED_H
#define MAILBOAT_CORE_DOMAIN_PUBLISHED_H

#include "base/buffer.h"

struct published {
    struct bytes domain, hostname;
    struct bytes address;              /* who asks; empty: somebody of the domain */
    uint16_t starttls[4], implicit[2]; /* ports of submission, the best first; 0 ends */
    uint16_t imap, imaps, pop3, pop3s; /* 0: not served */
};

void published_autoconfig(struct buffer *out, const struct published *p);
/* Needs an address. */
void published_autodiscover(struct buffer *out, const struct published *p);
void published_autodiscover_error(struct buffer *out);
/* Where the POX form is: the answer to autodiscover.json. */
void published_autodiscover_json(struct buffer *out, const struct published *p);
bool published_is_read_here(const struct published *p);
/* Needs an address, and mail that is read here. */
void published_mobileconfig(struct buffer *out, const struct published *p);
void published_page(struct buffer *out, const struct published *p);

/* The address that a POX request is about, into `buffer`; false when it is none:
 * too large, no XML of that kind, or with declarations that have no place in it. */
enum { PUBLISHED_REQUEST_MAX = 8 * 1024, PUBLISHED_ADDRESS_MAX = 320 };
bool published_pox_address(struct bytes request, char buffer[PUBLISHED_ADDRESS_MAX + 1]);

#endif
