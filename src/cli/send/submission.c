/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/send/submission.h"

#include <stdio.h>

enum { PROGRESS_OCTETS = 4 * 1024 * 1024 };

static void give_content(struct client_submission *s, bool begins)
{
    static char run[CONTENT_RUN_MAX];
    if (begins && s->told > 0) { /* another transaction for the remaining recipients */
        rewind(s->message->file);
        s->told = 0;
    }
    size_t count = fread(run, 1, sizeof run, s->message->file);
    s->told += count;
    bool last = s->told >= s->message->size || count == 0;
    if (s->shows_progress && s->message->size > PROGRESS_OCTETS)
        fprintf(stderr, "\rsent %3u %%%s", (unsigned)(s->told * 100 / s->message->size), last ? "\n" : "");
    if (count == 0 && s->told < s->message->size) { /* never completes a truncated message */
        client_session_failed(s->connection->session, STEP_DATA, BYTES("the message can no longer be read"));
        return;
    }
    client_session_content(s->connection->session, bytes_of(run, count), last);
    server_connection_drain(s->connection);
}

static struct delivery_result keep(struct client_submission *s, const struct delivery_result *said)
{
    struct delivery_result kept = *said;
    kept.enhanced = arena_copy(&s->arena, said->enhanced);
    kept.text = arena_copy(&s->arena, said->text);
    return kept;
}

static void take_results(struct client_submission *s, const struct client_action *action)
{
    s->results = ARENA_ARRAY(&s->arena, struct delivery_result, action->result_count);
    for (size_t i = 0; i < action->result_count; i++)
        s->results[i] = keep(s, &action->results[i]);
}

static void ready(struct client_submission *s)
{
    if (s->user.length > 0 && !s->signed_in) {
        s->signed_in = true;
        client_session_sign_in(s->connection->session, s->user, s->password, s->token);
    } else if (s->results != NULL) {
        client_session_quit(s->connection->session);
    } else {
        client_session_send(s->connection->session, &s->envelope);
    }
}

bool submission_run(struct client_submission *s)
{
    struct client_action action;
    if (s->connection->session != &s->connection->own_session) /* the race consumed its first READY */
        ready(s);
    for (;;) {
        server_connection_next(s->connection, &action);
        switch (action.kind) {
        case CLIENT_READY: ready(s); break;
        case CLIENT_WANT_CONTENT: give_content(s, action.begins); break;
        case CLIENT_SENT: take_results(s, &action); break;
        case CLIENT_FAILED: s->failure = keep(s, &action.failure); return s->results != NULL;
        case CLIENT_CLOSE: return s->results != NULL;
        case CLIENT_STARTTLS:  /* done by the race */
        case CLIENT_ASK_NONCE: /* handled by server_connection_next() */
        case CLIENT_ASK_PROOF:
        case CLIENT_NOTHING:
        case CLIENT_SEND: break;
        }
    }
}

void submission_free(struct client_submission *s)
{
    arena_clear(&s->arena);
    s->results = NULL;
}
