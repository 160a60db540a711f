/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/finding_group.h"
#include "core/port/interceptor.h"
#include "core/port/web_host.h"

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* "listed" does not begin within "greylisted". */
static bool contains_nocase(const char *text, struct bytes word)
{
    struct bytes all = bytes_of_text(text);
    for (size_t i = 0; word.length > 0 && i + word.length <= all.length; i++)
        if ((i == 0 || !is_letter_or_digit(word.at[0]) || !is_letter_or_digit(all.at[i - 1])) &&
            bytes_equal_nocase(bytes_of(all.at + i, word.length), word))
            return true;
    return false;
}

bool finding_has_word(const char *text, const char *words)
{
    for (struct bytes rest = bytes_of_text(words); rest.length > 0;)
        if (contains_nocase(text, bytes_split(&rest, '|')))
            return true;
    return false;
}

/* ---- certificates ---- */

/* On how many ports is one and the same foreign certificate? */
static size_t count_foreign_alike(const struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    size_t most = 0;
    for (size_t i = 0; i < group->seen.count; i++) {
        const struct fact_attempt *one = group->seen.ports[i].attempt;
        size_t alike = 0;
        if (!fact_attempt_is_foreign(facts, one))
            continue;
        for (size_t k = 0; k < group->seen.count; k++) {
            const struct fact_attempt *other = group->seen.ports[k].attempt;
            alike += fact_attempt_is_foreign(facts, other) &&
                     memcmp(other->certificate.fingerprint, one->certificate.fingerprint,
                            sizeof one->certificate.fingerprint) == 0;
        }
        most = alike > most ? alike : most;
    }
    return most;
}

static bool is_right(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return fact_attempt_is_right(attempt);
}

/* A scanner's name in the issuer explains and never excuses; at its maker's own host it is no scanner. */
static bool is_scanned(const struct diagnosis_facts *facts, const struct fact_attempt *attempt,
                       enum interceptor_kind kind)
{
    const struct interceptor *found = attempt->tls != FACT_TLS_DONE ||
                                              attempt->certificate.chain_trusted == KNOWN_YES
                                          ? NULL
                                          : interceptor_by_issuer(
                                                bytes_of_text(attempt->certificate.issuer),
                                                bytes_of_text(fact_attempt_host(facts, attempt)));
    return found != NULL && found->kind == kind;
}

static bool is_scanned_here(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return is_scanned(facts, attempt, INTERCEPTOR_ANTIVIRUS);
}

static bool is_scanned_on_the_network(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return is_scanned(facts, attempt, INTERCEPTOR_FIREWALL);
}

/* ---- greetings ---- */

static bool greets_as_cpanel(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_SMTP &&
           finding_has_word(attempt->greeting, "We do not authorize the use of this system to transport");
}

/* The greeting of a web host, from a known provider's name or from other hosts alike. */
static bool is_cpanel_elsewhere(const struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    for (size_t i = 0; i < facts->attempt_count; i++)
        if (greets_as_cpanel(facts, &facts->attempts[i]) &&
            fact_attempt_provider(facts, &facts->attempts[i]) != NULL)
            return true;
    for (size_t i = 0; i < facts->control_count; i++)
        if (greets_as_cpanel(facts, &facts->controls[i]))
            return true;
    return false;
}

static bool greets_as_exim(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_SMTP && fact_attempt_provider(facts, attempt) != NULL &&
           finding_has_word(attempt->greeting, " Exim ");
}

/* "250-host Hello name [192.0.2.7]": whose address is it that the server sees? Only where the target is not
 * this machine can its own one, or loopback's, tell that the connection never left it. */
static bool sees_own_address(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    if (attempt->voice != VOICE_SMTP || facts->host_is_own == KNOWN_YES)
        return false;
    for (size_t i = 0; i < facts->address_count; i++)
        if (facts->addresses[i].kind == ADDRESS_LOOPBACK || facts->addresses[i].own == KNOWN_YES)
            return false;
    return finding_has_word(attempt->ehlo, "[127.0.0.1]|[::1]|[IPv6:::1]");
}

static bool is_http(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_HTTP && attempt->port != 443 && attempt->port != 80;
}

static bool is_redirected_page(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_HTTP && finding_has_word(attempt->said, "location:|302|307|511|portal");
}

static bool is_other_protocol(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->reach == REACH_CONNECTED &&
           (attempt->voice == VOICE_SSH || attempt->voice == VOICE_IMAP || attempt->voice == VOICE_POP3 ||
            attempt->voice == VOICE_FTP || attempt->voice == VOICE_OTHER);
}

/* Does the text have the last two labels of the host's name? */
static bool names_domain_of(const char *text, const char *host)
{
    const char *last = strrchr(host, '.'), *before = last;
    while (before != NULL && before > host && before[-1] != '.')
        before--;
    return before != NULL && contains_nocase(text, bytes_of_text(before));
}

/* A known provider's name that is greeted by somebody who brings no certificate for it. */
static bool greets_as_another(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_SMTP && fact_attempt_provider(facts, attempt) != NULL &&
           (attempt->port != 25 || facts->purpose == PURPOSE_LEAVE) && !fact_attempt_is_right(attempt) &&
           attempt->starttls_offered == KNOWN_NO &&
           !names_domain_of(attempt->greeting, fact_attempt_host(facts, attempt));
}

/* A host of web sites may serve its customers' own names with its certificate; a known provider's it may not.
 */
static bool names_a_hoster(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return fact_attempt_provider(facts, attempt) != NULL && fact_attempt_is_foreign(facts, attempt) &&
           (web_host_by_answer(bytes_of_text(attempt->greeting)) != NULL ||
            web_host_by_answer(bytes_of_text(attempt->certificate.names)) != NULL);
}

static bool is_foreign(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return fact_attempt_is_foreign(facts, attempt);
}

/* A known provider's name, and an issuer that no one here knows: it names the host, as scanners do. */
static bool is_not_trusted(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->tls == FACT_TLS_DONE && fact_attempt_provider(facts, attempt) != NULL &&
           attempt->certificate.chain_trusted == KNOWN_NO;
}

/* ---- the two families ---- */

/* Every right certificate is met over one family, every other one, by a public CA, over the other: two hosts
 * share the name. */
static bool do_families_differ(const struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    size_t right[2] = {0, 0}, other[2] = {0, 0};
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        right[attempt->six] += fact_attempt_is_right(attempt);
        if (attempt->tls != FACT_TLS_DONE || attempt->certificate.names_host != KNOWN_NO)
            continue;
        if (attempt->certificate.chain_trusted != KNOWN_YES)
            return false;
        other[attempt->six]++;
    }
    return facts->provider == NULL && facts->purpose != PURPOSE_LEAVE &&
           ((right[0] > 0 && other[0] == 0 && right[1] == 0 && other[1] > 0) ||
            (right[1] > 0 && other[1] == 0 && right[0] == 0 && other[0] > 0));
}

void finding_identity(struct finding_group *group)
{
    finding_set_any(group, FINDING_FOREIGN_CERTIFICATE, is_foreign);
    finding_set_any(group, FINDING_NOT_TRUSTED_HERE, is_not_trusted);
    finding_set(group, FINDING_FOREIGN_SEVERAL, count_foreign_alike(group) > 1);
    finding_set_any(group, FINDING_RIGHT_CERTIFICATE_TOO, is_right);
    finding_set_any(group, FINDING_CPANEL_GREETING, greets_as_cpanel);
    finding_set(group, FINDING_CPANEL_ELSEWHERE, is_cpanel_elsewhere(group));
    finding_set_any(group, FINDING_EXIM_GREETING, greets_as_exim);
    finding_set_any(group, FINDING_EHLO_OWN_ADDRESS, sees_own_address);
    finding_set_any(group, FINDING_HOSTER_NAMED, names_a_hoster);
    finding_set_any(group, FINDING_SCANNER_ON_MACHINE, is_scanned_here);
    finding_set_any(group, FINDING_SCANNER_ON_NETWORK, is_scanned_on_the_network);
    finding_set_any(group, FINDING_HTTP_ANSWERS, is_http);
    finding_set_any(group, FINDING_PORTAL_REDIRECT, is_redirected_page);
    finding_set_any(group, FINDING_OTHER_PROTOCOL, is_other_protocol);
    finding_set_any(group, FINDING_OTHER_GREETING, greets_as_another);
    finding_set(group, FINDING_FAMILIES_DIFFER, do_families_differ(group));
}

/* ---- the sum of it ---- */

/* A known provider's certificate that is not valid for a reason that its own servers never have. */
static bool is_not_the_providers(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    enum fact_certificate_state state = attempt->certificate.state;
    return fact_attempt_provider(facts, attempt) != NULL && attempt->tls == FACT_TLS_DONE &&
           (state == FACT_CERTIFICATE_SELF_SIGNED || state == FACT_CERTIFICATE_UNKNOWN_ISSUER ||
            state == FACT_CERTIFICATE_OTHER_NAME || state == FACT_CERTIFICATE_INVALID);
}

void finding_doubt(struct finding_group *group)
{
    static const enum finding doubts[] = {
        FINDING_EHLO_OWN_ADDRESS,   FINDING_CONNECTED_AT_ONCE,
        FINDING_HOSTER_NAMED,       FINDING_SCANNER_ON_MACHINE,
        FINDING_SCANNER_ON_NETWORK, FINDING_HTTP_ANSWERS,
        FINDING_EXIM_GREETING,      FINDING_OTHER_GREETING,
        FINDING_CPANEL_ELSEWHERE,   FINDING_CONTROL_FOREIGN,
        FINDING_WEB_FOREIGN,        FINDING_RULE_REDIRECTS,
        FINDING_STARTTLS_MASKED,    FINDING_STARTTLS_BROKEN,
        FINDING_STARTTLS_UNKNOWN,   FINDING_OTHER_RESOLVER_DISAGREES,
        FINDING_ADDRESS_IMPOSSIBLE, FINDING_ADDRESS_FAKE,
        FINDING_PROXY_AT_ONCE,
    };
    const struct findings *findings = group->findings;
    bool doubt = finding_any(group, is_not_the_providers) ||
                 (findings_say(findings, FINDING_RIGHT_CERTIFICATE_TOO) &&
                  findings_say(findings, FINDING_FOREIGN_CERTIFICATE)) ||
                 (findings_say(findings, FINDING_CPANEL_GREETING) &&
                  findings_say(findings, FINDING_FOREIGN_CERTIFICATE) &&
                  findings_say(findings, FINDING_MACHINE_CPANEL));
    for (size_t i = 0; i < ARRAY_LENGTH(doubts); i++)
        doubt = doubt || findings_say(findings, doubts[i]);
    finding_set(group, FINDING_IDENTITY_IN_DOUBT, doubt);
}
