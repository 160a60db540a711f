/* SPDX-License-Identifier: Apache-2.0 */
/*
 * author_list: the mailboxes of a From or Sender field (RFC 5322 3.4, groups by RFC 6854), read strictly: a
 * list in which two readers could see different authors has none. Programs write names without the quotes
 * that they need ("Lovelace, Ada <ada@example.org>"); those can be added.
 *
 * header.c calls author_list_read(), and author_list_quote() while it fixes a field that needs it.
 */
#ifndef MAILBOAT_CORE_MESSAGE_AUTHOR_LIST_H
#define MAILBOAT_CORE_MESSAGE_AUTHOR_LIST_H

#include "base/buffer.h"

enum author_list_limit {
    COMMENT_DEPTH_MAX = 20, /* comments within comments */
    AUTHOR_LINE = 76,       /* octets after which a quoted name is folded */
};

enum author_list_kind {
    AUTHOR_LIST_PLAIN,    /* every reader sees the same authors */
    AUTHOR_LIST_UNQUOTED, /* so it is after author_list_quote() */
    AUTHOR_LIST_MALFORMED,
};

/* Reads a field's value: 1 to `most` authors. Appends each address, without comments, with an LF after it;
 * nothing if malformed. */
enum author_list_kind author_list_read(struct bytes value, size_t most, struct buffer *addresses);

/* Appends the value with the missing quotes, folded, with CRLF at its end. Only for AUTHOR_LIST_UNQUOTED. */
void author_list_quote(struct buffer *out, struct bytes value);

#endif
