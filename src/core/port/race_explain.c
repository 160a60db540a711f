/* SPDX-License-Identifier: Apache-2.0 */
/* race_explain: what a race tells of each port, and in words why its winner was chosen. */
#include <assert.h>

#include "core/port/race.h"
#include "core/smtp/status.h"

/* ---- explanation ---- */

/* Returns how much an attempt tells of its port: most if open, else by its progress. */
static int weight(const struct race_attempt *a)
{
    if (a->verdict == PORT_OPEN)
        return 5;
    if (a->verdict == PORT_UNTRIED)
        return 0;
    if (a->tls_mismatch && !a->secured)
        return 1; /* the usual mode tells more */
    return a->connected && !(a->verdict == PORT_UNREACHABLE) ? 4 : a->verdict == PORT_REFUSED ? 3 : 2;
}

const struct race_attempt *race_verdict(const struct race *race, uint16_t port)
{
    const struct race_attempt *found = NULL;
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *a = &race->attempts[i];
        if (a->port->port == port && !a->withdrawn && (found == NULL || weight(a) > weight(found)))
            found = a;
    }
    return found;
}

bool race_is_proven(const struct race *race)
{
    assert(race->won);
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *a = &race->attempts[i];
        bool has_failed = a->verdict != PORT_UNTRIED && a->verdict != PORT_OPEN,
             is_silent = !a->connected && (a->again || a->knocks >= 2);
        if (a->port < race->attempts[race->winner].port && a->stage != ATTEMPT_WAITING && !a->withdrawn &&
            !has_failed && !is_silent)
            return false;
    }
    return true;
}

bool race_is_for_later(const struct race *race)
{
    for (size_t i = 0; i < race->attempt_count; i++)
        if (race->attempts[i].code / 100 == 4)
            return true;
    return false;
}

static void explain_port(const struct race *race, const struct race_attempt *a, struct buffer *out)
{
    if (race->won && a->verdict == PORT_UNTRIED && a->ended_ms > a->started_ms)
        buffer_add_format(out, "%s %u ms", a->connected ? "not ready after" : "no answer in",
                          (unsigned)(a->ended_ms - a->started_ms));
    else
        buffer_add_text(out, port_verdict_sentence(a->verdict));
    if (a->verdict == PORT_SLOW || a->verdict == PORT_CLOSED || a->verdict == PORT_SILENT)
        buffer_add_format(out, " during %s", client_step_name(a->step));
    if (port_verdict_quotes(a->verdict) && a->said[0] != '\0')
        buffer_add_format(out, " (%s)", a->said);
}

/* The same port came before, in the other TLS mode. */
static bool is_named(const struct race *race, size_t at)
{
    for (size_t p = 0; p < at; p++)
        if (race->options.ports[p].port == race->options.ports[at].port)
            return true;
    return false;
}

void race_explain(const struct race *race, struct buffer *out)
{
    const struct race_attempt *best = race->won ? &race->attempts[race->winner] : NULL;
    const struct race_port *winner = best != NULL ? best->port : NULL;
    bool first = true;
    if (best != NULL)
        buffer_add_format(out, "port %u selected", (unsigned)winner->port);
    else
        buffer_add_text(out, "no port works");
    for (size_t p = 0; p < race->options.port_count && &race->options.ports[p] != winner; p++) {
        const struct race_attempt *a = race_verdict(race, race->options.ports[p].port);
        bool unasked = a != NULL && a->port->port == race->options.last_resort && a->stage == ATTEMPT_WAITING;
        if (a == NULL || unasked || (winner != NULL && a->port->port == winner->port) || is_named(race, p))
            continue;
        buffer_add_format(out, "%s %u: ", first ? ":" : ";", (unsigned)race->options.ports[p].port);
        explain_port(race, a, out);
        first = false;
    }
    if (best != NULL && first)
        buffer_add_text(out, winner->port == race->options.remembered
                                 ? ": it worked last time on this network, and it works"
                                 : ": it is the first choice and it works");
    if (best != NULL && best->tls_mismatch)
        buffer_add_format(out, "; note: it uses %s there, contrary to convention",
                          best->tls == CLIENT_TLS_IMPLICIT ? "implicit TLS" : "STARTTLS");
}
