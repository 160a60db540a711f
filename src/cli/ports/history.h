/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: what happened before, for a diagnosis: which ports worked and which
 * were blocked on this network, whose password a host refused, and how often a
 * host was called. In the user's state folder (state_file.h: history.json).
 *
 * Of a user only a hash is kept, of a password nothing.
 */
#ifndef MAILBOAT_CLI_PORTS_HISTORY_H
#define MAILBOAT_CLI_PORTS_HISTORY_H

#include "core/diagnosis/facts.h"
#include "core/port/race.h"

enum history_limit {
    HISTORY_NETWORKS_MAX = 16,       /* the oldest goes */
    HISTORY_REFUSED_MAX = 64,        /* pairs of host and user */
    HISTORY_HOSTS_MAX = 64,          /* whose calls are counted */
    HISTORY_PORTS_S = 7 * 24 * 3600, /* how long a port is remembered */
    HISTORY_REFUSED_S = 3600,        /* a refused password */
};

/* One more call of the host. */
void history_remember_call(const char *host);
/* Remembers the ports of the race's host: those that spoke worked; those that were silent were blocked
 * here, if another one spoke, or the host is a known provider's that offers them. */
void history_remember_race(const char *host, const struct race *race);
void history_remember_refused(const char *host, const char *user);
/* The password was right. */
void history_forget_refused(const char *host, const char *user);

/* Gets the remembered facts; with `user` NULL, refused passwords of any user count. */
void history_facts(const char *host, const char *user, struct fact_history *facts);
/* Was it blocked on this network when it was last tried? */
bool history_is_blocked(const struct fact_history *facts, uint16_t port);

#endif
