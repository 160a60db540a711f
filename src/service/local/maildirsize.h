/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildirsize: how much a Maildir holds, in a file of that name inside it, as
 * Maildir++ has it (https://www.courier-mta.org/imap/README.maildirquota.html):
 * a line with the limit, then lines "OCTETS MESSAGES" that add up. Who puts a
 * message in or takes one out adds a line; Dovecot and Mailboat share it, so
 * that nobody looks at every message for each one that arrives.
 *
 * It is a cache. What is missing, too long, damaged, of another limit, or
 * says "full" without being fresh is counted from the messages themselves.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_MAILDIRSIZE_H
#define MAILBOAT_SERVICE_LOCAL_MAILDIRSIZE_H

#include <time.h>

#include "base/bytes.h"

enum maildirsize_limit {
    MAILDIRSIZE_MAX = 5120,        /* octets of the file; a longer one is made anew */
    MAILDIRSIZE_FRESH_S = 15 * 60, /* since when a file of one line is believed when it says "full" */
};

struct maildirsize {
    uint64_t octets, messages;
    bool sure; /* counted just now, or a fresh file of one line */
};

/* The file's text. False when it cannot be used: damaged, or of
 * another limit. `lines`: how many were added up. */
bool maildirsize_parse(struct bytes text, uint64_t limit, struct maildirsize *size, size_t *lines);

/* What the mailbox (a path below `folder`) holds, by its file alone. False where
 * that is not there, too long, damaged, or of another limit. */
bool maildirsize_peek(int folder, const char *mailbox, uint64_t limit, struct maildirsize *size);
/* The same, from its file where that can
 * be used, else by counting. 0, or errno. One that is not there holds nothing. */
int maildirsize_read(int folder, const char *mailbox, uint64_t limit, struct maildirsize *size);
/* By counting, all folders of it. With `keep` the file is made anew, unless
 * others changed the mailbox meanwhile. 0, or errno. */
int maildirsize_count(int folder, const char *mailbox, uint64_t limit, bool keep, struct maildirsize *size);
/* So much was put in. Only where there is a file; one that is too long goes,
 * to be made anew by whoever needs it. */
void maildirsize_add(int folder, const char *mailbox, uint64_t octets, uint64_t messages);

#endif
