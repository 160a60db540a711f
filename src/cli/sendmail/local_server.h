/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_server: what all users of this machine may know of its mail server: the socket and the folder for
 * submission, and its names.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_LOCAL_SERVER_H
#define MAILBOAT_CLI_SENDMAIL_LOCAL_SERVER_H

#include "config/config.h"
#include "store/store_open.h"

struct local_server {
    struct arena arena;
    const char *socket, *drop; /* paths in the data directory */
    struct store_place queue;
    const char *hostname;
    /* for addresses without a domain: the first of `domains`, else the hostname */
    const char *domain;
    uint64_t message_size_max;
    uint32_t recipients_max;
};

/* Reads the configuration, without its secrets. Without `file` and a default one: uses the defaults, with
 * this machine's name. */
bool local_server_read(struct local_server *server, const char *file, struct error *error);
void local_server_free(struct local_server *server);

#endif
