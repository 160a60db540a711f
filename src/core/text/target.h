/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target: the ways to name a server: a host, host:port, [IPv6]:port, a URL (smtp://, smtps://,
 * submission://, submissions://, https://), or a mail address.
 * cli/send/server_connection.h turns the host's U-labels into A-labels.
 */
#ifndef MAILBOAT_CORE_TEXT_TARGET_H
#define MAILBOAT_CORE_TEXT_TARGET_H

#include "base/bytes.h"
#include "base/error.h"

struct target {
    char host[256];    /* as typed, maybe with U-labels (RFC 5890); the domain of a mail address */
    char address[512]; /* a mail address, or "" */
    char ports[32];    /* in the form of server_connection_ports(), or "" if not given */
};

/* False with a reason: exit code 65 (an invalid host, a port out of range). */
bool target_read(struct target *target, const char *text, struct error *error);

#endif
