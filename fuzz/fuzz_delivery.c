/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delivery through any DNS and any servers: it ends, with one result for
 * each recipient, and each connection that was made is closed.
 */
#include "choices.h"
#include "core/client/delivery.h"

enum { STEPS_MAX = 20000, RECORDS_MAX = 6 };

struct delivery_world {
    struct choices choices;
    struct delivery delivery;
    struct envelope envelope;
    struct recipient recipients[2];
    struct bytes stream; /* what servers say, one after the other */
    struct tls_fallback fallback;
    bool connected, secured, in_turn;
    unsigned done, runs;
};

static void resolve(struct delivery_world *world, const struct delivery_action *action)
{
    static const enum dns_status statuses[] = {DNS_FOUND,   DNS_FOUND,    DNS_FOUND,
                                               DNS_NO_DATA, DNS_NXDOMAIN, DNS_SERVER_FAILURE};
    static const char *const names[] = {"a.example.org", "b.example.org", "mx.example.net", "",
                                        "not a name",    "c.example.org"};
    static const char digest[32];
    struct dns_record records[RECORDS_MAX];
    size_t count = 1 + choose(&world->choices, RECORDS_MAX);
    for (size_t i = 0; i < count; i++)
        records[i] = (struct dns_record){.preference = (uint16_t)choose(&world->choices, 3),
                                         .name = bytes_of_text(names[i]),
                                         .address = {192, 0, 2, (uint8_t)i}};
    for (size_t i = 0; i < count && action->type == DNS_TLSA; i++) {
        records[i] = (struct dns_record){.usage = (uint8_t)choose(&world->choices, 5),
                                         .selector = 1,
                                         .matching = 1,
                                         .data = bytes_of(digest, sizeof digest)};
    }
    struct dns_answer facts = {.status = statuses[choose(&world->choices, ARRAY_LENGTH(statuses))],
                               .secure = choose(&world->choices, 2) == 1,
                               .records = records,
                               .count = count};
    if (choose(&world->choices, 4) == 0)
        facts.canonical = BYTES("real.example.org");
    delivery_learned(&world->delivery, action->type, &facts);
}

static void answer_policy(struct delivery_world *world)
{
    struct sts_policy policy = {.mode = (enum sts_mode)choose(&world->choices, 3),
                                .patterns = {BYTES("*.example.org")},
                                .pattern_count = choose(&world->choices, 2)};
    delivery_sts(&world->delivery, choose(&world->choices, 2) == 0 ? NULL : &policy);
}

/* No plain text of a message is sent where TLS is required. */
static void check_sent(const struct delivery_world *world, struct bytes sent)
{
    enum tls_demand demand = world->delivery.tls.policy.demand;
    bool in_clear_allowed = (demand == DEMAND_MAY &&
                             world->delivery.options.tls == CLIENT_TLS_OPPORTUNISTIC) ||
                            demand == DEMAND_CLEAR;
    INSIST(world->connected && sent.length > 0 && demand != DEMAND_REFUSE);
    INSIST(world->secured || (in_clear_allowed && !world->envelope.requiretls) ||
           !bytes_starts_nocase(sent, "MAIL"));
}

/* Signed, left unsigned, or deferred since its key does not work. */
static void answer_signature(struct delivery_world *world)
{
    unsigned choice = choose(&world->choices, 3);
    INSIST(world->delivery.options.signs);
    if (choice == 2)
        delivery_not_signed(&world->delivery, "4.7.5", BYTES("the key does not work"));
    else
        delivery_signed(&world->delivery, choice == 0 ? BYTES("DKIM-Signature: v=1\r\n") : bytes_none());
}

static void take_action(struct delivery_world *world, const struct delivery_action *action)
{
    struct delivery *delivery = &world->delivery;
    switch (action->kind) {
    case DELIVERY_NOTHING: abort();
    case DELIVERY_RESOLVE: resolve(world, action); break;
    case DELIVERY_CONNECT:
        INSIST(!world->connected && action->timeout_ms > 0);
        world->secured = action->tls;
        INSIST(action->address_count > 0);
        world->connected = choose(&world->choices, 3) > 0;
        if (world->connected) {
            if (action->address_count > 1)
                delivery_took(delivery, choose(&world->choices, (unsigned)action->address_count));
            delivery_connected(delivery);
            break;
        }
        if (action->address_count > 1 && choose(&world->choices, 2) == 1)
            delivery_tried_all(delivery);
        delivery_lost(delivery, action->tls && choose(&world->choices, 2) == 1, TLS_LOSS_ENDED,
                      BYTES("refused"));
        break;
    case DELIVERY_ASK_STS: answer_policy(world); break;
    case DELIVERY_SEND: check_sent(world, action->bytes); break;
    case DELIVERY_STARTTLS:
        INSIST(world->connected);
        world->secured = true;
        if (choose(&world->choices, 3) > 0)
            delivery_tls_started(delivery);
        else
            delivery_lost(delivery, true, (enum tls_loss)choose(&world->choices, 3),
                          BYTES("the handshake failed"));
        break;
    case DELIVERY_ASK:
        INSIST(world->connected);
        if (action->asked.kind == CLIENT_ASK_NONCE)
            client_session_answer_nonce(&delivery->session, BYTES("eighteen octets..."), bytes_none(),
                                        bytes_none());
        else
            client_session_answer_proof(&delivery->session,
                                        (const uint8_t *)"thirty-two octets that prove it.",
                                        (const uint8_t *)"thirty-two octets of a signature");
        break;
    case DELIVERY_SIGN: answer_signature(world); break;
    case DELIVERY_WANT_CONTENT: delivery_content(delivery, BYTES("Hello\r\n"), ++world->runs % 3 == 0); break;
    case DELIVERY_DONE:
        INSIST(action->result_count == world->envelope.recipient_count);
        for (size_t i = 0; i < action->result_count; i++)
            INSIST(action->results[i].outcome != OUTCOME_DELIVERED || action->results[i].code / 100 == 2);
        world->done++;
        break;
    case DELIVERY_CLOSE: world->connected = false; break;
    }
}

/* The peer speaks, or is gone when it has nothing more to say. */
static void hear(struct delivery_world *world)
{
    struct bytes line = world->in_turn ? one_reply(world->stream) : world->stream;
    size_t used = world->connected ? delivery_feed(&world->delivery, line) : 0;
    if (used > 0)
        world->stream = bytes_from(world->stream, used);
    else
        delivery_lost(&world->delivery, false, TLS_LOSS_ENDED, BYTES("the connection ended"));
}

/* The text for users about it. */
static void check_words(const struct delivery *delivery)
{
    struct buffer peer = {0};
    delivery_peer(delivery, &peer);
    INSIST(!bytes_has_control(buffer_bytes(&peer)) && delivery_timeout_ms(delivery) > 0 &&
           delivery_step(delivery) <= STEP_QUIT);
    struct tls_result tls = delivery_tls_result(delivery);
    INSIST(tls.level == TLS_LEVEL_UNDECIDED || tls.level_reason.length > 0);
    buffer_free(&peer);
}

/* To the end of this message. */
static void carry(struct delivery_world *world)
{
    struct delivery_action action;
    unsigned wanted = world->done + 1, steps = 0;
    while (world->done < wanted) {
        INSIST(++steps < STEPS_MAX);
        if (delivery_action(&world->delivery, &action))
            take_action(world, &action);
        else
            hear(world);
    }
    check_words(&world->delivery);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct delivery_world world; /* large */
    struct delivery_action action;
    world = (struct delivery_world){.fallback.now_ms = TLS_FALLBACK_KEPT_MS};
    world.stream = choices_start(&world.choices, data, size);
    world.in_turn = world.choices.octets[CHOICES - 1] % 8 < 6; /* who does not is turned away soon */
    world.recipients[0].address = world.recipients[1].address = BYTES("ada@example.org");
    world.envelope = (struct envelope){
        .sender = BYTES("b@example.net"), .recipients = world.recipients, .recipient_count = 2, .size = 14};
    struct delivery_options options = {.hostname = BYTES("mx.example.net"),
                                       .domain = BYTES("example.org"),
                                       .smarthost = choose(&world.choices, 2) == 1,
                                       .port = 25,
                                       .tls = CLIENT_TLS_OPPORTUNISTIC,
                                       .fallback = &world.fallback,
                                       .wish = (enum tls_wish)choose(&world.choices, WISH_NONE + 1)};
    world.envelope.requiretls = choose(&world.choices, 4) == 0;
    if (options.smarthost) {
        options.port = choose(&world.choices, 2) == 0 ? 465 : 587;
        options.tls = options.port == 465 ? CLIENT_TLS_IMPLICIT : CLIENT_TLS_REQUIRED;
        options.user = options.password = BYTES("u");
        options.verify = true;
    }
    if (choose(&world.choices, 4) == 0) /* whatever is remembered, what is demanded is had */
        tls_fallback_note(&world.fallback, BYTES("a.example.org"), options.port);
    options.signs = choose(&world.choices, 4) == 0;
    delivery_start(&world.delivery, &options, &world.envelope);
    carry(&world);
    for (unsigned more = 0; more < 3 && delivery_is_open(&world.delivery); more++) {
        bool requires = choose(&world.choices, 4) == 1;
        struct envelope other = world.envelope;
        other.requiretls = requires;
        if (delivery_suits(&world.delivery, &other)) /* else this connection is not for that message */
        world.envelope.requiretls = requires;
        delivery_next(&world.delivery, &world.envelope);
        carry(&world);
    }
    delivery_quit(&world.delivery);
    for (unsigned steps = 0; world.connected || steps < 4; steps++) {
        INSIST(steps < STEPS_MAX);
        if (delivery_action(&world.delivery, &action))
            take_action(&world, &action);
        else
            hear(&world);
    }
    INSIST(!delivery_action(&world.delivery, &action));
    delivery_free(&world.delivery);
    return 0;
}
