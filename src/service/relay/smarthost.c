/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "core/diagnosis/diagnosis.h"
#include "core/port/port_order.h"
#include "io/log.h"
#include "service/relay/relay.h"

bool smarthost_is_auto(const struct outbound_connection *connection)
{
    return connection->route.by_smarthost && connection->relay->child->config->relay.smarthost.port == 0;
}

/* ---- the race ---- */

static struct port_connect_options race_options(const struct relay *relay)
{
    const struct config *config = relay->child->config;
    struct port_connect_options options = {.host = config->relay.smarthost.host,
                                           .helo = bytes_of_text(config->hostname),
                                           .needs_auth = config->relay.smarthost.user != NULL &&
                                                         config->relay.smarthost.user[0] != '\0',
                                           .own_ca = true,
                                           .last_resort = PORT_LAST_RESORT,
                                           .by_token = config->relay.smarthost.token_command != NULL};
    for (size_t i = 0; i < PORT_ORDER_ALL; i++) {
        struct race_port port = {port_order[i].port, port_order[i].tls};
        bool wanted = config->relay.smarthost.tls == SMARTHOST_TLS_AUTO ||
                      (config->relay.smarthost.tls == SMARTHOST_TLS_IMPLICIT) ==
                          (port.tls == CLIENT_TLS_IMPLICIT);
        if (wanted)
            options.ports[options.port_count++] = port;
    }
    return options;
}

static void found(struct relay *relay, struct buffer *words)
{
    const struct race_attempt *winner = &relay->finding->race.attempts[relay->finding->race.winner];
    relay->smarthost = (struct race_port){winner->port->port, winner->tls};
    race_explain(&relay->finding->race, words);
    log_event(LOG_EVENT_INFO, "smarthost_port_selected",
              LOG_TEXT("host", relay->child->config->relay.smarthost.host),
              LOG_U64("port", relay->smarthost.port), LOG_BYTES("reason", buffer_bytes(words)));
}

/* From what this process saw; what the machine tells is the doctor's. */
static void add_cause(const struct relay *relay, struct buffer *words)
{
    static struct diagnosis_facts facts;
    struct diagnosis diagnosis;
    const char *host = relay->child->config->relay.smarthost.host;
    facts = (struct diagnosis_facts){.purpose = PURPOSE_SUBMIT,
                                     .provider = provider_by_host(bytes_of_text(host))};
    snprintf(facts.host, sizeof facts.host, "%s", host);
    port_connect_facts(relay->finding, &facts);
    diagnosis_make(&facts, &diagnosis);
    if (diagnosis.cause_count == 0 || diagnosis.causes[0].cause == CAUSE_UNKNOWN)
        return;
    buffer_add_text(words, "; cause: ");
    diagnosis_line(&facts, &diagnosis, words);
}

static void not_found(struct relay *relay, struct buffer *words)
{
    struct error error = {0};
    if (relay->finding->outcome == PORT_CONNECT_UNRESOLVED) {
        host_lookup_explain(&relay->finding->lookup, relay->child->config->relay.smarthost.host, &error);
        buffer_add_text(words, error.text);
    } else {
        race_explain(&relay->finding->race, words);
        add_cause(relay, words);
    }
    log_event(LOG_EVENT_WARN, "smarthost_port_none",
              LOG_TEXT("host", relay->child->config->relay.smarthost.host),
              LOG_BYTES("reason", buffer_bytes(words)));
}

/* Resumes each waiting connection. */
static void wake_all(struct relay *relay, struct bytes why)
{
    for (struct outbound_connection *connection = relay->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->stage != OUTBOUND_AWAITS_PORT)
            continue;
        if (relay->smarthost.port != 0)
            outbound_go(connection);
        else
            outbound_defer(connection, why);
    }
}

void smarthost_stop(struct relay *relay)
{
    if (relay->finding == NULL)
        return;
    port_connect_end(relay->finding);
    loop_release(relay->child->loop, &relay->finding->released, free, relay->finding);
    relay->finding = NULL;
}

static void on_decided(void *owner)
{
    struct relay *relay = owner;
    struct buffer words = {0};
    if (relay->finding->outcome == PORT_CONNECT_WON)
        found(relay, &words);
    else
        not_found(relay, &words);
    smarthost_stop(relay);
    wake_all(relay, buffer_bytes(&words));
    buffer_free(&words);
}

/* The winner's connection is not used, only its port. */
static void ignore_line(void *owner) {}

static void ignore_line_end(void *owner, const char *why) {}

static void find(struct relay *relay)
{
    static const struct port_connect_events events = {
        .on_decided = on_decided, .on_line = ignore_line, .on_line_end = ignore_line_end};
    struct port_connect_options options = race_options(relay);
    relay->finding = memory_new(sizeof *relay->finding);
    port_connect_start(relay->finding, relay->child->loop, &relay->tls, relay->dns, &options, &events, relay);
}

/* ---- waiting connections ---- */

bool smarthost_must_wait(struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    if (!smarthost_is_auto(connection) || relay->smarthost.port != 0)
        return false;
    connection->stage = OUTBOUND_AWAITS_PORT;
    if (relay->finding == NULL)
        find(relay);
    return true;
}

/* True if the server replied nothing about the message: reaching it failed. */
static bool is_the_winner(const struct delivery_result *result)
{
    return result->outcome == OUTCOME_DEFERRED && result->code == 0 && result->step <= STEP_AUTH;
}

bool smarthost_has_failed(struct outbound_connection *connection, const struct delivery_result *results,
                          size_t count)
{
    struct relay *relay = connection->relay;
    if (!smarthost_is_auto(connection) || relay->draining || !is_the_winner(&results[0]))
        return false;
    for (size_t i = 1; i < count; i++)
        if (!is_the_winner(&results[i]))
            return false;
    if (relay->smarthost.port == connection->delivery.options.port) /* no other port was detected meanwhile */
        relay->smarthost.port = 0;
    if (connection->message.waited)
        return false;
    connection->message.waited = true;
    return true;
}
