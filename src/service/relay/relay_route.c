/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_route: with `relay.via: auto`, whether a message goes to its own server or
 * by the smarthost: core/route/port25_monitor decides from what attempts come to, and
 * while 25 is blocked a connection now and then sees whether it still is.
 */
#include "service/relay/relay.h"

#include "io/clock.h"
#include "io/log.h"

#include <netinet/in.h>

bool ways_is_auto(const struct carrier *carrier)
{
    return (carrier->rule == NULL ? carrier->relay->child->config->relay.via : carrier->rule->via) == RELAY_AUTO;
}

/* It is known to be; or nobody was reached there yet, and this message's server is silent:
 * it does not wait until more are. */
static bool may_be_blocked(const struct carrier *carrier)
{
    const struct direct *direct = &carrier->relay->direct;
    return direct->blocked || (!direct->worked && carrier->silent && !carrier->reached);
}

void ways_choose(struct carrier *carrier)
{
    struct route_rules rules = config_rules(carrier->relay->child->config);
    struct bytes destination = bytes_of(carrier->destination, carrier->destination_length);
    bool said = bytes_is(destination, "@smarthost");
    carrier->rule = said ? NULL : rules_find(&rules, destination);
    carrier->by_smarthost = said || (ways_is_auto(carrier) && may_be_blocked(carrier));
    carrier->reached = carrier->silent = false;
}

static struct direct_server server_of(const struct carrier *carrier)
{
    struct direct_server server = {.six = carrier->delivery.address.six};
    memcpy(server.octets, carrier->delivery.address.octets, sizeof server.octets);
    return server;
}

static void tell_change(const struct relay *relay)
{
    if (relay->direct.blocked)
        log_event(LOG_EVENT_WARN, "relay_changed", LOG_TEXT("to", "smarthost"), LOG_U64("silent", relay->direct.silent_count),
                  LOG_TEXT("reason", "outgoing port 25 is blocked: no server answers there"), LOG_TEXT("host", relay->child->config->relay.smarthost.host));
    else
        log_event(LOG_EVENT_INFO, "relay_changed", LOG_TEXT("to", "mx"), LOG_TEXT("reason", "outgoing port 25 works again"));
}

void ways_reached(struct carrier *carrier)
{
    struct relay *relay = carrier->relay;
    carrier->reached = true;
    if (ways_is_auto(carrier) && !carrier->by_smarthost && direct_reached(&relay->direct))
        tell_change(relay);
}

void ways_silent(struct carrier *carrier)
{
    struct relay *relay = carrier->relay;
    struct direct_server server = server_of(carrier);
    bool counts = ways_is_auto(carrier) && !carrier->by_smarthost && !carrier->silent; /* one destination counts once */
    carrier->silent = true;
    if (!counts || !direct_was_silent(&relay->direct, &server, clock_now_ms()))
        return;
    tell_change(relay);
    timer_set(&relay->probing, DIRECT_PROBE_MS);
}

bool ways_has_other(const struct carrier *carrier)
{
    return ways_is_auto(carrier) && may_be_blocked(carrier) && !carrier->by_smarthost && carrier->silent && !carrier->reached && !carrier->relay->draining;
}

/* ---- looking again ---- */

static void probe_over(struct relay *relay, bool reached)
{
    conn_close(&relay->probe);
    if (reached && direct_reached(&relay->direct))
        tell_change(relay);
    else if (relay->direct.blocked)
        timer_set(&relay->probing, DIRECT_PROBE_MS);
}

static void probe_connected(void *owner)
{
    probe_over(owner, true);
}

static void probe_end(void *owner, enum conn_end end)
{
    probe_over(owner, end == CONN_END_REFUSED || end == CONN_END_RESET); /* an answer is an answer */
}

static void probe_timeout(void *owner)
{
    probe_over(owner, false);
}

static void probe(void *owner)
{
    static const struct conn_events events = {.on_connected = probe_connected, .on_end = probe_end, .on_timeout = probe_timeout};
    struct relay *relay = owner;
    const struct direct_server *server = direct_probe(&relay->direct, clock_now_ms());
    if (relay->draining || !relay->direct.blocked)
        return;
    if (server == NULL) { /* a moment too early */
        timer_set(&relay->probing, 1000);
        return;
    }
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(relay->child->config->relay.port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(relay->child->config->relay.port)};
    memcpy(&six.sin6_addr, server->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, server->octets, sizeof four.sin_addr);
    conn_connect(&relay->probe, relay->child->loop, server->six ? (const void *)&six : (const void *)&four, server->six ? sizeof six : sizeof four, &events, relay);
    conn_set_timeout(&relay->probe, DIRECT_PATIENCE_MS);
}

void ways_start(struct relay *relay)
{
    timer_start(&relay->probing, relay->child->loop, probe, relay);
}
