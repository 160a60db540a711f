/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/port_connect.h"

#include "io/clock.h"
#include "core/route/tls_fallback.h"

#include <netinet/in.h>
#include <stdio.h>

static void run(struct dialing *dialing);

/* ---- connections ---- */

static bool is_line(const struct dialing_line *line)
{
    return line->dialing->line == line;
}

static void feed(struct dialing_line *line)
{
    struct dialing *dialing = line->dialing;
    size_t used;
    while (line->open && dialing->line == NULL && (used = race_feed(&dialing->race, line->attempt, conn_input(&line->conn), clock_now_ms())) > 0) {
        conn_consume(&line->conn, used);
        run(dialing);
    }
    if (dialing->line == NULL)
        run(dialing); /* the first octets can decide, before there is a whole reply */
}

static void on_connected(void *owner)
{
    struct dialing_line *line = owner;
    race_connected(&line->dialing->race, line->attempt, clock_now_ms());
    run(line->dialing);
}

static void on_input(void *owner)
{
    struct dialing_line *line = owner;
    if (is_line(line))
        line->dialing->events->on_line(line->dialing->owner);
    else
        feed(line);
}

static void on_drained(void *owner)
{
    struct dialing_line *line = owner;
    if (is_line(line))
        line->dialing->events->on_line(line->dialing->owner);
}

static void on_tls(void *owner)
{
    static const enum port_verdict verdicts[] = {
        [TLS_CERTIFICATE_VALID] = PORT_OPEN, [TLS_CERTIFICATE_EXPIRED] = PORT_CERTIFICATE_EXPIRED, [TLS_CERTIFICATE_NOT_YET_VALID] = PORT_CERTIFICATE,
        [TLS_CERTIFICATE_OTHER_NAME] = PORT_CERTIFICATE_OTHER_NAME, [TLS_CERTIFICATE_SELF_SIGNED] = PORT_CERTIFICATE_SELF_SIGNED,
        [TLS_CERTIFICATE_UNKNOWN_ISSUER] = PORT_CERTIFICATE_UNKNOWN_ISSUER, [TLS_CERTIFICATE_INVALID] = PORT_CERTIFICATE, [TLS_CERTIFICATE_NONE] = PORT_CERTIFICATE};
    struct dialing_line *line = owner;
    char said[160];
    enum tls_certificate certificate = conn_tls_certificate(&line->conn);
    const struct race_port *port = line->dialing->race.attempts[line->attempt].port;
    if (port->port == line->dialing->options.last_resort && !conn_tls_speaks(&line->conn, "smtp")) {
        race_lost(&line->dialing->race, line->attempt, LOSS_NOT_SMTP, BYTES("it is a web server that takes no mail"), clock_now_ms());
        run(line->dialing);
        return;
    }
    conn_tls_text(&line->conn, line->tls_text, sizeof line->tls_text);
    snprintf(line->certificate, sizeof line->certificate, "%s", tls_certificate_name(certificate));
    race_tls_done(&line->dialing->race, line->attempt, verdicts[certificate], conn_tls_certificate_text(&line->conn, said, sizeof said), clock_now_ms());
    run(line->dialing);
}

static void on_end(void *owner, enum conn_end end)
{
    static const enum race_loss losses[] = {
        [CONN_END_CLOSED] = LOSS_CLOSED, [CONN_END_RESET] = LOSS_CLOSED, [CONN_END_TIMEOUT] = LOSS_TIMEOUT, [CONN_END_TLS] = LOSS_TLS,
        [CONN_END_REFUSED] = LOSS_REFUSED, [CONN_END_UNREACHABLE] = LOSS_UNREACHABLE, [CONN_END_OTHER] = LOSS_UNREACHABLE};
    struct dialing_line *line = owner;
    struct dialing *dialing = line->dialing;
    char why[sizeof line->conn.why];
    snprintf(why, sizeof why, "%s", line->conn.why[0] != '\0' ? line->conn.why : "the connection ended");
    if (!is_line(line))
        feed(line); /* what it said before */
    if (is_line(line)) {
        dialing->events->on_line_end(dialing->owner, why);
        return;
    }
    if (!line->open)
        return;
    bool in_clear = end == CONN_END_TLS && conn_met_clear_text(&line->conn);
    bool by_starttls = dialing->race.attempts[line->attempt].tls != CLIENT_TLS_IMPLICIT;
    if (in_clear && by_starttls)
        race_lost(&dialing->race, line->attempt, LOSS_TLS, BYTES(CLEAR_TEXT_BEHIND), clock_now_ms());
    else
        race_lost(&dialing->race, line->attempt, in_clear ? LOSS_TLS_OTHER_WAY : losses[end], bytes_of_text(why),
                  clock_now_ms());
    run(dialing);
}

static void on_timeout(void *owner)
{
    struct dialing_line *line = owner;
    char why[80];
    if (!is_line(line))
        return;
    snprintf(why, sizeof why, "timed out in the step %s", client_step_name(client_session_step(dialing_session(line->dialing))));
    line->dialing->events->on_line_end(line->dialing->owner, why);
}

static const struct conn_events line_events = {
    .on_connected = on_connected, .on_input = on_input, .on_drained = on_drained, .on_tls = on_tls, .on_end = on_end, .on_timeout = on_timeout};

static void connect_attempt(struct dialing *dialing, size_t i)
{
    const struct race_attempt *attempt = &dialing->race.attempts[i];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(attempt->port->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(attempt->port->port)};
    memcpy(&six.sin6_addr, attempt->address->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, attempt->address->octets, sizeof four.sin_addr);
    struct dialing_line *line = &dialing->lines[i];
    *line = (struct dialing_line){.dialing = dialing, .attempt = i, .open = true, .conn.descriptor = -1};
    conn_connect(&line->conn, dialing->loop, attempt->address->six ? (const void *)&six : (const void *)&four, attempt->address->six ? sizeof six : sizeof four, &line_events, line);
}

/* One that was greeted is told goodbye. */
static void hang_up(struct dialing_line *line)
{
    const struct race_attempt *attempt = &line->dialing->race.attempts[line->attempt];
    bool greeted = attempt->verdict <= PORT_OPEN && attempt->step > STEP_GREETING && (attempt->step != STEP_TLS || attempt->secured);
    if (greeted) {
        conn_write(&line->conn, BYTES("QUIT\r\n"));
        conn_flush(&line->conn);
    }
    line->open = false;
    conn_close(&line->conn);
}

/* Clear text behind the answer to STARTTLS was put there by somebody (RFC 3207 6). */
static void shake_hands(struct dialing_line *line)
{
    struct dialing *dialing = line->dialing;
    const struct race_attempt *attempt = &dialing->race.attempts[line->attempt];
    if (conn_input(&line->conn).length > 0)
        race_lost(&dialing->race, line->attempt, LOSS_TLS, BYTES(CLEAR_TEXT_BEHIND), clock_now_ms());
    else
        conn_start_tls_peer(&line->conn, dialing->tls, &(struct conn_peer){.name = dialing->options.host, .protocol = attempt->port->port == RACE_LAST_PORT ? "smtp" : NULL});
}

/* ---- the race ---- */

static void decide(struct dialing *dialing, enum dialing_outcome outcome)
{
    dialing->outcome = outcome;
    timer_cancel(&dialing->timer);
    if (outcome == DIALING_WON)
        dialing->line = &dialing->lines[dialing->race.winner];
    dialing->events->on_decided(dialing->owner);
}

static void act(struct dialing *dialing, const struct race_action *action)
{
    struct dialing_line *line = &dialing->lines[action->attempt];
    switch (action->kind) {
    case RACE_CONNECT: connect_attempt(dialing, action->attempt); break;
    case RACE_SEND: conn_write(&line->conn, action->bytes); break;
    case RACE_HANDSHAKE: shake_hands(line); break;
    case RACE_CLOSE:
        if (line->open)
            hang_up(line);
        break;
    case RACE_WON: decide(dialing, DIALING_WON); break;
    case RACE_OVER: decide(dialing, DIALING_OVER); break;
    case RACE_NOTHING: break;
    }
}

static void run(struct dialing *dialing)
{
    struct race_action action;
    while (dialing->outcome == DIALING_UNDER_WAY && race_action(&dialing->race, clock_now_ms(), &action))
        act(dialing, &action);
    if (dialing->outcome != DIALING_UNDER_WAY)
        return;
    uint64_t now_ms = clock_now_ms(), next_ms = race_next_ms(&dialing->race, now_ms);
    timer_set(&dialing->timer, next_ms > now_ms ? next_ms - now_ms : 0);
    if (dialing->events->on_progress != NULL)
        dialing->events->on_progress(dialing->owner);
}

static void on_time(void *owner)
{
    struct dialing *dialing = owner;
    race_time(&dialing->race, clock_now_ms());
    run(dialing);
}

static void on_resolved(void *owner)
{
    struct dialing *dialing = owner;
    uint64_t now_ms = clock_now_ms(), spent_ms = now_ms - dialing->started_ms;
    if (dialing->resolving.address_count == 0) {
        decide(dialing, DIALING_UNRESOLVED);
        return;
    }
    struct race_options racing = {.port_count = dialing->options.port_count, .helo = dialing->options.helo, .needs_auth = dialing->options.needs_auth, .by_token = dialing->options.by_token,
                                  .examine = dialing->options.examine, .last_resort = dialing->options.last_resort, .address_count = dialing->resolving.address_count};
    memcpy(racing.ports, dialing->options.ports, sizeof racing.ports);
    memcpy(racing.addresses, dialing->resolving.addresses, sizeof racing.addresses);
    racing.deadline_ms = dialing->options.deadline_ms > spent_ms ? (uint32_t)(dialing->options.deadline_ms - spent_ms) : 1;
    dialing->loopback = true;
    for (size_t i = 0; i < racing.address_count; i++)
        dialing->loopback = dialing->loopback && route_address_is_loopback(&racing.addresses[i]);
    racing.any_certificate = dialing->loopback && !dialing->options.own_ca; /* on this machine itself nobody can stand between */
    race_start(&dialing->race, &racing, now_ms);
    dialing->has_race = true;
    run(dialing);
}

void dialing_start(struct dialing *dialing, struct loop *loop, struct tls_context *tls, struct dns *dns,
                   const struct dialing_options *options, const struct dialing_events *events, void *owner)
{
    *dialing = (struct dialing){.options = *options, .events = events, .owner = owner, .loop = loop, .tls = tls, .dns = dns, .started_ms = clock_now_ms()};
    if (dialing->options.deadline_ms == 0)
        dialing->options.deadline_ms = RACE_DEADLINE_MS;
    timer_start(&dialing->timer, loop, on_time, dialing);
    dialing->has_timer = true;
    resolving_start(&dialing->resolving, loop, dns, options->host, dialing->options.deadline_ms, on_resolved, dialing);
}

void dialing_end(struct dialing *dialing)
{
    if (!dialing->has_timer)
        return;
    timer_cancel(&dialing->timer);
    resolving_cancel(&dialing->resolving);
    for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++)
        if (dialing->lines[i].open && &dialing->lines[i] != dialing->line)
            hang_up(&dialing->lines[i]);
    if (dialing->line != NULL && client_session_is_ready(dialing_session(dialing))) {
        hang_up(dialing->line);
    } else if (dialing->line != NULL) {
        dialing->line->open = false;
        conn_close(&dialing->line->conn);
    }
    if (dialing->has_race)
        race_free(&dialing->race);
    dialing->has_timer = dialing->has_race = false;
}

const struct dialing_line *dialing_line_of(const struct dialing *dialing, const struct race_attempt *attempt)
{
    return &dialing->lines[attempt - dialing->race.attempts];
}

struct client_session *dialing_session(struct dialing *dialing)
{
    return &dialing->race.attempts[dialing->race.winner].session;
}
