/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drop_writer: puts a message into the drop folder, for when no server listens.
 * The folder lets everybody put in and nobody look; what is made there gets
 * the server's group (the folder's setgid bit), so that it alone can read it
 * besides who wrote it. Nothing here runs with anybody else's rights.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_DROP_WRITER_H
#define MAILBOAT_CLI_SENDMAIL_DROP_WRITER_H

#include "cli/send/outgoing_message.h"
#include "cli/sendmail/local_server.h"

/* True when the message, for the recipients of `envelope`, is on disk for
 * good. False with EX_TEMPFAIL and the reason: then nothing of it is there. */
bool drop_writer_put(const struct local_server *server, struct outgoing_message *message,
                     const struct envelope *envelope, struct error *error);

#endif
