/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: what this machine says of itself, for a diagnosis of why mail does
 * not leave it: routes, tunnels, whose cloud it is, panels of web hosts, proxies,
 * CA certificates, clock and resolvers. Nothing is sent and nothing is changed;
 * what cannot be read stays unknown. Its firewall and listeners: firewall.h.
 */
#ifndef MAILBOAT_IO_MACHINE_H
#define MAILBOAT_IO_MACHINE_H

#include "core/diagnosis/facts.h"
#include "core/route/ip.h"

enum machine_limit {
    MACHINE_TEXT_MAX = 64 * 1024,     /* octets that are read of one file of /proc, /sys or /etc */
    MACHINE_CA_MAX = 4 * 1024 * 1024, /* of the CA certificates */
    MACHINE_BUILT_S = 1793491200,     /* 1 November 2026: a clock before it is wrong */
    MACHINE_OWN_MAX = 64,             /* addresses of this machine that are looked at */
};

/* Fills all of `facts` but the firewall's rules and the listeners. */
void machine_facts(struct fact_machine *facts);
/* The same of another tree: `root` stands before each path ("/srv/tree"; "": this machine), and
 * `environment` is its "NAME=value" strings, ended by NULL. Of another tree the clock is not asked. */
void machine_facts_of(const char *root, char *const *environment, struct fact_machine *facts);

/* Writes the address that /etc/hosts has for a name; "": none. */
void machine_hosts_address(const char *host, char address[FACTS_ADDRESS_MAX]);
void machine_hosts_address_of(const char *root, const char *host, char address[FACTS_ADDRESS_MAX]);

/* Is it an address of this machine, of any interface, the loopback's included? KNOWN_NOT: it cannot be
 * told. */
enum known machine_has_address(const struct route_address *address);

#endif
