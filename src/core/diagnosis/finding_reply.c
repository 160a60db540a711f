/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subject of a reply to the message of the user. Servers agree on the code's first digit
 * and on little else: so the enhanced code and the words decide, the particular ones first.
 * What no rule here knows is asked of core/reply, which the queue's reports use.
 */
#include "core/diagnosis/finding_group.h"
#include "core/reply/reply_meaning.h"

enum sign_in { ANYBODY, SIGNED_IN, NOT_SIGNED_IN };

struct reply_rule {
    enum finding finding;
    enum fact_reply_step from, to;
    unsigned code;        /* 4, 5: these hundreds; 9: either; or the whole code */
    const char *enhanced; /* parted by '|'; "": any */
    const char *words;    /* parted by '|'; "": any */
    enum sign_in of;      /* the rule is for them alone */
};

/* Of several that fit, the first tells; so what is particular comes first. */
static const struct reply_rule particular[] = {
    /* ---- at sign-in, where TLS stands ---- */
    {FINDING_REPLY_TLS, REPLY_AUTH, REPLY_CONTENT, 9, "",
     "starttls|tls is required|tls required|requires tls|require tls|must use tls|appropriate tls|"
     "encryption required|encryption is required|requires encryption|secure connection",
     ANYBODY},
    {FINDING_REPLY_PASSWORD, REPLY_AUTH, REPLY_AUTH, 5, "5.7.139",
     "credentials were incorrect|credentials are incorrect", ANYBODY},
    {FINDING_REPLY_AUTH_LATER, REPLY_AUTH, REPLY_AUTH, 9, "",
     "connection lost to authentication|generic failure|internal authentication error|temporary auth",
     ANYBODY},
    {FINDING_REPLY_OAUTH, REPLY_AUTH, REPLY_AUTH, 5, "",
     "basic auth|SmtpClientAuthentication|oauth|xoauth|modern auth", ANYBODY},
    {FINDING_REPLY_OAUTH, REPLY_AUTH, REPLY_AUTH, 5, "5.7.30|5.7.139", "", ANYBODY},
    {FINDING_REPLY_APPLICATION_PASSWORD, REPLY_AUTH, REPLY_AUTH, 5, "",
     "application-specific|app password|application password|app-specific|InvalidSecondFactor|authorization "
     "code|authorisation code|security key|third-party|parol prilozheniya",
     ANYBODY},
    {FINDING_REPLY_LOCKED, REPLY_AUTH, REPLY_AUTH, 9, "", "too many|rate limit|locked|temporarily blocked",
     ANYBODY},
    {FINDING_REPLY_LIMIT, REPLY_AUTH, REPLY_AUTH, 9, "", "exceeded|quota", ANYBODY},
    {FINDING_REPLY_ADDRESS, REPLY_AUTH, REPLY_MAIL, 9, "",
     "unauthorized ip|unauthorised ip|ip not allowed|ip not authorized|ip address not|ip is not allowed|ip "
     "address is not|from your ip|from this ip|from your country|from this country|from your location",
     ANYBODY},
    {FINDING_REPLY_ACCOUNT, REPLY_AUTH, REPLY_AUTH, 9, "",
     "activated|deactivated|suspended|disabled|blocked|access rights|no permission|not permitted|not "
     "enabled|unpaid|subscription|under review|not active|inactive|expired",
     ANYBODY},
    {FINDING_REPLY_BROWSER, REPLY_AUTH, REPLY_AUTH, 5, "", "browser|WebLoginRequired", ANYBODY},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 500, "", "", ANYBODY},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 502, "", "", ANYBODY},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 503, "", "", ANYBODY},
    {FINDING_REPLY_METHOD, REPLY_AUTH, REPLY_AUTH, 504, "", "", ANYBODY},
    {FINDING_REPLY_AUTH_LATER, REPLY_AUTH, REPLY_AUTH, 4, "", "", ANYBODY},
    {FINDING_REPLY_PASSWORD, REPLY_AUTH, REPLY_AUTH, 5, "", "", ANYBODY},

    /* ---- about the account, or this machine, whatever the step ---- */
    {FINDING_REPLY_LATER, REPLY_MAIL, REPLY_CONTENT, 4, "", "greylist|graylist|grey-list|gray-list|grey list",
     ANYBODY},
    {FINDING_REPLY_ACCOUNT, REPLY_MAIL, REPLY_MAIL, 9, "",
     "account is not yet activated|account is not activated|account has been suspended|account is "
     "suspended|account suspended|account has been disabled|account is disabled|account disabled|account "
     "has been blocked|account is blocked|account is under review|account is not active|account is inactive",
     ANYBODY},
    {FINDING_REPLY_ACCOUNT, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "sandbox|test purposes only|not authorized to send mail|not authorized to perform|bad outbound "
     "sender|OutboundSpam|outgoing mail from|unusual sending activity",
     ANYBODY},
    {FINDING_REPLY_REVERSE_DNS, REPLY_MAIL, REPLY_CONTENT, 9, "5.7.25|4.7.25", "", ANYBODY},
    {FINDING_REPLY_REVERSE_DNS, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "cannot find your hostname|cannot find your reverse|reverse hostname|reverse dns|rdns|ptr record|no "
     "ptr|without ptr|iprev",
     ANYBODY},
    {FINDING_REPLY_HELO, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "helo command rejected|ehlo command rejected|invalid helo|invalid ehlo|bad helo|helo name|ehlo "
     "name|helo/ehlo|ehlo/helo|need fully-qualified hostname",
     ANYBODY},
    {FINDING_REPLY_RECIPIENT, REPLY_RCPT, REPLY_RCPT, 5, "", "not listed in", ANYBODY},
    {FINDING_REPLY_LISTED, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "spamhaus|spamcop|barracuda|sorbs|blacklist|blacklisted|blocklist|block list|black list|blocked "
     "using|listed|dnsbl|rbl|reputation|S3140|S3150",
     ANYBODY},
    {FINDING_REPLY_UNAUTHENTICATED, REPLY_MAIL, REPLY_CONTENT, 9, "5.7.26|5.7.25|5.7.23|5.7.20|5.7.1|4.7.26",
     "unauthenticated|dmarc|spf|dkim", ANYBODY},
    {FINDING_REPLY_UNAUTHENTICATED, REPLY_MAIL, REPLY_CONTENT, 9, "5.7.26|5.7.23|5.7.20|4.7.26", "", ANYBODY},
    {FINDING_REPLY_ADDRESS, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "credentials for relay|mail relay denied|isn't registered in your", ANYBODY},
    {FINDING_REPLY_SIGN_IN, REPLY_MAIL, REPLY_CONTENT, 530, "", "", ANYBODY},
    {FINDING_REPLY_SIGN_IN, REPLY_MAIL, REPLY_CONTENT, 5, "5.7.0", "auth|sign in|log in", ANYBODY},
    {FINDING_REPLY_SIGN_IN, REPLY_MAIL, REPLY_CONTENT, 5, "",
     "authentication required|authentication is required|auth required|auth is required|requires "
     "auth|authenticate first|must authenticate|not authenticated|unauthenticated senders|turn on smtp "
     "auth|without authentication|log in first|login first|sign in first|must be authenticated",
     ANYBODY},
    {FINDING_REPLY_SIGN_IN, REPLY_RCPT, REPLY_RCPT, 9, "", "client host rejected", NOT_SIGNED_IN},
    {FINDING_REPLY_ADDRESS, REPLY_RCPT, REPLY_RCPT, 9, "", "client host rejected", SIGNED_IN},

    /* ---- room, size and number ---- */
    {FINDING_REPLY_FULL, REPLY_RCPT, REPLY_CONTENT, 9, "5.2.2|4.2.2", "", ANYBODY},
    {FINDING_REPLY_FULL, REPLY_RCPT, REPLY_CONTENT, 9, "",
     "mailbox full|mailbox is full|mailbox quota|mailbox size|mailbox has exceeded|inbox full|inbox is "
     "full|over quota|over its quota|exceeded storage allocation|mailbox for user is full",
     ANYBODY},
    {FINDING_REPLY_STORAGE, REPLY_MAIL, REPLY_CONTENT, 9, "4.3.1|5.3.1", "", ANYBODY},
    {FINDING_REPLY_STORAGE, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "insufficient system storage|insufficient disk|out of disk|no space left|not enough disk", ANYBODY},
    {FINDING_REPLY_SIZE, REPLY_MAIL, REPLY_CONTENT, 9, "5.3.4|5.2.3", "", ANYBODY},
    {FINDING_REPLY_SIZE, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "too large|too big|size limit|message size|exceeds size|maximum size", ANYBODY},
    {FINDING_REPLY_CONTENT, REPLY_RCPT, REPLY_CONTENT, 5, "5.4.6|5.4.14", "hop|loop|too many hops", ANYBODY},
    {FINDING_REPLY_LIMIT, REPLY_MAIL, REPLY_CONTENT, 9, "4.7.0|5.4.5|4.5.3|5.7.232",
     "limit|quota|rate|too many|exceeded|throttl", ANYBODY},
    {FINDING_REPLY_LIMIT, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "sending limit|sending quota|rate limit|limit exceeded|limit reached|limit of|quota exceeded|exceeded "
     "its|has exceeded|exceeded the max|exceeded your|hourly|per hour|per day|per minute|per 24 hours|"
     "24-hour|daily|too many messages|too much mail|throttl|SubmissionQuota",
     ANYBODY},

    /* ---- the sender, the recipient, the message ---- */
    {FINDING_REPLY_SENDER_DOMAIN, REPLY_MAIL, REPLY_CONTENT, 9, "5.1.8|4.1.8", "", ANYBODY},
    {FINDING_REPLY_SENDER_DOMAIN, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "sender address rejected: domain not found|domain of sender address|sender domain does not|sender "
     "domain must",
     ANYBODY},
    {FINDING_REPLY_SENDER, REPLY_MAIL, REPLY_CONTENT, 9, "",
     "relaying disallowed as|not allowed to relay|allowed to relay emails|is not verified|not a "
     "verified|verified sender|must be verified|unconfigured sending domain|sender signature|sender "
     "address rejected|sender verify|sender verification",
     ANYBODY},
    {FINDING_REPLY_RELAY, REPLY_RCPT, REPLY_RCPT, 9, "", "relay", ANYBODY},
};

/* By the step alone. */
static const struct reply_rule usual[] = {
    {FINDING_REPLY_SENDER, REPLY_MAIL, REPLY_MAIL, 5, "", "", ANYBODY},
    {FINDING_REPLY_SENDER, REPLY_RCPT, REPLY_CONTENT, 5, "",
     "sender|send as|sendas|from address|from header|not owned by|not allowed to send|envelope from",
     ANYBODY},
    {FINDING_REPLY_LATER, REPLY_MAIL, REPLY_CONTENT, 4, "", "", ANYBODY},
    {FINDING_REPLY_RECIPIENT, REPLY_RCPT, REPLY_RCPT, 5, "", "", ANYBODY},
    {FINDING_REPLY_CONTENT, REPLY_DATA, REPLY_CONTENT, 5, "", "", ANYBODY},
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
           (rule->of == ANYBODY || (rule->of == SIGNED_IN) == reply->signed_in) &&
           has_enhanced(reply->enhanced, rule->enhanced) &&
           (rule->words[0] == '\0' || finding_has_word(reply->text, rule->words));
}

static enum finding first_that_fits(const struct reply_rule *rules, size_t count,
                                    const struct fact_reply *reply)
{
    for (size_t i = 0; i < count; i++)
        if (fits(&rules[i], reply))
            return rules[i].finding;
    return FINDING_NONE;
}

static enum finding by_class(const struct reply_meaning *meaning, const struct fact_reply *reply)
{
    switch (meaning->class) {
    case CLASS_NO_SUCH_USER:
    case CLASS_DISABLED:
    case CLASS_INACTIVE:
    case CLASS_BAD_ADDRESS:
    case CLASS_BAD_DOMAIN:
        return reply->step >= REPLY_RCPT && reply->code >= 500 ? FINDING_REPLY_RECIPIENT : FINDING_NONE;
    case CLASS_MAILBOX_FULL: return FINDING_REPLY_FULL;
    case CLASS_AUTH: return FINDING_REPLY_UNAUTHENTICATED;
    case CLASS_REPUTATION:
    case CLASS_RBL: return meaning->about == ABOUT_SENDING_IP ? FINDING_REPLY_LISTED : FINDING_NONE;
    case CLASS_RATE: return meaning->about != ABOUT_RECIPIENT ? FINDING_REPLY_LIMIT : FINDING_NONE;
    case CLASS_SIZE: return FINDING_REPLY_SIZE;
    case CLASS_TLS: return FINDING_REPLY_TLS;
    case CLASS_DNS:
        return meaning->about == ABOUT_SENDING_IP ? FINDING_REPLY_REVERSE_DNS : FINDING_REPLY_SENDER_DOMAIN;
    case CLASS_RELAY: return FINDING_REPLY_RELAY;
    case CLASS_LOGIN: return reply->signed_in ? FINDING_REPLY_ACCOUNT : FINDING_REPLY_SIGN_IN;
    case CLASS_RECIPIENT_POLICY:
    case CLASS_GREYLIST:
    case CLASS_SPAM:
    case CLASS_VIRUS:
    case CLASS_FORMAT:
    case CLASS_PROTOCOL:
    case CLASS_SYSTEM:
    case CLASS_LOOP:
    case CLASS_POLICY:
    case CLASS_COUNT: break;
    }
    return FINDING_NONE;
}

static enum finding by_meaning(const struct diagnosis_facts *facts)
{
    const struct fact_reply *reply = &facts->reply;
    const struct reply_facts asked = {.code = reply->code,
                                      .enhanced = bytes_of_text(reply->enhanced),
                                      .text = bytes_of_text(reply->text),
                                      .peer = bytes_of_text(facts->host)};
    const struct reply_meaning *meaning = reply_meaning_find(&asked);
    return meaning == NULL ? FINDING_NONE : by_class(meaning, reply);
}

static void forget(struct finding_group *group, const struct reply_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        finding_set(group, rules[i].finding, false);
}

void finding_reply(struct finding_group *group)
{
    const struct fact_reply *reply = &group->facts->reply;
    finding_set(group, FINDING_SIGNED_IN, reply->step > REPLY_AUTH && reply->signed_in);
    forget(group, particular, ARRAY_LENGTH(particular));
    forget(group, usual, ARRAY_LENGTH(usual));
    if (reply->step == REPLY_NONE || reply->code < 400)
        return;
    enum finding found = first_that_fits(particular, ARRAY_LENGTH(particular), reply);
    if (found == FINDING_NONE && reply->step > REPLY_AUTH)
        found = by_meaning(group->facts);
    if (found == FINDING_NONE)
        found = first_that_fits(usual, ARRAY_LENGTH(usual), reply);
    if (found != FINDING_NONE)
        finding_set(group, found, true);
}
