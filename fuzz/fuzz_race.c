/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A race against any servers: it ends before its deadline and a step, in a
 * bounded number of moves; a winner speaks TLS with a valid certificate and
 * lets us sign in; each attempt has its verdict.
 */
#include "choices.h"
#include "port/race.h"

enum { MOVES_MAX = 20000 };

struct world {
    struct choices choices;
    struct race race;
    struct bytes stream;
    uint64_t now_ms;
    bool won, over;
};

static void act(struct world *world, const struct race_action *action)
{
    struct race *race = &world->race;
    unsigned luck = choose(&world->choices, 8);
    switch (action->kind) {
    case RACE_CONNECT:
        if (luck < 5)
            race_connected(race, action->attempt, world->now_ms);
        else if (luck < 7)
            race_lost(race, action->attempt, luck == 5 ? LOSS_REFUSED : LOSS_UNREACHABLE, BYTES("no"), world->now_ms);
        break; /* else silence */
    case RACE_HANDSHAKE:
        if (luck < 6)
            race_tls_done(race, action->attempt, luck < 5 ? PORT_OPEN : PORT_CERTIFICATE_EXPIRED, BYTES("expired"), world->now_ms);
        else
            race_lost(race, action->attempt, luck == 6 ? LOSS_TLS : LOSS_TLS_OTHER_WAY, BYTES("no"), world->now_ms);
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

static void feed(struct world *world)
{
    struct bytes piece = bytes_first(world->stream, 1 + choose(&world->choices, 60));
    size_t i = choose(&world->choices, (unsigned)world->race.attempt_count);
    size_t used = race_feed(&world->race, i, piece, world->now_ms);
    INSIST(used <= piece.length);
    world->stream = bytes_from(world->stream, used > 0 ? used : piece.length); /* what nobody reads is lost */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct race_action action;
    world = (struct world){.now_ms = 1000};
    world.stream = choices_start(&world.choices, data, size);
    bool last_resort = choose(&world.choices, 2) == 1;
    struct race_options options = {.ports = {{587, CLIENT_TLS_REQUIRED}, {2525, CLIENT_TLS_REQUIRED}, {465, CLIENT_TLS_IMPLICIT}}, .port_count = 3, .addresses = {{{127, 0, 0, 1}, false}},
                                   .address_count = 1, .helo = BYTES("me.example"), .needs_auth = choose(&world.choices, 2) == 1, .examine = choose(&world.choices, 4) == 0};
    if (last_resort) {
        options.ports[options.port_count++] = (struct race_port){RACE_LAST_PORT, CLIENT_TLS_IMPLICIT};
        options.last_resort = RACE_LAST_PORT;
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
    INSIST(!world.won || (winner->secured && winner->certificate == PORT_OPEN && winner->verdict == PORT_OPEN && client_session_is_ready(&winner->session)));
    INSIST(!world.won || !options.needs_auth || winner->session.capabilities.mechanisms != 0);
    race_free(&world.race);
    return 0;
}
