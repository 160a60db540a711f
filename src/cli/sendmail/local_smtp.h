/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_smtp: words with the server on this machine by its socket, besides handing
 * over a message: a program's own SMTP (sendmail -bs), and whether addresses
 * are taken (sendmail -bv). Both need the server to run.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_LOCAL_SMTP_H
#define MAILBOAT_CLI_SENDMAIL_LOCAL_SMTP_H

#include "cli/sendmail/local_server.h"

/* Standard input to the server, its answers to standard output, until either
 * ends. A client whose first line ends in LF alone gets CRs put before all
 * its LFs; any other is carried as it is. Returns an exit code; without a
 * server 421 is said on standard output, and `error` set. */
int local_smtp_smtp(const struct local_server *server, struct error *error);

/* A line for each address: is it taken? EX_OK when all are, EX_NOUSER when
 * one is not; EX_TEMPFAIL with `error` when nobody answers. */
int local_smtp_verify(const struct local_server *server, const char *const *addresses, size_t count,
                      struct error *error);

#endif
