/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/port_seen.h"

#include <assert.h>

#include "core/port/port_order.h"

/* ---- one port ---- */

/* A control's or known host's 25 proves itself by its certificate; others take what they get there. */
static bool is_ready(const struct fact_attempt *attempt)
{
    bool must_prove = attempt->port == 25 && attempt->host[0] != '\0' &&
                      provider_by_mx(bytes_of_text(attempt->host)) != NULL;
    return attempt->ready == KNOWN_YES && (!must_prove || fact_attempt_is_right(attempt));
}

static enum port_state state_of(const struct fact_attempt *attempt)
{
    switch (attempt->reach) {
    case REACH_UNKNOWN: return PORT_SEEN_UNTRIED;
    case REACH_SILENT: return PORT_SEEN_SILENT;
    case REACH_REFUSED: return PORT_SEEN_REFUSED;
    case REACH_UNREACHABLE: return PORT_SEEN_UNREACHABLE;
    case REACH_CONNECTED: return is_ready(attempt) ? PORT_SEEN_READY : PORT_SEEN_CONNECTED;
    }
    return PORT_SEEN_UNTRIED;
}

/* The further an attempt came, the more it tells; of two alike the usual way to begin. */
static int worth_of(const struct fact_attempt *attempt)
{
    static const int worth[] = {
        [PORT_SEEN_UNTRIED] = 0,  [PORT_SEEN_UNREACHABLE] = 10, [PORT_SEEN_SILENT] = 20,
        [PORT_SEEN_REFUSED] = 30, [PORT_SEEN_CONNECTED] = 40,   [PORT_SEEN_READY] = 60};
    int value = worth[state_of(attempt)];
    if (attempt->reach != REACH_CONNECTED)
        return value;
    bool at_once = attempt->implicit_tls && attempt->tls == FACT_TLS_CLEAR_TEXT; /* the wrong way to begin */
    return value + (attempt->greeting_code != 0) + 2 * (attempt->starttls_code != 0) +
           4 * (attempt->tls != FACT_TLS_NOT_BEGUN && !at_once) + 8 * (attempt->tls == FACT_TLS_DONE);
}

/* A total order, so that the order in which attempts come never matters. */
static bool tells_more(const struct fact_attempt *attempt, const struct fact_attempt *than)
{
    int more = worth_of(attempt) - worth_of(than);
    if (more == 0)
        more = strcmp(than->address, attempt->address);
    if (more == 0)
        more = strcmp(than->host, attempt->host);
    return more > 0 || (more == 0 && than->implicit_tls && !attempt->implicit_tls);
}

static bool offers(const struct provider *provider, uint16_t port)
{
    return provider == NULL || port == 25 || provider_offers(provider, port);
}

/* The usual ones, any other, the last resort, 25. */
static size_t rank_of(uint16_t port)
{
    size_t rank = 0;
    while (rank < PORT_ORDER_USUAL && port_order[rank].port != port)
        rank++;
    return rank + (port == PORT_LAST_RESORT ? 1 : port == PORT_SMTP ? 2 : 0);
}

static struct port_seen *place_of(struct ports_seen *seen, uint16_t port)
{
    size_t at = 0;
    while (at < seen->count && seen->ports[at].port != port && rank_of(seen->ports[at].port) <= rank_of(port))
        at++;
    if (at < seen->count && seen->ports[at].port == port)
        return &seen->ports[at];
    if (seen->count == PORTS_SEEN_MAX)
        return NULL;
    assert(at <= seen->count && seen->count < PORTS_SEEN_MAX);
    memmove(&seen->ports[at + 1], &seen->ports[at], (seen->count - at) * sizeof seen->ports[0]);
    seen->count++;
    seen->ports[at] = (struct port_seen){.port = port};
    return &seen->ports[at];
}

void ports_seen_make(struct ports_seen *seen, const struct diagnosis_facts *facts, enum finding_family family)
{
    assert(facts->attempt_count <= FACTS_ATTEMPTS_MAX);
    *seen = (struct ports_seen){0};
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        struct port_seen *port = fact_attempt_is_of(attempt, family) ? place_of(seen, attempt->port) : NULL;
        if (port == NULL || (port->attempt != NULL && !tells_more(attempt, port->attempt)))
            continue;
        port->attempt = attempt;
        port->state = state_of(attempt);
        port->offered = offers(fact_attempt_provider(facts, attempt), port->port) ||
                        port->state >= PORT_SEEN_CONNECTED;
    }
}

const struct port_seen *ports_seen_of(const struct ports_seen *seen, uint16_t port)
{
    for (size_t i = 0; i < seen->count; i++)
        if (seen->ports[i].port == port)
            return &seen->ports[i];
    return NULL;
}

bool port_seen_counts(const struct diagnosis_facts *facts, const struct port_seen *port)
{
    if (port->state == PORT_SEEN_UNTRIED || !port->offered)
        return false;
    if (facts->purpose == PURPOSE_RELAY)
        return port->port == 25;
    if (port->port == 443)
        return port->state == PORT_SEEN_READY ||
               (facts->provider != NULL && provider_offers(facts->provider, 443));
    return port->port != 25;
}
