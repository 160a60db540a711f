/* SPDX-License-Identifier: Apache-2.0 */
/* helo: EHLO and HELO (RFC 5321 4.1.1.1). */
#include "core/server/server_state.h"

/* Accepts a domain, an address literal, and invalid names that many legitimate clients send (underscores,
 * a bare address); rejects only harmful ones. */
static bool is_acceptable_name(struct bytes name)
{
    if (name.length == 0 || name.length > DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (!ascii_is_alnum(c) && (c == '\0' || strchr(".-_[]:", c) == NULL) && (unsigned char)c < 128)
            return false;
    }
    return bytes_is_utf8(name) && !bytes_has_control_character(name);
}

/* Phones, IDEs and Java send names that no host has, with spaces or "[fe80::1%eth0]", or none: who sends is
 * known by the account. The name is cleaned for Received and the log. */
static void add_cleaned(struct buffer *out, struct bytes name)
{
    size_t from = out->length;
    buffer_add_clean(out, bytes_first(name, DOMAIN_MAX), true);
    for (size_t i = from; i < out->length; i++) {
        char *at = out->at + out->start + i;
        if ((unsigned char)*at < 128 && !ascii_is_alnum(*at) && strchr(".-_[]:%", *at) == NULL)
            *at = '?';
    }
}

static bool greet(struct server_session *session, struct bytes name, bool esmtp)
{
    struct server_state *state = session->state;
    if (session->policy->role == ROLE_MX && !is_acceptable_name(name))
        return false;
    server_session_reset(session); /* as RSET would (RFC 5321 4.1.4) */
    state->greeted = true;
    state->esmtp = esmtp;
    buffer_clear(&state->helo);
    add_cleaned(&state->helo, name);
    session->origin.client_helo = buffer_bytes(&state->helo);
    server_session_update_protocol(session);
    return true;
}

struct server_reply server_helo(struct server_session *session, struct bytes argument)
{
    if (!greet(session, argument, false))
        return REPLY(501, "5.5.4", "Syntax: HELO hostname");
    return server_reply_format(session, 250, NULL, "%.*s", BYTES_ARG(session->policy->hostname));
}

struct server_reply server_ehlo(struct server_session *session, struct bytes argument)
{
    const struct server_policy *policy = session->policy;
    if (!greet(session, argument, true))
        return REPLY(501, "5.5.4", "Syntax: EHLO hostname");
    return server_reply_format(
        session, 250, NULL,
        "%.*s\nPIPELINING\nSIZE %llu\n8BITMIME\nBINARYMIME\nCHUNKING\nSMTPUTF8%s\nENHANCEDSTATUSCODES\n"
        "LIMITS MAILMAX=%u RCPTMAX=%u%s%s%s\nHELP",
        BYTES_ARG(policy->hostname), (unsigned long long)policy->message_size_max,
        policy_offers_dsn(session) ? "\nDSN" : "", (unsigned)TRANSACTIONS_MAX,
        (unsigned)policy->recipients_max, policy_offers_starttls(session) ? "\nSTARTTLS" : "",
        session->state->secured ? "\nREQUIRETLS" : "",
        policy_offers_auth(session) ? "\nAUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS" : "");
}
