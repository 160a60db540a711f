/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_dir: the data directory and its folders, each owned by the one process that uses it, as listed in
 * the service table (service.folder):
 *
 * DATA/            0755  the starting user
 *   DATA/queue/      0700  queue      mailboat.db, content/, spool/, lock, control.sock
 *   DATA/mail/       0700  local      DOMAIN/USER/Maildir
 *   DATA/drop/       3733  pickup     messages that local programs left while the server was down:
 *                                     any user may add files, none may
 *                                     list them; closed (0700) until
 *                                     the first pickup process opens
 *                                     it
 *   DATA/relay/      0700  relay      mta-sts, tls-sessions
 *   DATA/accounts/   0700  auth       accounts.db, lock, srs.key
 *   DATA/reports/    0700  report     reports.db
 *   DATA/quotas/     0750  auth       users; readable by local (service.shown_folder)
 *   DATA/keys/       0711  the starting user; tls/ (0700) has the self-signed certificate, DOMAIN/ the
 *                          signing keys (store/signing_keys.h)
 *   DATA/empty/      0555  the starting user; root directory of processes without files (sandbox.h)
 *
 * DATA and all folders above it belong to root, or to the user who runs the server without root; no other
 * user may write there (folder.h). Root creates the folders and sets their owner, and does nothing inside
 * those of others: a process opens its own as its own user (service.open_own), and a subcommand run by
 * root becomes the owner first (data_dir_act_in).
 */
#ifndef MAILBOAT_RUN_DATA_DIR_H
#define MAILBOAT_RUN_DATA_DIR_H

#include "run/service.h"
#include "run/users.h"

/* Sticky: users cannot remove each other's files. Setgid: pickup's group can read all files. */
enum { DROP_FOLDER_MODE = 03733 };

/* Reports why serve would reject the directory; creates nothing. */
bool data_dir_check(const struct config *config, service_list *services, struct error *error);
/* Opens DATA, and creates it if missing. */
bool data_dir_open(struct folder *data, const struct config *config, struct error *error);
/* Creates missing folders, sets their owner, and syncs all names. */
bool data_dir_prepare(const struct config *config, service_list *services, struct error *error);
/* For the server, before it starts: the folders must belong to the processes' current users; a folder
 * owned by a fallback id is given to its user with its contents (chown_tree.h). A folder of another user
 * is an error with a fix. */
bool data_dir_change_owner(const struct config *config, service_list *services, struct error *error);
/* True if each folder belongs to its process's user; otherwise names the one that does not. */
bool data_dir_has_owner(const struct config *config, service_list *services, struct error *error);
/* Under root the processes have users of their own: true if these can enter the directory, which must
 * exist. */
bool data_dir_is_passable(const struct config *config, struct error *error);
/* Without a configured certificate: makes a self-signed one, once, and sets its path in `config`. *made
 * tells whether it is new. */
bool data_dir_certificate(struct config *config, bool *made, struct error *error);

/* Returns the user of a service's folder: its owner, or the one it will get. */
struct process_user data_dir_user(const struct config *config, const struct service *service);
/* For subcommands that work in one of the folders: root permanently becomes its owner; other users do not
 * change. */
bool data_dir_act_in(const char *folder, struct error *error);
/* Opens the folder of a service, and returns the user to act as; -1 with a reason. */
int data_dir_open_folder(const struct config *config, const struct service *service,
                         struct process_user *owner, struct error *error);

#endif
