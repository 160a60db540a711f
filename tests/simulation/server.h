/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the server's end of a link: drives core/server/server_session, answers
 * its questions after a while, and hands finished messages to its host.
 */
#ifndef MAILBOAT_SIMULATION_SERVER_H
#define MAILBOAT_SIMULATION_SERVER_H

#include "core/server/server_session.h"
#include "world.h"

struct server;

/* Where servers stand: what all connections of a host share. */
struct host {
    struct world *world;
    struct server_policy policy;
    void *owner;
    struct server *servers; /* all there ever were */
    /* Where does it go? Fills `target`. */
    enum recipient_verdict (*on_recipient)(void *owner, struct bytes address, struct recipient *target);
    /* A whole message: server_stored() answers, now or later. */
    void (*on_message)(void *owner, struct server *server, const struct envelope *envelope,
                       struct bytes content);
};

struct server {
    struct host *host;
    struct server *next;
    struct end *end;
    struct server_session session;
    struct buffer content;
    struct alarm silence, thinking;
    struct server_action question;
    bool asking, over, secured;
};

/* Greets at this end of the link; frees itself when the dialogue is over. */
struct server *server_open(struct host *host, struct end *end);
void server_stored(struct server *server, enum store_verdict verdict);
/* The process behind it dies. */
void server_crash(struct server *server);

#endif
