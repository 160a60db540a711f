/* SPDX-License-Identifier: Apache-2.0 */
/* What a server's reply to the user's own message means, and which port offers a sign-in. */
#include "diagnosis_expect.h"

/* ---- replies ---- */

struct reply_case {
    enum fact_reply_step step;
    uint16_t code;
    const char *enhanced, *text, *cause;
    enum step_kind first;
};

static void expect_of_reply(const struct reply_case *reply, bool signed_in)
{
    facts_start(&facts, "mail.example.org");
    facts_ready(&facts, FOUR, 587);
    facts.reply.step = reply->step;
    facts.reply.code = reply->code;
    facts.reply.signed_in = signed_in;
    facts_text(facts.reply.enhanced, sizeof facts.reply.enhanced, reply->enhanced);
    facts_text(facts.reply.text, sizeof facts.reply.text, reply->text);
    expect(reply->cause, reply->first);
}

static void replies_to_the_message(void **state)
{
    static const struct reply_case replies[] = {
        {REPLY_AUTH, 535, "5.7.8", "Username and Password not accepted", "password", STEP_CHECK_PASSWORD},
        {REPLY_AUTH, 534, "5.7.9", "Application-specific password required", "application-password",
         STEP_APPLICATION_PASSWORD},
        {REPLY_AUTH, 535, "5.7.139", "Authentication unsuccessful, SmtpClientAuthentication is disabled",
         "oauth-only", STEP_OAUTH},
        {REPLY_MAIL, 550, "5.7.1", "Sender address rejected", "sender", STEP_OWN_SENDER},
        {REPLY_MAIL, 530, "5.7.0", "Authentication required", "not-signed-in", STEP_GIVE_USER},
        {REPLY_RCPT, 554, "5.7.1", "Relay access denied", "relay-denied", STEP_GIVE_USER},
        {REPLY_RCPT, 550, "5.1.1", "User unknown", "recipient", STEP_CHECK_RECIPIENT},
        {REPLY_RCPT, 450, "4.2.0", "Greylisted, come back", "message-later", STEP_WAIT},
        {REPLY_CONTENT, 550, "5.7.26", "This mail has been blocked because the sender is unauthenticated",
         "domain-unauthenticated", STEP_AUTHENTICATE_DOMAIN},
        {REPLY_CONTENT, 552, "5.3.4", "Message size exceeds fixed limit", "size", STEP_SMALLER},
        {REPLY_RCPT, 550, "5.7.1", "Service unavailable; client host blocked using zen.spamhaus.org",
         "message-listed", STEP_LOOK_UP_LIST},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++)
        expect_of_reply(&replies[i], false);
}

/* A sign-in that is rejected for another reason than the password: to change that would lead the wrong way.
 */
static void a_rejected_sign_in_need_not_be_the_password(void **state)
{
    static const struct reply_case replies[] = {
        {REPLY_AUTH, 525, "5.7.1", "Unauthorized IP address 203.0.113.7", "address-not-allowed",
         STEP_ALLOW_ADDRESS},
        {REPLY_AUTH, 535, "5.7.8", "Login from this country is not allowed", "address-not-allowed",
         STEP_ALLOW_ADDRESS},
        {REPLY_AUTH, 502, "5.7.0", "Your SMTP account is not yet activated", "account-off",
         STEP_OPEN_ACCOUNT},
        {REPLY_AUTH, 535, "5.7.8", "This user does not have access rights to this service", "account-off",
         STEP_OPEN_ACCOUNT},
        {REPLY_AUTH, 550, "", "User has no permission", "account-off", STEP_OPEN_ACCOUNT},
        {REPLY_AUTH, 454, "4.7.0", "account suspended", "account-off", STEP_OPEN_ACCOUNT},
        {REPLY_MAIL, 552, "", "Your account has been suspended", "account-off", STEP_OPEN_ACCOUNT},
        {REPLY_AUTH, 534, "5.7.14", "Please log in via your web browser and then try again", "browser-first",
         STEP_SIGN_IN_BROWSER},
        {REPLY_AUTH, 504, "5.7.4", "Unrecognized authentication type", "auth-method", STEP_OAUTH},
        {REPLY_AUTH, 503, "5.5.1", "AUTH command used when not advertised", "auth-method", STEP_OAUTH},
        {REPLY_AUTH, 502, "5.5.1", "VRFY, AUTH not implemented", "auth-method", STEP_OAUTH},
        {REPLY_AUTH, 535, "5.7.8", "authentication failed", "password", STEP_CHECK_PASSWORD},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++)
        expect_of_reply(&replies[i], false);
}

/* TLS stands whenever a message is given: a server that asks for it all the same does not see it. */
static void tls_that_the_server_does_not_see(void **state)
{
    static const struct reply_case replies[] = {
        {REPLY_MAIL, 451, "5.7.3", "STARTTLS is required to send mail", "tls-not-seen", STEP_TLS_ENDS},
        {REPLY_MAIL, 530, "5.7.0", "Must issue a STARTTLS command first", "tls-not-seen", STEP_TLS_ENDS},
        {REPLY_AUTH, 538, "5.7.11", "Encryption required for requested authentication mechanism",
         "tls-not-seen", STEP_TLS_ENDS},
        {REPLY_RCPT, 454, "4.7.0", "Failed to establish appropriate TLS channel: Access Denied",
         "tls-not-seen", STEP_TLS_ENDS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++)
        expect_of_reply(&replies[i], true);
}

/* What is said about the client, at whatever step, is not about the recipient, and no greylisting. */
static void replies_about_the_client(void **state)
{
    static const struct reply_case replies[] = {
        {REPLY_RCPT, 504, "5.5.2", "<web01>: Helo command rejected: need fully-qualified hostname", "helo",
         STEP_SET_HELO},
        {REPLY_RCPT, 450, "4.7.1", "<web01.lan>: Helo command rejected: Host not found", "helo",
         STEP_SET_HELO},
        {REPLY_RCPT, 450, "4.7.1", "Client host rejected: cannot find your reverse hostname, [192.0.2.4]",
         "reverse-dns", STEP_SUBMIT},
        {REPLY_CONTENT, 550, "5.7.25", "The IP address sending this message does not have a PTR record",
         "reverse-dns", STEP_SUBMIT},
        {REPLY_RCPT, 554, "5.7.1", "<host[192.0.2.4]>: Client host rejected: Access denied", "not-signed-in",
         STEP_GIVE_USER},
        {REPLY_RCPT, 550, "", "Please turn on SMTP Authentication in your mail client", "not-signed-in",
         STEP_GIVE_USER},
        {REPLY_RCPT, 550, "5.7.0", "Mail relay denied [192.0.2.4]. Invalid credentials for relay",
         "address-not-allowed", STEP_ALLOW_ADDRESS},
        {REPLY_RCPT, 450, "4.7.1", "Grey-listed, try again", "message-later", STEP_WAIT},
        {REPLY_RCPT, 550, "", "user@example.org... not listed in Domino Directory", "recipient",
         STEP_CHECK_RECIPIENT},
        {REPLY_RCPT, 554, "5.7.1", "Service unavailable; blocked using b.barracudacentral.org",
         "message-listed", STEP_LOOK_UP_LIST},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++)
        expect_of_reply(&replies[i], false);
    static const struct reply_case signed_in = {REPLY_RCPT,
                                                554,
                                                "5.7.1",
                                                "<host[192.0.2.4]>: Client host rejected: Access denied",
                                                "address-not-allowed",
                                                STEP_ALLOW_ADDRESS};
    expect_of_reply(&signed_in, true);
}

/* Room and number: whose it is decides who can act. */
static void replies_about_room_and_limits(void **state)
{
    static const struct reply_case replies[] = {
        {REPLY_CONTENT, 552, "5.2.2", "<bob@example.org> Quota exceeded (mailbox for user is full)",
         "mailbox-full", STEP_RECIPIENT_MAKES_ROOM},
        {REPLY_RCPT, 452, "4.2.2", "The email account that you tried to reach is over quota", "mailbox-full",
         STEP_RECIPIENT_MAKES_ROOM},
        {REPLY_MAIL, 452, "4.3.1", "Insufficient system storage", "server-full", STEP_SERVER_MAKES_ROOM},
        {REPLY_DATA, 554, "5.7.1", "<DATA>: Data command rejected: limit of 400 rcpts per 24 hours", "limit",
         STEP_NEXT_PERIOD},
        {REPLY_CONTENT, 550, "5.4.5", "Daily user sending quota exceeded", "limit", STEP_NEXT_PERIOD},
        {REPLY_AUTH, 451, "", "Authentication failed: Maximum credits exceeded", "limit", STEP_NEXT_PERIOD},
        {REPLY_AUTH, 454, "4.7.0", "Too many login attempts, please try again later", "limit", STEP_FEWER},
        {REPLY_AUTH, 454, "4.7.0", "Temporary authentication failure, try again later", "auth-later",
         STEP_WAIT},
        {REPLY_CONTENT, 552, "", "message size limit exceeded", "size", STEP_SMALLER},
        {REPLY_CONTENT, 554, "5.4.6", "Too many hops", "message-rejected", STEP_READ_REPLY},
        {REPLY_DATA, 421, "",
         "Domain sandbox7.mailgun.org is not allowed to send: Sandbox subdomains are for "
         "test purposes only",
         "account-off", STEP_OPEN_ACCOUNT},
        {REPLY_RCPT, 450, "4.1.8", "<ada@example.org>: Sender address rejected: Domain not found", "sender",
         STEP_SENDER_DOMAIN},
        {REPLY_CONTENT, 550, "5.4.6", "Unusual sending activity detected", "account-off", STEP_OPEN_ACCOUNT},
        {REPLY_RCPT, 550, "", "Outgoing mail from ada has been suspended", "account-off", STEP_OPEN_ACCOUNT},
        {REPLY_CONTENT, 554, "5.2.0", "STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
         "limit", STEP_NEXT_PERIOD},
        {REPLY_CONTENT, 550, "", "The example.org domain is not verified", "sender", STEP_OWN_SENDER},
        {REPLY_AUTH, 535, "5.7.8", "authentication failed: Connection lost to authentication server",
         "auth-later", STEP_WAIT},
        {REPLY_AUTH, 535, "5.7.139", "Authentication unsuccessful, the user credentials were incorrect",
         "password", STEP_CHECK_PASSWORD},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++)
        expect_of_reply(&replies[i], true);
}

/* Who has signed in is not told to. */
static void a_user_who_signed_in_is_not_told_to(void **state)
{
    static const struct reply_case replies[] = {
        {REPLY_RCPT, 554, "5.7.1", "Relay access denied", "relay-not-allowed", STEP_OWN_SENDER},
        {REPLY_RCPT, 553, "", "Relaying disallowed as noreply@example.org", "sender", STEP_OWN_SENDER},
        {REPLY_CONTENT, 553, "", "Relaying disallowed as noreply@example.org", "sender", STEP_OWN_SENDER},
        {REPLY_CONTENT, 554, "", "Email address is not verified", "sender", STEP_OWN_SENDER},
        {REPLY_MAIL, 530, "5.7.57", "Client not authenticated to send mail", "not-signed-in",
         STEP_ASK_SERVER},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        expect_of_reply(&replies[i], true);
        assert_false(diagnosis_has_step(&diagnosis, STEP_GIVE_USER));
    }
}

/* ---- where to sign in ---- */

static void a_port_without_sign_in_is_used_where_there_is_no_other(void **state)
{
    facts_start(&facts, "mail.example.org");
    struct fact_attempt *first = facts_ready(&facts, FOUR, 587);
    first->auth_offered = KNOWN_NO;
    first->auth_passwords = KNOWN_NOT;
    expect_works(587, 1);
    facts_ready(&facts, FOUR, 465);
    expect_works(465, 1);
    assert_string_equal(cause_row(diagnosis.causes[0].cause)->name, "no-auth");
    first->auth_offered = KNOWN_YES;
    first->auth_passwords = first->auth_tokens = KNOWN_NO;
    facts_text(first->mechanisms, sizeof first->mechanisms, "NTLM GSSAPI");
    expect_works(465, 1);
    assert_string_equal(cause_row(diagnosis.causes[0].cause)->name, "auth-foreign");
    assert_non_null(strstr(buffer_text(&words), "with NTLM GSSAPI only"));
    first->auth_tokens = KNOWN_YES;
    expect_works(587, 1);
    assert_string_equal(cause_row(diagnosis.causes[0].cause)->name, "oauth-only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_to_the_message),
        cmocka_unit_test(a_rejected_sign_in_need_not_be_the_password),
        cmocka_unit_test(tls_that_the_server_does_not_see),
        cmocka_unit_test(replies_about_the_client),
        cmocka_unit_test(replies_about_room_and_limits),
        cmocka_unit_test(a_user_who_signed_in_is_not_told_to),
        cmocka_unit_test(a_port_without_sign_in_is_used_where_there_is_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
