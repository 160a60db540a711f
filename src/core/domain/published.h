/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published: the settings that mail programs fetch for a domain, each in its own format: Mozilla's
 * autoconfig, Outlook's autodiscover (POX and JSON), Apple's configuration profile, and an HTML page. None
 * of them contains port 25. Equal settings for all addresses of a domain do not reveal which addresses
 * exist.
 */
#ifndef MAILBOAT_CORE_DOMAIN_PUBLISHED_H
#define MAILBOAT_CORE_DOMAIN_PUBLISHED_H

#include "base/buffer.h"

struct published {
    struct bytes domain, hostname;
    struct bytes address;              /* the requested address; empty: any of the domain */
    uint16_t starttls[4], implicit[2]; /* ports of submission, most preferred first; 0 ends the list */
    uint16_t imap, imaps, pop3, pop3s; /* 0: not served */
};

void published_autoconfig(struct buffer *out, const struct published *p);
/* Needs an address. */
void published_autodiscover(struct buffer *out, const struct published *p);
void published_autodiscover_error(struct buffer *out);
/* The URL of the POX form: the answer to autodiscover.json. */
void published_autodiscover_json(struct buffer *out, const struct published *p);
bool published_is_read_here(const struct published *p);
/* Needs an address, and IMAP or POP3 on this server. */
void published_mobileconfig(struct buffer *out, const struct published *p);
/* Without a domain: the page of the server's own name. */
void published_page(struct buffer *out, const struct published *p);

/* Extracts the address of a POX request into `buffer`; false if it is too large, not XML of that kind, or
 * has forbidden declarations. */
enum { PUBLISHED_REQUEST_MAX = 8 * 1024, PUBLISHED_ADDRESS_MAX = 320 };
bool published_pox_address(struct bytes request, char buffer[PUBLISHED_ADDRESS_MAX + 1]);

#endif
