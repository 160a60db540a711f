/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_list: the addresses of a header field, as people and programs write
 * them (RFC 5322 3.4 and 4.4): with names, quotes, comments, routes, groups
 * and folded lines, separated by commas.
 *
 * address_list_next() in a loop over the field's value; each gives an address
 * that is bare but not checked yet: smtp/address.h does that.
 */
#ifndef MAILBOAT_CORE_MESSAGE_ADDRESS_LIST_H
#define MAILBOAT_CORE_MESSAGE_ADDRESS_LIST_H

#include "base/buffer.h"

struct address_list_entry {
    struct bytes address; /* without name, comments and route; lives in the buffer that was given */
    const char *end;      /* in the list: right behind the address */
};

/* The next mailbox of *list, which moves on; false when there is none left.
 * An empty one ("<>") has an empty address; empty groups give none. */
bool address_list_next(struct bytes *list, struct buffer *scratch, struct address_list_entry *mailbox);

/* "root": an address that is a local part alone. */
bool address_list_is_bare(struct bytes address);

#endif
