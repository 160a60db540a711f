/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port report: what was seen of a server's ports, in words for people and as
 * facts for programs (docs/ports.md has the schema), and which to use.
 */
#ifndef MAILBOAT_CLI_PORTS_PORT_REPORT_H
#define MAILBOAT_CLI_PORTS_PORT_REPORT_H

#include <jansson.h>

#include "cli/send/server_connection.h"
#include "core/port/provider.h"

struct port_report {
    const char *target; /* as it was said */
    const char *host;
    /* where the host comes from: "SRV records of example.org"; NULL: it was said */
    const char *source;
    const char *user;                /* what to sign in as; "" when it is not known */
    const char *password;            /* in words: "the API key"; "" when nothing is to be said */
    const struct provider *provider; /* whose host it is, or NULL */
    const struct port_connect *seen; /* examined */
    uint16_t order[RACE_PORTS_MAX];  /* of preference: the server's own published order, or ours */
    size_t order_count;
    bool colour;
};

/* The port to use, or NULL. */
const struct race_attempt *port_report_best(const struct port_report *report);
void port_report_print(const struct port_report *report);
json_t *port_report_json(const struct port_report *report);
/* One short line on each port while it is examined, over the last picture; `lines`: how many that had. */
size_t port_report_progress(const struct port_connect *seen, size_t lines);
/* "open", "refused" ... of the port at this place, for --watch. */
const char *port_report_state(const struct port_connect *seen, uint16_t port);

#endif
