/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dovecot: a configuration for Dovecot (2.3) to serve Mailboat's mailboxes by IMAP and POP3 and to accept
 * mail for them by LMTP: the same accounts, verified by `mailboat checkpassword` at each login, the same
 * certificate and the same Maildirs. It has a folder of its own, independent of another Dovecot on the
 * machine.
 */
#ifndef MAILBOAT_CLI_SETUP_DOVECOT_H
#define MAILBOAT_CLI_SETUP_DOVECOT_H

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"

struct dovecot {
    char folder[512]; /* DATA/dovecot: dovecot.conf, run/, log */
    /* its dovecot.conf; lmtp/, the default place of its socket */
    char config[544], lmtp_folder[544];
    char program[512]; /* this program, which Dovecot runs; an absolute path */
    char ours[512];    /* configuration passed to it; an absolute path */
};

enum { DOVECOT_FOLDER_MAX = 76 }; /* octets: its socket paths are longer (unix(7)) */

/* Computes its paths. False if a path has characters that are special to Dovecot. */
bool dovecot_find(struct dovecot *dovecot, const struct config *config, struct error *error);
/* True if `mailboat mailboxes setup` has been run. */
bool dovecot_is_set_up(const struct config *config);
/* True if every user of this machine can deliver by LMTP: at an address, and at a socket elsewhere unless
 * `make install` has created the users. */
bool dovecot_is_open_to_all(const struct dovecot *dovecot, const struct config *config);
/* Returns "/usr/sbin/dovecot", or NULL if not installed. */
const char *dovecot_program(void);

/* Rewrites the folder and the configuration; `config` names the certificate. */
bool dovecot_write(const struct dovecot *dovecot, const struct config *config, struct error *error);
/* Starts it in the background, or makes a running one reload its configuration; *started tells which. */
bool dovecot_start(const struct dovecot *dovecot, bool *started, struct error *error);
bool dovecot_stop(const struct dovecot *dovecot, struct error *error);

/* Ends the user's sessions, if Dovecot runs, so that changes apply immediately. */
void dovecot_sign_out(const struct config *config, const char *address);

#endif
