/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dovecot: a configuration by which Dovecot (2.3) serves Mailboat's mailboxes
 * by IMAP and POP3 and takes mail for them by LMTP: the same accounts, asked
 * by `mailboat checkpassword` at each sign-in, the same certificate and the
 * same Maildirs. It lives in a folder of its own, beside a Dovecot that the
 * machine may have otherwise.
 */
#ifndef MAILBOAT_CLI_SETUP_DOVECOT_H
#define MAILBOAT_CLI_SETUP_DOVECOT_H

#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"

struct dovecot {
    char folder[512]; /* DATA/dovecot: dovecot.conf, run/, log */
    /* its dovecot.conf; lmtp/, where its socket stands unless it is said */
    char config[544], lmtp_folder[544];
    char program[512]; /* this one, that Dovecot asks; an absolute path */
    char ours[512];    /* our configuration, that it is asked with; an absolute path */
};

enum { DOVECOT_FOLDER_MAX = 76 }; /* octets: its sockets have longer names (unix(7)) */

/* Where it is, or would be. False where a path has characters that mean something to Dovecot. */
bool dovecot_find(struct dovecot *dovecot, const struct config *config, struct error *error);
/* Has `mailboat mailboxes setup` been here? */
bool dovecot_is_set_up(const struct config *config);
/* May every user of this machine deliver by LMTP? So it is at an address, and
 * at a socket elsewhere where `make install` has made no users. */
bool dovecot_is_open_to_all(const struct dovecot *dovecot, const struct config *config);
/* "/usr/sbin/dovecot", or NULL where it is not installed. */
const char *dovecot_program(void);

/* Writes the folder and the configuration anew; `config` names the certificate. */
bool dovecot_write(const struct dovecot *dovecot, const struct config *config, struct error *error);
/* Starts it in the background, or has the one that runs read its configuration; *started tells which. */
bool dovecot_start(const struct dovecot *dovecot, bool *started, struct error *error);
bool dovecot_stop(const struct dovecot *dovecot, struct error *error);

/* Ends what the user has open, when Dovecot runs: what was changed about them counts at once. */
void dovecot_sign_out(const struct config *config, const char *address);

#endif
