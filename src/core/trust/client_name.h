/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_name: the validated names of a client: its PTR names whose addresses include it (RFC 7208 5.5).
 * SPF's ptr and %{p}, and iprev, need them. All addresses are lacked together.
 */
#ifndef MAILBOAT_CORE_TRUST_CLIENT_NAME_H
#define MAILBOAT_CORE_TRUST_CLIENT_NAME_H

#include "core/route/ip.h"
#include "core/trust/dns_facts.h"

enum client_name_limit {
    CLIENT_NAMES_MAX = 10, /* PTR records that are read (RFC 7208 4.6.4); more are ignored */
};

struct client_names {
    enum dns_status status; /* of the PTR query */
    struct bytes names[CLIENT_NAMES_MAX];
    size_t count;  /* of validated names; live as long as the facts */
    size_t failed; /* names whose addresses DNS did not tell */
    bool lacking;  /* an answer is not known yet: the rest is not final */
};

/* Returns the address as the standards count it: an IPv4-mapped one is an IPv4 address (RFC 7208 5). */
struct route_address client_name_address(struct route_address client);
/* Finds the validated names; only those that are `below` or end in "." and it, unless it is empty. */
void client_name_find(const struct route_address *client, struct bytes below, struct dns_facts *facts,
                      struct client_names *names);
/* Returns the name that %{p} stands for: the domain itself, else one below it, else the first (RFC 7208
 * 7.3). There must be one. */
struct bytes client_name_best(const struct client_names *names, struct bytes domain);

#endif
