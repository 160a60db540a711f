/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd: the SMTP server process, which parses untrusted input. It is sandboxed without file access and
 * queries auth for accounts and routing, and queue for storage.
 *
 * A listener (listener.c) accepts connections, limits them per address (connection_limit.c) and in total
 * (admission_control.c); their TLS handshakes are queued (handshake_limit.c). A connection
 * (smtp_connection.c) drives one server session (core/server) over one conn. auth_query.c asks about
 * credentials; message_submission.c handles the message in transfer, up to its submission to queue, and
 * drives a submission (service/submission/).
 */
#ifndef MAILBOAT_SERVICE_SMTPD_SMTPD_H
#define MAILBOAT_SERVICE_SMTPD_SMTPD_H

#include "base/map.h"
#include "core/server/server_session.h"
#include "io/conn.h"
#include "io/log_throttle.h"
#include "io/timer.h"
#include "io/watch.h"
#include "run/child.h"
#include "service/accounts_version.h"
#include "service/over_quota_table.h"
#include "service/smtpd/accept_share.h"
#include "service/smtpd/client_log_throttle.h"
#include "service/smtpd/connection_limit.h"
#include "service/smtpd/harvest_table.h"
#include "service/smtpd/judged_log.h"
#include "service/smtpd/memory_trim.h"
#include "service/smtpd/metrics.h"
#include "service/smtpd/proxy_intake.h"
#include "service/smtpd/trust_check.h"
#include "service/submission/submission.h"

enum {
    ACCEPTS_A_TURN_MAX = 8, /* per listener: leaves clients for the other smtpd processes */
    HANDSHAKE_TIMEOUT_MS = 60 * 1000,
    CLOSE_TIMEOUT_MS = 10 * 1000,   /* for the client to read the last reply */
    REPLIES_UNSENT_MAX = 16 * 1024, /* octets; beyond them commands wait until the client reads replies */
    /* How long to wait for the client's first octet on an implicit TLS port: a silent client expects a
     * greeting, or its ClientHello was lost, which is retransmitted after 1 and 3 s */
    TLS_SNIFF_WAIT_IMPLICIT_MS = 4 * 1000,
    CREDENTIALS_LOOK_MS = 250,  /* time within which sessions notice a change of the accounts */
    CREDENTIALS_ASKED_MAX = 32, /* concurrent questions outside of sessions */
    /* age of an answer from which it is asked again, before the next message */
    CREDENTIAL_HOLDS_MS = 60 * 1000,
    DRAIN_QUICK_MS = 5 * 60 * 1000, /* the server stops: time to finish transactions */
    DRAIN_SLOW_MS = 30 * 60 * 1000, /* a successor took over: time for sessions to continue */
};

struct smtpd;
struct smtp_connection;
struct credential;

/* Credentials of the sessions: credential_check.c. */
struct credential_checks {
    struct credential *first;
    struct map known;      /* by account and text */
    struct map asked;      /* by request */
    struct credential *at; /* the next to check, during a pass */
    /* versions of the accounts: now, and at the last complete pass */
    uint64_t looking_version, looked_version;
    bool looking, complete; /* complete: every answer so far was valid */
    struct timer timer, ending;
};
#define ACCOUNTS_VERSION_NONE UINT64_MAX

/* A listening socket. */
struct listener {
    struct smtpd *smtpd;
    int descriptor;
    uint16_t port; /* 0: the local socket */
    struct server_policy policy;
    struct server_policy trusted_policy; /* for programs of submission.trusted, on a listener for MX */
    struct server_policy clear_policy;   /* for clients without TLS on an implicit TLS port */
    const char *const *proxies;          /* networks whose connections begin with a PROXY header */
    size_t proxy_count;
    const struct config_listener *facts; /* NULL: the local socket, or of web */
    bool either_way;                     /* serves each client in the TLS mode that it begins with */
    size_t admission_port;               /* its index in struct admission */
    struct watch watch;
};

/* A session's question about authentication. */
struct auth_query {
    struct question question;
    struct server_action action; /* the session's action; its texts live until the answer */
    uint64_t version;            /* of the accounts at the question */
};

/* The message in transfer. */
struct message_submission {
    struct submission submission;
    struct server_action action; /* the session's last action; its texts live until the answer */
    bool store_waits;            /* the message is to be stored, but the file is not available yet */
    bool looked;                 /* at the beginning of a large one: */
    bool looped;                 /* a mail loop for all its recipients */
    struct trust_check *trust;   /* NULL: it is not judged */
};

/* A client as the listener knows it before its session begins. */
struct accepted_connection {
    int descriptor;
    struct sockaddr_storage from;
    struct counted_network *network; /* NULL until it is counted */
    char buffer[INET6_ADDRSTRLEN];
    struct bytes address;
    char account[64]; /* of a local program: "uid 1000"; of a trusted host: "trusted 127.0.0.1" */
    bool by_root;     /* a local program of root's */
    bool is_trusted;  /* of submission.trusted */
    bool is_proxied;  /* `from` is what a load balancer said */
};

/* Stages of a connection; smtp_connection_check() says what it holds in each. */
enum smtp_stage {
    SMTP_SNIFFING,    /* whether the client begins with TLS is not known yet: core/server/tls_sniff.h */
    SMTP_HANDSHAKING, /* TLS, before the session or after STARTTLS */
    SMTP_TALKING,     /* commands are heard, unless a question is open or replies have to leave first */
    SMTP_HELD,        /* an unknown recipient is told of later: harvest_table.c */
    SMTP_CLOSING,     /* the last reply is on its way */
    SMTP_ENDED,       /* the loop frees it */
};

/* A connection and its session. */
struct smtp_connection {
    struct smtpd *smtpd;
    enum smtp_stage stage;
    struct released released;
    struct listener *listener;
    struct smtp_connection *previous, *next;
    struct counted_network *network;
    struct admission_place place; /* its place in admission_control */
    struct conn conn;
    struct server_session session; /* state is NULL before an implicit TLS handshake is done */
    struct auth_query query;
    struct message_submission message;
    struct credential *credential; /* of its authentication; NULL before, and where none is needed */
    bool old_tls;                  /* its address may use an old version of TLS on this port */
    bool by_root;                  /* a local program of root's: it may send as anybody */
    bool is_trusted;               /* of submission.trusted: no sign-in is needed */
    bool signed_out;               /* its credential was revoked, and the session knows */
    uint64_t sender_version;       /* of the accounts when the sender was verified */
    uint64_t steps;                /* of the client when its deadline was set */
    uint64_t since_ms;             /* accepted at, if the listener accepts both TLS modes */
    bool tls_mismatch;             /* it began in the other TLS mode than usual for the port */
    bool heard;                    /* input was read */
    bool choked;                   /* waits until its replies are sent */
    bool expelled;                 /* closed to make room */
    bool out_of_turn;              /* it has sent before its turn, and this was logged */
    char address[INET6_ADDRSTRLEN];
};

struct smtpd {
    struct child *child;
    struct shared_metrics *metrics;            /* its own row is counted[child->number] */
    const struct over_quota_table *over_quota; /* written by local */
    struct listener *listeners;
    size_t listener_count;
    struct listener web_listener;    /* for connections handed over by the web process: without a socket */
    struct tls_context tls, old_tls; /* old_tls: for the devices of listeners.old_tls; else not open */
    struct smtp_connection *connections;
    size_t connection_count;
    struct memory_trim memory_trim;
    struct accept_share accept_share;
    struct map clients; /* by address */
    struct admission_control admission;
    struct client_log_throttle client_log;
    size_t held_count; /* connections waiting for a delayed reply */
    struct submissions submissions;
    struct judged_log judged_log;
    struct credential_checks credentials;
    struct trust_checks trust_checks;
    const struct accounts_version *accounts_version; /* tells when cached answers are outdated */
    struct proxy_intake *proxy_intakes;              /* connections without their PROXY header */
    size_t proxy_intake_count;
    struct log_throttle accepting, handshaking, proxying;
    struct handshakes handshakes;
    struct timer reopen;  /* listeners that were closed temporarily */
    struct timer drained; /* end of draining */
    bool draining;
    uint64_t seed;
};

/* ---- listener.c ---- */
void listener_open(struct listener *listener, struct smtpd *smtpd, int descriptor);
/* Takes over a connection that another process accepted, and its descriptor. */
void listener_take_over(struct listener *listener, int descriptor);
/* Admits a client whose address is known, or turns it away. */
void listener_admit(struct listener *listener, struct accepted_connection *accepted);
void listener_pause_all(struct smtpd *smtpd, uint64_t reopen_ms); /* temporarily */
void listener_reopen_all(void *smtpd);
void listener_close_all(struct smtpd *smtpd); /* permanently */

/* ---- known_clients.c: addresses with authenticated clients ---- */
bool known_clients_has(const struct smtpd *smtpd, const struct counted_network *network);
void known_clients_add(struct smtpd *smtpd, const struct counted_network *network);

/* ---- tls_sniff_table.c: what is known of a client's TLS mode (core/server/tls_sniff.h) ---- */
/* Returns how long to wait for this client before the greeting without TLS; 0: greet it immediately. */
uint32_t tls_sniff_table_wait_ms(const struct listener *listener, const struct accepted_connection *accepted);
/* Records its ClientHello where STARTTLS is usual, in time or not. */
void tls_sniff_table_hello(const struct smtp_connection *connection);
/* Records that it waited for the greeting, and that it signed in; ignored in the other TLS mode. */
void tls_sniff_table_waited(const struct smtp_connection *connection);
void tls_sniff_table_signed_in(const struct smtp_connection *connection);

/* ---- handshake_limit.c: TLS handshakes, one step per turn, each address within its CPU budget ---- */
void handshake_limit_start(struct smtpd *smtpd);
/* Queues the handshake that is about to start. */
void handshake_limit_take(struct smtp_connection *connection);
/* Refunds most of the handshake's cost, once the client has authenticated. */
void handshake_limit_refund(struct smtp_connection *connection);

/* ---- credential_check.c: credentials of sessions, and whether they are still valid ---- */
void credential_check_start(struct credential_checks *credentials, struct smtpd *smtpd);
/* Stores the credential of the connection, from the question just answered. */
void credential_take(struct smtp_connection *connection, struct bytes account, struct bytes text);
void credential_leave(struct smtp_connection *connection);
/* False if it was revoked, or auth must be asked first. */
bool credential_holds(const struct smtp_connection *connection);
bool credential_ask(struct smtp_connection *connection);
/* Takes the answer for a connection that waits for it. */
enum credential_verdict credential_answered(struct smtp_connection *connection,
                                            const struct ipc_credential_answer *answer);
/* logs once; the caller ends the session */
void credential_sign_out(struct smtp_connection *connection);
/* True if it answers a check, and not a connection's question. */
bool credential_check_answered(struct smtpd *smtpd, const struct ipc_credential_answer *answer);
void credential_check_lost(struct smtpd *smtpd); /* auth has died; repeats its questions later */

/* ---- smtp_connection.c ---- */
/* Takes ownership of the descriptor. The connection is already counted; `known`: see admission_control.h. */
void smtp_connection_start(struct listener *listener, const struct accepted_connection *accepted, bool known);
/* Processes input and answers as far as possible. */
void smtp_connection_run(struct smtp_connection *connection);
/* Shutdown. */
void smtp_connection_drain(struct smtp_connection *connection);
/* Ends it now: it is in no list any more, and the loop frees it (SMTP_ENDED), so
 * that it outlives the calls that ended it. */
void smtp_connection_end(struct smtp_connection *connection);
/* True while a question is pending: it reads no command until the answer. */
bool smtp_connection_waits(const struct smtp_connection *connection);
/* Closes it immediately, with a reply if the client can read it. No question may be pending. */
void smtp_connection_expel(struct smtp_connection *connection, enum server_expulsion why);

/* ---- turn_check.c: clients that send before it is their turn ---- */
/* Has it sent before the greeting could leave? The session has begun, and no action was pulled. */
void turn_check_greeting(struct smtp_connection *connection);
/* Has it sent the message before 354 could leave? At a CONTENT_BEGIN that awaits_turn. */
void turn_check_content(struct smtp_connection *connection);

/* ---- auth_query.c ---- */
void auth_query_start(struct smtp_connection *connection);
/* PASSWORD, SALT, PROOF, CREDENTIAL */
void auth_query_ask(struct smtp_connection *connection, enum ipc_kind kind,
                    const struct server_action *action);
/* Cancels: an answer will be ignored. */
void auth_query_forget(struct smtp_connection *connection);

/* ---- message_submission.c ---- */
void message_submission_start(struct smtp_connection *connection);
/* Handles the session's question about a sender, limits, a recipient or mail authentication, or its request
 * to store the message. */
void message_submission_ask(struct smtp_connection *connection, const struct server_action *action);
/* Continues the action that waited for the check of its credential. */
void message_submission_credential_answered(struct smtp_connection *connection,
                                            const struct server_action *action,
                                            enum credential_verdict verdict);
void message_submission_begin(struct smtp_connection *connection, const struct envelope *envelope);
void message_submission_add(struct smtp_connection *connection, struct bytes octets);
/* Discards the message that began. */
void message_submission_drop(struct smtp_connection *connection);
void message_submission_free(struct smtp_connection *connection);

/* ---- smtpd.c ---- */
void smtpd_leave_if_done(struct smtpd *smtpd);

#endif
