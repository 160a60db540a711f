/* SPDX-License-Identifier: Apache-2.0 */
/* The rules for the account and the message: what a reply to the user's own message means. */
#include <assert.h>

#include "core/diagnosis/cause.h"

#define F(name) FINDING_##name
#define R(cause) [CAUSE_##cause - CAUSE_OF_REPLIES]

enum { ROWS = CAUSE_COUNT - CAUSE_OF_REPLIES };

// clang-format off
static const struct cause_row rows[ROWS] = {
    R(OAUTH_ONLY) = {.name = "oauth-only", .place = PLACE_ACCOUNT, .weight = 83,
        .any = {F(REPLY_OAUTH), F(OAUTH_ONLY)}, .proof = {F(REPLY_OAUTH), F(OAUTH_ONLY)},
        .sentence = "{host} does not take passwords from programs for this account: OAuth 2 is wanted",
        .steps = {STEP_OAUTH}},
    R(APPLICATION_PASSWORD) = {.name = "application-password", .place = PLACE_ACCOUNT, .weight = 84,
        .needs = {F(REPLY_APPLICATION_PASSWORD)}, .against = {F(IDENTITY_IN_DOUBT)},
        .proof = {F(REPLY_APPLICATION_PASSWORD)},
        .sentence = "{host} wants an application password instead of the account's own",
        .steps = {STEP_APPLICATION_PASSWORD}},
    R(PASSWORD) = {.name = "password", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_PASSWORD)}, .likelier = {F(PASSWORD_REFUSED_BEFORE)},
        .against = {F(IDENTITY_IN_DOUBT)}, .proof = {F(REPLY_PASSWORD)},
        .sentence = "{host} rejects the user name or the password: \"{reply}\"",
        .steps = {STEP_CHECK_PASSWORD, STEP_APPLICATION_PASSWORD}},
    R(PASSWORD_TO_ANOTHER) = {.name = "password-to-another", .place = PLACE_PATH, .weight = 99,
        .needs = {F(IDENTITY_IN_DOUBT)}, .any = {F(REPLY_PASSWORD), F(REPLY_APPLICATION_PASSWORD)},
        .sentence = "sign-in was rejected by a server that may not be {host}: the password may be right",
        .steps = {STEP_DO_NOT_SIGN_IN, STEP_OTHER_NETWORK}},
    R(ACCOUNT_OFF) = {.name = "account-off", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_ACCOUNT)}, .against = {F(IDENTITY_IN_DOUBT)}, .proof = {F(REPLY_ACCOUNT)},
        .sentence = "{host} does not let this account send mail; the password may be right: \"{reply}\"",
        .steps = {STEP_OPEN_ACCOUNT, STEP_ASK_SUPPORT}},
    R(ADDRESS_NOT_ALLOWED) = {.name = "address-not-allowed", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_ADDRESS)}, .against = {F(IDENTITY_IN_DOUBT)}, .proof = {F(REPLY_ADDRESS)},
        .sentence = "{host} does not accept this account from this machine's address; the password may be "
                    "right: \"{reply}\"",
        .steps = {STEP_ALLOW_ADDRESS, STEP_ASK_SUPPORT}},
    R(BROWSER_FIRST) = {.name = "browser-first", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_BROWSER)}, .against = {F(IDENTITY_IN_DOUBT)}, .proof = {F(REPLY_BROWSER)},
        .sentence = "{host} holds this sign-in back until the account's owner has signed in with a "
                    "browser: \"{reply}\"",
        .steps = {STEP_SIGN_IN_BROWSER, STEP_APPLICATION_PASSWORD}},
    R(AUTH_METHOD) = {.name = "auth-method", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_METHOD)}, .proof = {F(REPLY_METHOD)},
        .sentence = "{host} rejects the method of signing in and not the password: \"{reply}\"",
        .steps = {STEP_OAUTH, STEP_ASK_SERVER}},
    R(AUTH_LATER) = {.name = "auth-later", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_AUTH_LATER)}, .proof = {F(REPLY_AUTH_LATER)},
        .sentence = "{host} cannot check the password at the moment: \"{reply}\"",
        .steps = {STEP_WAIT, STEP_ASK_SERVER}},
    R(NOT_SIGNED_IN) = {.name = "not-signed-in", .place = PLACE_PROGRAM, .weight = 85,
        .needs = {F(REPLY_SIGN_IN)}, .proof = {F(REPLY_SIGN_IN)},
        .sentence = "{host} takes mail only from users who sign in: \"{reply}\"",
        .steps = {STEP_GIVE_USER, STEP_ASK_SERVER}},
    R(RELAY_NOT_ALLOWED) = {.name = "relay-not-allowed", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_RELAY), F(SIGNED_IN)}, .proof = {F(REPLY_RELAY)},
        .sentence = "{host} does not relay for this account, with this sender or to this recipient: "
                    "\"{reply}\"",
        .steps = {STEP_OWN_SENDER, STEP_ASK_SERVER}},
    R(RELAY_DENIED) = {.name = "relay-denied", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_RELAY)}, .against = {F(SIGNED_IN)}, .proof = {F(REPLY_RELAY)},
        .sentence = "{host} does not relay for this sender: it wants a sign-in, or the recipient is not "
                    "its own (\"{reply}\")",
        .steps = {STEP_GIVE_USER, STEP_OWN_SENDER}},
    R(TLS_NOT_SEEN) = {.name = "tls-not-seen", .place = PLACE_SERVER, .weight = 86,
        .needs = {F(REPLY_TLS)}, .proof = {F(REPLY_TLS)},
        .sentence = "{host} asks for TLS and does not see the connection's: \"{reply}\"",
        .steps = {STEP_TLS_ENDS, STEP_ENABLE_OWN_TLS, STEP_READ_REPLY}},
    R(SENDER) = {.name = "sender", .place = PLACE_ACCOUNT, .weight = 85,
        .any = {F(REPLY_SENDER), F(REPLY_SENDER_DOMAIN)}, .proof = {F(REPLY_SENDER), F(REPLY_SENDER_DOMAIN)},
        .sentence = "{host} does not accept that sender address from this account: \"{reply}\"",
        .steps = {STEP_SENDER_DOMAIN, STEP_OWN_SENDER}},
    R(RECIPIENT) = {.name = "recipient", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_RECIPIENT)}, .proof = {F(REPLY_RECIPIENT)},
        .sentence = "{host} rejects the recipient: \"{reply}\"",
        .steps = {STEP_CHECK_RECIPIENT}},
    R(MAILBOX_FULL) = {.name = "mailbox-full", .place = PLACE_ACCOUNT, .weight = 85,
        .needs = {F(REPLY_FULL)}, .proof = {F(REPLY_FULL)},
        .sentence = "the recipient's mailbox at {host} is full: \"{reply}\"",
        .steps = {STEP_RECIPIENT_MAKES_ROOM}},
    R(SERVER_FULL) = {.name = "server-full", .place = PLACE_SERVER, .weight = 85,
        .needs = {F(REPLY_STORAGE)}, .proof = {F(REPLY_STORAGE)},
        .sentence = "{host} has no room to store the message: \"{reply}\"",
        .steps = {STEP_SERVER_MAKES_ROOM, STEP_WAIT}},
    R(LIMIT) = {.name = "limit", .place = PLACE_ACCOUNT, .weight = 85,
        .any = {F(REPLY_LIMIT), F(REPLY_LOCKED)}, .proof = {F(REPLY_LIMIT), F(REPLY_LOCKED)},
        .sentence = "{host} says that a limit is reached: \"{reply}\"",
        .steps = {STEP_NEXT_PERIOD, STEP_FEWER}},
    R(SIZE) = {.name = "size", .place = PLACE_PROGRAM, .weight = 85,
        .needs = {F(REPLY_SIZE)}, .proof = {F(REPLY_SIZE)},
        .sentence = "the message is larger than {host} takes: \"{reply}\"",
        .steps = {STEP_SMALLER}},
    R(DOMAIN_UNAUTHENTICATED) = {.name = "domain-unauthenticated", .place = PLACE_ACCOUNT, .weight = 86,
        .needs = {F(REPLY_UNAUTHENTICATED)}, .proof = {F(REPLY_UNAUTHENTICATED)},
        .sentence = "{host} wants mail that is authenticated by SPF, DKIM or DMARC: \"{reply}\"",
        .steps = {STEP_AUTHENTICATE_DOMAIN}},
    R(MESSAGE_LISTED) = {.name = "message-listed", .place = PLACE_PROVIDER, .weight = 86,
        .needs = {F(REPLY_LISTED)}, .proof = {F(REPLY_LISTED)},
        .sentence = "{host} rejects the message because a block list names this address: \"{reply}\"",
        .steps = {STEP_LOOK_UP_LIST, STEP_SUBMIT}},
    R(MESSAGE_LATER) = {.name = "message-later", .place = PLACE_SERVER, .weight = 84,
        .needs = {F(REPLY_LATER)}, .proof = {F(REPLY_LATER)},
        .sentence = "{host} defers the message (busy, or greylisting): \"{reply}\"",
        .steps = {STEP_WAIT}},
    R(MESSAGE_REJECTED) = {.name = "message-rejected", .place = PLACE_SERVER, .weight = 84,
        .needs = {F(REPLY_CONTENT)}, .proof = {F(REPLY_CONTENT)},
        .sentence = "{host} rejects the message: \"{reply}\"",
        .steps = {STEP_READ_REPLY}},
};
// clang-format on

const struct cause_row *cause_row_of_reply(enum cause cause)
{
    assert(cause >= CAUSE_OF_REPLIES && cause < CAUSE_COUNT);
    return &rows[cause - CAUSE_OF_REPLIES];
}
