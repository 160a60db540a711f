/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alias_target: the right-hand side of aliases(5) and virtual(5): addresses, bare names, domains, and what
 * only a mail server that runs programs or writes files can do. alias_target_next() until it returns false.
 */
#ifndef MAILBOAT_CORE_IMPORT_ALIAS_TARGET_H
#define MAILBOAT_CORE_IMPORT_ALIAS_TARGET_H

#include "base/buffer.h"

enum alias_target_kind {
    ALIAS_TO_ADDRESS, /* "ada@example.org" */
    ALIAS_TO_NAME,    /* "ada" */
    ALIAS_TO_DOMAIN,  /* "@example.org": the same local part there */
    ALIAS_TO_PROGRAM, /* "|/usr/bin/vacation ada" */
    ALIAS_TO_FILE,    /* "/var/mail/archive" */
    ALIAS_TO_NOTHING, /* "/dev/null" */
    ALIAS_TO_LIST,    /* ":include:/etc/mail/staff", a file with such a right-hand side; `text` is its path */
};

struct alias_target {
    enum alias_target_kind kind;
    struct bytes text; /* without quotes, a backslash in front, or a phrase and angle brackets */
};

/* Takes the next target from the front of *rest. The text lives in *rest or in `room`, which is cleared
 * first. Commas and spaces separate targets; comments in parentheses are skipped. False at the end. */
bool alias_target_next(struct bytes *rest, struct buffer *room, struct alias_target *target);

#endif
