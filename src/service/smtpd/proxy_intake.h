/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_intake: connections of a load balancer on a listener with `proxy`, until their PROXY header has
 * told the client's address (core/route/proxy_header.h). Then the listener admits the client, or the
 * connection is refused: without a header, with a malformed one, or when it does not come in time.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_PROXY_INTAKE_H
#define MAILBOAT_SERVICE_SMTPD_PROXY_INTAKE_H

#include <stdbool.h>
#include <sys/socket.h>

struct smtpd;
struct listener;
struct accepted_connection;
struct proxy_intake;

enum {
    PROXY_TIMEOUT_MS = 10 * 1000, /* from the connection to the end of the header */
    PROXY_WAITING_MAX = 1024,     /* connections of a process without their header; one more is closed */
};

/* True if one of these addresses or networks of the configuration has that of a client. */
bool proxy_intake_is_listed(const struct sockaddr_storage *from, const char *const *networks, size_t count);
/* True if connections from this address to this listener begin with a header. */
bool proxy_intake_applies(const struct listener *listener, const struct sockaddr_storage *from);
/* Takes over the descriptor. */
void proxy_intake_start(struct listener *listener, const struct accepted_connection *accepted);
/* Closes those that wait: the process drains. */
void proxy_intake_end_all(struct smtpd *smtpd);

#endif
