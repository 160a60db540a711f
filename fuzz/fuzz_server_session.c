/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server session against any client and any answers: one open question
 * at a time, replies that no client misreads, nothing taken before the port's
 * policy allows it, and content that nobody downstream can read in two ways.
 */
#include "choices.h"
#include "core/server/server_session.h"
#include "core/smtp/address.h"

struct server_session_world {
    struct choices choices;
    struct server_policy policy;
    struct server_session session;
    enum server_action_kind question; /* open */
    bool secured, signed_in, signed_out, content_begun, closed;
    struct buffer stored;
};

/* Lines of CRLF, 512 octets at most, one code, the last without a hyphen. */
static void check_replies(struct bytes replies)
{
    bool more = false;
    char code[3] = "";
    INSIST(replies.length > 0);
    while (replies.length > 0) {
        size_t end = bytes_search(replies, BYTES("\r\n"));
        INSIST(end != SIZE_MAX && end >= 4 && end + 2 <= 512);
        struct bytes line = bytes_first(replies, end);
        INSIST(bytes_find(line, '\n') == SIZE_MAX && !bytes_has_control(line) && bytes_is_ascii(line));
        INSIST(line.at[0] >= '2' && line.at[0] <= '5' && ascii_is_digit(line.at[1]) &&
               ascii_is_digit(line.at[2]));
        INSIST(line.at[3] == ' ' || line.at[3] == '-');
        INSIST(!more || memcmp(code, line.at, 3) == 0);
        memcpy(code, line.at, 3);
        more = line.at[3] == '-';
        replies = bytes_from(replies, end + 2);
    }
    INSIST(!more);
}

/* What is stored has CRLF and nothing like it, unless it is binary. */
static void check_stored(const struct envelope *envelope, struct bytes stored)
{
    INSIST(stored.length == envelope->size && envelope->recipient_count > 0);
    for (size_t i = 0; i < stored.length && envelope->body != BODY_BINARYMIME; i++) {
        INSIST(stored.at[i] != '\n' || (i > 0 && stored.at[i - 1] == '\r'));
        INSIST(stored.at[i] != '\r' || (i + 1 < stored.length && stored.at[i + 1] == '\n'));
    }
}

/* May anything of a message happen now? */
static void check_allowed(const struct server_session_world *world)
{
    INSIST(world->policy.role != ROLE_SUBMISSION ||
           (world->secured && world->signed_in && !world->signed_out));
}

/* A question: may it be asked now, and of whom? */
static void check_question(struct server_session_world *world, const struct server_action *action)
{
    struct address parsed;
    switch (action->kind) {
    case SERVER_ASK_PASSWORD:
        INSIST(world->policy.role == ROLE_SUBMISSION && world->secured && action->user.length > 0 &&
               action->password.length > 0);
        break;
    case SERVER_ASK_SALT:
        INSIST(world->policy.role == ROLE_SUBMISSION && world->secured && action->user.length > 0);
        break;
    case SERVER_ASK_PROOF:
        INSIST(world->policy.role == ROLE_SUBMISSION && world->secured && action->user.length > 0 &&
               action->proof.length == 32);
        break;
    case SERVER_ASK_SENDER:
    case SERVER_ASK_RECIPIENT:
        check_allowed(world);
        INSIST(world->policy.role != ROLE_MX ||
               (action->kind == SERVER_ASK_RECIPIENT && action->account.length == 0));
        INSIST(action->address.length == 0 || address_parse(action->address, true, &parsed) ||
               bytes_is_nocase(action->address, "postmaster"));
        break;
    case SERVER_ASK_LIMIT:
        check_allowed(world);
        INSIST(world->policy.limits_sending && !world->content_begun &&
               action->envelope->recipient_count > 0);
        break;
    case SERVER_ASK_TRUST:
        INSIST(world->policy.asks_trust && world->content_begun && !world->signed_out);
        check_stored(action->envelope, buffer_bytes(&world->stored));
        break;
    case SERVER_ASK_STORE:
        INSIST(world->content_begun && !world->signed_out);
        check_stored(action->envelope, buffer_bytes(&world->stored));
        break;
    default: break;
    }
    world->question = action->kind;
}

static void take_action(struct server_session_world *world, const struct server_action *action)
{
    INSIST(!world->closed && world->question == SERVER_NOTHING);
    switch (action->kind) {
    case SERVER_NOTHING: abort();
    case SERVER_REPLY: check_replies(action->bytes); break;
    case SERVER_STARTTLS:
        INSIST(world->policy.tls == TLS_STARTTLS && !world->secured);
        world->question = action->kind;
        break;
    case SERVER_CONTENT_BEGIN:
        check_allowed(world);
        INSIST(!world->content_begun && action->envelope->recipient_count > 0);
        world->content_begun = true;
        buffer_clear(&world->stored);
        server_session_stamp(&world->session, 1795435200000u, BYTES("1@mx.example.org"));
        if (action->awaits_turn && choose(&world->choices, 16) == 15)
            INSIST(server_session_heard_content(&world->session) == (world->policy.role == ROLE_MX));
        break;
    case SERVER_CONTENT:
        INSIST(world->content_begun && action->bytes.length > 0);
        buffer_add(&world->stored, action->bytes);
        break;
    case SERVER_CONTENT_DROP:
        INSIST(world->content_begun);
        world->content_begun = false;
        break;
    case SERVER_CLOSE: world->closed = true; break;
    default: check_question(world, action); break;
    }
}

static void answer(struct server_session_world *world)
{
    struct server_session *session = &world->session;
    enum server_action_kind question = world->question;
    unsigned choice = choose(&world->choices, 6);
    const struct recipient targets[] = {{.address = BYTES("ada@example.org"), .local = true},
                                        {.address = BYTES("b@example.net")}};
    world->question = SERVER_NOTHING;
    if (question == SERVER_STARTTLS) {
        world->secured = true;
        world->signed_in = false;
        server_session_tls_started(session, BYTES("TLSv1.3 X"));
    } else if (question == SERVER_ASK_PASSWORD) {
        world->signed_in = choice < 3;
        server_session_answer_password(session,
                                       choice < 3 ? PASSWORD_RIGHT : (enum password_verdict)(choice - 2),
                                       BYTES("ada@example.org"));
    } else if (question == SERVER_ASK_SALT) {
        server_session_answer_salt(session, choice == 5 ? bytes_none() : BYTES("sixteen octets.."), 4096,
                                   BYTES("eighteen octets..."),
                                   choice == 4 ? bytes_none() : BYTES("binding"));
    } else if (question == SERVER_ASK_PROOF) { /* who is right is signed in with the empty line that follows
                                                */
        world->signed_in = world->signed_in || choice < 3;
        server_session_answer_proof(session,
                                    choice < 3 ? PASSWORD_RIGHT : (enum password_verdict)(choice - 2),
                                    BYTES("ada@example.org"), BYTES("thirty-two octets of a signature"));
    } else if (question == SERVER_ASK_SENDER) {
        server_session_answer_sender(session,
                                     choice < 3 ? SENDER_ALLOWED : (enum sender_verdict)(choice - 2));
    } else if (question == SERVER_ASK_LIMIT) {
        server_session_answer_limit(session, choice < 3 ? LIMIT_FINE : (enum limit_verdict)(choice - 2),
                                    1000 * choice);
    } else if (question == SERVER_ASK_RECIPIENT) {
        server_session_answer_recipient(
            session,
            choice < 2 ? RECIPIENT_KNOWN
                       : (enum recipient_verdict)(1 + choose(&world->choices, RECIPIENT_FULL)),
            targets, 1 + choice % 2);
    } else if (question == SERVER_ASK_TRUST) {
        server_session_answer_trust(session,
                                    &(struct trust_answer){.accepted = choice < 3,
                                                           .code = choice < 5 ? 550 : 451,
                                                           .enhanced = BYTES("5.7.26"),
                                                           .text = BYTES("Rejected by\r\n250 nobody")});
    } else if (question == SERVER_ASK_STORE) {
        world->content_begun = false;
        server_session_answer_store(session, choice < 2 ? STORE_DONE : (enum store_verdict)(choice - 1),
                                    BYTES("0123456789ab"));
    }
}

/* Feeds what has arrived; false when nothing of it was used. */
static bool step(struct server_session_world *world, struct bytes *unread)
{
    struct server_action action;
    while (world->question == SERVER_NOTHING && server_session_action(&world->session, &action))
        take_action(world, &action);
    if (world->question != SERVER_NOTHING) {
        INSIST(server_session_feed(&world->session, *unread) == 0 &&
               !server_session_action(&world->session, &action));
        INSIST(!server_session_is_idle(&world->session) || world->question == SERVER_STARTTLS);
        answer(world);
        return true;
    }
    size_t used = server_session_feed(&world->session, *unread);
    INSIST(used <= unread->length && (used == 0 || !world->closed));
    *unread = bytes_from(*unread, used);
    return used > 0;
}

/* Now and then the clock or the operator ends it. */
static void interrupt(struct server_session_world *world)
{
    unsigned choice = choose(&world->choices, 64);
    if (choice == 1)
        server_session_drain(&world->session);
    else if (choice == 2)
        server_session_timed_out(&world->session);
    else if (choice == 3 && world->policy.role == ROLE_SUBMISSION && world->signed_in) {
        server_session_sign_out(&world->session);
        world->signed_out = true;
    }
}

/* `stream` arrives piece by piece; [done, there) of it is unread. */
static void run(struct server_session_world *world, struct bytes stream)
{
    size_t done = 0, there = 0;
    for (;;) {
        struct bytes unread = bytes_of(stream.at + done, there - done);
        while (step(world, &unread))
            continue;
        done = there - unread.length;
        INSIST(world->closed || unread.length < AUTH_LINE_MAX); /* nobody can make the shell keep much */
        if (there == stream.length)
            return;
        there += arrival(&world->choices, bytes_from(stream, there)).length;
        interrupt(world);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server_session_world world = {0};
    struct bytes stream = choices_start(&world.choices, data, size);
    static const struct {
        enum server_role role;
        enum server_tls tls;
        uint32_t port;
    } ports[] = {{ROLE_MX, TLS_STARTTLS, 25},
                 {ROLE_SUBMISSION, TLS_STARTTLS, 587},
                 {ROLE_SUBMISSION, TLS_IMPLICIT, 465},
                 {ROLE_LOCAL, TLS_NONE, 0},
                 {ROLE_MX, TLS_NONE, 25},
                 {ROLE_SUBMISSION, TLS_STARTTLS, 465}}; /* in clear where TLS is expected */
    unsigned port = choose(&world.choices, ARRAY_LENGTH(ports));
    world.policy = (struct server_policy){.role = ports[port].role,
                                          .tls = ports[port].tls,
                                          .hostname = BYTES("mx.example.org"),
                                          .message_size_max = 2000,
                                          .recipients_max = 3,
                                          .tls_expected = ports[port].port == 465 &&
                                                          ports[port].tls == TLS_STARTTLS,
                                          .fix_bare_newlines = choose(&world.choices, 4) == 1};
    if (world.policy.role != ROLE_MX) {
        unsigned flags = choose(&world.choices, 4);
        world.policy.checks_header = (flags & 1) != 0;
        world.policy.limits_sending = (flags & 2) != 0;
    } else {
        world.policy.asks_trust = choose(&world.choices, 2) == 1;
    }
    bool implicit = ports[port].tls == TLS_IMPLICIT;
    world.secured = implicit;
    server_session_start(&world.session, &world.policy, BYTES("192.0.2.1"), ports[port].port,
                         implicit ? BYTES("TLSv1.3 X") : bytes_none(),
                         ports[port].role == ROLE_LOCAL ? BYTES("root") : bytes_none());
    run(&world, stream);
    server_session_free(&world.session);
    buffer_free(&world.stored);
    return 0;
}
