/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header: the PROXY protocol, versions 1 and 2, as a load balancer sends it before the first octet
 * of a client (haproxy's doc/proxy-protocol.txt, 2.1 and 2.2). Nothing of the rest of the connection is
 * looked at: proxy_header_parse() says how many octets the header has.
 */
#ifndef MAILBOAT_CORE_ROUTE_PROXY_HEADER_H
#define MAILBOAT_CORE_ROUTE_PROXY_HEADER_H

#include "core/route/ip.h"

enum {
    PROXY_V1_MAX = 107,     /* octets with CR LF */
    PROXY_V2_HEAD = 16,     /* octets before the addresses */
    PROXY_HEADER_MAX = 4096 /* octets of a version 2 header that is accepted, with its TLVs */
};

enum proxy_verdict {
    PROXY_MORE, /* a beginning: more octets are needed, and none beyond the header has come */
    PROXY_COMPLETE,
    PROXY_MALFORMED, /* `why` says what is wrong */
};

struct proxy_header {
    size_t octets; /* COMPLETE: of the header */
    /* false: LOCAL, UNKNOWN, or an address of another family: the connection's own addresses count */
    bool has_client;
    struct route_address client; /* a mapped IPv4 address as IPv4 */
    uint16_t port;               /* of the client */
    const char *why;             /* MALFORMED: a clause */
};

enum proxy_verdict proxy_header_parse(struct bytes input, struct proxy_header *header);

/* True if a client that should send none has begun with such a header. */
bool proxy_header_begins(struct bytes input);

#endif
