/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_list: the addresses of a header field (RFC 5322 3.4 and 4.4): with names, quotes, comments,
 * routes, groups and folded lines, separated by commas.
 *
 * Call address_list_next() in a loop over the field's value; each address is bare but not validated: see
 * smtp/address.h.
 */
#ifndef MAILBOAT_CORE_MESSAGE_ADDRESS_LIST_H
#define MAILBOAT_CORE_MESSAGE_ADDRESS_LIST_H

#include "base/buffer.h"

struct address_list_entry {
    struct bytes address; /* without name, comments and route; lives in the caller's buffer */
    const char *end;      /* in the list: directly after the address */
};

/* Returns the next mailbox of *list, which advances; false at the end. An empty one ("<>") has an empty
 * address; empty groups give none. */
bool address_list_next(struct bytes *list, struct buffer *scratch, struct address_list_entry *mailbox);

/* Appends a field's value with "@domain" after the addresses that have no domain. */
void address_list_complete(struct buffer *out, struct bytes value, struct bytes domain);

/* True for "root": a local part without a domain. */
bool address_list_is_bare(struct bytes address);

#endif
