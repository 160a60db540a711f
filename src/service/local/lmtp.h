/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lmtp: hands local mail to another program's LMTP server (RFC 2033), on a
 * Unix socket or at an address: Dovecot's for one. A connection is one connection: it carries
 * message after message while there are any, is kept a moment for the next,
 * then says goodbye. At most LMTP_CONNECTIONS_MAX of them; what comes meanwhile
 * waits its turn (the queue gives SCHEDULE_LOCAL_MAX at once).
 *
 * Each recipient has a reply of its own. Where nobody listens, all of them
 * wait: that is never the recipient's fault.
 */
#ifndef MAILBOAT_SERVICE_LOCAL_LMTP_H
#define MAILBOAT_SERVICE_LOCAL_LMTP_H

#include "core/client/client_session.h"
#include "run/child.h"
#include "service/local/over_quota_list.h"

enum lmtp_limit {
    LMTP_CONNECTIONS_MAX = 20,
    LMTP_IDLE_MS = 3 * 1000,
    LMTP_MESSAGES_MAX = 1000, /* on one connection */
    LMTP_CONNECT_MS = 10 * 1000,
    LMTP_DRAIN_MS = 10 * 1000, /* for what is under way when the process ends */
};

struct lmtp_message;
struct lmtp_connection;

struct lmtp {
    struct child *child;
    struct over_quota_list *over_quota_list; /* the caller's */
    const char *place;                       /* as the configuration has it */
    struct sockaddr_storage address;         /* where it listens */
    socklen_t address_length;
    struct lmtp_connection *connections, *idle; /* all; those that wait for more */
    size_t connection_count, busy_count;
    struct lmtp_message *waiting, **waiting_end;
    struct timer drained;
    bool draining;
};

/* Where the configuration says that the server listens; returns the address's length. */
socklen_t lmtp_address(const struct config *config, struct sockaddr_storage *address);

/* Calls the server that the configuration names. Before the seal lmtp_allow()
 * has it let through: that one family of sockets, that one port. */
void lmtp_start(struct lmtp *lmtp, struct child *child, struct over_quota_list *over_quota_list);
void lmtp_allow(const struct config *config, struct sandbox_paths *paths);
/* Can such a server be told of this mailbox? Not where its name has octets
 * above 127 (Dovecot's knows no SMTPUTF8), or is another one as a folder. */
bool lmtp_can_name(struct bytes address);
/* `results` has one for each recipient: what became of those that the server
 * cannot be told of; the others are filled in. It is lmtp's from here on, as
 * is `content`, a descriptor, or -1 where it is inline. */
void lmtp_deliver(struct lmtp *lmtp, struct channel *from, const struct ipc_deliver *deliver,
                  struct delivery_result *results, int content);
/* Answers for this peer have nowhere to go any more. */
void lmtp_peer_lost(struct lmtp *lmtp, const struct channel *peer);
/* Ends when what is under way has its answer, child_exit() then. */
void lmtp_drain(struct lmtp *lmtp);

#endif
