/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client session against any server: a password never leaves in clear,
 * every recipient gets a result, only what the server said 2xx to counts as
 * delivered, and once the session is over it is over.
 */
#include "choices.h"
#include "core/client/client_session.h"

struct client_session_world {
    struct choices choices;
    struct client_options options;
    struct client_session session;
    struct envelope envelope;
    struct recipient recipients[3];
    bool secured, over, wants_content, sending;
    unsigned sent, runs;
};

static const char content[] = "Subject: x\r\n\r\n.\r\n..\r\nbare\nand\rthe end";

static void check_send(const struct client_session_world *world, struct bytes bytes)
{
    INSIST(bytes.length > 0);
    bool may_say = world->secured || world->options.tls == CLIENT_TLS_NEVER;
    INSIST(may_say || (bytes_search(bytes, BYTES("AUTH")) == SIZE_MAX &&
                       bytes_search(bytes, BYTES("c2VjcmV0")) == SIZE_MAX));
    INSIST(world->secured || world->options.tls != CLIENT_TLS_REQUIRED ||
           bytes_search(bytes, BYTES("MAIL FROM")) == SIZE_MAX);
}

static void check_results(struct client_session_world *world, const struct client_action *action)
{
    INSIST(world->sending && action->result_count == world->envelope.recipient_count);
    world->sending = world->wants_content = false;
    for (size_t i = 0; i < action->result_count; i++) {
        const struct delivery_result *r = &action->results[i];
        INSIST(r->outcome != OUTCOME_DELIVERED || (r->code / 100 == 2 && r->step == STEP_DATA));
        INSIST((r->enhanced.length >= 5 || (r->enhanced.length == 0 && r->code > 0)) &&
               !bytes_has_control(r->text) && bytes_is_utf8(r->text));
    }
}

/* The next message, or the end. */
static void next_message(struct client_session_world *world)
{
    struct envelope *e = &world->envelope;
    if (world->sent++ == 3) {
        client_session_quit(&world->session);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(world->recipients); i++)
        world->recipients[i] = (struct recipient){.address = BYTES("ada@example.org"),
                                                  .orcpt = BYTES("rfc822;a"),
                                                  .notify = (uint8_t)choose(&world->choices, 2)};
    *e = (struct envelope){.sender = BYTES("b@example.net"),
                           .body = (enum body_type)choose(&world->choices, 3),
                           .smtputf8 = choose(&world->choices, 8) == 1,
                           .requiretls = choose(&world->choices, 8) == 1,
                           .size = choose(&world->choices, 2) == 0 ? 100 : 100000,
                           .recipients = world->recipients,
                           .recipient_count = 1 + choose(&world->choices, 3)};
    world->sending = true;
    client_session_send(&world->session, e);
}

static void take_action(struct client_session_world *world, const struct client_action *action)
{
    INSIST(!world->over);
    switch (action->kind) {
    case CLIENT_NOTHING: abort();
    case CLIENT_SEND: check_send(world, action->bytes); break;
    case CLIENT_STARTTLS:
        INSIST(!world->secured && world->options.tls != CLIENT_TLS_NEVER);
        if (choose(&world->choices, 8) == 1)
            client_session_failed(&world->session, STEP_TLS, BYTES("no"));
        break;
    case CLIENT_ASK_NONCE:
        INSIST(world->secured || world->options.tls == CLIENT_TLS_NEVER);
        client_session_answer_nonce(&world->session, BYTES("eighteen octets..."), BYTES("tls-exporter"),
                                    choose(&world->choices, 2) == 0 ? bytes_none() : BYTES("binding"));
        break;
    case CLIENT_ASK_PROOF:
        INSIST(action->scram.iterations >= 4096 && action->scram.iterations <= 1000000 &&
               action->scram.salt.length > 0);
        client_session_answer_proof(&world->session, (const uint8_t *)"thirty-two octets that prove it.",
                                    (const uint8_t *)"thirty-two octets of a signature");
        break;
    case CLIENT_READY: next_message(world); break;
    case CLIENT_WANT_CONTENT: world->wants_content = true; break;
    case CLIENT_SENT: check_results(world, action); break;
    case CLIENT_FAILED:
        INSIST(!world->sending && action->failure.outcome != OUTCOME_DELIVERED);
        world->over = true;
        break;
    case CLIENT_CLOSE: world->over = true; break;
    }
}

/* All that can be done without the peer. */
static void settle(struct client_session_world *world)
{
    struct client_action action;
    for (;;) {
        bool handshake = false;
        while (client_session_action(&world->session, &action)) {
            take_action(world, &action);
            handshake = handshake || action.kind == CLIENT_STARTTLS;
        }
        if (handshake && !world->over) {
            world->secured = true;
            client_session_tls_started(&world->session);
        } else if (world->wants_content) {
            world->wants_content = false;
            client_session_content(&world->session,
                                   bytes_of(content, choose(&world->choices, sizeof content)),
                                   ++world->runs % 3 == 0);
        } else {
            return;
        }
    }
}

static void run(struct client_session_world *world, struct bytes stream)
{
    size_t done = 0, there = 0, used;
    bool in_turn = world->choices.octets[CHOICES - 1] % 8 < 6; /* who does not is turned away soon */
    while (there < stream.length) {
        struct bytes left = bytes_from(stream, there);
        there += in_turn ? one_reply(left).length : arrival(&world->choices, left).length;
        do {
            settle(world);
            used = client_session_feed(&world->session, bytes_of(stream.at + done, there - done));
            INSIST(used <= there - done && (used == 0 || !world->over));
            done += used;
        } while (used > 0);
    }
    settle(world);
    client_session_failed(&world->session, client_session_step(&world->session),
                          BYTES("the connection ended"));
    settle(world);
    INSIST(world->over && !world->sending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_session_world world = {0};
    struct bytes stream = choices_start(&world.choices, data, size);
    world.options = (struct client_options){.helo = BYTES("client.example.org"),
                                            .tls = (enum client_tls)choose(&world.choices, 4),
                                            .lmtp = choose(&world.choices, 4) == 1,
                                            .probe_only = choose(&world.choices, 8) == 1};
    if (choose(&world.choices, 2) == 1 && world.options.tls != CLIENT_TLS_OPPORTUNISTIC) {
        world.options.user = BYTES("user");
        world.options.password = BYTES("secret");
        world.options.token = choose(&world.choices, 4) == 1 ? BYTES("secret") : bytes_none();
    }
    world.secured = world.options.tls == CLIENT_TLS_IMPLICIT;
    client_session_start(&world.session, &world.options);
    run(&world, stream);
    client_session_free(&world.session);
    return 0;
}
