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
    return says(attempt, BLOCK_LIST_WORDS);
}

static bool wants_reverse_dns(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return says(attempt, REVERSE_DNS_WORDS);
}

static bool counts_many(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->end_code / 100 == 4 && says(attempt, TOO_MANY_WORDS);
}

static bool rejects_helo(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->end_code >= 500 && attempt->ehlo_code >= 500 && !is_listed(facts, attempt) &&
           finding_has_word(attempt->said, "helo|ehlo|host name|hostname|invalid name|syntax");
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
    return closed_later(facts, attempt) && !was_slow(facts, attempt);
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
    finding_set_ports(group, FINDING_MUTE, is_mute);
    finding_set_ports(group, FINDING_CLOSED_EARLY, closed_early);
    finding_set_ports(group, FINDING_CLOSED_LATER, is_cut_off);
    finding_set_ports(group, FINDING_SLOW, was_slow);
    finding_set_ports(group, FINDING_NO_AUTH, has_no_auth);
    finding_set_any(group, FINDING_OAUTH_ONLY, takes_tokens_alone);
    finding_set_any(group, FINDING_AUTH_FOREIGN, takes_foreign_methods_alone);
}

/* ---- replies to the user's own message ---- */

struct reply_rule {
    enum finding finding;
    enum fact_reply_step from, to;
    unsigned code;        /* 4, 5: these hundreds; 9: either; or the whole code */
    const char *enhanced; /* parted by '|', a prefix each; "": any */
    const char *words;    /* parted by '|'; "": any */
};

/* Of several that fit, the first tells; so what is particular comes first. */
static const struct reply_rule rules[] = {
    {FINDING_REPLY_OAUTH, REPLY_AUTH, REPLY_AUTH, 5, "",
     "basic authentication|SmtpClientAuthentication|oauth|xoauth|modern auth"},
    {FINDING_REPLY_OAUTH, REPLY_AUTH, REPLY_AUTH, 5, "5.7.30|5.7.139", ""},
    {FINDING_REPLY_APPLICATION_PASSWORD, REPLY_AUTH, REPLY_AUTH, 5, "",
     "application-specific|app password|application password|app-specific|InvalidSecondFactor|authorization "
     "code|authorisation code|security key|third-party"},
    {FINDING_REPLY_LIMIT, REPLY_AUTH, REPLY_AUTH, 9, "", "too many|rate limit|locked|temporarily blocked"},
    {FINDING_REPLY_ADDRESS, REPLY_AUTH, REPLY_MAIL, 9, "",
     "unauthorized ip|unauthorised ip|ip not allowed|ip not authorized|ip address not|ip is not allowed|ip "
     "address is not|from your ip|from this ip|from your country|from this country|from your location"},
    {FINDING_REPLY_ACCOUNT, REPLY_AUTH, REPLY_AUTH, 9, "",
     "activated|deactivated|suspended|disabled|blocked|access rights|no permission|not permitted|not "
     "enabled|unpaid|subscription|under review|not active|inactive|expired"},
    {FINDING_REPLY_ACCOUNT, REPLY_MAIL, REPLY_MAIL, 9, "",
     "account is not yet activated|account is not activated|account has been suspended|account is "
     "suspended|account suspended|account has been disabled|account is disabled|account disabled|account "
     "has been blocked|account is blocked|account is under review|account is not active|account is inactive"},
    {FINDING_REPLY_BROWSER, REPLY_AUTH, REPLY_AUTH, 5, "", "browser|WebLoginRequired"},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 500, "", ""},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 502, "", ""},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 503, "", ""},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 504, "", ""},
    {FINDING_REPLY_AUTH_LATER, REPLY_AUTH, REPLY_AUTH, 4, "", ""},
    {FINDING_REPLY_PASSWORD, REPLY_AUTH, REPLY_AUTH, 5, "", ""},
    {FINDING_REPLY_LISTED, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "spamhaus|spamcop|blacklist|blocklist|block list|listed|dnsbl|reputation|S3140|S3150"},
    {FINDING_REPLY_UNAUTHENTICATED, REPLY_MAIL, REPLY_CONTENT, 9, "5.7.26|5.7.25|5.7.23|5.7.20|5.7.1",
     "unauthenticated|dmarc|spf|dkim"},
    {FINDING_REPLY_UNAUTHENTICATED, REPLY_MAIL, REPLY_CONTENT, 9, "5.7.26|5.7.23|5.7.20|4.7.26", ""},
    {FINDING_REPLY_SIGN_IN, REPLY_MAIL, REPLY_CONTENT, 5, "5.7.0", "auth|sign in|log in|starttls"},
    {FINDING_REPLY_SIGN_IN, REPLY_MAIL, REPLY_RCPT, 5, "",
     "authentication required|authenticate first|must authenticate|not authenticated|log in first|login "
     "first|sign in first|must be authenticated"},
    {FINDING_REPLY_LIMIT, REPLY_MAIL, REPLY_CONTENT, 9, "4.7.0|5.4.5|4.5.3|5.7.232",
     "limit|quota|rate|too many|exceeded|throttl"},
    {FINDING_REPLY_LIMIT, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "daily user sending|sending limit|rate limit|hourly|quota exceeded|too many messages|too much mail"},
    {FINDING_REPLY_SIZE, REPLY_MAIL, REPLY_CONTENT, 9, "5.3.4|5.2.3", ""},
    {FINDING_REPLY_SIZE, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "too large|too big|size limit|message size|exceeds size"},
    {FINDING_REPLY_SENDER, REPLY_MAIL, REPLY_CONTENT, 5, "",
     "relaying disallowed as|not allowed to relay|allowed to relay emails|address is not verified|not a "
     "verified|verified sender"},
    {FINDING_REPLY_RELAY, REPLY_RCPT, REPLY_RCPT, 9, "", "relay"},
    {FINDING_REPLY_SENDER, REPLY_MAIL, REPLY_MAIL, 5, "", ""},
    {FINDING_REPLY_SENDER, REPLY_RCPT, REPLY_CONTENT, 5, "",
     "sender|send as|sendas|from address|from header|not owned by|not allowed to send|envelope from"},
    {FINDING_REPLY_LATER, REPLY_MAIL, REPLY_CONTENT, 4, "", ""},
    {FINDING_REPLY_RECIPIENT, REPLY_RCPT, REPLY_RCPT, 5, "", ""},
    {FINDING_REPLY_CONTENT, REPLY_DATA, REPLY_CONTENT, 5, "", ""},
};

static bool has_enhanced(const char *enhanced, const char *wanted)
{
    struct bytes rest = bytes_of_text(wanted);
    bool any = rest.length == 0;
    while (!any && rest.length > 0)
        any = bytes_equal_nocase(bytes_of_text(enhanced), bytes_split(&rest, '|'));
    return any;
}

static bool fits(const struct reply_rule *rule, const struct fact_reply *reply)
{
    return reply->step >= rule->from && reply->step <= rule->to &&
           (rule->code == 9 || reply->code / 100 == rule->code || reply->code == rule->code) &&
           has_enhanced(reply->enhanced, rule->enhanced) &&
           (rule->words[0] == '\0' || finding_has_word(reply->text, rule->words));
}

void finding_reply(struct finding_group *group)
{
    const struct fact_reply *reply = &group->facts->reply;
    bool found = false;
    finding_set(group, FINDING_SIGNED_IN, reply->step > REPLY_AUTH && reply->signed_in);
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        finding_set(group, rules[i].finding, false);
    for (size_t i = 0; i < ARRAY_LENGTH(rules) && !found && reply->step != REPLY_NONE && reply->code >= 400;
         i++) {
        found = fits(&rules[i], reply);
        if (found)
            finding_set(group, rules[i].finding, true);
    }
}
