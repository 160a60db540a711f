/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passwd_file: lines of Dovecot's passwd-file: user:password:uid:gid:gecos:home:shell:extra, of which only
 * the first two count here; and of docker-mailserver's postfix-accounts.cf: user|{SCHEME}password|extra.
 * Lines that are empty or begin with # do not count.
 */
#ifndef MAILBOAT_CORE_IMPORT_PASSWD_FILE_H
#define MAILBOAT_CORE_IMPORT_PASSWD_FILE_H

#include "core/import/stored_password.h"

struct passwd_file_user {
    struct bytes name; /* an address, or a name without a domain */
    struct stored_password password;
    bool has_password; /* false: the field is empty, or "*" or "!" */
};

/* Takes the next line that counts from the front of *rest, and counts lines in *number. False at the end.
 * A line without a name has an empty one. */
bool passwd_file_next(struct bytes *rest, size_t *number, struct passwd_file_user *user);

#endif
