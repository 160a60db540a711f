/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_host: what the hosts of web sites, and the control panels that they use,
 * do with outgoing mail: which ports, by which mechanism, what is left open,
 * whose relay may be used instead, and the names by which their own mail server
 * gives itself away when it answers in another's place.
 */
#ifndef MAILBOAT_CORE_PORT_WEB_HOST_H
#define MAILBOAT_CORE_PORT_WEB_HOST_H

#include "core/port/network.h"

/* What a program of theirs sees on a port that is blocked. */
enum web_host_mechanism {
    WEB_HOST_UNKNOWN,   /* nobody confirmed what it does */
    WEB_HOST_OPEN,      /* nothing is blocked */
    WEB_HOST_BLOCKED,   /* blocked; how was not seen */
    WEB_HOST_REDIRECTS, /* the machine's own mail server answers in the name's place */
    WEB_HOST_REFUSES,   /* RST, at once */
};

struct web_host {
    const char *name;    /* "GoDaddy, cPanel plans" */
    const char *aliases; /* in lower case, between commas */
    enum web_host_mechanism mechanism;
    unsigned blocked, open; /* sets of BLOCKS_*; a port in neither: nobody confirmed it */
    const char *relay;      /* of its own, and how it is used; or "" */
    const char *limits;     /* or "" */
    const char *lifted;     /* how, and by whom; or "" */
    const char *remark;     /* or "" */
    /* domains of its machines, between commas: they stand in the greeting and in the certificate of the
     * server that answers in another's place */
    const char *names;
    const char *source;
    char confidence; /* as provider.h has it */
};

extern const struct web_host web_hosts[];
extern const size_t web_host_count;

const struct web_host *web_host_by_name(struct bytes name);
bool web_host_is_called(const struct web_host *host, struct bytes name);
/* Whose machine speaks in a greeting, or has these names in its certificate: a word of the text is a name
 * below one of `names`. NULL: nobody's that is known. */
const struct web_host *web_host_by_answer(struct bytes text);
/* "redirected to the machine's own mail server" */
const char *web_host_mechanism_words(enum web_host_mechanism mechanism);

#endif
