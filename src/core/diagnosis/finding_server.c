/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/finding_group.h"

#define BLOCK_LIST_WORDS                                                                               \
    "spamhaus|spamcop|barracuda|sorbs|blacklist|blocklist|block list|black list|blocked using|listed|" \
    "dnsbl|rbl|poor reputation|bad reputation|PBL|CBL|banned|IP address is blocked|S3140|S3150"
#define REVERSE_DNS_WORDS                                                                            \
    "reverse dns|reverse hostname|rdns|ptr |no ptr|without ptr|ptr record|cannot find your reverse|" \
    "does not resolve|iprev"
#define TOO_MANY_WORDS \
    "too many|rate limit|limit exceeded|too frequent|concurrent|exceeded the|throttl|try again in"

static bool says(const struct fact_attempt *attempt, const char *words)
{
    return attempt->end_code >= 400 && finding_has_word(attempt->said, words);
}

static bool is_listed(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return says(attempt, BLOCK_LIST_WORDS) && !says(attempt, "grey-list|grey list|gray-list");
}

static bool wants_reverse_dns(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return says(attempt, REVERSE_DNS_WORDS);
}

static bool counts_many(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return says(attempt, TOO_MANY_WORDS) && !is_listed(facts, attempt);
}

static bool rejects_helo(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    bool unknown_verb = attempt->end_code == 500 || attempt->end_code == 502; /* the name was not looked at */
    const char *words = attempt->end_code >= 500 ? "helo|ehlo|host name|hostname|invalid name|syntax"
                                                 : "helo|ehlo"; /* deferred for a name: it tells so */
    return attempt->end_code >= 400 && attempt->ehlo_code >= 400 && !unknown_verb &&
           !is_listed(facts, attempt) && finding_has_word(attempt->said, words);
}

static bool is_for_later(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->end_code / 100 == 4 && attempt->starttls_code / 100 != 4;
}

static bool is_unwilling(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->end_code / 100 == 5 &&
           (attempt->greeting_code / 100 == 5 || attempt->ehlo_code / 100 == 5);
}

static bool is_mute(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->reach == REACH_CONNECTED && attempt->voice == VOICE_MUTE && attempt->tls_sent == 0;
}

/* TLS stands with the right server, and the dialogue in it was never completed. */
static bool ended_in_tls(const struct fact_attempt *attempt)
{
    return fact_attempt_is_right(attempt) && attempt->ready == KNOWN_NO && attempt->end_code == 0;
}

static bool says_nothing(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return is_mute(facts, attempt) || (ended_in_tls(attempt) && finding_has_word(attempt->said, "timed out"));
}

static bool closed_early(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->reach == REACH_CONNECTED &&
           (attempt->voice == VOICE_CLOSED || attempt->voice == VOICE_RESET) && attempt->tls_sent == 0;
}

static bool closed_later(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_SMTP && attempt->tls == FACT_TLS_NOT_BEGUN && attempt->ready == KNOWN_NO &&
           attempt->end_code == 0 && attempt->starttls_offered == KNOWN_NOT;
}

static bool was_slow(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return closed_later(facts, attempt) && finding_has_word(attempt->said, "timed out");
}

static bool is_cut_off(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return (closed_later(facts, attempt) || ended_in_tls(attempt)) &&
           !finding_has_word(attempt->said, "timed out");
}

static bool has_no_auth(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->port != 25 && attempt->ready == KNOWN_YES && attempt->auth_offered == KNOWN_NO;
}

static bool takes_tokens_alone(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->auth_offered == KNOWN_YES && attempt->auth_passwords == KNOWN_NO &&
           attempt->auth_tokens != KNOWN_NO; /* not known: a report of before */
}

static bool takes_foreign_methods_alone(const struct diagnosis_facts *facts,
                                        const struct fact_attempt *attempt)
{
    return attempt->port != 25 && attempt->auth_offered == KNOWN_YES && attempt->auth_passwords == KNOWN_NO &&
           attempt->auth_tokens == KNOWN_NO;
}

void finding_words_of_server(struct finding_group *group)
{
    finding_set_any(group, FINDING_BLOCK_LISTED, is_listed);
    finding_set_any(group, FINDING_REVERSE_DNS, wants_reverse_dns);
    finding_set_any(group, FINDING_TOO_MANY, counts_many);
    finding_set_any(group, FINDING_HELO_REFUSED, rejects_helo);
    finding_set_any(group, FINDING_LATER, is_for_later);
    finding_set_any(group, FINDING_UNWILLING, is_unwilling);
    finding_set_ports(group, FINDING_MUTE, says_nothing);
    finding_set_ports(group, FINDING_CLOSED_EARLY, closed_early);
    finding_set_ports(group, FINDING_CLOSED_LATER, is_cut_off);
    finding_set_ports(group, FINDING_SLOW, was_slow);
    finding_set_ports(group, FINDING_NO_AUTH, has_no_auth);
    finding_set_any(group, FINDING_OAUTH_ONLY, takes_tokens_alone);
    finding_set_any(group, FINDING_AUTH_FOREIGN, takes_foreign_methods_alone);
}
