/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd: the process that reads what strangers say. It may touch no file; it
 * knows nothing by itself and asks: auth who someone is and where mail goes,
 * queue to put it on disk.
 *
 * A listener (listener.c) accepts connections, counts those of one address
 * (connection_limit.c) and sees that there is room (admission_control.c); their TLS handshakes wait
 * for their turns (handshake_limit.c). A connection (smtp_connection.c) drives one
 * server session (core/server) over one conn. Who somebody is, is asked by
 * auth_query.c; all about the message that is arriving, up to its way to queue,
 * by message_submission.c, which drives a submission (service/submission/).
 */
#ifndef MAILBOAT_SERVICE_SMTPD_SMTPD_H
#define MAILBOAT_SERVICE_SMTPD_SMTPD_H

#include "base/map.h"
#include "core/server/server_session.h"
#include "io/conn.h"
#include "io/log_throttle.h"
#include "run/child.h"
#include "service/accounts_version.h"
#include "service/over_quota_table.h"
#include "service/smtpd/client_log_throttle.h"
#include "service/smtpd/connection_limit.h"
#include "service/smtpd/harvest_table.h"
#include "service/smtpd/metrics.h"
#include "service/submission/submission.h"

enum {
    ACCEPTS_A_TURN_MAX = 8, /* of one listener: the other smtpd processes shall have some too */
    HANDSHAKE_TIMEOUT_MS = 60 * 1000,
    CLOSE_TIMEOUT_MS = 10 * 1000,   /* for the client to take the last reply */
    REPLIES_UNSENT_MAX = 16 * 1024, /* octets; then no command is heard until the client reads them */
    /* How long to look at how a client begins, before it is greeted in clear. */
    /* where STARTTLS is the custom; PHP takes 30 to 50 until its ClientHello */
    TLS_SNIFF_WAIT_MS = 100,
    TLS_SNIFF_WAIT_PATIENT_MS = 50, /* for an address whose clients wait for the greeting */
    TLS_SNIFF_WAIT_LOOPBACK_MS = 3, /* the same on this machine, whose programs send often */
    TLS_SNIFF_WAIT_MAX_MS = 500,    /* for an address whose ClientHello came late */
    /* where TLS comes first, who waits, waits for a greeting; or its
     * ClientHello was lost: it is sent again after 1 and 3 s */
    TLS_SNIFF_WAIT_IMPLICIT_MS = 4 * 1000,
    TLS_SNIFF_PATIENT_SESSIONS = 5,  /* that waited, until an address counts as patient */
    TLS_HISTORY_H = 7 * 24,          /* hours until a history is forgotten */
    CREDENTIALS_LOOK_MS = 250,       /* how soon a change of the accounts is seen by those who signed in */
    CREDENTIALS_ASKED_MAX = 32,      /* questions under way that no session waits for */
    CREDENTIAL_HOLDS_MS = 60 * 1000, /* then it is asked about again, before the next message */
    DRAIN_QUICK_MS = 5 * 60 * 1000,  /* the server stops: transactions may finish for so long */
    DRAIN_SLOW_MS = 30 * 60 * 1000,  /* a successor took over: sessions may go on for so long */
};

struct smtpd;
struct smtp_connection;
struct credential;

/* What sessions signed in with: credential_check.c. */
struct credential_checks {
    struct credential *first;
    struct map known;                         /* by account and text */
    struct map asked;                         /* by request */
    struct credential *at;                    /* the next to be asked about, while looking */
    uint64_t looking_version, looked_version; /* of the accounts: now, and when all were asked about last */
    bool looking, complete;                   /* complete: each answer meant something so far */
    struct timer timer, ending;
};
#define ACCOUNTS_VERSION_NONE UINT64_MAX

/* One listening socket. */
struct listener {
    struct smtpd *smtpd;
    int descriptor;
    uint16_t port; /* 0: the local socket */
    struct server_policy policy;
    struct server_policy clear_policy; /* for who speaks in clear where TLS comes first */
    bool either_way;                   /* each client is served by the TLS mode that it begins with */
    size_t admission_port;             /* its number in struct admission */
    struct watch watch;
};

/* Who somebody is: what a session waits to know. */
struct auth_query {
    struct question question;
    struct server_action action; /* what the machine said; its texts live until the answer */
    uint64_t version;            /* of the accounts when it was asked */
};

/* The message that is arriving. */
struct message_submission {
    struct submission submission;
    struct server_action action; /* what the machine asked last; its texts live until the answer */
    bool store_waits;            /* it asked to store it while the file was not there yet */
    bool looked;                 /* at the beginning of a large one: */
    bool looped;                 /* it has come back to all it is for */
};

/* One connection and its session. */
struct smtp_connection {
    struct smtpd *smtpd;
    struct listener *listener;
    struct smtp_connection *previous, *next;
    struct counted_network *network;
    struct admission_place place; /* in the crowd */
    struct conn conn;
    struct server_session session; /* state is NULL before an implicit handshake is done */
    struct auth_query query;
    struct message_submission message;
    struct credential *credential; /* what it signed in with; NULL before, and for those who need not */
    bool signed_out;               /* that does not hold any more, and it was told */
    uint64_t sender_version;       /* of the accounts when it was asked whether the sender is allowed */
    uint64_t steps;                /* of the client's when its deadline was set */
    uint64_t since_ms;             /* accepted, where the listener is open either way */
    bool deciding;                 /* it is not known yet whether the client begins with TLS */
    bool tls_mismatch;             /* it began against the port's custom */
    bool heard;                    /* something was read */
    bool closing;                  /* the last reply is on its way */
    bool choked;                   /* its replies have to leave first */
    bool held;                     /* an unknown recipient is told of later: see harvest_table.h */
    bool expelled;                 /* its place is needed */
    char address[INET6_ADDRSTRLEN];
};

struct smtpd {
    struct child *child;
    struct shared_metrics *metrics;            /* its own row is connections[child->number] */
    const struct over_quota_table *over_quota; /* which local writes */
    struct listener *listeners;
    size_t listener_count;
    struct listener web_listener; /* of those whom the web process hands over: it has no socket of its own */
    struct tls_context tls;
    struct smtp_connection *connections;
    size_t connection_count;
    struct map clients; /* by address */
    struct admission_control admission;
    struct client_log_throttle client_log;
    size_t held_count; /* connections that wait for a slow answer */
    struct submissions submissions;
    struct credential_checks credentials;
    const struct accounts_version *accounts_version; /* tells when the answers do not hold any more */
    struct log_throttle accepting, handshaking;
    struct handshakes handshakes;
    struct timer reopen;  /* listeners that were shut for a while */
    struct timer drained; /* the end of draining */
    bool draining;
    uint64_t seed;
};

/* ---- listener.c ---- */
void listener_open(struct listener *listener, struct smtpd *smtpd, int descriptor);
/* One that somebody else accepted; takes the descriptor over. */
void listener_take_over(struct listener *listener, int descriptor);
void listener_pause_all(struct smtpd *smtpd, uint64_t reopen_ms); /* for a while */
void listener_reopen_all(void *smtpd);
void listener_close_all(struct smtpd *smtpd); /* for good */

/* ---- known_clients.c: addresses from which somebody signed in ---- */
bool known_clients_has(const struct smtpd *smtpd, const struct counted_network *network);
void known_clients_add(struct smtpd *smtpd, const struct counted_network *network);

/* ---- tls_sniff.c: who speaks TLS where STARTTLS is the custom ---- */
/* How long a client from `address` is looked at before it is greeted in clear. */
uint32_t tls_sniff_wait_ms(const struct listener *listener, struct bytes address, bool loopback);
/* It said its ClientHello, so long after it was accepted; in time or not. */
void tls_sniff_record_early(const struct listener *listener, struct bytes address, uint64_t after_ms);
/* It waited for the greeting. */
void tls_sniff_record_wait(const struct listener *listener, struct bytes address);

/* ---- handshake_limit.c: TLS handshakes, one step a turn, each address within its CPU time ---- */
void handshake_limit_start(struct smtpd *smtpd);
/* The handshake that is about to start shall wait for its turns. */
void handshake_limit_take(struct smtp_connection *connection);
/* The client is somebody: most of what its handshake has cost is given back. */
void handshake_limit_refund(struct smtp_connection *connection);

/* ---- credential_check.c: what sessions signed in with, and whether it holds still ---- */
void credential_check_start(struct credential_checks *credentials, struct smtpd *smtpd);
/* The connection signed in by the question that was just answered. */
void credential_take(struct smtp_connection *connection, struct bytes account, struct bytes text);
void credential_leave(struct smtp_connection *connection);
/* False when it has ended, or auth must be asked first. */
bool credential_holds(const struct smtp_connection *connection);
bool credential_ask(struct smtp_connection *connection);
/* The answer for a connection that waits for it. */
enum credential_verdict credential_answered(struct smtp_connection *connection,
                                            const struct ipc_credential_answer *answer);
/* it is logged, once; the session is told by who calls */
void credential_sign_out(struct smtp_connection *connection);
/* True when it answers a look, and no connection's question. */
bool credential_check_answered(struct smtpd *smtpd, const struct ipc_credential_answer *answer);
void credential_check_lost(struct smtpd *smtpd); /* auth is gone, with what it was asked */

/* ---- smtp_connection.c ---- */
/* Takes the descriptor over. `network` is counted already; `known`: see admission_control.h; `account` as in
 * server_session_start(). */
void smtp_connection_start(struct listener *listener, int descriptor, struct counted_network *network,
                           bool known, struct bytes address, struct bytes account);
/* Goes on as far as what was heard and answered allows; the connection may be gone afterwards. */
void smtp_connection_run(struct smtp_connection *connection);
/* The server goes down; the connection may be gone afterwards. */
void smtp_connection_drain(struct smtp_connection *connection);
void smtp_connection_free(struct smtp_connection *connection);
/* Something was asked for it: it hears no command until the answer. */
bool smtp_connection_waits(const struct smtp_connection *connection);
/* Ends it at once, with a word where it can be heard. No question of it is open. */
void smtp_connection_expel(struct smtp_connection *connection, enum server_expulsion why);

/* ---- auth_query.c ---- */
void auth_query_start(struct smtp_connection *connection);
/* PASSWORD, SALT, PROOF, CREDENTIAL */
void auth_query_ask(struct smtp_connection *connection, enum ipc_kind kind,
                    const struct server_action *action);
/* Whoever asked is gone: an answer will find no one. */
void auth_query_forget(struct smtp_connection *connection);

/* ---- message_submission.c ---- */
void message_submission_start(struct smtp_connection *connection);
/* The machine asks about a sender, limits or a recipient, or to store the message. */
void message_submission_ask(struct smtp_connection *connection, const struct server_action *action);
/* The credential that an action waited for was asked about: goes on with the action. */
void message_submission_credential_answered(struct smtp_connection *connection,
                                            const struct server_action *action,
                                            enum credential_verdict verdict);
void message_submission_begin(struct smtp_connection *connection, const struct envelope *envelope);
void message_submission_add(struct smtp_connection *connection, struct bytes octets);
/* The message that began is to be forgotten. */
void message_submission_drop(struct smtp_connection *connection);
void message_submission_free(struct smtp_connection *connection);

/* ---- smtpd.c ---- */
void smtpd_leave_if_done(struct smtpd *smtpd);

#endif
