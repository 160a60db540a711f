/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: the table of all configuration keys: type, bounds, default and description. Parsing, checking,
 * `config show` and the documentation are driven by it.
 */
#ifndef MAILBOAT_CONFIG_KEYS_H
#define MAILBOAT_CONFIG_KEYS_H

#include "config/config.h"

enum config_key_type {
    KEY_TEXT,          /* const char * */
    KEY_HOST,          /* const char *: a host name or an address */
    KEY_SIZE,          /* uint64_t octets: 50MiB */
    KEY_DURATION,      /* uint64_t ms: 5m; 0 for the word in `choices` */
    KEY_NUMBER,        /* uint32_t */
    KEY_PORT,          /* uint16_t */
    KEY_PORT_AUTO,     /* uint16_t, 0 for "auto" */
    KEY_FACTOR,        /* double */
    KEY_FLAG,          /* bool */
    KEY_CHOICE,        /* int: index into `choices` */
    KEY_LIST,          /* const char **, followed by its count */
    KEY_NETWORKS,      /* the same, of IP addresses and networks */
    KEY_LISTENERS,     /* the list of listeners */
    KEY_TLS,           /* domains and their policies */
    KEY_ROUTES,        /* the list of routes */
    KEY_LOCAL_USERS,   /* the list of local users */
    KEY_RELAY_DOMAINS, /* the list of domains that are passed on */
};

struct config_key {
    const char *path; /* "queue.retry.first" */
    enum config_key_type type;
    /* in struct config (in struct config_listener, struct route_rule, struct
     * config_local_user, struct config_relay_domain for listener_keys, route_keys, local_user_keys,
     * relay_domain_keys) */
    size_t offset;
    uint64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *otherwise;      /* the default as written in a file; NULL: none */
    const char *about;
};

extern const struct config_key config_keys[], listener_keys[], route_keys[], local_user_keys[],
    relay_domain_keys[];
extern const char *const tls_wishes[]; /* enum tls_wish */
extern const size_t config_key_count, listener_key_count, route_key_count, local_user_key_count,
    relay_domain_key_count;

#endif
