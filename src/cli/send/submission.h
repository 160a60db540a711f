/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submission: a message through the session that dial found, and what became
 * of each recipient. Fill in the first part, submission_run(), look at the
 * results, submission_free(); the dial stays the caller's.
 */
#ifndef MAILBOAT_CLI_SEND_SUBMISSION_H
#define MAILBOAT_CLI_SEND_SUBMISSION_H

#include "cli/send/outgoing_message.h"
#include "cli/send/server_connection.h"

struct client_submission {
    struct server_connection *connection;
    struct outgoing_message *message; /* its file is read from where it stands */
    struct envelope envelope;
    struct bytes user, password; /* empty user: no signing in */
    struct bytes token;          /* of OAuth 2, in place of the password */
    bool shows_progress;         /* of large messages, on stderr */
    /* What came of it: */
    struct delivery_result *results; /* one a recipient; NULL: none, `failure` says why */
    struct delivery_result failure;
    struct arena arena; /* of their texts */
    bool signed_in;
    uint64_t told;
};

/* Carries it out to the end of the session; true when there are results. */
bool submission_run(struct client_submission *submission);
void submission_free(struct client_submission *submission);

#endif
