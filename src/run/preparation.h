/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preparation: what must be in order before the first process starts, and
 * again before each reload: whose the folders are, the certificate, what the
 * services have to make (service.prepare), the limit of open files.
 *
 * The supervisor calls preparation_settle() once at its start, then
 * preparation_run(), which it calls for each new configuration, too.
 */
#ifndef MAILBOAT_RUN_PREPARATION_H
#define MAILBOAT_RUN_PREPARATION_H

#include "run/service.h"

enum { DESCRIPTORS_MIN = 256 }; /* open files: with fewer the server does not start */

/* At the start alone: who the processes are, that no other server works in the data directory, and that the
 * folders are theirs; a restart takes changes in. Opens the data directory. `users_warning`: see users.h. */
bool preparation_settle(const struct config *config, service_list *services, struct folder *data,
                        struct buffer *users_warning, struct error *error);
/* Makes what is missing, and notes in `config` where the certificate is. */
bool preparation_run(struct config *config, service_list *services, struct error *error);

#endif
