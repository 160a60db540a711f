/* SPDX-License-Identifier: Apache-2.0 */
/* The race for a working port, in virtual time, against simulated servers. */
#include "race_ground.h"

/* ---- the races ---- */

static void the_first_choice_wins_when_it_works(void **state)
{
    assert_true(run() < 100);
    assert_int_equal(winner(), 587);
    assert_int_equal(verdict(2525), PORT_UNTRIED); /* not even tried */
    assert_true(explains("port 587 selected") && explains("first choice"));
}

static void a_blocked_port_costs_a_quarter_of_a_second(void **state)
{
    g.peers[0].behaviour = SILENT;
    uint64_t took_ms = run();
    assert_int_equal(winner(), 2525);
    assert_true(took_ms >= RACE_STAGGER_MS && took_ms < RACE_STAGGER_MS + 100);
    assert_true(g.closed[0] && explains("587: no answer in"));
}

static void a_refusal_costs_nothing(void **state)
{
    g.peers[0].behaviour = REFUSES;
    g.peers[1].behaviour = REFUSES;
    assert_true(run() < 100);
    assert_int_equal(winner(), 465);
    assert_int_equal(verdict(587), PORT_REFUSED);
}

static void a_better_port_that_is_nearly_there_gets_a_grace(void **state)
{
    g.peers[0].delay_ms = 75; /* six steps: 450 ms; 2525 is ready at about 310 */
    g.peers[1].delay_ms = 10;
    run();
    assert_int_equal(winner(), 587);
}

static void the_grace_ends(void **state)
{
    static const enum behaviour behaviours[] = {MUTE, NEVER_ENDS};
    for (size_t i = 0; i < ARRAY_LENGTH(behaviours); i++) {
        g.peers[0].behaviour = behaviours[i];
        uint64_t took_ms = run();
        assert_int_equal(winner(), 2525);
        assert_true(took_ms <= RACE_STAGGER_MS + 100 + 4 * RACE_RESEND_MIN_MS);
        assert_true(explains("587: not ready after"));
        assert_false(race_is_proven(&g.race)); /* it may be slow today */
        clean_up(state);
        prepare(state);
    }
}

/* Each octet of a greeting that never ends gains it time, up to the limit. */
static void the_grace_has_a_limit(void **state)
{
    struct race_action action;
    g.peers[0].behaviour = MUTE;
    uint64_t ready_ms = 0;
    race_start(&g.race, &g.options, g.now_ms);
    for (; g.won == -2; g.now_ms += 5) {
        while (race_action(&g.race, g.now_ms, &action))
            act(&action);
        for (size_t i = 0; i < g.race.attempt_count; i++)
            if (g.due[i].what != 0 && g.due[i].at_ms <= g.now_ms)
                happen(i);
        if (g.race.attempts[1].stage == ATTEMPT_READY && ready_ms == 0)
            ready_ms = g.now_ms;
        if (g.now_ms % 100 == 0)
            race_feed(&g.race, 0, BYTES("220-"), g.now_ms); /* the rest of a reply */
        race_time(&g.race, g.now_ms);
    }
    assert_int_equal(winner(), 2525);
    assert_in_range(g.now_ms - ready_ms, RACE_GRACE_MAX_MS, RACE_GRACE_MAX_MS + 20);
}

/* ---- lost packets ---- */

enum { LOSSES = 2000, LOST_PER_MILLE = 20 };

static void a_lost_packet_is_not_a_blocked_port(void **state)
{
    static const uint64_t trips_ms[] = {5, 50, 150, 300};
    for (size_t t = 0; t < ARRAY_LENGTH(trips_ms); t++) {
        unsigned chosen = 0, mistaken = 0;
        for (unsigned seed = 1; seed <= LOSSES; seed++) {
            prepare(state);
            dice_state = seed;
            g.lost_per_mille = LOST_PER_MILLE;
            for (size_t p = 0; p < g.options.port_count; p++)
                g.peers[p].delay_ms = trips_ms[t];
            run();
            chosen += winner() == 587;
            mistaken += winner() != 587 && race_is_proven(&g.race);
            clean_up(state);
        }
        print_message("%u ms: 587 in %u of %u, taken for blocked %u times\n", (unsigned)trips_ms[t], chosen,
                      LOSSES, mistaken);
        assert_true(chosen >= LOSSES - LOSSES / 250 && mistaken <= LOSSES / 1000);
    }
    prepare(state);
}

static void a_blocked_port_costs_one_stagger_whatever_the_round_trip(void **state)
{
    static const uint64_t trips_ms[] = {1, 50, 150, 300};
    for (size_t t = 0; t < ARRAY_LENGTH(trips_ms); t++) {
        prepare(state);
        for (size_t p = 0; p < g.options.port_count; p++)
            g.peers[p].delay_ms = trips_ms[t];
        uint64_t open_ms = run();
        clean_up(state);
        prepare(state);
        for (size_t p = 0; p < g.options.port_count; p++)
            g.peers[p].delay_ms = trips_ms[t];
        g.peers[0].behaviour = SILENT;
        uint64_t took_ms = run();
        assert_int_equal(winner(), 2525);
        assert_true(took_ms <= open_ms + RACE_STAGGER_MS + RACE_KNOCK_MARGIN_MS + trips_ms[t] / 2);
        assert_true(race_is_proven(&g.race) && race_verdict(&g.race, 587)->knocks >= 2);
        clean_up(state);
    }
    prepare(state);
}

static void a_long_round_trip_that_is_known_needs_no_other_port(void **state)
{
    for (unsigned known = 0; known < 2; known++) {
        prepare(state);
        g.peers[0].delay_ms = g.peers[1].delay_ms = 300;
        g.options.round_trip_ms = known ? 300 : 0;
        run();
        assert_int_equal(winner(), 587);
        assert_int_equal(g.race.attempts[1].stage == ATTEMPT_WAITING, known);
        assert_int_equal(g.race.again_count > 0, !known);
        clean_up(state);
    }
    prepare(state);
}

static void knocks_are_limited(void **state)
{
    g.options.address_count = RACE_ADDRESSES_MAX;
    for (size_t a = 0; a < RACE_ADDRESSES_MAX; a++)
        g.options.addresses[a] = (struct route_address){{192, 0, 2, (uint8_t)(a + 1)}, false};
    for (size_t p = 0; p < g.options.port_count; p++)
        g.peers[p].behaviour = SILENT;
    run();
    assert_int_equal(g.won, -1);
    assert_int_equal(verdict(587), PORT_FILTERED);
    assert_int_equal(g.race.again_count, RACE_AGAIN_MAX);
    for (size_t i = 0; i < g.race.planned; i++)
        assert_true(g.race.attempts[i].knocks <= RACE_KNOCKS_MAX);
}

static void nobody_signs_in_before_there_is_a_winner(void **state)
{
    g.peers[0].delay_ms = 100;
    run();
    assert_false(heard_anywhere("AUTH ") || heard_anywhere("MAIL"));
    struct race_attempt *won = &g.race.attempts[g.won];
    struct client_action action;
    client_session_sign_in(&won->session, BYTES("ada"), BYTES("secret"), bytes_none());
    assert_true(client_session_action(&won->session, &action) && action.kind == CLIENT_SEND &&
                bytes_starts_nocase(action.bytes, "AUTH PLAIN "));
    assert_int_equal(client_session_feed(&won->session, BYTES("235 2.7.0 ok\r\n")), 14);
    assert_true(client_session_action(&won->session, &action) && action.kind == CLIENT_READY);
}

static void every_mechanism_that_we_have_makes_a_port_usable(void **state)
{
    static const uint32_t by_password[] = {MECHANISM_PLAIN, MECHANISM_LOGIN, MECHANISM_SCRAM_SHA_256,
                                           MECHANISM_SCRAM_SHA_256_PLUS},
                          by_token[] = {MECHANISM_XOAUTH2, MECHANISM_OAUTHBEARER};
    for (size_t i = 0; i < ARRAY_LENGTH(by_password); i++)
        assert_true(client_can_sign_in(by_password[i], false) && !client_can_sign_in(by_password[i], true));
    for (size_t i = 0; i < ARRAY_LENGTH(by_token); i++)
        assert_true(client_can_sign_in(by_token[i], true) && !client_can_sign_in(by_token[i], false));
    assert_false(client_can_sign_in(0, false) || client_can_sign_in(0, true));
}

static void each_trouble_has_its_verdict(void **state)
{
    static const struct {
        enum behaviour behaviour;
        enum port_verdict verdict;
    } table[] = {{REFUSES, PORT_REFUSED},
                 {SILENT, PORT_FILTERED},
                 {MUTE, PORT_SILENT},
                 {NO_STARTTLS, PORT_NO_TLS},
                 {BAD_CERTIFICATE, PORT_CERTIFICATE_OTHER_NAME},
                 {MASKED, PORT_STRIPPED},
                 {TAKES_STARTTLS_BACK, PORT_STRIPPED},
                 {REFUSES_STARTTLS, PORT_STARTTLS_REFUSED},
                 {GARBLES_STARTTLS, PORT_STRIPPED},
                 {NO_AUTH, PORT_NO_AUTH},
                 {IS_WEB, PORT_PORTAL},
                 {WEB_WAITS, PORT_PORTAL},
                 {BUSY, PORT_LATER},
                 {UNWILLING, PORT_UNWILLING},
                 {NEVER_ENDS, PORT_SLOW}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        prepare(state);
        g.options.port_count = 1;
        g.peers[0].behaviour = table[i].behaviour;
        uint64_t took_ms = run();
        assert_int_equal(g.won, -1);
        assert_int_equal(verdict(587), table[i].verdict);
        assert_true(took_ms <= RACE_STEP_MS + RACE_CONNECT_MS);
        assert_true(explains(port_verdict_sentence(table[i].verdict)));
        clean_up(state);
    }
}

static void starttls_that_is_refused_is_told_with_the_servers_words(void **state)
{
    g.options.port_count = 1;
    g.peers[0].behaviour = REFUSES_STARTTLS;
    run();
    assert_true(explains("the server offers STARTTLS and then refuses it (454 4.7.0 not today)"));
    assert_true(race_is_for_later(&g.race));
}

static void who_still_listens_hears_quit(void **state)
{
    static const struct {
        enum behaviour behaviour;
        bool may_quit;
    } table[] = {{NO_STARTTLS, true},       {MASKED, true},          {TAKES_STARTTLS_BACK, true},
                 {REFUSES_STARTTLS, true},  {BAD_CERTIFICATE, true}, {NO_AUTH, true},
                 {UNWILLING, true},         {BUSY, false},           {IS_WEB, false},
                 {GARBLES_STARTTLS, false}, {MUTE, false},           {NEVER_ENDS, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        prepare(state);
        g.options.port_count = 1;
        g.peers[0].behaviour = table[i].behaviour;
        run();
        if (race_verdict(&g.race, 587)->may_quit != table[i].may_quit)
            print_error("behaviour %d\n", (int)table[i].behaviour);
        assert_int_equal(race_verdict(&g.race, 587)->may_quit, table[i].may_quit);
        clean_up(state);
    }
    prepare(state);
}

static void without_a_name_each_connection_has_its_own(void **state)
{
    struct race_action action;
    g.options.helo = bytes_none();
    g.options.port_count = 1;
    race_start(&g.race, &g.options, g.now_ms);
    pull();
    race_greet_as(&g.race, 0, BYTES("[IPv6:2001:db8::1]"));
    race_connected(&g.race, 0, g.now_ms);
    race_feed(&g.race, 0, BYTES("220 mx\r\n"), g.now_ms);
    assert_true(race_action(&g.race, g.now_ms, &action) && action.kind == RACE_SEND);
    assert_true(bytes_is(action.bytes, "EHLO [IPv6:2001:db8::1]\r\n"));
}

static void a_port_with_tls_the_other_way_round_works_too(void **state)
{
    g.options.port_count = 1;
    g.peers[0].behaviour = TLS_FIRST;
    uint64_t took_ms = run();
    assert_int_equal(winner(), 587);
    assert_true(g.race.attempts[g.won].tls_mismatch && g.race.attempts[g.won].tls == CLIENT_TLS_IMPLICIT);
    assert_true(took_ms < RACE_TLS_MISMATCH_MS + 100);
    assert_true(explains("note: it uses implicit TLS there, contrary to convention"));
    clean_up(state);
    prepare(state);
    g.options.port_count = 1;
    g.options.ports[0] = g.options.ports[2];
    g.peers[0].behaviour = CLEAR_FIRST;
    assert_true(run() < 100); /* it says so at once */
    assert_int_equal(winner(), 465);
    assert_true(g.race.attempts[g.won].secured &&
                explains("note: it uses STARTTLS there, contrary to convention"));
}

static void the_usual_way_is_better_than_the_other(void **state)
{
    g.peers[0].behaviour = TLS_FIRST;
    assert_true(run() < RACE_STAGGER_MS + 3 * RACE_RESEND_MIN_MS);
    assert_int_equal(winner(), 2525);
}

static void one_port_tells_of_another(void **state)
{
    g.options.examine = true;
    g.peers[0].behaviour = BAD_CERTIFICATE; /* and the others show the server's own */
    g.peers[1].behaviour = NO_STARTTLS;
    run();
    assert_int_equal(verdict(587), PORT_IMPOSTOR);
    assert_int_equal(verdict(2525), PORT_STRIPPED);
    assert_int_equal(verdict(465), PORT_OPEN);
}

static void a_server_without_any_tls_is_not_called_stripped(void **state)
{
    g.options.examine = true;
    g.peers[0].behaviour = g.peers[1].behaviour = NO_STARTTLS;
    run();
    assert_int_equal(verdict(587), PORT_NO_TLS);
}

static void the_whole_ends_at_its_deadline(void **state)
{
    g.options.deadline_ms = 1500;
    for (size_t i = 0; i < 3; i++)
        g.peers[i].behaviour = MUTE;
    assert_int_equal(run(), 1500);
    assert_int_equal(g.won, -1);
}

static void ipv4_wins_where_ipv6_is_silent(void **state)
{
    g.options.addresses[0] = (struct route_address){{0x20, 1, 0x0d, 0xb8, [15] = 1}, true};
    g.options.addresses[1] = (struct route_address){{192, 0, 2, 1}, false};
    g.options.address_count = 2;
    for (size_t i = 0; i < 3; i++)
        g.peers[i].delay_ms = 10;
    /* Every port of the first address is lost in silence. */
    race_start(&g.race, &g.options, g.now_ms);
    struct race_action action;
    uint64_t started_ms = g.now_ms;
    for (; g.won == -2;) {
        while (race_action(&g.race, g.now_ms, &action))
            if (!(action.kind == RACE_CONNECT && g.race.attempts[action.attempt].address->six))
                act(&action);
        if (g.won != -2)
            break;
        g.now_ms += 5;
        for (size_t i = 0; i < g.race.attempt_count; i++)
            if (g.due[i].what != 0 && g.due[i].at_ms <= g.now_ms)
                happen(i);
        race_time(&g.race, g.now_ms);
    }
    assert_int_equal(winner(), 587);
    assert_false(g.race.attempts[g.won].address->six);
    assert_true(g.now_ms - started_ms < 1000);
}

static void examining_tries_all_at_once_and_chooses_none(void **state)
{
    g.options.examine = true;
    g.peers[1].behaviour = REFUSES;
    g.peers[2].behaviour = SILENT;
    run();
    assert_int_equal(g.won, -1);
    assert_int_equal(verdict(587), PORT_OPEN);
    assert_int_equal(verdict(2525), PORT_REFUSED);
    assert_int_equal(verdict(465), PORT_FILTERED);
    assert_int_not_equal(race_verdict(&g.race, 587)->capabilities.mechanisms, 0);
}

static void when_the_ready_one_is_lost_the_race_goes_on(void **state)
{
    struct race_action action;
    g.peers[0].behaviour = NEVER_ENDS; /* connected, and far behind */
    race_start(&g.race, &g.options, g.now_ms);
    bool broken = false;
    while (g.won == -2 && g.now_ms < 5000 + 9000) {
        while (race_action(&g.race, g.now_ms, &action))
            act(&action);
        if (!broken && g.race.attempts[1].stage == ATTEMPT_READY) {
            broken = true;
            race_lost(&g.race, 1, LOSS_CLOSED, BYTES("gone"), g.now_ms);
        }
        g.now_ms += 5;
        for (size_t i = 0; i < g.race.attempt_count; i++)
            if (g.due[i].what != 0 && g.due[i].at_ms <= g.now_ms)
                happen(i);
        race_time(&g.race, g.now_ms);
    }
    assert_true(broken);
    assert_int_equal(winner(), 465);
}

/* ---- any weather ---- */

enum { WEATHERS = 5000 };

/* Returns the time from the start of an attempt until it is ready: one delay per step. */
static uint64_t ready_after_ms(size_t port)
{
    return g.peers[port].delay_ms * (g.options.ports[port].tls == CLIENT_TLS_IMPLICIT ? 4 : 6);
}

static void judge_weather(uint64_t started_ms, uint64_t took_ms)
{
    uint64_t soonest_ms = UINT64_MAX;
    for (size_t p = 0; p < g.options.port_count; p++)
        if (g.peers[p].behaviour == WORKS && p * RACE_STAGGER_MS + ready_after_ms(p) < soonest_ms)
            soonest_ms = p * RACE_STAGGER_MS + ready_after_ms(p);
    assert_true(took_ms <= RACE_DEADLINE_MS);
    if (soonest_ms != UINT64_MAX) {
        assert_true(g.won >= 0);
        assert_true(took_ms <= soonest_ms + RACE_GRACE_MAX_MS);
    }
    if (g.won < 0)
        return;
    const struct race_attempt *won = &g.race.attempts[g.won];
    assert_int_not_equal(won->port->port, 25);
    assert_true(won->secured && won->certificate == PORT_OPEN && client_session_is_ready(&won->session));
    /* none of the better ones was ready */
    for (const struct race_attempt *a = g.race.attempts; a->port < won->port; a++)
        assert_true(g.peers[a->port - g.race.options.ports].behaviour != WORKS ||
                    a->started_ms + ready_after_ms((size_t)(a->port - g.race.options.ports)) >
                        started_ms + took_ms);
}

static void in_any_weather_the_best_port_that_works_wins_in_time(void **state)
{
    static const uint64_t delays_ms[] = {1, 10, 30, 60, 120, 300};
    unsigned won = 0;
    for (unsigned seed = 1; seed <= WEATHERS; seed++) {
        prepare(state);
        dice_state = seed;
        for (size_t p = 0; p < g.options.port_count; p++)
            g.peers[p] = (struct race_peer){dice(3) == 0 ? WORKS : (enum behaviour)dice(TLS_FIRST + 1),
                                            delays_ms[dice(ARRAY_LENGTH(delays_ms))]};
        uint64_t started_ms = g.now_ms;
        judge_weather(started_ms, run());
        won += g.won >= 0;
        clean_up(state);
    }
    assert_true(won > WEATHERS / 3 && won < WEATHERS); /* the weather is of all kinds */
    prepare(state);
}

static void facts_and_words_are_there_for_all(void **state)
{
    static const uint16_t ports[] = {25, 587, 2525, 465};
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++)
        assert_true(port_facts_of(ports[i]) != NULL && port_facts_of(ports[i])->advice[0] != '\0');
    assert_null(port_facts_of(26));
    assert_int_equal(port_tls(465), CLIENT_TLS_IMPLICIT);
    assert_int_equal(port_tls(10465), CLIENT_TLS_IMPLICIT);
    assert_int_equal(port_tls(587), CLIENT_TLS_REQUIRED);
    for (int v = 0; v < PORT_VERDICTS; v++)
        assert_true(port_verdict_name((enum port_verdict)v)[0] != '\0' &&
                    port_verdict_sentence((enum port_verdict)v)[0] != '\0');
}

#define TESTED(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
/* 443 behind the others. */
static void with_last_resort(void)
{
    g.options.ports[3] = (struct race_port){PORT_LAST_RESORT, CLIENT_TLS_IMPLICIT};
    g.options.port_count = 4;
    g.options.last_resort = PORT_LAST_RESORT;
}

static void the_last_resort_wins_where_all_others_are_shut(void **state)
{
    static const enum behaviour shut[] = {SILENT, REFUSES, IS_WEB, BAD_CERTIFICATE};
    for (size_t i = 0; i < ARRAY_LENGTH(shut); i++) {
        prepare(state);
        with_last_resort();
        for (size_t k = 0; k < 3; k++)
            g.peers[k].behaviour = shut[i];
        g.peers[3].behaviour = TLS_FIRST;
        assert_true(run() < 3 * RACE_STAGGER_MS + RACE_TLS_MISMATCH_MS);
        assert_int_equal(winner(), PORT_LAST_RESORT);
        assert_true(explains("port 443 selected: 587: "));
        clean_up(state);
    }
    prepare(state);
}

static void the_last_resort_waits_while_another_port_speaks(void **state)
{
    with_last_resort();
    g.peers[0].behaviour = SILENT;
    g.peers[1].behaviour = REFUSES;
    g.peers[2].delay_ms = 200; /* it takes its time: TLS, greeting, EHLO */
    g.peers[3].behaviour = TLS_FIRST;
    assert_true(run() > 2 * RACE_STAGGER_MS);
    assert_int_equal(winner(), 465);
    assert_int_equal(verdict(PORT_LAST_RESORT), PORT_UNTRIED);
    clean_up(state);
    prepare(state);
    with_last_resort();
    for (size_t i = 0; i < 3; i++)
        g.peers[i].behaviour = MUTE; /* something on the way takes the connection, and that is all */
    g.peers[3].behaviour = TLS_FIRST;
    assert_true(run() < 3 * RACE_STAGGER_MS + RACE_TLS_MISMATCH_MS + RACE_GRACE_MAX_MS);
    assert_int_equal(winner(), PORT_LAST_RESORT);
}

static void the_last_resort_comes_behind_all_addresses_and_costs_little(void **state)
{
    with_last_resort();
    g.options.address_count = 2;
    g.options.addresses[1] = (struct route_address){{192, 0, 2, 2}, false};
    race_start(&g.race, &g.options, g.now_ms);
    for (size_t i = 0; i < g.race.planned; i++)
        assert_int_equal(g.race.attempts[i].port->port == PORT_LAST_RESORT, i >= 6);
    clean_up(state);
    prepare(state);
    with_last_resort();
    g.options.examine = true;
    g.peers[3].behaviour = SILENT;
    uint64_t took_ms = run();
    assert_true(took_ms <= RACE_LAST_CONNECT_MS + 100); /* the others have long been seen */
    assert_int_equal(verdict(PORT_LAST_RESORT), PORT_FILTERED);
}

static void what_won_as_the_last_resort_goes_first_the_next_time(void **state)
{
    with_last_resort();
    struct race_port first = g.options.ports[0];
    g.options.ports[0] = g.options.ports[3];
    g.options.ports[3] = first;
    g.peers[0].behaviour = TLS_FIRST;
    assert_true(run() < 100);
    assert_int_equal(winner(), PORT_LAST_RESORT);
}

static void a_web_server_is_no_last_resort(void **state)
{
    with_last_resort();
    for (size_t i = 0; i < 3; i++)
        g.peers[i].behaviour = REFUSES;
    g.peers[3].behaviour = SILENT;
    race_start(&g.race, &g.options, g.now_ms);
    pull();
    race_connected(&g.race, 3, g.now_ms);
    race_lost(&g.race, 3, LOSS_NOT_SMTP, BYTES("a web server"), g.now_ms); /* it did not agree to smtp */
    pull();
    assert_int_equal(g.won, -1);
    assert_int_equal(verdict(PORT_LAST_RESORT), PORT_NOT_SMTP);
    assert_int_equal(g.race.attempt_count, 4); /* and nobody tries STARTTLS there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(the_last_resort_wins_where_all_others_are_shut),
        TESTED(the_last_resort_waits_while_another_port_speaks),
        TESTED(the_last_resort_comes_behind_all_addresses_and_costs_little),
        TESTED(what_won_as_the_last_resort_goes_first_the_next_time),
        TESTED(a_web_server_is_no_last_resort),
        TESTED(the_first_choice_wins_when_it_works),
        TESTED(a_blocked_port_costs_a_quarter_of_a_second),
        TESTED(a_refusal_costs_nothing),
        TESTED(a_better_port_that_is_nearly_there_gets_a_grace),
        TESTED(the_grace_ends),
        TESTED(the_grace_has_a_limit),
        TESTED(a_lost_packet_is_not_a_blocked_port),
        TESTED(a_blocked_port_costs_one_stagger_whatever_the_round_trip),
        TESTED(a_long_round_trip_that_is_known_needs_no_other_port),
        TESTED(knocks_are_limited),
        TESTED(nobody_signs_in_before_there_is_a_winner),
        TESTED(every_mechanism_that_we_have_makes_a_port_usable),
        TESTED(each_trouble_has_its_verdict),
        TESTED(the_whole_ends_at_its_deadline),
        TESTED(starttls_that_is_refused_is_told_with_the_servers_words),
        TESTED(who_still_listens_hears_quit),
        TESTED(without_a_name_each_connection_has_its_own),
        TESTED(ipv4_wins_where_ipv6_is_silent),
        TESTED(a_port_with_tls_the_other_way_round_works_too),
        TESTED(the_usual_way_is_better_than_the_other),
        TESTED(one_port_tells_of_another),
        TESTED(a_server_without_any_tls_is_not_called_stripped),
        TESTED(examining_tries_all_at_once_and_chooses_none),
        TESTED(when_the_ready_one_is_lost_the_race_goes_on),
        TESTED(in_any_weather_the_best_port_that_works_wins_in_time),
        cmocka_unit_test(facts_and_words_are_there_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
