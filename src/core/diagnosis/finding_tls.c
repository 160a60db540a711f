/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/finding_group.h"
#include "core/port/port_facts.h"

/* ---- STARTTLS ---- */

static bool lacks_starttls(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_SMTP && !attempt->implicit_tls && attempt->ehlo_code == 250 &&
           attempt->starttls_offered == KNOWN_NO && attempt->ehlo_masked != KNOWN_YES &&
           (attempt->port != 25 || facts->purpose == PURPOSE_RELAY);
}

/* Behind a valid certificate the masked words did no harm: some servers greet so on purpose. */
static bool is_masked(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return (attempt->greeting_masked == KNOWN_YES || attempt->ehlo_masked == KNOWN_YES) &&
           !fact_attempt_is_right(attempt);
}

static bool offers_starttls(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->starttls_offered == KNOWN_YES && attempt->port != 25;
}

static bool is_unknown_to_it(const struct fact_attempt *attempt)
{
    return attempt->starttls_code == 500 || attempt->starttls_code == 502;
}

static bool refuses_starttls(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->starttls_offered == KNOWN_YES && attempt->starttls_code != 0 &&
           attempt->starttls_code != 220 && !is_unknown_to_it(attempt);
}

static bool forgot_starttls(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->starttls_offered == KNOWN_YES && is_unknown_to_it(attempt);
}

static bool met_clear_text(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_CLEAR_TEXT && !attempt->implicit_tls;
}

static void find_starttls(struct finding_group *group)
{
    const struct provider *provider = group->facts->provider;
    bool known_to = provider != NULL && provider->starttls[0] != 0;
    finding_set_any(group, FINDING_STARTTLS_MISSING, lacks_starttls);
    finding_set(group, FINDING_STARTTLS_ELSEWHERE, known_to || finding_any(group, offers_starttls));
    finding_set(group, FINDING_STARTTLS_GONE,
                findings_say(group->findings, FINDING_STARTTLS_MISSING) &&
                    findings_say(group->findings, FINDING_STARTTLS_ELSEWHERE));
    finding_set_any(group, FINDING_STARTTLS_MASKED, is_masked);
    finding_set_any(group, FINDING_STARTTLS_REFUSED, refuses_starttls);
    finding_set_any(group, FINDING_STARTTLS_UNKNOWN, forgot_starttls);
    finding_set_any(group, FINDING_STARTTLS_BROKEN, met_clear_text);
}

/* ---- the handshake ---- */

static bool works_in_mode(const struct diagnosis_facts *facts, const struct fact_attempt *attempt,
                          bool implicit)
{
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *other = &facts->attempts[i];
        if (other->port == attempt->port && strcmp(other->address, attempt->address) == 0 &&
            other->implicit_tls == implicit && other->tls == FACT_TLS_DONE)
            return true;
    }
    return false;
}

/* As the race sees it: a port that is ready, or further on, in the mode that is not the custom there, and not
 * in the other. A port of no custom is asked in both. */
static bool is_swapped(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    bool implicit = port_tls(attempt->port) == CLIENT_TLS_IMPLICIT;
    bool by_custom = implicit || port_facts_of(attempt->port) != NULL || port_other_of(attempt->port) != NULL;
    return by_custom && attempt->implicit_tls != implicit && attempt->tls == FACT_TLS_DONE &&
           !works_in_mode(facts, attempt, implicit);
}

/* It was asked with STARTTLS as well, so its mode is known, or, if it was mute, is not the question. */
static bool was_asked_in_clear(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *other = &facts->attempts[i];
        if (other->port == attempt->port && strcmp(other->address, attempt->address) == 0 &&
            !other->implicit_tls && (other->voice == VOICE_SMTP || other->voice == VOICE_MUTE))
            return true;
    }
    return false;
}

static bool expects_other_mode(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    if (attempt->implicit_tls)
        return attempt->tls == FACT_TLS_CLEAR_TEXT && attempt->voice == VOICE_SMTP &&
               !was_asked_in_clear(facts, attempt);
    return attempt->voice == VOICE_TLS;
}

static bool has_other_mode(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return is_swapped(facts, attempt) || expects_other_mode(facts, attempt);
}

static bool was_cut(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return (attempt->tls == FACT_TLS_RESET || attempt->tls == FACT_TLS_CLOSED) && attempt->tls_received == 0;
}

/* With FIN, as a program ends a connection; devices on the path send RST. */
static bool was_closed(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_CLOSED && attempt->tls_received == 0;
}

/* After our first message, a server's answer of several packets was due. */
static bool stalled(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_TIMED_OUT && attempt->tls_sent > 0 &&
           (!attempt->implicit_tls || attempt->reach == REACH_CONNECTED);
}

static bool has_old_version(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_ALERT_VERSION;
}

static bool has_no_cipher(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_ALERT_CIPHER;
}

static bool wants_client_certificate(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_ALERT_CLIENT;
}

static bool broke(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_BROKEN || attempt->tls == FACT_TLS_ALERT_NAME ||
           ((attempt->tls == FACT_TLS_RESET || attempt->tls == FACT_TLS_CLOSED) && attempt->tls_received > 0);
}

static void find_handshake(struct finding_group *group)
{
    finding_set_any(group, FINDING_TLS_MODES_SWAPPED, has_other_mode);
    finding_set_ports(group, FINDING_TLS_RESET, was_cut);
    finding_set(group, FINDING_SERVER_CUTS_TLS,
                finding_count_ports(group, was_closed) > 0 &&
                    findings_say(group->findings, FINDING_CONTROL_WORKS) &&
                    !findings_say(group->findings, FINDING_KNOWN_PROVIDER));
    finding_set(group, FINDING_TLS_RESET_SEVERAL, finding_count_ports(group, was_cut) > 1);
    finding_set_ports(group, FINDING_TLS_STALLED, stalled);
    finding_set_any(group, FINDING_TLS_VERSION_OLD, has_old_version);
    finding_set_any(group, FINDING_TLS_NO_CIPHER, has_no_cipher);
    finding_set_any(group, FINDING_TLS_CLIENT_CERTIFICATE, wants_client_certificate);
    finding_set_ports(group, FINDING_TLS_BROKEN, broke);
}

/* ---- the certificate ---- */

static bool counts(const struct diagnosis_facts *facts, const struct fact_attempt *attempt,
                   enum fact_certificate_state state)
{
    return attempt->tls == FACT_TLS_DONE && attempt->certificate.state == state &&
           (attempt->port != 25 || facts->purpose == PURPOSE_RELAY);
}

#define CERTIFICATE_TEST(name, state)                                                         \
    static bool name(const struct diagnosis_facts *facts, const struct fact_attempt *attempt) \
    {                                                                                         \
        return counts(facts, attempt, state);                                                 \
    }
CERTIFICATE_TEST(is_expired, FACT_CERTIFICATE_EXPIRED)
CERTIFICATE_TEST(is_early, FACT_CERTIFICATE_NOT_YET_VALID)
CERTIFICATE_TEST(is_self_signed, FACT_CERTIFICATE_SELF_SIGNED)
CERTIFICATE_TEST(is_unknown, FACT_CERTIFICATE_UNKNOWN_ISSUER)
CERTIFICATE_TEST(is_invalid, FACT_CERTIFICATE_INVALID)

static bool is_of_other_name(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return counts(facts, attempt, FACT_CERTIFICATE_OTHER_NAME) &&
           attempt->certificate.chain_trusted == KNOWN_YES;
}

/* Alone, for the right name, by an issuer that is a public CA's by its name: the intermediate is missing. */
static bool is_chain_short(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return counts(facts, attempt, FACT_CERTIFICATE_UNKNOWN_ISSUER) &&
           attempt->certificate.chain_length == 1 && attempt->certificate.names_host == KNOWN_YES &&
           strcmp(attempt->certificate.subject, attempt->certificate.issuer) != 0;
}

void finding_tls(struct finding_group *group)
{
    find_starttls(group);
    find_handshake(group);
    finding_set_any(group, FINDING_CERTIFICATE_EXPIRED, is_expired);
    finding_set_any(group, FINDING_CERTIFICATE_NOT_YET, is_early);
    finding_set(group, FINDING_CERTIFICATE_DATES,
                findings_say(group->findings, FINDING_CERTIFICATE_EXPIRED) ||
                    findings_say(group->findings, FINDING_CERTIFICATE_NOT_YET));
    finding_set_any(group, FINDING_CERTIFICATE_OTHER_NAME, is_of_other_name);
    finding_set_any(group, FINDING_CERTIFICATE_SELF_SIGNED, is_self_signed);
    finding_set_any(group, FINDING_CERTIFICATE_UNKNOWN, is_unknown);
    finding_set_any(group, FINDING_CERTIFICATE_INVALID, is_invalid);
    finding_set_any(group, FINDING_CHAIN_SHORT, is_chain_short);
}
