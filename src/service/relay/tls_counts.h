/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_counts: counts the sessions of relay with the servers of other domains by how their TLS came out, for
 * the reports on TLS that these domains get (core/trust/tlsrpt_counts.h), in the file
 * DATA/relay/tls-sessions.
 *
 * tls_counts_open() before the sandbox, as the user who owns the folder: reads the file, rewrites it, and
 * keeps it open. A session is counted once: when its handshake has ended, or when it is known that there is
 * none. What is new is written some seconds later, and at the end of the process. Without
 * trust.reports.send: [tls] nothing is counted, and there is no file. No fault of it touches mail.
 */
#ifndef MAILBOAT_SERVICE_RELAY_TLS_COUNTS_H
#define MAILBOAT_SERVICE_RELAY_TLS_COUNTS_H

#include "core/trust/tlsrpt_counts.h"
#include "io/folder.h"
#include "io/timer.h"

enum tls_counts_limit {
    TLS_COUNTS_SAVE_MS = 10 * 1000,  /* between a session and its line: a crash loses so much */
    TLS_COUNTS_DAYS = 2,             /* before today, that are kept */
    TLS_COUNTS_FILE_MAX = 64 << 20,  /* octets read at start */
    TLS_COUNTS_FILE_SLACK = 1 << 20, /* octets of added lines before the file is rewritten */
};

#define TLS_COUNTS_FILE "tls-sessions" /* in DATA/relay */

struct tls_counts {
    bool counts_sessions;
    struct tlsrpt_counts counts;
    uint32_t day; /* of the last session or save */
    struct timer saving;
    bool saves; /* the timer is set */
    int file;
    size_t file_size;
    bool file_failed; /* logged once */
};

struct outbound_connection;

bool tls_counts_open(struct tls_counts *counts, bool counts_sessions, const struct folder *folder,
                     struct error *error);
void tls_counts_start(struct tls_counts *counts, struct loop *loop);
/* Writes what is new; before the process ends. */
void tls_counts_end(struct tls_counts *counts);

/* ---- a session of this connection; a second call for it counts nothing ---- */
/* Its handshake has succeeded. */
void tls_counts_secured(struct outbound_connection *connection);
/* Its handshake has failed; before it is closed. */
void tls_counts_failed(struct outbound_connection *connection);
/* It goes on without TLS. */
void tls_counts_clear(struct outbound_connection *connection);
/* It is closed, perhaps as it does not offer TLS that is required. */
void tls_counts_closing(struct outbound_connection *connection);
/* ---- hosts that the message did not contact because of their policy ---- */
void tls_counts_refused(struct outbound_connection *connection);

#endif
