/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: one table of the commands that each port allows.
 */
#include "core/server/server_state.h"

enum rule_flag {
    AFTER_HELO = 1,      /* requires EHLO or HELO first */
    AFTER_TLS = 2,       /* on submission: requires TLS */
    AFTER_AUTH = 4,      /* on submission: requires AUTH */
    SUBMISSION_ONLY = 8, /* never on 25 */
    OUTSIDE_TRANSACTION = 16,
};

static const struct command_rule {
    verb_function *run;
    unsigned flags;
} rules[VERBS] = {
    [VERB_HELO] = {server_helo, 0},
    [VERB_EHLO] = {server_ehlo, 0},
    [VERB_STARTTLS] = {server_starttls, OUTSIDE_TRANSACTION},
    [VERB_AUTH] = {server_auth, SUBMISSION_ONLY | AFTER_HELO | AFTER_TLS | OUTSIDE_TRANSACTION},
    [VERB_MAIL] = {server_mail, AFTER_HELO | AFTER_TLS | AFTER_AUTH},
    [VERB_RCPT] = {server_rcpt, AFTER_HELO | AFTER_TLS | AFTER_AUTH},
    [VERB_DATA] = {server_data, AFTER_HELO | AFTER_TLS | AFTER_AUTH},
    [VERB_BDAT] = {server_bdat, AFTER_HELO | AFTER_TLS | AFTER_AUTH},
    [VERB_RSET] = {server_rset, 0},
    [VERB_NOOP] = {server_noop, 0},
    [VERB_VRFY] = {server_vrfy, AFTER_TLS | AFTER_AUTH},
    [VERB_EXPN] = {server_expn, AFTER_TLS | AFTER_AUTH},
    [VERB_HELP] = {server_help, 0},
    [VERB_QUIT] = {server_quit, 0},
};

verb_function *policy_verb(enum verb verb)
{
    return rules[verb].run;
}

struct server_reply policy_check(const struct server_session *session, enum verb verb)
{
    const struct server_state *state = session->state;
    unsigned flags = rules[verb].flags;
    bool submission = session->policy->role == ROLE_SUBMISSION;
    if ((flags & SUBMISSION_ONLY) != 0 && !submission)
        return REPLY(503, "5.5.1",
                     "Authentication is not available on this port; to send mail use port 587 (STARTTLS), "
                     "2525 or 465 (TLS)");
    if ((flags & AFTER_TLS) != 0 && !state->secured && session->policy->tls_expected)
        return REPLY(530, "5.7.0",
                     "Must issue a STARTTLS command first. This port expects TLS from the first byte: select "
                     "SSL/TLS in your mail program, or use port 587 with STARTTLS");
    if ((flags & AFTER_TLS) != 0 && submission && !state->secured)
        return REPLY(530, "5.7.0",
                     "Must issue a STARTTLS command first; mail and passwords are accepted only over TLS");
    if ((flags & AFTER_HELO) != 0 && !state->greeted)
        return REPLY(503, "5.5.1", "Bad sequence of commands; send EHLO first");
    if ((flags & AFTER_AUTH) != 0 && submission && !state->signed_in)
        return REPLY(
            530, "5.7.0",
            "Authentication required; enable authentication (user name and password) in your mail program");
    if ((flags & OUTSIDE_TRANSACTION) != 0 && state->in_transaction)
        return REPLY(503, "5.5.1", "Command not allowed during a mail transaction; finish it or send RSET");
    return NO_REPLY;
}

bool policy_offers_starttls(const struct server_session *session)
{
    return session->policy->tls == TLS_STARTTLS && !session->state->secured;
}

bool policy_offers_auth(const struct server_session *session)
{
    return session->policy->role == ROLE_SUBMISSION && session->state->secured && !session->state->signed_in;
}

/*
 * An unauthenticated client on port 25 names the sender itself: a forger could have success reports sent
 * to someone else. RFC 3461 has no DSN without them, so DSN is not offered there, and the sending server,
 * which knows its sender, reports that the message was relayed (5.2.2).
 */
bool policy_offers_dsn(const struct server_session *session)
{
    return session->policy->role != ROLE_MX || session->policy->success_for_all;
}
