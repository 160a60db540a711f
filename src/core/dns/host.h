/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: text in the place of a host: a domain name, an IPv4 or IPv6 address, or something that only looks
 * like one (222.501.285.45).
 *
 * This is the one rule for host names, wherever they come from: DNS, the configuration, a command line, an
 * address. It is wider than RFC 1123 2.1, as Postfix's is: underscores are accepted too, since Cloudflare
 * (_dc-mx.0123abcd.example.com), Docker (my_project_mail_1) and Active Directory make such names, and they
 * are harmless.
 */
#ifndef MAILBOAT_CORE_DNS_HOST_H
#define MAILBOAT_CORE_DNS_HOST_H

#include "base/bytes.h"
#include "base/error.h"

enum host_limit {
    LABEL_MAX = 63,        /* octets of a label (RFC 1035 2.3.4) */
    DOMAIN_NAME_MAX = 253, /* octets of a name as text, without a final dot */
};

enum host_kind {
    HOST_INVALID, /* empty, or not a name */
    HOST_NAME,    /* letters, digits, hyphens, underscores; U-labels where allowed */
    HOST_IPV4,
    HOST_IPV6,
    HOST_IMPOSSIBLE_ADDRESS, /* four numbers with dots, but not a valid address */
};

/* Classifies the text. `utf8_allowed`: U-labels (RFC 5890) count as labels too. */
enum host_kind host_parse(struct bytes text, bool utf8_allowed);

bool host_is_name(struct bytes text, bool utf8_allowed);
/* Returns why the text is not a host name, as a clause; NULL if it is one. */
const char *host_fault(struct bytes text, bool utf8_allowed);
bool host_is_ipv4(struct bytes text); /* dotted quad, each 0 to 255, no leading zeroes */
bool host_is_ipv6(struct bytes text); /* RFC 4291 2.2, all three forms; no zone */
/* True for 127.0.0.0/8, ::1 and "localhost": plain text to them never leaves the machine. */
bool host_is_loopback(struct bytes text);

/* True for a name (U-labels are allowed) or an address. Otherwise `error` (exit code 65) says what is wrong
 * with it: 222.501.285.45 has a number that is greater than 255. */
bool host_check(struct bytes text, struct error *error);

#endif
