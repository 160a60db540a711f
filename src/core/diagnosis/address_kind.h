/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_kind: where an address belongs, by the registries of special addresses
 * (RFC 6890, RFC 8190 and what was registered since) and the published ranges of
 * Cloudflare's web proxy, which takes no mail. An address that DNS gives and that
 * cannot be a mail server's tells of a proxy, a filter or a slip in a zone.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_ADDRESS_KIND_H
#define MAILBOAT_CORE_DIAGNOSIS_ADDRESS_KIND_H

#include "core/diagnosis/facts.h"
#include "core/route/ip.h"

/* The most special range that has the address; an IPv4 address in IPv6 form (::ffff:0:0/96) counts as
 * itself. What is reserved and nobody's (240.0.0.0/4, 100::/64) is ADDRESS_UNSPECIFIED. */
enum fact_address_kind address_kind(const struct route_address *address);
/* The same of an address as text; ADDRESS_UNKNOWN when it is none. */
enum fact_address_kind address_kind_of_text(struct bytes text);

#endif
