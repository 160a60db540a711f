/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_smtp: an SMTP connection to the server on this machine through its socket: for a program's own
 * SMTP (sendmail -bs), and to check whether addresses are accepted (sendmail -bv). Both need a running
 * server.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_LOCAL_SMTP_H
#define MAILBOAT_CLI_SENDMAIL_LOCAL_SMTP_H

#include "cli/sendmail/local_server.h"

/* Copies standard input to the server, and its replies to standard output, until either ends. If the
 * client's first line ends in a lone LF, all its LFs become CRLF; otherwise input is copied unchanged.
 * Returns an exit code; without a server prints 421 to standard output, and sets `error`. */
int local_smtp_smtp(const struct local_server *server, struct error *error);

/* Prints one line per address: whether it is accepted. EX_OK if all are, EX_NOUSER if one is not;
 * EX_TEMPFAIL with `error` if the server does not reply. */
int local_smtp_verify(const struct local_server *server, const char *const *addresses, size_t count,
                      struct error *error);

#endif
