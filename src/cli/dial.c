/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include "clock.h"
#include "port/facts.h"
#include "random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    OUTPUT_LOW = 64 * 1024,
    RESOLVE_MS = 5 * 1000, /* for both look-ups */
};

/* ---- what people say ---- */

static bool looks_like_ipv4(struct bytes host)
{
    for (size_t i = 0; i < host.length; i++)
        if (!ascii_is_digit(host.at[i]) && host.at[i] != '.')
            return false;
    return host.length > 0;
}

static bool explain_ipv4(struct bytes host, struct error *error)
{
    uint64_t value;
    int parts = 0;
    for (struct bytes rest = host; rest.length > 0; parts++) {
        struct bytes part = bytes_split(&rest, '.');
        if (!bytes_to_u64(part, 255, &value) && part.length > 0)
            return error_set(error, EX_DATAERR, "%.*s is not an address: %.*s is more than 255, the most that a part of an IPv4 address can be", BYTES_ARG(host), BYTES_ARG(part));
    }
    return error_set(error, EX_DATAERR, "%.*s is not an address: an IPv4 address has 4 numbers, this has %d", BYTES_ARG(host), parts);
}

bool dial_check_host(const char *text, struct error *error)
{
    struct bytes host = bytes_of_text(text);
    if (host_is_ipv4(host) || host_is_ipv6(host))
        return true;
    if (looks_like_ipv4(host))
        return explain_ipv4(host, error);
    if (bytes_find(host, ':') != SIZE_MAX)
        return error_set(error, EX_DATAERR, "%s is not an IPv6 address", text);
    return host_is_name(host, true) || error_set(error, EX_DATAERR, "%s is not the name of a host", text);
}

/* "587", "465:tls", "10587:starttls". *known: how to speak there is clear. */
static bool read_port(struct bytes text, struct race_port *port, bool *known)
{
    uint64_t number;
    struct bytes mode = text;
    struct bytes digits = bytes_split(&mode, ':');
    if (!bytes_to_u64(digits, 65535, &number) || number == 0)
        return false;
    *port = (struct race_port){(uint16_t)number, port_tls((uint16_t)number)};
    *known = mode.length > 0 || port_facts_of(port->port) != NULL;
    if (bytes_is(mode, "tls"))
        port->tls = CLIENT_TLS_IMPLICIT;
    else if (bytes_is(mode, "starttls"))
        port->tls = CLIENT_TLS_REQUIRED;
    return mode.length == 0 || bytes_is(mode, "tls") || bytes_is(mode, "starttls");
}

bool dial_ports(struct dial_options *options, const char *list, struct error *error)
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;) {
        struct bytes one = bytes_trim(bytes_split(&rest, ','));
        struct race_port port;
        bool known;
        if (!read_port(one, &port, &known))
            return error_set(error, EX_USAGE, "'%.*s' is not a port: say 587, or 587:starttls, or 465:tls", BYTES_ARG(one));
        if (options->port_count + (known ? 1 : 2) > RACE_PORTS_MAX)
            return error_set(error, EX_USAGE, "too many ports; %d are enough, and one of an unusual number counts for two", RACE_PORTS_MAX);
        options->ports[options->port_count++] = port;
        if (!known) /* both ways race; the wrong one costs a stagger */
            options->ports[options->port_count++] = (struct race_port){port.port, port.tls == CLIENT_TLS_IMPLICIT ? CLIENT_TLS_REQUIRED : CLIENT_TLS_IMPLICIT};
    }
    return options->port_count > 0 || error_set(error, EX_USAGE, "no port is named");
}

/* ---- addresses ---- */

static bool add_address(struct dial *dial, const void *octets, bool six)
{
    struct race_options *racing = &dial->racing;
    if (racing->address_count == RACE_ADDRESSES_MAX)
        return false;
    struct route_address *address = &racing->addresses[racing->address_count++];
    *address = (struct route_address){.six = six};
    memcpy(address->octets, octets, six ? 16 : 4);
    return true;
}

static bool is_loopback(const struct route_address *address)
{
    static const uint8_t six[16] = {[15] = 1};
    return address->six ? memcmp(address->octets, six, 16) == 0 : address->octets[0] == 127;
}

static void look_up(struct dial *dial, enum dns_type type);

/* IPv6 first, then in turns (RFC 8305 4): half of the room is for each. */
static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct dial *dial = owner;
    bool six = dial->looking_up == DNS_AAAA;
    size_t most = six ? RACE_ADDRESSES_MAX / 2 : RACE_ADDRESSES_MAX - dial->racing.address_count;
    for (size_t i = 0; i < answer->count && i < most; i++)
        add_address(dial, answer->records[i].address, six);
    if (dial->dns_status == DNS_UNKNOWN || answer->status != DNS_FOUND)
        dial->dns_status = answer->status;
    if (six) {
        look_up(dial, DNS_A);
        return;
    }
    dial->resolved = true;
    loop_stop(&dial->loop);
}

static void look_up(struct dial *dial, enum dns_type type)
{
    dial->looking_up = type;
    dns_ask(dial->dns, &dial->question, bytes_of_text(dial->options.host), type, on_answer, dial);
}

/* With what is known by now, or with nothing. */
static void dns_is_silent(void *owner)
{
    struct dial *dial = owner;
    dns_cancel(&dial->question);
    dial->resolved = true;
    loop_stop(&dial->loop);
}

static void interleave(struct race_options *racing)
{
    struct route_address turns[RACE_ADDRESSES_MAX];
    size_t count = 0;
    for (size_t pass = 0; pass < racing->address_count; pass++)
        for (int six = 1; six >= 0; six--) {
            size_t seen = 0;
            for (size_t i = 0; i < racing->address_count; i++)
                if (racing->addresses[i].six == (six == 1) && seen++ == pass && count < RACE_ADDRESSES_MAX)
                    turns[count++] = racing->addresses[i];
        }
    memcpy(racing->addresses, turns, count * sizeof turns[0]);
}

static bool resolve(struct dial *dial, struct error *error)
{
    const char *host = dial->options.host;
    unsigned char octets[16];
    if (inet_pton(AF_INET, host, octets) == 1)
        return add_address(dial, octets, false);
    if (inet_pton(AF_INET6, host, octets) == 1)
        return add_address(dial, octets, true);
    dial->dns = dns_open(NULL, 0, error);
    if (dial->dns == NULL || !dns_start(dial->dns, &dial->loop, error))
        return false;
    timer_start(&dial->timer, &dial->loop, dns_is_silent, dial);
    timer_set(&dial->timer, RESOLVE_MS);
    look_up(dial, DNS_AAAA);
    while (!dial->resolved)
        loop_run(&dial->loop);
    timer_cancel(&dial->timer);
    interleave(&dial->racing);
    if (dial->racing.address_count > 0)
        return true;
    if (dial->dns_status == DNS_NXDOMAIN)
        return error_set(error, EX_NOHOST, "there is no host %s: DNS says so; look at its spelling", host);
    if (dial->dns_status == DNS_NO_DATA)
        return error_set(error, EX_NOHOST, "%s has no address in DNS", host);
    return error_set(error, EX_TEMPFAIL, "dns: the address of %s could not be found out; does DNS work on this machine?", host);
}

/* ---- connections ---- */

static void run(struct dial *dial);

static void line_event(struct dial_conn *line)
{
    if (line->dial->line == line)
        loop_stop(&line->dial->loop); /* dial_next() goes on */
    else
        run(line->dial);
}

static void on_connected(void *owner)
{
    struct dial_conn *line = owner;
    race_connected(&line->dial->race, line->attempt, clock_now_ms());
    line_event(line);
}

static void feed(struct dial_conn *line)
{
    struct dial *dial = line->dial;
    size_t used;
    while (line->open && dial->line == NULL && (used = race_feed(&dial->race, line->attempt, conn_input(&line->conn), clock_now_ms())) > 0) {
        conn_consume(&line->conn, used);
        run(dial);
    }
    if (dial->line == NULL)
        run(dial); /* the first octets can decide, before there is a whole reply */
}

static void on_input(void *owner)
{
    struct dial_conn *line = owner;
    if (line->dial->line == NULL)
        feed(line);
    else
        line_event(line);
}

static void on_drained(void *owner)
{
    line_event(owner);
}

static void on_tls(void *owner)
{
    static const enum port_verdict judged[] = {
        [TLS_CERTIFICATE_VALID] = PORT_OPEN, [TLS_CERTIFICATE_EXPIRED] = PORT_CERTIFICATE_EXPIRED, [TLS_CERTIFICATE_NOT_YET_VALID] = PORT_CERTIFICATE,
        [TLS_CERTIFICATE_OTHER_NAME] = PORT_CERTIFICATE_OTHER_NAME, [TLS_CERTIFICATE_SELF_SIGNED] = PORT_CERTIFICATE_SELF_SIGNED,
        [TLS_CERTIFICATE_UNKNOWN_ISSUER] = PORT_CERTIFICATE_UNKNOWN_ISSUER, [TLS_CERTIFICATE_INVALID] = PORT_CERTIFICATE, [TLS_CERTIFICATE_NONE] = PORT_CERTIFICATE};
    struct dial_conn *line = owner;
    enum tls_certificate verdict = conn_tls_certificate(&line->conn);
    conn_tls_text(&line->conn, line->tls_text, sizeof line->tls_text);
    snprintf(line->certificate, sizeof line->certificate, "%s", tls_certificate_name(verdict));
    race_tls_done(&line->dial->race, line->attempt, judged[verdict], bytes_of_text(line->certificate), clock_now_ms());
    line_event(line);
}

static void on_end(void *owner, enum conn_end end)
{
    static const enum race_loss losses[] = {
        [CONN_END_CLOSED] = LOSS_CLOSED, [CONN_END_RESET] = LOSS_CLOSED, [CONN_END_TIMEOUT] = LOSS_TIMEOUT, [CONN_END_TLS] = LOSS_TLS,
        [CONN_END_REFUSED] = LOSS_REFUSED, [CONN_END_UNREACHABLE] = LOSS_UNREACHABLE, [CONN_END_OTHER] = LOSS_UNREACHABLE};
    struct dial_conn *line = owner;
    struct dial *dial = line->dial;
    char why[sizeof line->conn.why];
    snprintf(why, sizeof why, "%s", line->conn.why);
    feed(line); /* what it said before */
    if (dial->line == line) {
        snprintf(dial->why, sizeof dial->why, "%s", why[0] != '\0' ? why : "the connection ended");
        dial->ended = true;
        loop_stop(&dial->loop);
        return;
    }
    if (!line->open)
        return;
    bool other_way = end == CONN_END_TLS && strstr(why, "in clear") != NULL;
    race_lost(&dial->race, line->attempt, other_way ? LOSS_TLS_OTHER_WAY : losses[end], bytes_of_text(why), clock_now_ms());
    run(dial);
}

static void on_timeout(void *owner)
{
    struct dial_conn *line = owner;
    if (line->dial->line != line)
        return;
    snprintf(line->dial->why, sizeof line->dial->why, "timed out in the step %s", client_step_name(client_session_step(line->dial->session)));
    line->dial->ended = true;
    loop_stop(&line->dial->loop);
}

static const struct conn_events events = {.on_connected = on_connected, .on_input = on_input, .on_drained = on_drained, .on_tls = on_tls, .on_end = on_end, .on_timeout = on_timeout};

static void connect_attempt(struct dial *dial, size_t i)
{
    const struct race_attempt *attempt = &dial->race.attempts[i];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(attempt->port->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(attempt->port->port)};
    memcpy(&six.sin6_addr, attempt->address->octets, 16);
    memcpy(&four.sin_addr, attempt->address->octets, 4);
    struct dial_conn *line = &dial->conns[i];
    line->open = true;
    conn_connect(&line->conn, &dial->loop, attempt->address->six ? (const void *)&six : (const void *)&four, attempt->address->six ? sizeof six : sizeof four, &events, line);
}

static void hang_up(struct dial_conn *line)
{
    if (!line->open)
        return;
    line->open = false;
    conn_close(&line->conn);
}

/* A loser that was greeted is told goodbye. */
static void close_attempt(struct dial *dial, size_t i)
{
    struct dial_conn *line = &dial->conns[i];
    const struct race_attempt *attempt = &dial->race.attempts[i];
    bool greeted = attempt->verdict <= PORT_OPEN && attempt->step > STEP_GREETING && (attempt->step != STEP_TLS || attempt->secured);
    if (line->open && greeted) {
        conn_write(&line->conn, BYTES("QUIT\r\n"));
        conn_flush(&line->conn);
    }
    hang_up(line);
}

/* ---- the race ---- */

/* Clear text behind the answer to STARTTLS was put there by somebody (RFC 3207 6). */
static void shake_hands(struct dial_conn *line)
{
    struct dial *dial = line->dial;
    if (conn_input(&line->conn).length > 0)
        race_lost(&dial->race, line->attempt, LOSS_TLS, BYTES("clear text came behind STARTTLS: somebody meddles with the connection"), clock_now_ms());
    else
        conn_start_tls_client(&line->conn, &dial->tls, dial->options.host, false);
}

static void run(struct dial *dial)
{
    struct race_action action;
    while (!dial->decided && race_action(&dial->race, clock_now_ms(), &action)) {
        struct dial_conn *line = &dial->conns[action.attempt];
        switch (action.kind) {
        case RACE_CONNECT: connect_attempt(dial, action.attempt); break;
        case RACE_SEND: conn_write(&line->conn, action.bytes); break;
        case RACE_HANDSHAKE: shake_hands(line); break;
        case RACE_CLOSE: close_attempt(dial, action.attempt); break;
        case RACE_WON:
        case RACE_OVER:
            dial->decided = true;
            loop_stop(&dial->loop);
            break;
        case RACE_NOTHING: break;
        }
    }
    uint64_t now_ms = clock_now_ms(), next_ms = race_next_ms(&dial->race, now_ms);
    if (!dial->decided && next_ms != UINT64_MAX)
        timer_set(&dial->timer, next_ms - now_ms);
}

static void on_time(void *owner)
{
    struct dial *dial = owner;
    race_time(&dial->race, clock_now_ms());
    run(dial);
}

static bool prepare(struct dial *dial, struct error *error)
{
    dial->conns[RACE_ATTEMPTS_MAX].dial = dial;
    for (size_t i = 0; i <= RACE_ATTEMPTS_MAX; i++)
        dial->conns[i] = (struct dial_conn){.dial = dial, .attempt = i, .conn.descriptor = -1};
    if (gethostname(dial->hostname, sizeof dial->hostname - 1) != 0 || !host_is_name(bytes_of_text(dial->hostname), true))
        snprintf(dial->hostname, sizeof dial->hostname, "localhost");
    dial->has_loop = loop_start(&dial->loop, error);
    return dial->has_loop;
}

static struct race_options racing_of(const struct dial *dial)
{
    struct race_options racing = dial->racing;
    memcpy(racing.ports, dial->options.ports, sizeof racing.ports);
    racing.port_count = dial->options.port_count;
    racing.helo = bytes_of_text(dial->hostname);
    racing.needs_auth = dial->options.needs_auth;
    racing.examine = dial->options.examine;
    racing.deadline_ms = dial->options.deadline_ms;
    return racing;
}

static bool tell_loss(struct dial *dial, struct error *error)
{
    struct buffer words = {0};
    race_explain(&dial->race, &words);
    bool later = false; /* somebody said 4xx: it may work in a while */
    for (size_t i = 0; i < dial->race.attempt_count; i++)
        later = later || dial->race.attempts[i].code / 100 == 4;
    error_set(error, later ? EX_TEMPFAIL : EX_UNAVAILABLE, "%s: %s", dial->options.host, buffer_text(&words));
    buffer_free(&words);
    return false;
}

bool dial_race(struct dial *dial, const struct dial_options *options, struct error *error)
{
    *dial = (struct dial){.options = *options};
    if (!prepare(dial, error) || !dial_check_host(options->host, error) || !tls_client_open(&dial->tls, options->ca_file, error))
        return false;
    dial->has_tls = true;
    if (!resolve(dial, error))
        return false;
    dial->loopback = true;
    for (size_t i = 0; i < dial->racing.address_count; i++)
        dial->loopback = dial->loopback && is_loopback(&dial->racing.addresses[i]);
    /* On this machine itself nobody can stand between. */
    struct race_options racing = racing_of(dial);
    racing.any_certificate = dial->loopback && options->ca_file == NULL;
    timer_start(&dial->timer, &dial->loop, on_time, dial);
    race_start(&dial->race, &racing, clock_now_ms());
    dial->has_race = true;
    run(dial);
    while (!dial->decided)
        loop_run(&dial->loop);
    timer_cancel(&dial->timer);
    if (!dial->race.won)
        return tell_loss(dial, error);
    dial->line = &dial->conns[dial->race.winner];
    dial->session = &dial->race.attempts[dial->race.winner].session;
    return true;
}

bool dial_local(struct dial *dial, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *dial = (struct dial){.options.host = "localhost"};
    if (!prepare(dial, error))
        return false;
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
        return error_set(error, EX_CONFIG, "%s is too long for a socket", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_TEMPFAIL, "cannot reach the server on this machine at %s (is `mailboat serve` running? or name another with --host)", path);
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    evutil_make_socket_nonblocking(descriptor);
    dial->line = &dial->conns[RACE_ATTEMPTS_MAX];
    dial->line->open = true;
    conn_start(&dial->line->conn, &dial->loop, descriptor, &events, dial->line);
    struct client_options options = {.helo = bytes_of_text(dial->hostname), .tls = CLIENT_TLS_NEVER};
    client_session_start(&dial->own_session, &options);
    dial->session = &dial->own_session;
    return true;
}

/* ---- the session ---- */

void dial_next(struct dial *dial, struct client_action *action)
{
    for (;;) {
        while (client_session_action(dial->session, action)) {
            if (action->kind != CLIENT_SEND)
                return;
            conn_write(&dial->line->conn, action->bytes);
        }
        size_t used = client_session_feed(dial->session, conn_input(&dial->line->conn));
        if (used > 0) {
            conn_consume(&dial->line->conn, used);
        } else if (dial->ended) {
            client_session_failed(dial->session, client_session_step(dial->session), bytes_of_text(dial->why));
            if (!client_session_action(dial->session, action))
                *action = (struct client_action){.kind = CLIENT_CLOSE};
            return;
        } else if (!client_session_action(dial->session, action)) {
            conn_set_timeout(&dial->line->conn, client_session_timeout_ms(dial->session));
            loop_run(&dial->loop);
        } else if (action->kind != CLIENT_SEND) {
            return;
        } else {
            conn_write(&dial->line->conn, action->bytes);
        }
    }
}

void dial_drain(struct dial *dial)
{
    while (conn_unsent(&dial->line->conn) > OUTPUT_LOW && !dial->ended)
        loop_run(&dial->loop);
}

void dial_end(struct dial *dial)
{
    for (size_t i = 0; i <= RACE_ATTEMPTS_MAX; i++)
        hang_up(&dial->conns[i]);
    if (dial->has_race)
        race_free(&dial->race);
    if (dial->session == &dial->own_session)
        client_session_free(&dial->own_session);
    if (dial->dns != NULL)
        dns_close(dial->dns);
    if (dial->has_tls)
        tls_close(&dial->tls);
    if (dial->has_loop)
        loop_free(&dial->loop);
}
