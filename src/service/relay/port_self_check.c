/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_self_check: tests whether this server's own submission ports respond. The web process publishes
 * them but cannot connect out; so it asks relay, which tries each as a client would: by its published
 * name. If that name does not resolve, nothing is reported.
 */
#include <assert.h>
#include <stdlib.h>

#include "service/relay/relay.h"

/* True if no SMTP server responds. Wrong certificates and busy servers do not count. */
static bool is_closed(enum port_verdict verdict)
{
    return verdict == PORT_REFUSED || verdict == PORT_FILTERED || verdict == PORT_SILENT ||
           verdict == PORT_CLOSED || verdict == PORT_NOT_SMTP || verdict == PORT_PORTAL;
}

static void send_result(struct relay *relay)
{
    struct buffer closed = {0};
    const struct port_connect *seen = relay->examining;
    for (size_t i = 0; i < seen->options.port_count; i++) {
        const struct race_attempt *attempt = race_verdict(&seen->race, seen->options.ports[i].port);
        if (attempt != NULL && is_closed(attempt->verdict))
            buffer_add_format(&closed, "%s%u", closed.length == 0 ? "" : ",", (unsigned)attempt->port->port);
    }
    for (size_t i = 0; i < RELAY_EXAMINERS_MAX; i++)
        if (relay->examiners[i] != NULL)
            child_send(relay->child, relay->examiners[i], IPC_EXAMINED,
                       &(struct ipc_examined){buffer_bytes(&closed)}, -1);
    buffer_free(&closed);
}

/* After a reload the web process of before asks beside its successor. */
static void remember(struct relay *relay, struct channel *examiner)
{
    struct channel **place = &relay->examiners[0];
    for (size_t i = 0; i < RELAY_EXAMINERS_MAX; i++) {
        if (relay->examiners[i] == examiner)
            return;
        if (relay->examiners[i] == NULL)
            place = &relay->examiners[i];
    }
    *place = examiner;
}

void port_self_check_forget(struct relay *relay, const struct channel *examiner)
{
    for (size_t i = 0; i < RELAY_EXAMINERS_MAX; i++)
        if (relay->examiners[i] == examiner)
            relay->examiners[i] = NULL;
}

void port_self_check_stop(struct relay *relay)
{
    if (relay->examining == NULL)
        return;
    port_connect_end(relay->examining);
    loop_release(relay->child->loop, &relay->examining->released, free, relay->examining);
    relay->examining = NULL;
}

static void on_decided(void *owner)
{
    struct relay *relay = owner;
    if (relay->examining->outcome == PORT_CONNECT_OVER)
        send_result(relay);
    memset(relay->examiners, 0, sizeof relay->examiners);
    port_self_check_stop(relay);
}

/* All ports are checked; the winner's connection is not used. */
static void ignore_line(void *owner) {}

static void ignore_line_end(void *owner, const char *why) {}

void port_self_check_start(struct relay *relay, struct channel *examiner)
{
    static const struct port_connect_events events = {
        .on_decided = on_decided, .on_line = ignore_line, .on_line_end = ignore_line_end};
    const struct config *config = relay->child->config;
    struct port_connect_options options = {
        .host = config->hostname, .helo = bytes_of_text(config->hostname), .examine = true, .own_ca = true};
    uint16_t starttls[CONFIG_STARTTLS_PORTS] = {0}, implicit[CONFIG_IMPLICIT_PORTS] = {0};
    static_assert(CONFIG_STARTTLS_PORTS + CONFIG_IMPLICIT_PORTS <= RACE_PORTS_MAX,
                  "room for all that is published");
    remember(relay, examiner);
    if (relay->examining != NULL)
        return;
    config_submission_ports(config, starttls, implicit);
    for (size_t i = 0; i < CONFIG_STARTTLS_PORTS; i++)
        if (starttls[i] != 0)
            options.ports[options.port_count++] = (struct race_port){starttls[i], CLIENT_TLS_REQUIRED};
    for (size_t i = 0; i < CONFIG_IMPLICIT_PORTS; i++)
        if (implicit[i] != 0)
            options.ports[options.port_count++] = (struct race_port){implicit[i], CLIENT_TLS_IMPLICIT};
    if (options.port_count == 0)
        return;
    relay->examining = memory_new(sizeof *relay->examining);
    port_connect_start(relay->examining, relay->child->loop, &relay->tls, relay->dns, &options, &events,
                       relay);
}
