/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

static void run(struct server *server);

static void end_server(struct server *server)
{
    if (server->over)
        return;
    server->over = true;
    alarm_cancel(&server->silence);
    alarm_cancel(&server->thinking);
    end_close(server->end);
    buffer_free(&server->content);
    server_session_free(&server->session);
}

void server_crash(struct server *server)
{
    end_server(server);
}

static void on_input(void *owner)
{
    run(owner);
}

static void on_end(void *owner)
{
    end_server(owner);
}

static void on_silence(void *owner)
{
    struct server *server = owner;
    if (server->asking) /* it is we who think */
        return;
    server_session_timed_out(&server->session);
    run(server);
}

/* ---- questions ---- */

static void answer(void *owner)
{
    struct server *server = owner;
    struct server_action *question = &server->question;
    struct recipient target = {0};
    enum recipient_verdict verdict;
    server->asking = false;
    switch (question->kind) {
    case SERVER_ASK_RECIPIENT:
        target.address = question->address;
        verdict = world_chance(server->host->world, 30)
                      ? RECIPIENT_UNAVAILABLE
                      : server->host->on_recipient(server->host->owner, question->address, &target);
        server_session_answer_recipient(&server->session, verdict, &target,
                                        verdict == RECIPIENT_KNOWN ? 1 : 0);
        break;
    case SERVER_ASK_SENDER:
        server_session_answer_sender(
            &server->session, world_chance(server->host->world, 30) ? SENDER_UNAVAILABLE : SENDER_ALLOWED);
        break;
    case SERVER_ASK_LIMIT: server_session_answer_limit(&server->session, LIMIT_FINE, 0); break;
    default:
        server->asking = true; /* server_stored() answers */
        server->host->on_message(server->host->owner, server, question->envelope,
                                 buffer_bytes(&server->content));
        return;
    }
    run(server);
}

void server_stored(struct server *server, enum store_verdict verdict)
{
    if (server->over)
        return;
    server->asking = false;
    server_session_answer_store(&server->session, verdict, BYTES("id"));
    run(server);
}

static void ask(struct server *server, const struct server_action *question)
{
    server->asking = true;
    server->question = *question;
    alarm_set(&server->thinking, world_random(server->host->world, 10));
}

/* ---- the session ---- */

static void act(struct server *server, const struct server_action *action)
{
    switch (action->kind) {
    case SERVER_REPLY: end_send(server->end, action->bytes); break;
    case SERVER_CONTENT_BEGIN: buffer_clear(&server->content); break;
    case SERVER_CONTENT: buffer_add(&server->content, action->bytes); break;
    case SERVER_CONTENT_DROP: buffer_clear(&server->content); break;
    case SERVER_ASK_PASSWORD:
    case SERVER_ASK_SENDER:
    case SERVER_ASK_RECIPIENT:
    case SERVER_ASK_LIMIT:
    case SERVER_ASK_STORE: ask(server, action); break;
    case SERVER_ASK_TRUST:
        server_session_answer_trust(&server->session, &(struct trust_answer){.accepted = true});
        break;
    case SERVER_ASK_SALT: /* nobody signs in here */
    case SERVER_ASK_PROOF:
    case SERVER_STARTTLS: /* the other end tells whether the handshake was good */
        server->secured = true;
        server_session_tls_started(&server->session, BYTES("TLSv1.3"));
        break;
    case SERVER_CLOSE: end_server(server); break;
    case SERVER_NOTHING: break;
    }
}

static void run(struct server *server)
{
    struct server_action action;
    size_t used = 1;
    while (!server->over && used > 0) {
        while (!server->over && server_session_action(&server->session, &action))
            act(server, &action);
        if (server->over)
            return;
        used = server_session_feed(&server->session, buffer_bytes(&server->end->input));
        buffer_consume(&server->end->input, used);
        if (used == 0 && server_session_action(&server->session, &action)) {
            act(server, &action);
            used = 1;
        }
    }
    if (!server->over)
        alarm_set(&server->silence, server_session_timeout_ms(&server->session));
}

struct server *server_open(struct host *host, struct end *end)
{
    struct server *server = ARENA_NEW(&host->world->memory, struct server);
    *server = (struct server){.host = host, .next = host->servers, .end = end};
    host->servers = server;
    end->on_input = on_input;
    end->on_end = on_end;
    end->owner = server;
    alarm_start(&server->silence, host->world, on_silence, server);
    alarm_start(&server->thinking, host->world, answer, server);
    bool local = host->policy.role == ROLE_LOCAL;
    server_session_start(&server->session, &host->policy, local ? BYTES("local") : BYTES("192.0.2.1"), 25,
                         bytes_none(), local ? BYTES("uid 1") : bytes_none());
    run(server);
    return server;
}
