/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_host: how web hosting providers, and their control panels, treat outgoing mail: the blocked ports,
 * the mechanism, open ports, the relay to use instead, and the names that identify their own mail server
 * when it answers in place of another.
 */
#ifndef MAILBOAT_CORE_PORT_WEB_HOST_H
#define MAILBOAT_CORE_PORT_WEB_HOST_H

#include "core/port/network.h"

/* The effect of a blocked port for a customer's program. */
enum web_host_mechanism {
    WEB_HOST_UNKNOWN,   /* unconfirmed */
    WEB_HOST_OPEN,      /* nothing is blocked */
    WEB_HOST_BLOCKED,   /* blocked; mechanism unknown */
    WEB_HOST_REDIRECTS, /* the machine's own mail server answers instead */
    WEB_HOST_REFUSES,   /* RST, immediately */
};

struct web_host {
    const char *name;    /* "GoDaddy, cPanel plans" */
    const char *aliases; /* in lower case, between commas */
    enum web_host_mechanism mechanism;
    unsigned blocked, open; /* sets of BLOCKS_*; a port in neither is unconfirmed */
    const char *relay;      /* its own relay, and how to use it; or "" */
    const char *limits;     /* or "" */
    const char *lifted;     /* how, and by whom; or "" */
    const char *remark;     /* or "" */
    /* domains of its machines, separated by commas: found in the greeting and in the certificate of the
     * server that answers instead */
    const char *names;
    const char *source;
    char confidence; /* as provider.h has it */
};

extern const struct web_host web_hosts[];
extern const size_t web_host_count;

const struct web_host *web_host_by_name(struct bytes name);
bool web_host_is_called(const struct web_host *host, struct bytes name);
/* Identifies the provider by a greeting, or by the names in a certificate: a word of the text is a name
 * below one of `names`. NULL: unknown. */
const struct web_host *web_host_by_answer(struct bytes text);
/* "redirected to the machine's own mail server" */
const char *web_host_mechanism_words(enum web_host_mechanism mechanism);

#endif
