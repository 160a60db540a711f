/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_words: the text of a reply without what others wrote: addresses, everything in <...>, and the names
 * of the transaction are removed, so that a sender "mailbox.full@..." or a domain "user-unknown.example"
 * decides nothing. For reply_meaning.
 */
#ifndef MAILBOAT_CORE_REPLY_REPLY_WORDS_H
#define MAILBOAT_CORE_REPLY_REPLY_WORDS_H

#include "core/reply/reply_meaning.h"

enum reply_words_limit {
    REPLY_WORDS_READ_MAX = 2048, /* octets of the text that are looked at */
    REPLY_WORDS_MAX = 600,       /* octets of the words */
};

/* An enhanced status code of class 4 or 5 (RFC 3463); class 0: none. */
struct reply_status {
    uint8_t class;
    uint16_t subject, detail;
};

struct reply_words {
    char text[REPLY_WORDS_MAX]; /* ASCII letters in lower case, single spaces, IP addresses as "#" */
    size_t length;
    struct reply_status status;
};

void reply_words_read(struct reply_words *words, const struct reply_facts *facts);

#endif
