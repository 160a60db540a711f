/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health: checks this machine as a mail server: ports, the certificate, the clock, the disk, Dovecot,
 * nearly full mailboxes, signing keys, DNS of the domains; each with a hint.
 */
#ifndef MAILBOAT_CLI_PORTS_HEALTH_H
#define MAILBOAT_CLI_PORTS_HEALTH_H

#include "base/arena.h"
#include "config/config.h"

enum {
    DISK_WARN_PERCENT = 5,
    DISK_WARN_MIB = 200,
    FULL_MAILBOXES_NAMED = 5,
    HEALTH_DOMAINS_MAX = 20, /* domains whose records are looked up: each can take 10 s */
    HEALTH_KEYS_MAX = 20,    /* keys that are named, those that need a person first */
};

enum health_state { HEALTH_FINE, HEALTH_WORRY, HEALTH_ILL };

struct health {
    struct arena arena;
    struct health_item {
        enum health_state how;
        const char *what, *words; /* "port 587", "answers" */
        const char *hint;         /* NULL: nothing to do */
    } * items;
    size_t count, capacity;
};

const char *health_state_name(const struct health_item *item); /* "ok", "warn", "fail" */
/* Returns what JSON calls the state until release 0.2: "fine", "look", "mend". */
const char *health_former_name(const struct health_item *item);
/* Notes one item; `words` and `hint` must live as long as `health`, as in its arena. */
void health_note(struct health *health, enum health_state how, const char *what, const char *words,
                 const char *hint);
/* Returns NULL if a server accepts the connection to a port of this machine, else the reason. *descriptor
 * gets the connected socket; NULL: none is kept. */
const char *health_connect(const char *address, uint16_t port, int *descriptor);
/* Checks the certificates that the ports serve, and that of the configuration. */
void health_certificate_examine(struct health *health, const struct config *config);
/* Counts what DMARC has rejected in the last week; nothing if there was none, or the store cannot be read. */
void health_trust_examine(struct health *health, const struct config *config);
/* Names the keys that mail is signed with, and their states, and the reports of this server that none of
 * them signs; nothing if they cannot be read. */
void health_keys_examine(struct health *health, const struct config *config);
/* Looks up the records of the domains, of the configuration and of the accounts. */
void health_domains_examine(struct health *health, const struct config *config);

void health_examine(struct health *health, const struct config *config);
void health_free(struct health *health);

#endif
