/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preparation: the requirements before the first process starts, and again before each reload: owners of
 * the folders, the certificate, files of the services (service.prepare), the limit of open files.
 *
 * The supervisor calls preparation_settle() once at its start, then preparation_run(), and the latter
 * again for each new configuration.
 */
#ifndef MAILBOAT_RUN_PREPARATION_H
#define MAILBOAT_RUN_PREPARATION_H

#include "run/service.h"

enum { DESCRIPTORS_MIN = 256 }; /* open files: with fewer the server does not start */

/* Only at the start: determines the processes' users, that no other server uses the data directory, and
 * that the folders have the right owner; changes require a restart. Opens the data directory.
 * `users_warning`: see users.h. */
bool preparation_settle(const struct config *config, service_list *services, struct folder *data,
                        struct buffer *users_warning, struct error *error);
/* Creates missing files, and sets the path of the certificate in `config`. */
bool preparation_run(struct config *config, service_list *services, struct error *error);

#endif
