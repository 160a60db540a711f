/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_dir: the data folder and its rooms, each owned by the one process
 * that works in it:
 *
 *   DATA/            0755  the starter
 *   DATA/queue/      0700  queue      mailboat.db, content/, spool/, lock, control.sock
 *   DATA/mail/       0700  local      DOMAIN/USER/Maildir
 *   DATA/drop/       3733  pickup     messages that local programs left while no server listened:
 *                                     everybody may put in, nobody may look; closed (0700) until
 *                                     the first pickup process opens it
 *   DATA/keys/       0700  the starter; tls/ has the self-signed certificate
 *   DATA/accounts.db 0640  the starter, readable by auth
 */
#ifndef MAILBOAT_DATA_DIR_H
#define MAILBOAT_DATA_DIR_H

#include "config.h"

/* Sticky: nobody takes away what another has put in. Setgid: what is put in can be read by pickup's group. */
enum { DROP_FOLDER_MODE = 03733 };

/* Makes what is missing and sets owners. */
bool data_dir_prepare(const struct config *config, struct error *error);
/* As root the processes have users of their own: can those get there? It must be there. */
bool data_dir_is_passable(const struct config *config, struct error *error);
/* Without a configured certificate: makes a self-signed one, once, and names
 * it in `config`. *made tells whether it is new. */
bool data_dir_certificate(struct config *config, bool *made, struct error *error);

#endif
