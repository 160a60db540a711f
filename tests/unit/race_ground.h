/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race_ground: virtual time and simulated servers for test_race.c. prepare() and clean_up() surround each
 * test, which sets the peers' behaviour, calls run(), and checks winner(), verdict(), explains().
 */
#ifndef MAILBOAT_TESTS_UNIT_RACE_GROUND_H
#define MAILBOAT_TESTS_UNIT_RACE_GROUND_H

#include <stdio.h>

#include "core/port/port_facts.h"
#include "core/port/race.h"
#include "unit.h"

enum behaviour {
    WORKS,
    SILENT,
    REFUSES,
    MUTE /* connects and says nothing */,
    NO_STARTTLS,
    MASKED /* XXXXXXXA */,
    TAKES_STARTTLS_BACK,
    BAD_CERTIFICATE,
    NO_AUTH,
    IS_WEB,
    WEB_WAITS /* for us to speak */,
    BUSY /* 421 */,
    UNWILLING /* 554 */,
    NEVER_ENDS /* its greeting */,
    CLEAR_FIRST,
    TLS_FIRST,
    /* not in the weather: */
    REFUSES_STARTTLS /* 454 */,
    GARBLES_STARTTLS
};

/* One server a port, with its delay for each step. */
struct race_peer {
    enum behaviour behaviour;
    uint64_t delay_ms;
};

struct race_ground {
    struct race race;
    struct race_options options;
    struct race_peer peers[RACE_PORTS_MAX];
    /* 0 nothing, 1 connected, 2 TLS done, 3 speak */
    struct {
        uint64_t at_ms;
        int what;
    } due[RACE_ATTEMPTS_MAX];
    struct buffer says[RACE_ATTEMPTS_MAX], heard[RACE_ATTEMPTS_MAX];
    bool secured[RACE_ATTEMPTS_MAX], closed[RACE_ATTEMPTS_MAX];
    uint64_t now_ms;
    unsigned lost_per_mille; /* packets; delay_ms is then the round trip */
    int won;                 /* -1: over, -2: still running */
};

static struct race_ground g;

static uint32_t dice_state;
static inline unsigned dice(unsigned sides)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 16) % sides;
}

static struct race_peer *peer_of(size_t attempt)
{
    return &g.peers[g.race.attempts[attempt].port - g.race.options.ports];
}

/* Until what was lost is sent again (RFC 6298 2.1, 2.2), each time twice as long. The last packet of a
 * connection is sent again when the server repeats its part of it. */
static uint64_t resent_after_ms(size_t attempt, int what)
{
    uint64_t trip_ms = peer_of(attempt)->delay_ms, after_ms = 0;
    bool is_greeting = what == 3 && !g.race.attempts[attempt].heard;
    for (int packet = 0; packet < 2; packet++) {
        uint64_t resend_ms = trip_ms + (2 * trip_ms > 200 ? 2 * trip_ms : 200);
        if (what == 1 || (is_greeting && packet == 0))
            resend_ms = 1000;
        for (; dice(1000) < g.lost_per_mille; resend_ms *= 2)
            after_ms += resend_ms;
    }
    return after_ms;
}

static void later(size_t attempt, int what)
{
    g.due[attempt].at_ms = g.now_ms + peer_of(attempt)->delay_ms + resent_after_ms(attempt, what);
    g.due[attempt].what = what;
}

static void say(size_t attempt, const char *text)
{
    buffer_add_text(&g.says[attempt], text);
    later(attempt, 3);
}

static void hear(size_t attempt, struct bytes line)
{
    enum behaviour b = peer_of(attempt)->behaviour;
    bool first = !g.secured[attempt];
    buffer_add(&g.heard[attempt], line);
    if (bytes_starts_nocase(line, "EHLO"))
        say(attempt, first && b == NO_STARTTLS ? "250-x\r\n250 SIZE\r\n"
                     : first && b == MASKED    ? "250-x\r\n250 XXXXXXXA\r\n"
                     : first && b != TLS_FIRST ? "250-x\r\n250 STARTTLS\r\n"
                     : b == NO_AUTH            ? "250 x\r\n"
                                               : "250-x\r\n250 AUTH PLAIN LOGIN\r\n");
    else if (bytes_starts_nocase(line, "STARTTLS"))
        say(attempt, b == TAKES_STARTTLS_BACK ? "500 what?\r\n"
                     : b == REFUSES_STARTTLS  ? "454 4.7.0 not today\r\n"
                     : b == GARBLES_STARTTLS  ? "#### ####\r\n"
                                              : "220 go\r\n");
    else if (bytes_starts_nocase(line, "AUTH"))
        say(attempt, "235 welcome\r\n");
}

static void act(const struct race_action *action)
{
    size_t i = action->attempt;
    switch (action->kind) {
    case RACE_CONNECT:
        if (peer_of(i)->behaviour == REFUSES)
            race_lost(&g.race, i, LOSS_REFUSED, BYTES("Connection refused"), g.now_ms);
        else if (peer_of(i)->behaviour != SILENT)
            later(i, 1);
        break;
    case RACE_HANDSHAKE:
        if (peer_of(i)->behaviour == WEB_WAITS ||
            (peer_of(i)->behaviour == CLEAR_FIRST && g.race.attempts[i].tls == CLIENT_TLS_IMPLICIT))
            race_lost(&g.race, i, LOSS_TLS_MISMATCH, BYTES("clear"), g.now_ms);
        else if (peer_of(i)->behaviour != MUTE)
            later(i, 2);
        break;
    case RACE_SEND: hear(i, action->bytes); break;
    case RACE_CLOSE: g.closed[i] = true; break;
    case RACE_WON: g.won = (int)i; break;
    case RACE_OVER: g.won = -1; break;
    case RACE_NOTHING: break;
    }
}

static void greet(size_t i)
{
    enum behaviour b = peer_of(i)->behaviour;
    if (b == MUTE || b == WEB_WAITS || (b == TLS_FIRST && g.race.attempts[i].tls != CLIENT_TLS_IMPLICIT))
        return;
    say(i, b == NEVER_ENDS  ? "220-wait\r\n"
           : b == UNWILLING ? "554 5.7.1 go away\r\n"
           : b == IS_WEB    ? "HTTP/1.1 400 Bad Request\r\n"
           : b == BUSY      ? "421 4.3.2 too busy\r\n"
                            : "220 mail\r\n");
}

static void happen(size_t i)
{
    int what = g.due[i].what;
    g.due[i].what = 0;
    if (what == 1) {
        race_connected(&g.race, i, g.now_ms);
        if (g.race.attempts[i].tls != CLIENT_TLS_IMPLICIT)
            greet(i);
    } else if (what == 2) {
        g.secured[i] = true;
        race_tls_done(&g.race, i,
                      peer_of(i)->behaviour == BAD_CERTIFICATE ? PORT_CERTIFICATE_OTHER_NAME : PORT_OPEN,
                      BYTES("other.example"), g.now_ms);
        if (g.race.attempts[i].tls == CLIENT_TLS_IMPLICIT)
            greet(i);
    } else {
        struct bytes text = buffer_bytes(&g.says[i]);
        buffer_consume(&g.says[i], race_feed(&g.race, i, text, g.now_ms));
    }
}

static void pull(void)
{
    struct race_action action;
    while (race_action(&g.race, g.now_ms, &action))
        act(&action);
}

/* Runs to the decision; returns the time it took. */
static uint64_t run(void)
{
    uint64_t started_ms = g.now_ms;
    race_start(&g.race, &g.options, g.now_ms);
    for (pull(); g.won == -2; pull()) {
        uint64_t next_ms = race_next_ms(&g.race, g.now_ms);
        for (size_t i = 0; i < g.race.attempt_count; i++)
            if (g.due[i].what != 0 && g.due[i].at_ms < next_ms)
                next_ms = g.due[i].at_ms;
        assert_true(next_ms >= g.now_ms && next_ms < g.now_ms + 60 * 1000);
        g.now_ms = next_ms;
        for (size_t i = 0; i < g.race.attempt_count; i++)
            if (g.due[i].what != 0 && g.due[i].at_ms <= g.now_ms)
                happen(i);
        race_time(&g.race, g.now_ms);
    }
    return g.now_ms - started_ms;
}

static int prepare(void **state)
{
    g = (struct race_ground){.now_ms = 5000, .won = -2};
    g.options = (struct race_options){
        .ports = {{587, CLIENT_TLS_REQUIRED}, {2525, CLIENT_TLS_REQUIRED}, {465, CLIENT_TLS_IMPLICIT}},
        .port_count = 3,
        .addresses = {{{192, 0, 2, 1}, false}},
        .address_count = 1,
        .helo = BYTES("me.example"),
        .needs_auth = true};
    for (size_t i = 0; i < RACE_PORTS_MAX; i++)
        g.peers[i].delay_ms = 10;
    return 0;
}

static int clean_up(void **state)
{
    race_free(&g.race);
    for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
        buffer_free(&g.says[i]);
        buffer_free(&g.heard[i]);
    }
    return 0;
}

static inline unsigned winner(void)
{
    return g.won < 0 ? 0 : g.race.attempts[g.won].port->port;
}

static inline enum port_verdict verdict(uint16_t port)
{
    return race_verdict(&g.race, port)->verdict;
}

static inline bool heard_anywhere(const char *words)
{
    for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++)
        if (bytes_search(buffer_bytes(&g.heard[i]), bytes_of_text(words)) != SIZE_MAX)
            return true;
    return false;
}

static inline bool explains(const char *words)
{
    struct buffer text = {0};
    race_explain(&g.race, &text);
    bool found = bytes_search(buffer_bytes(&text), bytes_of_text(words)) != SIZE_MAX;
    if (!found)
        print_error("it says: %s\n", buffer_text(&text));
    buffer_free(&text);
    return found;
}

#endif
