/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submission: submits a message through the session of a server_connection, with a result per recipient.
 * Set the first part, call submission_run(), read the results, call submission_free(); the caller keeps
 * the connection.
 */
#ifndef MAILBOAT_CLI_SEND_SUBMISSION_H
#define MAILBOAT_CLI_SEND_SUBMISSION_H

#include "cli/send/outgoing_message.h"
#include "cli/send/server_connection.h"

struct client_submission {
    struct server_connection *connection;
    struct outgoing_message *message; /* its file is read from the current position */
    struct envelope envelope;
    struct bytes user, password; /* empty user: no authentication */
    struct bytes token;          /* OAuth 2 token, instead of the password */
    bool shows_progress;         /* for large messages, on stderr */
    /* The results: */
    struct delivery_result *results; /* one per recipient; NULL: none, see `failure` */
    struct delivery_result failure;
    struct arena arena; /* owns their texts */
    bool signed_in;
    uint64_t told;
};

/* Runs the session to its end; true if there are results. */
bool submission_run(struct client_submission *submission);
void submission_free(struct client_submission *submission);

#endif
