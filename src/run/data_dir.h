/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_dir: the data directory and its folders, each owned by the one process
 * that works in it, whose row of the service table names it (service.folder):
 *
 *   DATA/            0755  the starter
 *   DATA/queue/      0700  queue      mailboat.db, content/, spool/, lock, control.sock
 *   DATA/mail/       0700  local      DOMAIN/USER/Maildir
 *   DATA/drop/       3733  pickup     messages that local programs left while no server listened:
 *                                     everybody may put in, nobody may look; closed (0700) until
 *                                     the first pickup process opens it
 *   DATA/relay/      0700  relay      mta-sts
 *   DATA/accounts/   0700  auth       accounts.db, lock
 *   DATA/quotas/     0750  auth       users; readable by local (service.shown_folder)
 *   DATA/keys/       0700  the starter; tls/ has the self-signed certificate
 *   DATA/empty/      0555  the starter; the root directory of processes that need no file (sandbox.h)
 *
 * DATA and all above it belong to root, or to the user who runs the server
 * without root; nobody else may write there (folder.h). Root makes and gives
 * the folders, and does nothing in those that belong to others: a process
 * opens its own as its own user (service.open_own), and a subcommand of
 * root's becomes the owner first (data_dir_act_in).
 */
#ifndef MAILBOAT_RUN_DATA_DIR_H
#define MAILBOAT_RUN_DATA_DIR_H

#include "run/service.h"
#include "run/users.h"

/* Sticky: nobody takes away what another has put in. Setgid: what is put in can be read by pickup's group. */
enum { DROP_FOLDER_MODE = 03733 };

/* Says what serve would refuse of the directory as it is, and makes nothing. */
bool data_dir_check(const struct config *config, service_list *services, struct error *error);
/* Opens DATA, made where it is missing. */
bool data_dir_open(struct folder *data, const struct config *config, struct error *error);
/* Makes what is missing, gives it its owner, and syncs all names. */
bool data_dir_prepare(const struct config *config, service_list *services, struct error *error);
/* The server, before it starts: the folders belong to the processes' users of
 * today; where a number stood in for one before, all in its folder is given
 * (chown_tree.h). What is another user's is refused with the fix. */
bool data_dir_change_owner(const struct config *config, service_list *services, struct error *error);
/* True if each folder belongs to its process's user; else the one that does not is named. */
bool data_dir_has_owner(const struct config *config, service_list *services, struct error *error);
/* As root the processes have users of their own: can those get there? It must be there. */
bool data_dir_is_passable(const struct config *config, struct error *error);
/* Without a configured certificate: makes a self-signed one, once, and names
 * it in `config`. *made tells whether it is new. */
bool data_dir_certificate(struct config *config, bool *made, struct error *error);

/* The user that works in a service's folder: its owner, or who will be. */
struct process_user data_dir_user(const struct config *config, const struct service *service);
/* For subcommands that work in one of the folders: root becomes its owner, for good;
 * others stay who they are. */
bool data_dir_act_in(const char *folder, struct error *error);
/* The folder of a service, and as whom to look into it; -1 with a reason. */
int data_dir_open_folder(const struct config *config, const struct service *service,
                         struct process_user *owner, struct error *error);

#endif
