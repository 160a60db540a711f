/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/port_connect.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>

#include "core/route/tls_fallback.h"
#include "io/clock.h"
#include "io/conn_evidence.h"

static void run(struct port_connect *port_connect);

/* ---- what holds ---- */

static bool port_connect_is_sound(const struct port_connect *port_connect)
{
    // clang-format off
    static const struct {
        bool decided, may_have_race, must_have_race;
    } held[] = {
        [PORT_CONNECT_CLOSED]    = {.decided = false, .may_have_race = false},
        [PORT_CONNECT_RESOLVING] = {.decided = false, .may_have_race = false},
        [PORT_CONNECT_RACING]    = {.decided = false, .may_have_race = true, .must_have_race = true},
        [PORT_CONNECT_DECIDED]   = {.decided = true,  .may_have_race = true},
    };
    // clang-format on
    const enum port_connect_stage stage = port_connect->stage;
    const enum port_connect_outcome outcome = port_connect->outcome;
    if ((size_t)stage >= ARRAY_LENGTH(held))
        return false;
    if (stage != PORT_CONNECT_CLOSED && held[stage].decided != (outcome != PORT_CONNECT_IN_PROGRESS))
        return false;
    if (port_connect->has_race ? !held[stage].may_have_race : held[stage].must_have_race)
        return false;
    if (stage == PORT_CONNECT_DECIDED && port_connect->has_race == (outcome == PORT_CONNECT_UNRESOLVED))
        return false;
    return stage == PORT_CONNECT_CLOSED || (port_connect->line != NULL) == (outcome == PORT_CONNECT_WON);
}

/* ---- connections ---- */

static bool is_line(const struct port_connect_line *line)
{
    return line->port_connect->line == line;
}

static void take_evidence(struct port_connect_line *line)
{
    conn_evidence_take(&line->conn, line->port_connect->options.host, &line->evidence);
}

static void feed(struct port_connect_line *line)
{
    struct port_connect *port_connect = line->port_connect;
    size_t used;
    while (line->open && port_connect->line == NULL &&
           (used = race_feed(&port_connect->race, line->attempt, conn_input(&line->conn), clock_now_ms())) >
               0) {
        conn_consume(&line->conn, used);
        run(port_connect);
    }
    if (port_connect->line == NULL)
        run(port_connect); /* the first octets can decide, before a complete reply */
}

/* RFC 5321 4.1.3: who has no name says "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
static void greet_by_address(struct port_connect_line *line)
{
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    char text[48];
    struct sockaddr *address = (void *)&own;
    if (getsockname(line->conn.descriptor, address, &length) != 0)
        return;
    bool six = own.ss_family == AF_INET6 &&
               !IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)(void *)&own)->sin6_addr);
    struct bytes written = conn_address_text(address, text, sizeof text);
    snprintf(line->helo, sizeof line->helo, "[%s%.*s]", six ? "IPv6:" : "", BYTES_ARG(written));
    race_greet_as(&line->port_connect->race, line->attempt, bytes_of_text(line->helo));
}

static void on_connected(void *owner)
{
    struct port_connect_line *line = owner;
    if (line->port_connect->options.helo.length == 0)
        greet_by_address(line);
    race_connected(&line->port_connect->race, line->attempt, clock_now_ms());
    run(line->port_connect);
}

static void on_input(void *owner)
{
    struct port_connect_line *line = owner;
    if (is_line(line))
        line->port_connect->events->on_line(line->port_connect->owner);
    else
        feed(line);
}

static void on_drained(void *owner)
{
    struct port_connect_line *line = owner;
    if (is_line(line))
        line->port_connect->events->on_line(line->port_connect->owner);
}

static void on_tls(void *owner)
{
    static const enum port_verdict verdicts[] = {
        [TLS_CERTIFICATE_VALID] = PORT_OPEN,
        [TLS_CERTIFICATE_EXPIRED] = PORT_CERTIFICATE_EXPIRED,
        [TLS_CERTIFICATE_NOT_YET_VALID] = PORT_CERTIFICATE,
        [TLS_CERTIFICATE_OTHER_NAME] = PORT_CERTIFICATE_OTHER_NAME,
        [TLS_CERTIFICATE_SELF_SIGNED] = PORT_CERTIFICATE_SELF_SIGNED,
        [TLS_CERTIFICATE_UNKNOWN_ISSUER] = PORT_CERTIFICATE_UNKNOWN_ISSUER,
        [TLS_CERTIFICATE_INVALID] = PORT_CERTIFICATE,
        [TLS_CERTIFICATE_NONE] = PORT_CERTIFICATE};
    struct port_connect_line *line = owner;
    char said[160];
    take_evidence(line);
    enum tls_certificate certificate = conn_tls_certificate(&line->conn);
    const struct race_port *port = line->port_connect->race.attempts[line->attempt].port;
    if (port->port == line->port_connect->options.last_resort && !conn_tls_speaks(&line->conn, "smtp")) {
        race_lost(&line->port_connect->race, line->attempt, LOSS_NOT_SMTP,
                  BYTES("a web server that does not accept mail"), clock_now_ms());
        run(line->port_connect);
        return;
    }
    conn_tls_text(&line->conn, line->tls_text, sizeof line->tls_text);
    snprintf(line->certificate, sizeof line->certificate, "%s", tls_certificate_name(certificate));
    race_tls_done(&line->port_connect->race, line->attempt, verdicts[certificate],
                  conn_tls_certificate_text(&line->conn, said, sizeof said), clock_now_ms());
    run(line->port_connect);
}

static void on_end(void *owner, enum conn_end end)
{
    static const enum race_loss losses[] = {
        [CONN_END_CLOSED] = LOSS_CLOSED,    [CONN_END_RESET] = LOSS_CLOSED,
        [CONN_END_TIMEOUT] = LOSS_TIMEOUT,  [CONN_END_TLS] = LOSS_TLS,
        [CONN_END_REFUSED] = LOSS_REFUSED,  [CONN_END_UNREACHABLE] = LOSS_UNREACHABLE,
        [CONN_END_OTHER] = LOSS_UNREACHABLE};
    struct port_connect_line *line = owner;
    struct port_connect *port_connect = line->port_connect;
    char why[sizeof line->conn.why];
    take_evidence(line);
    snprintf(why, sizeof why, "%s", line->conn.why[0] != '\0' ? line->conn.why : "the connection ended");
    if (!is_line(line))
        feed(line); /* input received before */
    if (is_line(line)) {
        port_connect->events->on_line_end(port_connect->owner, why);
        return;
    }
    if (!line->open)
        return;
    bool in_clear = end == CONN_END_TLS && conn_met_clear_text(&line->conn);
    if (in_clear)
        race_met_clear_text(&port_connect->race, line->attempt, conn_clear_text(&line->conn), clock_now_ms());
    bool by_starttls = port_connect->race.attempts[line->attempt].tls != CLIENT_TLS_IMPLICIT;
    if (in_clear && by_starttls)
        race_lost(&port_connect->race, line->attempt, LOSS_TLS, BYTES(CLEAR_TEXT_AFTER_STARTTLS),
                  clock_now_ms());
    else
        race_lost(&port_connect->race, line->attempt, in_clear ? LOSS_TLS_MISMATCH : losses[end],
                  bytes_of_text(why), clock_now_ms());
    run(port_connect);
}

static void on_timeout(void *owner)
{
    struct port_connect_line *line = owner;
    char why[80];
    if (!is_line(line))
        return;
    snprintf(why, sizeof why, "timed out during %s",
             client_step_name(client_session_step(port_connect_session(line->port_connect))));
    line->port_connect->events->on_line_end(line->port_connect->owner, why);
}

static const struct conn_events line_events = {.on_connected = on_connected,
                                               .on_input = on_input,
                                               .on_drained = on_drained,
                                               .on_tls = on_tls,
                                               .on_end = on_end,
                                               .on_timeout = on_timeout};

static void connect_attempt(struct port_connect *port_connect, size_t i)
{
    const struct race_attempt *attempt = &port_connect->race.attempts[i];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(attempt->port->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(attempt->port->port)};
    memcpy(&six.sin6_addr, attempt->address->octets, sizeof six.sin6_addr);
    memcpy(&four.sin_addr, attempt->address->octets, sizeof four.sin_addr);
    struct port_connect_line *line = &port_connect->lines[i];
    *line = (struct port_connect_line){
        .port_connect = port_connect, .attempt = i, .open = true, .conn.descriptor = -1};
    conn_connect(&line->conn, port_connect->loop,
                 attempt->address->six ? (const void *)&six : (const void *)&four,
                 attempt->address->six ? sizeof six : sizeof four, &line_events, line);
}

/* Closes, with QUIT if the server had sent its greeting. */
static void hang_up(struct port_connect_line *line)
{
    const struct race_attempt *attempt = &line->port_connect->race.attempts[line->attempt];
    bool greeted = attempt->may_quit || (attempt->verdict <= PORT_OPEN && attempt->step > STEP_GREETING &&
                                         (attempt->step != STEP_TLS || attempt->secured));
    if (greeted) {
        conn_write(&line->conn, BYTES("QUIT\r\n"));
        conn_flush(&line->conn);
    }
    take_evidence(line);
    line->open = false;
    conn_close(&line->conn);
}

/* Plain text after the reply to STARTTLS was injected (RFC 3207 6). */
static void shake_hands(struct port_connect_line *line)
{
    struct port_connect *port_connect = line->port_connect;
    const struct race_attempt *attempt = &port_connect->race.attempts[line->attempt];
    if (conn_input(&line->conn).length > 0)
        race_lost(&port_connect->race, line->attempt, LOSS_TLS, BYTES(CLEAR_TEXT_AFTER_STARTTLS),
                  clock_now_ms());
    else
        conn_start_tls_peer(
            &line->conn, port_connect->tls,
            &(struct conn_peer){.name = port_connect->options.host,
                                .protocol = attempt->port->port == PORT_LAST_RESORT ? "smtp" : NULL});
}

/* ---- the race ---- */

static void decide(struct port_connect *port_connect, enum port_connect_outcome outcome)
{
    port_connect->outcome = outcome;
    port_connect->stage = PORT_CONNECT_DECIDED;
    timer_cancel(&port_connect->timer);
    if (outcome == PORT_CONNECT_WON)
        port_connect->line = &port_connect->lines[port_connect->race.winner];
    assert(port_connect_is_sound(port_connect));
    port_connect->events->on_decided(port_connect->owner);
}

static void act(struct port_connect *port_connect, const struct race_action *action)
{
    struct port_connect_line *line = &port_connect->lines[action->attempt];
    switch (action->kind) {
    case RACE_CONNECT: connect_attempt(port_connect, action->attempt); break;
    case RACE_SEND: conn_write(&line->conn, action->bytes); break;
    case RACE_HANDSHAKE: shake_hands(line); break;
    case RACE_CLOSE:
        if (line->open)
            hang_up(line);
        break;
    case RACE_WON: decide(port_connect, PORT_CONNECT_WON); break;
    case RACE_OVER: decide(port_connect, PORT_CONNECT_OVER); break;
    case RACE_NOTHING: break;
    }
}

static void run(struct port_connect *port_connect)
{
    struct race_action action;
    assert(port_connect_is_sound(port_connect));
    while (port_connect->stage == PORT_CONNECT_RACING &&
           race_action(&port_connect->race, clock_now_ms(), &action))
        act(port_connect, &action);
    if (port_connect->stage != PORT_CONNECT_RACING)
        return;
    uint64_t now_ms = clock_now_ms(), next_ms = race_next_ms(&port_connect->race, now_ms);
    timer_set(&port_connect->timer, next_ms > now_ms ? next_ms - now_ms : 0);
    if (port_connect->events->on_progress != NULL)
        port_connect->events->on_progress(port_connect->owner);
}

static void on_time(void *owner)
{
    struct port_connect *port_connect = owner;
    race_time(&port_connect->race, clock_now_ms());
    run(port_connect);
}

static void on_resolved(void *owner)
{
    struct port_connect *port_connect = owner;
    uint64_t now_ms = clock_now_ms(), spent_ms = now_ms - port_connect->started_ms;
    assert(port_connect->stage == PORT_CONNECT_RESOLVING && port_connect_is_sound(port_connect));
    if (port_connect->lookup.address_count == 0) {
        decide(port_connect, PORT_CONNECT_UNRESOLVED);
        return;
    }
    struct race_options racing = {.port_count = port_connect->options.port_count,
                                  .helo = port_connect->options.helo,
                                  .needs_auth = port_connect->options.needs_auth,
                                  .by_token = port_connect->options.by_token,
                                  .examine = port_connect->options.examine,
                                  .remembered = port_connect->options.remembered,
                                  .last_resort = port_connect->options.last_resort,
                                  .round_trip_ms = port_connect->options.round_trip_ms,
                                  .address_count = port_connect->lookup.address_count};
    size_t most = !racing.examine                           ? HOST_LOOKUP_FIRST_MAX
                  : port_connect->options.addresses_max > 0 ? port_connect->options.addresses_max
                                                            : RACE_ADDRESSES_MAX;
    if (racing.address_count > most)
        racing.address_count = most;
    memcpy(racing.ports, port_connect->options.ports, sizeof racing.ports);
    _Static_assert((int)RACE_ADDRESSES_MAX >= (int)HOST_LOOKUP_ADDRESSES_MAX,
                   "all that were found can be examined");
    memcpy(racing.addresses, port_connect->lookup.addresses, sizeof port_connect->lookup.addresses);
    racing.deadline_ms = port_connect->options.deadline_ms > spent_ms
                             ? (uint32_t)(port_connect->options.deadline_ms - spent_ms)
                             : 1;
    port_connect->loopback = true;
    for (size_t i = 0; i < racing.address_count; i++)
        port_connect->loopback = port_connect->loopback && host_lookup_is_loopback(&racing.addresses[i]);
    /* no man in the middle is possible on loopback */
    racing.any_certificate = port_connect->loopback && !port_connect->options.own_ca;
    race_start(&port_connect->race, &racing, now_ms);
    port_connect->has_race = true;
    port_connect->stage = PORT_CONNECT_RACING;
    run(port_connect);
}

void port_connect_start(struct port_connect *port_connect, struct loop *loop, struct tls_context *tls,
                        struct dns *dns, const struct port_connect_options *options,
                        const struct port_connect_events *events, void *owner)
{
    *port_connect = (struct port_connect){.options = *options,
                                          .events = events,
                                          .owner = owner,
                                          .loop = loop,
                                          .tls = tls,
                                          .dns = dns,
                                          .started_ms = clock_now_ms()};
    if (port_connect->options.deadline_ms == 0)
        port_connect->options.deadline_ms = RACE_DEADLINE_MS;
    timer_start(&port_connect->timer, loop, on_time, port_connect);
    port_connect->stage = PORT_CONNECT_RESOLVING;
    host_lookup_start(&port_connect->lookup, loop, dns, options->host, port_connect->options.deadline_ms,
                      on_resolved, port_connect);
}

void port_connect_end(struct port_connect *port_connect)
{
    assert(port_connect_is_sound(port_connect));
    if (port_connect->stage == PORT_CONNECT_CLOSED)
        return;
    timer_cancel(&port_connect->timer);
    host_lookup_cancel(&port_connect->lookup);
    for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++)
        if (port_connect->lines[i].open && &port_connect->lines[i] != port_connect->line)
            hang_up(&port_connect->lines[i]);
    if (port_connect->line != NULL && client_session_may_quit(port_connect_session(port_connect))) {
        hang_up(port_connect->line);
    } else if (port_connect->line != NULL) {
        port_connect->line->open = false;
        conn_close(&port_connect->line->conn);
    }
    if (port_connect->has_race)
        race_free(&port_connect->race);
    port_connect->has_race = false;
    port_connect->stage = PORT_CONNECT_CLOSED;
}

const struct port_connect_line *port_connect_line_of(const struct port_connect *port_connect,
                                                     const struct race_attempt *attempt)
{
    return &port_connect->lines[attempt - port_connect->race.attempts];
}

struct client_session *port_connect_session(struct port_connect *port_connect)
{
    return &port_connect->race.attempts[port_connect->race.winner].session;
}
