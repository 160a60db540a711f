/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lmtp: delivers local mail to another program's LMTP server (RFC 2033), on a Unix socket or at an
 * address, for example Dovecot's. A connection is reused for message after message, kept briefly for the
 * next, then closed with QUIT. At most LMTP_CONNECTIONS_MAX of them; other messages wait (the queue sends
 * up to SCHEDULE_LOCAL_MAX concurrently).
 *
 * Each recipient has its own reply. If no server listens, all of them are deferred: that is never the
 * recipient's fault.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_LMTP_H
#define MAILBOAT_SERVICE_LOCAL_LMTP_H

#include "core/client/client_session.h"
#include "io/timer.h"
#include "run/child.h"
#include "service/local/over_quota_list.h"

enum lmtp_limit {
    LMTP_CONNECTIONS_MAX = 20,
    LMTP_IDLE_MS = 3 * 1000,
    LMTP_MESSAGES_MAX = 1000, /* per connection */
    LMTP_CONNECT_MS = 10 * 1000,
    LMTP_DRAIN_MS = 10 * 1000, /* for deliveries in progress when the process ends */
};

struct lmtp_message;
struct lmtp_connection;

struct lmtp {
    struct child *child;
    struct over_quota_list *over_quota_list; /* owned by the caller */
    const char *place;                       /* as configured */
    struct sockaddr_storage address;         /* of the server */
    socklen_t address_length;
    struct lmtp_connection *connections, *idle; /* all; idle ones */
    size_t connection_count, busy_count;
    struct lmtp_message *waiting, **waiting_end;
    struct timer drained;
    bool draining;
};

/* Sets the configured address of the server; returns its length. */
socklen_t lmtp_address(const struct config *config, struct sockaddr_storage *address);

/* True if it listens in the folder of the Dovecot that `mailboat mailboxes setup` configures. */
bool lmtp_is_own(const struct config *config);

/* Connects to the configured server. Before the sandbox, lmtp_allow() permits it: only that family of
 * sockets, only that port. */
void lmtp_start(struct lmtp *lmtp, struct child *child, struct over_quota_list *over_quota_list);
void lmtp_allow(const struct config *config, struct sandbox_paths *paths);
/* True if such a server can address this mailbox: not if its name has octets above 127 (Dovecot lacks
 * SMTPUTF8), or differs as a folder. */
bool lmtp_can_name(struct bytes address);
/* `results` has one per recipient: set for those that the server cannot address (their texts are copied); the
 * others are filled in. lmtp owns it from here on, and `content`, a descriptor, or -1 if inline. */
void lmtp_deliver(struct lmtp *lmtp, struct channel *from, const struct ipc_deliver *deliver,
                  struct delivery_result *results, int content);
/* Drops answers for this peer. */
void lmtp_peer_lost(struct lmtp *lmtp, const struct channel *peer);
/* Finishes deliveries in progress, then calls child_exit(). */
void lmtp_drain(struct lmtp *lmtp);

#endif
