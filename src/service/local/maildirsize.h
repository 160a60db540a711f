/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildirsize: the usage of a Maildir, cached in a file of that name inside it, in the format of Maildir++
 * (https://www.courier-mta.org/imap/README.maildirquota.html): a line with the limit, then lines "OCTETS
 * MESSAGES" that add up. A program that adds or removes a message appends a line; Dovecot and Mailboat
 * share the file, so that deliveries need not scan all messages.
 *
 * If the file is missing, too long, damaged, for another limit, or says "full" without being fresh, the
 * messages themselves are counted.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_MAILDIRSIZE_H
#define MAILBOAT_SERVICE_LOCAL_MAILDIRSIZE_H

#include <time.h>

#include "base/bytes.h"

enum maildirsize_limit {
    MAILDIRSIZE_MAX = 5120,        /* octets of the file; a longer one is rewritten */
    MAILDIRSIZE_FRESH_S = 15 * 60, /* maximum age of a one-line file that is trusted when it says "full" */
};

struct maildirsize {
    uint64_t octets, messages;
    bool sure; /* just counted, or from a fresh file with one line */
};

/* Parses the file's text. False if it is unusable: damaged, or for another limit. `lines`: the number of
 * lines added up. */
bool maildirsize_parse(struct bytes text, uint64_t limit, struct maildirsize *size, size_t *lines);

/* Reads the usage of the mailbox (a path below `folder`) from its file alone. False if the file is
 * missing, too long, damaged, or for another limit. */
bool maildirsize_peek(int folder, const char *mailbox, uint64_t limit, struct maildirsize *size);
/* The same, from its file if usable, otherwise by counting. Returns 0, or errno. A missing mailbox is
 * empty. */
int maildirsize_read(int folder, const char *mailbox, uint64_t limit, struct maildirsize *size);
/* Counts all its folders. With `keep` the file is rewritten, unless other programs changed the mailbox
 * meanwhile. Returns 0, or errno. */
int maildirsize_count(int folder, const char *mailbox, uint64_t limit, bool keep, struct maildirsize *size);
/* Records added messages. Only if the file exists; one that is too long is removed, to be rewritten when
 * needed. */
void maildirsize_add(int folder, const char *mailbox, uint64_t octets, uint64_t messages);

#endif
