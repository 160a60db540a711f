/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drop_writer: stores a message in the drop directory, for when the server is not running. The directory
 * allows all users to add files and none to list them; new files get the server's group (the folder's
 * setgid bit), so that only the server and their writer can read them. This code runs with the user's own
 * rights.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_DROP_WRITER_H
#define MAILBOAT_CLI_SENDMAIL_DROP_WRITER_H

#include "cli/send/outgoing_message.h"
#include "cli/sendmail/local_server.h"

/* True once the message, for the recipients of `envelope`, is durably on disk. False with EX_TEMPFAIL and
 * the reason: then nothing of it remains. */
bool drop_writer_put(const struct local_server *server, struct outgoing_message *message,
                     const struct envelope *envelope, struct error *error);

#endif
