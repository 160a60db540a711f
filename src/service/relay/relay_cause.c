/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_cause: why a destination's server was not reached, by the rules of
 * core/diagnosis: from this attempt, from what other servers do at the same
 * time, and from what the resolvers do. This process sees nothing else of the
 * machine; a network is blamed only when several servers are silent.
 */
#include <stdio.h>
#include <string.h>

#include "core/diagnosis/address_kind.h"
#include "core/diagnosis/diagnosis.h"
#include "io/clock.h"
#include "io/conn_evidence.h"
#include "service/relay/relay.h"

/* ---- what was seen ---- */

static bool is_direct(const struct outbound_connection *connection)
{
    return !connection->route.by_smarthost && connection->delivery.options.port == PORT_SMTP;
}

/* A smarthost whose port was to be found is judged by smarthost.c, where all of its ports were seen. */
static bool is_judged(const struct outbound_connection *connection)
{
    return is_direct(connection) || (connection->route.by_smarthost && !smarthost_is_auto(connection));
}

/* Returns the host's place, or the oldest. */
static struct relay_seen *place_of(struct relay *relay, const char *host)
{
    struct relay_seen *oldest = &relay->seen[0];
    for (size_t i = 0; i < RELAY_SEEN_MAX; i++) {
        if (strcmp(relay->seen[i].host, host) == 0)
            return &relay->seen[i];
        if (relay->seen[i].at_ms < oldest->at_ms)
            oldest = &relay->seen[i];
    }
    return oldest;
}

static enum fact_reach reach_of(enum conn_end end)
{
    switch (end) {
    case CONN_END_CLOSED: return REACH_CONNECTED;
    case CONN_END_TIMEOUT: return REACH_SILENT;
    case CONN_END_REFUSED:
    case CONN_END_RESET: return REACH_REFUSED;
    case CONN_END_UNREACHABLE: return REACH_UNREACHABLE;
    case CONN_END_TLS:
    case CONN_END_OTHER: break;
    }
    return REACH_UNKNOWN;
}

void relay_cause_begin(struct outbound_connection *connection, const struct route_address *address)
{
    connection->peer.tried = *address;
    connection->peer.reach = REACH_UNKNOWN;
    connection->peer.tls_failed = connection->peer.counted = false;
}

void relay_cause_lost(struct outbound_connection *connection, bool in_tls)
{
    struct outbound_peer *peer = &connection->peer;
    peer->tls_failed = in_tls;
    if (in_tls)
        tls_counts_failed(connection);
    if (in_tls && peer->conn.loop != NULL)
        conn_evidence_take(&peer->conn, peer->name, &peer->evidence);
}

void relay_cause_saw(struct outbound_connection *connection, enum conn_end end)
{
    struct outbound_peer *peer = &connection->peer;
    if (connection->stage != OUTBOUND_CONNECTING)
        return; /* it ended later */
    peer->reach = reach_of(end);
    if (!is_direct(connection) || peer->reach == REACH_UNKNOWN || peer->name[0] == '\0')
        return;
    struct relay_seen *seen = place_of(connection->relay, peer->name);
    *seen = (struct relay_seen){.address = peer->tried, .reach = peer->reach, .at_ms = clock_now_ms()};
    snprintf(seen->host, sizeof seen->host, "%s", peer->name);
}

/* ---- as facts ---- */

static void fill_address(char text[FACTS_ADDRESS_MAX], const struct route_address *address)
{
    struct buffer words = {0};
    route_address_text(&words, address);
    snprintf(text, FACTS_ADDRESS_MAX, "%s", buffer_text(&words));
    buffer_free(&words);
}

static void add_attempt(const struct outbound_connection *connection, struct diagnosis_facts *facts)
{
    const struct outbound_peer *peer = &connection->peer;
    struct fact_attempt *attempt = &facts->attempts[0];
    facts->attempt_count = facts->address_count = 1;
    facts->dns = FACT_DNS_HAS_ADDRESS;
    fill_address(facts->addresses[0].text, &peer->tried);
    facts->addresses[0].six = peer->tried.six;
    facts->addresses[0].kind = address_kind(&peer->tried);
    *attempt = (struct fact_attempt){.six = peer->tried.six,
                                     .port = connection->delivery.options.port,
                                     .implicit_tls = connection->delivery.options.tls == CLIENT_TLS_IMPLICIT,
                                     .reach = peer->reach};
    memcpy(attempt->address, facts->addresses[0].text, sizeof attempt->address);
    if (!peer->tls_failed)
        return;
    attempt->reach = REACH_CONNECTED;
    attempt->voice = attempt->implicit_tls ? VOICE_TLS : VOICE_SMTP;
    if (!attempt->implicit_tls) {
        attempt->greeting_code = 220;
        attempt->ehlo_code = 250;
        attempt->starttls_offered = KNOWN_YES;
        attempt->starttls_code = 220;
    }
    attempt->tls = peer->evidence.tls;
    attempt->tls_sent = peer->evidence.tls_sent;
    attempt->tls_received = peer->evidence.tls_received;
    attempt->certificate = peer->evidence.certificate;
}

static void add_control(const struct relay_seen *seen, struct diagnosis_facts *facts)
{
    struct fact_attempt *control = &facts->controls[facts->control_count++];
    *control = (struct fact_attempt){.six = seen->address.six, .port = PORT_SMTP, .reach = seen->reach};
    snprintf(control->host, sizeof control->host, "%s", seen->host);
    fill_address(control->address, &seen->address);
    if (seen->reach == REACH_CONNECTED) {
        control->voice = VOICE_SMTP;
        control->greeting_code = 220;
    }
}

/* Other servers on the same port: one that answers tells that the port is open; several that do not, and
 * none that does, that it is not. */
static void add_controls(const struct outbound_connection *connection, struct diagnosis_facts *facts)
{
    _Static_assert((int)RELAY_SEEN_MAX <= (int)FACTS_CONTROLS_MAX, "all of them have a place");
    const struct relay *relay = connection->relay;
    const struct route_address *tried = &connection->peer.tried;
    size_t silent = 0, reached = 0;
    for (size_t i = 0; i < RELAY_SEEN_MAX; i++) {
        const struct relay_seen *seen = &relay->seen[i];
        bool other = seen->host[0] != '\0' && strcmp(seen->host, connection->peer.name) != 0 &&
                     memcmp(seen->address.octets, tried->octets, sizeof tried->octets) != 0 &&
                     seen->address.six == tried->six;
        if (!other || clock_now_ms() - seen->at_ms > RELAY_SEEN_MS)
            continue;
        silent += seen->reach == REACH_SILENT;
        reached += seen->reach == REACH_CONNECTED;
        if (seen->reach == REACH_SILENT || seen->reach == REACH_CONNECTED)
            add_control(seen, facts);
    }
    if (reached == 0 && silent < RELAY_SILENT_MIN)
        facts->control_count = 0;
    if (facts->control_count > 0)
        facts->gathered |= FACT_CONTROLS;
}

/* ---- DNS ---- */

/* A failure that comes from the domain's own servers is a fact, and told as such; what the resolvers do is
 * a cause. */
static bool add_resolver(const struct relay *relay, struct diagnosis_facts *facts)
{
    enum resolver_state state = dns_resolver(relay->dns);
    facts->dns = state == RESOLVER_NONE          ? FACT_DNS_NO_RESOLVER
                 : state == RESOLVER_REFUSES     ? FACT_DNS_REFUSES
                 : resolver_state_is_dead(state) ? FACT_DNS_TIMED_OUT
                                                 : FACT_DNS_UNKNOWN;
    snprintf(facts->machine.resolver, sizeof facts->machine.resolver, "%s", dns_resolver_text(relay->dns));
    return facts->dns != FACT_DNS_UNKNOWN;
}

/* ---- the cause ---- */

static bool find_facts(const struct outbound_connection *connection, const struct delivery_result *result,
                       struct diagnosis_facts *facts)
{
    const struct delivery *delivery = &connection->delivery;
    struct bytes host = delivery->host.length > 0 ? delivery->host : delivery->options.domain;
    *facts = (struct diagnosis_facts){
        .purpose = PURPOSE_RELAY, .host_is_own = KNOWN_NO, .now_s = clock_epoch_ms() / 1000};
    if (result->step == STEP_DNS) {
        snprintf(facts->host, sizeof facts->host, "%.*s", BYTES_ARG(delivery->options.domain));
        return add_resolver(connection->relay, facts);
    }
    snprintf(facts->host, sizeof facts->host, "%.*s", BYTES_ARG(host));
    if (!is_judged(connection) || !bytes_is_nocase(host, connection->peer.name) ||
        (connection->peer.reach == REACH_CONNECTED && !connection->peer.tls_failed))
        return false;
    if (delivery->options.port != PORT_SMTP) {
        facts->purpose = PURPOSE_SUBMIT;
        facts->provider = provider_by_host(host);
    }
    add_attempt(connection, facts);
    if (is_direct(connection))
        add_controls(connection, facts);
    return true;
}

void relay_cause_add(struct outbound_connection *connection, const struct delivery_result *result,
                     struct buffer *reason)
{
    static struct diagnosis_facts facts;
    struct diagnosis diagnosis;
    if (result->outcome != OUTCOME_DEFERRED || result->code != 0 || !find_facts(connection, result, &facts))
        return;
    diagnosis_make(&facts, &diagnosis);
    if (diagnosis.cause_count == 0 || diagnosis.causes[0].cause == CAUSE_UNKNOWN)
        return;
    buffer_add_text(reason, "; cause: ");
    diagnosis_line(&facts, &diagnosis, reason);
}
