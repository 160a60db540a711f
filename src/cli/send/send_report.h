/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send_report: tells what a submission came to, for people (lines on stderr and
 * stdout) or for programs (one JSON object): the route, each recipient, and
 * where something failed its cause and what to do.
 *
 * send_report_route() once there is a connection; then one of
 * send_report_results(), send_report_failure() or send_report_unreached(),
 * which returns the exit code.
 */
#ifndef MAILBOAT_CLI_SEND_SEND_REPORT_H
#define MAILBOAT_CLI_SEND_SEND_REPORT_H

#include "cli/command.h"
#include "cli/send/submission.h"

struct send_report {
    const struct command *command;
    const struct client_submission *submission;
    const char *host; /* as it was named, or NULL: the server on this machine */
    const char *user; /* the user name to sign in with, or NULL */
    bool json, quiet;
};

/* Prints the reason for the port to stderr; nothing with `quiet`. */
void send_report_route(const struct send_report *report);
/* The transaction took place: there is a result for each recipient. */
int send_report_results(const struct send_report *report);
/* It did not: submission->failure has the reason. */
int send_report_failure(const struct send_report *report);
/* No server was reached. */
int send_report_unreached(const struct send_report *report, const struct error *error);

#endif
