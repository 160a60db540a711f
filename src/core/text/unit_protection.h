/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit_protection: which paths a service may read and write under the protection of its systemd unit
 * (systemd.exec(5): ProtectSystem=strict, ProtectHome=, PrivateTmp=, ReadWritePaths=, StateDirectory= …).
 * unit_protection_read() takes the unit file and then each drop-in, in order.
 */
#ifndef MAILBOAT_CORE_TEXT_UNIT_PROTECTION_H
#define MAILBOAT_CORE_TEXT_UNIT_PROTECTION_H

#include <stdbool.h>

#include "base/buffer.h"

struct unit_protection {
    bool strict;            /* ProtectSystem=strict: only the paths below are writable */
    bool hides_home;        /* ProtectHome=true or tmpfs */
    bool shows_home;        /* ProtectHome=read-only: readable */
    bool private_tmp;       /* /tmp and /var/tmp are its own */
    struct buffer writable; /* one absolute path per line */
};

void unit_protection_read(struct unit_protection *protection, struct bytes text);
/* `path` is absolute and has no "..". */
bool unit_protection_allows_write(const struct unit_protection *protection, struct bytes path);
bool unit_protection_allows_read(const struct unit_protection *protection, struct bytes path);
void unit_protection_free(struct unit_protection *protection);

#endif
