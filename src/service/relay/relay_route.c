/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_route: with `relay.via: auto`, decides between the destination's own server and the smarthost:
 * core/route/port25_monitor evaluates the results of attempts, and while 25 is blocked a periodic probe
 * tests it.
 */
#include <netinet/in.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/relay/relay.h"

bool relay_route_is_auto(const struct outbound_connection *connection)
{
    return connection->route.hop == NEXT_HOP_AUTO;
}

/* True if 25 is known to be blocked; or if no server was reached there yet, and this message's server is
 * silent: it need not wait for more evidence. */
static bool may_be_blocked(const struct outbound_connection *connection)
{
    const struct port25_monitor *port25_monitor = &connection->relay->port25_monitor;
    return port25_monitor->blocked ||
           (!port25_monitor->worked && connection->route.silent && !connection->route.reached);
}

void relay_route_choose(struct outbound_connection *connection)
{
    struct route_rules rules = config_rules(connection->relay->child->config);
    struct bytes destination = bytes_of(connection->destination, connection->destination_length);
    connection->route.rule = connection->route.hop == NEXT_HOP_HOST ? route_rules_find(&rules, destination)
                                                                    : NULL;
    connection->route.by_smarthost = connection->route.hop == NEXT_HOP_SMARTHOST ||
                                     (relay_route_is_auto(connection) && may_be_blocked(connection));
    connection->route.reached = connection->route.silent = false;
}

static struct port25_server server_of(const struct outbound_connection *connection)
{
    struct port25_server server = {.six = connection->delivery.address.six};
    memcpy(server.octets, connection->delivery.address.octets, sizeof server.octets);
    return server;
}

static void log_change(const struct relay *relay)
{
    if (relay->port25_monitor.blocked)
        log_event(LOG_EVENT_WARN, "relay_route_changed", LOG_TEXT("route", "smarthost"),
                  LOG_U64("silent_hosts", relay->port25_monitor.silent_count),
                  LOG_TEXT("reason", "outgoing port 25 is blocked: no server answers there"),
                  LOG_TEXT("host", relay->child->config->relay.smarthost.host));
    else
        log_event(LOG_EVENT_INFO, "relay_route_changed", LOG_TEXT("route", "mx"),
                  LOG_TEXT("reason", "outgoing port 25 works again"));
}

void relay_route_reached(struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    connection->route.reached = true;
    if (relay_route_is_auto(connection) && !connection->route.by_smarthost &&
        port25_monitor_reached(&relay->port25_monitor))
        log_change(relay);
}

void relay_route_silent(struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    struct port25_server server = server_of(connection);
    /* one destination counts once */
    bool counts = relay_route_is_auto(connection) && !connection->route.by_smarthost &&
                  !connection->route.silent;
    connection->route.silent = true;
    if (!counts || !port25_monitor_was_silent(&relay->port25_monitor, &server, clock_now_ms()))
        return;
    log_change(relay);
    timer_set(&relay->probing, PORT25_MONITOR_PROBE_MS);
}

void relay_route_ended(struct outbound_connection *connection, enum conn_end end)
{
    relay_cause_saw(connection, end);
    if (end == CONN_END_REFUSED)
        relay_route_reached(connection); /* a refusal shows a reachable host */
    else if (end == CONN_END_TIMEOUT && !connection->delivery.connected)
        relay_route_silent(connection);
}

bool relay_route_has_other(const struct outbound_connection *connection)
{
    return relay_route_is_auto(connection) && may_be_blocked(connection) && !connection->route.by_smarthost &&
           connection->route.silent && !connection->route.reached && !connection->relay->draining;
}

/* ---- probes ---- */

static void probe_over(struct relay *relay, bool reached)
{
    conn_close(&relay->probe);
    if (reached && port25_monitor_reached(&relay->port25_monitor))
        log_change(relay);
    else if (relay->port25_monitor.blocked)
        timer_set(&relay->probing, PORT25_MONITOR_PROBE_MS);
}

static void probe_connected(void *owner)
{
    probe_over(owner, true);
}

static void probe_end(void *owner, enum conn_end end)
{
    probe_over(owner, end == CONN_END_REFUSED || end == CONN_END_RESET); /* any reply shows that 25 works */
}

static void probe_timeout(void *owner)
{
    probe_over(owner, false);
}

static void probe(void *owner)
{
    static const struct conn_events events = {
        .on_connected = probe_connected, .on_end = probe_end, .on_timeout = probe_timeout};
    struct relay *relay = owner;
    const struct port25_server *server = port25_monitor_probe(&relay->port25_monitor, clock_now_ms());
    if (relay->draining || !relay->port25_monitor.blocked)
        return;
    if (server == NULL) { /* slightly too early */
        timer_set(&relay->probing, 1000);
        return;
    }
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(relay->child->config->relay.port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(relay->child->config->relay.port)};
    memcpy(&six.sin6_addr, server->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, server->octets, sizeof four.sin_addr);
    conn_connect(&relay->probe, relay->child->loop, server->six ? (const void *)&six : (const void *)&four,
                 server->six ? sizeof six : sizeof four, &events, relay);
    conn_set_timeout(&relay->probe, PORT25_MONITOR_PATIENCE_MS);
}

void relay_route_start(struct relay *relay)
{
    timer_start(&relay->probing, relay->child->loop, probe, relay);
}
