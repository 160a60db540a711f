/* SPDX-License-Identifier: Apache-2.0 */
/* resolver_list: the DNS resolvers that this machine is configured with (resolv.conf(5)). */
#ifndef MAILBOAT_IO_RESOLVER_LIST_H
#define MAILBOAT_IO_RESOLVER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/bytes.h"

enum {
    RESOLVER_LIST_MAX = 3, /* further ones are not asked, as by the C library (MAXNS) */
    RESOLVER_TEXT_MAX = 64,
};

#define RESOLV_CONF "/etc/resolv.conf"

struct resolver {
    struct sockaddr_storage address;
    socklen_t length;
    char text[RESOLVER_TEXT_MAX]; /* "192.0.2.1", or "192.0.2.1:5353" for another port than 53 */
};

struct resolver_list {
    struct resolver at[RESOLVER_LIST_MAX];
    size_t count;
};

/* Adds "address" or "address:port"; false where it is neither, or there is no room. */
bool resolver_list_add(struct resolver_list *list, struct bytes text);
/* Reads the nameserver lines of `path`; none where the file is missing. */
void resolver_list_read(struct resolver_list *list, const char *path);
bool resolver_list_equals(const struct resolver_list *a, const struct resolver_list *b);
/* Writes "192.0.2.1, 2001:db8::1"; "" for none. Cut at `size`. */
void resolver_list_text(const struct resolver_list *list, char *buffer, size_t size);

#endif
