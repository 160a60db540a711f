/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port report: the results for a server's ports, as text and as JSON (docs/ports.md has the schema), with
 * a recommendation.
 */
#ifndef MAILBOAT_CLI_PORTS_PORT_REPORT_H
#define MAILBOAT_CLI_PORTS_PORT_REPORT_H

#include <jansson.h>

#include "cli/send/server_connection.h"
#include "core/port/provider.h"

struct port_report {
    const char *target; /* as given */
    const char *host;
    /* source of the host: "SRV records of example.org"; NULL: given by the user */
    const char *source;
    const char *user;                /* to sign in as; "" when it is not known */
    const char *password;            /* in words: "the API key"; "" when nothing is to be said */
    const struct provider *provider; /* whose host it is, or NULL */
    const struct port_connect *seen; /* examined */
    const struct diagnosis_facts *facts;
    const struct diagnosis *diagnosis; /* of what was seen, and of what was got besides */
    uint16_t order[RACE_PORTS_MAX];    /* of preference: the server's own published order, or ours */
    size_t order_count;
    bool colour;
};

/* Returns the recommended port, or NULL. */
const struct race_attempt *port_report_best(const struct port_report *report);
void port_report_print(const struct port_report *report);
json_t *port_report_json(const struct port_report *report);
/* Prints one short line per port during the check, over the previous display; `lines`: its number of
 * lines. */
size_t port_report_progress(const struct port_connect *seen, size_t lines);
/* Returns "open", "refused" ... of the port at this index, for --watch. */
const char *port_report_state(const struct port_connect *seen, uint16_t port);

#endif
