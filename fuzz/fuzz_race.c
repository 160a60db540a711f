/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A race against any servers: it ends before its deadline and a step, in a
 * bounded number of moves; a winner speaks TLS with a valid certificate and
 * lets us sign in; each attempt has its verdict, in words for people.
 */
#include "choices.h"
#include "core/port/race.h"

enum { MOVES_MAX = 20000 };

struct race_world {
    struct choices choices;
    struct race race;
    struct bytes stream;
    uint64_t now_ms;
    bool won, over;
};

static void act(struct race_world *world, const struct race_action *action)
{
    struct race *race = &world->race;
    unsigned luck = choose(&world->choices, 8);
    switch (action->kind) {
    case RACE_CONNECT:
        if (luck < 5)
            race_connected(race, action->attempt, world->now_ms);
        else if (luck < 7)
            race_lost(race, action->attempt,
                      luck == 5 ? LOSS_REFUSED
                                : (enum race_loss)(LOSS_UNREACHABLE + choose(&world->choices, 3)),
                      BYTES("no"), world->now_ms);
        break; /* else silence */
    case RACE_HANDSHAKE:
        if (luck < 6)
            race_tls_done(race, action->attempt,
                          luck < 5 ? PORT_OPEN
                                   : (enum port_verdict)(
                                         PORT_CERTIFICATE_EXPIRED +
                                         choose(&world->choices, PORT_IMPOSTOR - PORT_CERTIFICATE_EXPIRED)),
                          BYTES("other.example"), world->now_ms);
        else
            race_lost(race, action->attempt,
                      luck == 6 ? LOSS_TLS : (enum race_loss)(LOSS_TLS_MISMATCH + choose(&world->choices, 2)),
                      BYTES("no"), world->now_ms);
        break;
    case RACE_WON:
        INSIST(!world->won && !world->over);
        world->won = true;
        break;
    case RACE_OVER:
        INSIST(!world->won && !world->over);
        world->over = true;
        break;
    case RACE_SEND:
    case RACE_CLOSE:
    case RACE_NOTHING: break;
    }
}

static void feed(struct race_world *world)
{
    unsigned some = choose(&world->choices, 60);
    struct bytes piece = some < 45 ? one_reply(world->stream) : bytes_first(world->stream, 4 * (some - 44));
    size_t i = choose(&world->choices, (unsigned)world->race.attempt_count);
    size_t used = race_feed(&world->race, i, piece, world->now_ms);
    INSIST(used <= piece.length);
    world->stream = bytes_from(world->stream, used > 0 ? used : piece.length); /* unread octets are lost */
}

/* The text about each port, and about all, is one line. */
static void check_verdicts(const struct race_world *world)
{
    struct buffer text = {0};
    for (size_t p = 0; p < world->race.options.port_count; p++) {
        const struct race_attempt *a = race_verdict(&world->race, world->race.options.ports[p].port);
        INSIST(a != NULL && a->verdict < PORT_VERDICTS && port_verdict_name(a->verdict)[0] != '\0' &&
               port_verdict_sentence(a->verdict)[0] != '\0');
        INSIST(port_verdict_hint(a->verdict) != NULL && port_verdict_state(a->verdict)[0] != '\0');
        INSIST(!world->over || a->verdict != PORT_OPEN || world->race.options.examine ||
               a->stage == ATTEMPT_OVER);
    }
    race_explain(&world->race, &text);
    INSIST(text.length > 0 && !bytes_has_control_character(buffer_bytes(&text)));
    race_is_for_later(&world->race);
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct race_world world;
    struct race_action action;
    world.now_ms = 1000;
    world.won = world.over = false;
    world.stream = choices_start(&world.choices, data, size);
    bool last_resort = choose(&world.choices, 2) == 1;
    struct race_options options = {
        .ports = {{587, CLIENT_TLS_REQUIRED}, {2525, CLIENT_TLS_REQUIRED}, {465, CLIENT_TLS_IMPLICIT}},
        .port_count = 3,
        .addresses = {{{127, 0, 0, 1}, false}, {{[15] = 1}, true}},
        .address_count = 1 + choose(&world.choices, 2),
        .helo = BYTES("me.example"),
        .needs_auth = choose(&world.choices, 2) == 1,
        .by_token = choose(&world.choices, 8) == 1,
        .examine = choose(&world.choices, 4) == 0};
    if (last_resort) {
        options.ports[options.port_count++] = (struct race_port){PORT_LAST_RESORT, CLIENT_TLS_IMPLICIT};
        options.last_resort = PORT_LAST_RESORT;
    }
    race_start(&world.race, &options, world.now_ms);
    unsigned moves = 0;
    for (; moves < MOVES_MAX && !world.won && !world.over; moves++) {
        if (race_action(&world.race, world.now_ms, &action)) {
            act(&world, &action);
        } else if (world.stream.length > 0 && choose(&world.choices, 4) > 0) {
            feed(&world);
        } else {
            uint64_t next_ms = race_next_ms(&world.race, world.now_ms);
            INSIST(next_ms != UINT64_MAX);
            world.now_ms = next_ms > world.now_ms ? next_ms : world.now_ms + 1;
            race_time(&world.race, world.now_ms);
        }
    }
    INSIST(moves < MOVES_MAX && world.now_ms <= 1000 + RACE_DEADLINE_MS + RACE_STEP_MS);
    const struct race_attempt *winner = &world.race.attempts[world.race.winner];
    INSIST(!world.won || (winner->secured && winner->certificate == PORT_OPEN &&
                          winner->verdict == PORT_OPEN && client_session_is_ready(&winner->session)));
    INSIST(!world.won || !options.needs_auth || winner->session.capabilities.mechanisms != 0);
    check_verdicts(&world);
    race_free(&world.race);
    return 0;
}
