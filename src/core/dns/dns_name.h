/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_name: names of DNS as text: read off the wire, and compared.
 *
 * A name is text without a final dot. An octet of a label that the text cannot
 * hold (a dot, a control character) is written \DDD (RFC 1035 5.1), so that no
 * label looks like two. Which names may be those of hosts is host.h's matter.
 */
#ifndef MAILBOAT_CORE_DNS_DNS_NAME_H
#define MAILBOAT_CORE_DNS_DNS_NAME_H

#include "base/buffer.h"

/* Appends a name in wire form (RFC 1035 3.1, without compression) as text; false when it is malformed. */
bool dns_name_read(struct bytes wire, struct buffer *out);
/* As people and zone files write it, "example.org.": without that dot. The root's own dot stays. */
struct bytes dns_name_without_dot(struct bytes name);
/* Case does not count, of ASCII (RFC 4343). */
bool dns_name_equal(struct bytes a, struct bytes b);
/* `pattern` may begin with "*.", which stands for one label, the leftmost (RFC 9525 6.3, RFC 8461 4.1). */
bool dns_name_matches(struct bytes pattern, struct bytes name);

#endif
