/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_name: names of DNS as text: parsed from wire form, and compared.
 *
 * A name is text without a final dot. An octet of a label that the text cannot hold (a dot, a control
 * character) is written \DDD (RFC 1035 5.1), so that one label never looks like two. The rules for host
 * names are in host.h.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_NAME_H
#define MAILBOAT_CORE_DNS_DNS_NAME_H

#include "base/buffer.h"

/* Appends a name in wire form (RFC 1035 3.1, without compression) as text; false if malformed. */
bool dns_name_read(struct bytes wire, struct buffer *out);
/* Returns a name written as in zone files, "example.org.", without that dot. Keeps the root's own dot. */
struct bytes dns_name_without_dot(struct bytes name);
/* Compares without regard to ASCII case (RFC 4343). */
bool dns_name_equal(struct bytes a, struct bytes b);
/* `pattern` may begin with "*.", which stands for one label, the leftmost (RFC 9525 6.3, RFC 8461 4.1). */
bool dns_name_matches(struct bytes pattern, struct bytes name);

#endif
