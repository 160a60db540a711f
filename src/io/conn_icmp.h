/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_icmp: the ICMP message that answered a request for connection. The errno
 * of connect() does not tell who answered: a closed port (RST) and a firewall
 * that rejects with "port unreachable" are both ECONNREFUSED, and the message
 * can come from the host or from a router on the way. For a person's answer;
 * anybody on the way can send one.
 *
 * conn.c calls conn_icmp_expect() before connect(), then conn_icmp_take() where
 * it failed, and conn_icmp_ignore() where it succeeded.
 */
#ifndef MAILBOAT_IO_CONN_ICMP_H
#define MAILBOAT_IO_CONN_ICMP_H

#include "core/route/route.h"

struct conn_icmp {
    int family;                /* AF_INET or AF_INET6 while the kernel keeps messages; 0: it does not */
    bool told;                 /* false: there was none, and the rest is 0 */
    bool six;                  /* ICMPv6 (RFC 4443), else RFC 792 */
    uint8_t type, code;        /* as in the message */
    struct route_address from; /* its sender */
};

/* Lets the kernel keep such messages; other families than AF_INET and AF_INET6 have none. */
void conn_icmp_expect(struct conn_icmp *icmp, int descriptor, int family);
/* From now on they are no more than a hint, as TCP takes them (RFC 5461). */
void conn_icmp_ignore(struct conn_icmp *icmp, int descriptor);
/* Takes the first that was kept; where there is none, `told` stays false. */
void conn_icmp_take(struct conn_icmp *icmp, int descriptor);

#endif
