/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd: the process that reads what strangers say. It may touch no file; it
 * knows nothing by itself and asks: auth who someone is and where mail goes,
 * queue to put it on disk.
 *
 * A door (listener.c) accepts connections, counts those of one address
 * (connection_limit.c) and sees that there is room (admission_control.c); their TLS handshakes wait
 * for their turns (handshake_limit.c). A dialogue (smtp_connection.c) drives one
 * server session (core/server) over one conn. A question (auth_query.c) is what
 * the session needs to know. An intake (message_spool.c) is the content of the
 * message that is arriving: small ones travel in the IPC_SUBMIT, larger ones
 * are written into a file that queue has opened for us.
 */
#ifndef MAILBOAT_SERVICE_SMTPD_SMTPD_H
#define MAILBOAT_SERVICE_SMTPD_SMTPD_H

#include "service/recipient_cache.h"
#include "run/child.h"
#include "io/conn.h"
#include "base/map.h"
#include "core/queue/queue_id.h"
#include "core/server/server_session.h"
#include "service/smtpd/harvest_table.h"
#include "service/smtpd/client_log_throttle.h"
#include "service/smtpd/connection_limit.h"
#include "io/log_throttle.h"

enum {
    ACCEPTS_A_TURN_MAX = 8,           /* of one door: the other smtpd processes shall have some too */
    PEER_WAIT_MS = 5 * 1000,          /* for a peer process that is being restarted; then "try again later" */
    QUESTION_RETRY_MS = 20,           /* while a channel is full */
    HANDSHAKE_TIMEOUT_MS = 60 * 1000,
    CLOSE_TIMEOUT_MS = 10 * 1000,     /* for the client to take the last reply */
    REPLIES_UNSENT_MAX = 16 * 1024,   /* octets; then no command is heard until the client reads them */
    /* How long to look at how a client begins, before it is greeted in clear. */
    FIRST_WAIT_MS = 100,              /* where STARTTLS is the custom; PHP takes 30 to 50 until its ClientHello */
    FIRST_WAIT_PATIENT_MS = 50,       /* for an address whose clients wait for the greeting */
    FIRST_WAIT_LOOPBACK_MS = 3,       /* the same on this machine, whose programs send often */
    FIRST_WAIT_MAX_MS = 500,          /* for an address whose ClientHello came late */
    FIRST_WAIT_IMPLICIT_MS = 4 * 1000, /* where TLS comes first, who waits, waits for a greeting; or its ClientHello
                                          was lost: it is sent again after 1 and 3 s */
    PATIENT_SESSIONS = 5,             /* that waited, until an address counts as patient */
    HABIT_H = 7 * 24,                 /* hours until a habit is forgotten */
    CREDENTIALS_LOOK_MS = 250,        /* how soon a change of the accounts is seen by those who signed in */
    CREDENTIALS_ASKED_MAX = 32,       /* questions under way that no session waits for */
    CREDENTIAL_HOLDS_MS = 60 * 1000,  /* then it is asked about again, before the next message */
    DRAIN_QUICK_MS = 5 * 60 * 1000,   /* the server stops: transactions may finish for so long */
    DRAIN_SLOW_MS = 30 * 60 * 1000,   /* a successor took over: sessions may go on for so long */
};

struct smtpd;
struct dialogue;
struct credential;

/* What sessions signed in with: credential_check.c. */
struct credentials {
    struct credential *first;
    struct map known;          /* by account and text */
    struct map asked;          /* by request */
    struct credential *at;     /* the next to be asked about, while looking */
    uint64_t looking_version, looked_version; /* of the accounts: now, and when all were asked about last */
    bool looking, complete;    /* complete: each answer meant something so far */
    struct timer timer, ending;
};
#define ACCOUNTS_VERSION_NONE UINT64_MAX

/* One listening socket. */
struct door {
    struct smtpd *smtpd;
    int descriptor;
    uint16_t port; /* 0: the local socket */
    struct server_policy policy;
    struct server_policy clear_policy; /* for who speaks in clear where TLS comes first */
    bool either_way;                   /* each client is served by the TLS mode that it begins with */
    size_t crowd_port;                 /* its number in struct admission */
    struct watch watch;
};

/* What a session waits to know; one at a time. */
struct question {
    bool open;
    enum ipc_kind kind;          /* of the message that asks */
    struct server_action action; /* what the machine said; its texts live until the answer */
    uint64_t request;            /* 0 while it could not be sent */
    uint64_t since_ms;
    uint64_t version;            /* of the accounts when it was asked */
    struct dialogue *next_waiting;
};

/* The content that is arriving. */
struct intake {
    const struct envelope *envelope; /* the session's */
    bool looped;                     /* it has come back to all it is for */
    uint64_t id;           /* the message's queue id */
    struct buffer content; /* all of it, or what waits for the file */
    uint64_t spool;        /* queue's name for the file; 0 when there is none */
    int file;              /* -1 when there is none */
    bool spooling;         /* a file was asked for */
    bool store_asked;      /* the machine asked to store it while the file was not there yet */
    bool failed;           /* the rest is swallowed; `verdict` says why */
    enum store_verdict verdict;
};

/* One connection and its session. */
struct dialogue {
    struct smtpd *smtpd;
    struct door *door;
    struct dialogue *previous, *next;
    struct visitor *visitor;
    struct place place;      /* in the crowd */
    struct conn conn;
    struct server_session session; /* state is NULL before an implicit handshake is done */
    struct question question;
    struct intake intake;
    struct credential *credential; /* what it signed in with; NULL before, and for those who need not */
    bool signed_out;               /* that does not hold any more, and it was told */
    uint64_t limit_request;        /* by which its message was counted; 0: none is */
    uint64_t sender_version;       /* of the accounts when it was asked whether the sender is allowed */
    uint64_t steps;    /* of the client's when its deadline was set */
    uint64_t since_ms; /* accepted, where the door is open either way */
    bool deciding;     /* it is not known yet whether the client begins with TLS */
    bool other_way;    /* it began against the port's custom */
    bool heard;        /* something was read */
    bool closing;      /* the last reply is on its way */
    bool choked;       /* its replies have to leave first */
    bool held;         /* an unknown recipient is told of later: see harvest_table.h */
    bool expelled;     /* its place is needed */
    char address[INET6_ADDRSTRLEN];
};

struct smtpd {
    struct child *child;
    struct door *doors;
    size_t door_count;
    struct door web_door; /* of those whom the web process hands over: it has no socket of its own */
    struct tls_context tls;
    struct dialogue *dialogues;
    size_t dialogue_count;
    struct map visitors;  /* by address */
    struct crowd crowd;
    struct notices notices;
    size_t held_count;    /* dialogues that wait for a slow answer */
    struct map questions; /* dialogues by request */
    uint64_t last_request;
    struct answers answers; /* of auth */
    struct credentials credentials;
    struct buffer key;      /* of the question at hand */
    const volatile uint8_t *accounts_page; /* tells when the answers do not hold any more */
    struct dialogue *waiting_first, *waiting_last; /* whose question could not be sent */
    struct timer retry;
    struct trouble accepting, spooling, handshaking;
    struct handshakes handshakes;
    struct timer reopen;  /* doors that were shut for a while */
    struct timer drained; /* the end of draining */
    bool draining;
    struct queue_id_maker ids;
    uint64_t seed;
};

/* ---- listener.c ---- */
void door_open(struct door *door, struct smtpd *smtpd, int descriptor);
/* One that somebody else accepted; takes the descriptor over. */
void door_welcome(struct door *door, int descriptor);
void doors_shut(struct smtpd *smtpd, uint64_t reopen_ms); /* for a while */
void doors_reopen(void *smtpd);
void doors_close(struct smtpd *smtpd); /* for good */

/* ---- known_clients.c: addresses from which somebody signed in ---- */
bool familiar_is(const struct smtpd *smtpd, const struct visitor *visitor);
void familiar_met(struct smtpd *smtpd, const struct visitor *visitor);

/* ---- tls_sniff.c: who speaks TLS where STARTTLS is the custom ---- */
/* How long a client from `address` is looked at before it is greeted in clear. */
uint32_t first_wait_ms(const struct door *door, struct bytes address, bool loopback);
/* It said its ClientHello, so long after it was accepted; in time or not. */
void haste_met(const struct door *door, struct bytes address, uint64_t after_ms);
/* It waited for the greeting. */
void patience_met(const struct door *door, struct bytes address);

/* ---- handshake_limit.c: TLS handshakes, one step a turn, each address within its CPU time ---- */
void turns_start(struct smtpd *smtpd);
/* The handshake that is about to start shall wait for its turns. */
void turns_take(struct dialogue *dialogue);
/* The client is somebody: most of what its handshake has cost is given back. */
void turns_signed_in(struct dialogue *dialogue);

/* ---- limit_query.c: what an account, or a local user, may send in an hour ---- */
bool limit_applies(const struct config *config, enum server_role role);
bool limit_ask(struct dialogue *dialogue, struct channel *auth, uint64_t request);
void limit_answered_for_nobody(struct smtpd *smtpd, const struct ipc_limit_answer *answer); /* its client is gone */
/* The message that was counted was sent, or not: it is given back. */
void limit_end(struct dialogue *dialogue, bool sent);

/* ---- credential_check.c: what sessions signed in with, and whether it holds still ---- */
void credentials_start(struct credentials *credentials, struct smtpd *smtpd);
/* The dialogue signed in by the question that was just answered. */
void credential_take(struct dialogue *dialogue, struct bytes account, struct bytes text);
void credential_leave(struct dialogue *dialogue);
/* False when it has ended, or auth must be asked first. */
bool credential_holds(const struct dialogue *dialogue);
bool credential_ask(struct dialogue *dialogue, struct channel *auth, uint64_t request);
/* The answer for a dialogue that waits for it. */
enum credential_verdict credential_answered(struct dialogue *dialogue, const struct ipc_credential_answer *answer);
void credential_sign_out(struct dialogue *dialogue); /* it is logged, once; the session is told by who calls */
/* True when it answers a look, and no dialogue's question. */
bool credentials_answered(struct smtpd *smtpd, const struct ipc_credential_answer *answer);
void credentials_lost(struct smtpd *smtpd); /* auth is gone, with what it was asked */

/* ---- smtp_connection.c ---- */
/* Takes the descriptor over. `visitor` is counted already; `known`: see admission_control.h; `account` as in
 * server_session_start(). */
void dialogue_start(struct door *door, int descriptor, struct visitor *visitor, bool known, struct bytes address,
                    struct bytes account);
/* Goes on as far as what was heard and answered allows; the dialogue may be gone afterwards. */
void dialogue_run(struct dialogue *dialogue);
/* The server goes down; the dialogue may be gone afterwards. */
void dialogue_drain(struct dialogue *dialogue);
void dialogue_free(struct dialogue *dialogue);
/* The credential that an action waited for was asked about: goes on with the action. */
void dialogue_go_on(struct dialogue *dialogue, const struct server_action *action, enum credential_verdict verdict);
/* The same of the limits: at MAIL, where nothing is counted yet, or for the message (by `request`). */
void dialogue_limit_answered(struct dialogue *dialogue, const struct server_action *action, enum limit_verdict verdict, uint32_t number, uint64_t request);
/* Ends it at once, with a word where it can be heard. No question of it is open. */
void dialogue_expel(struct dialogue *dialogue, enum server_expulsion why);

/* ---- auth_query.c ---- */
void question_ask(struct dialogue *dialogue, enum ipc_kind kind, const struct server_action *action);
/* Answers a question about a sender or a recipient at once, where auth told
 * the same before and the accounts have not changed since; else false. */
bool question_is_known(struct dialogue *dialogue, enum ipc_kind kind, const struct server_action *action);
/* Whoever asked is gone: an answer will find no one. */
void question_forget(struct dialogue *dialogue);
void question_answered(struct smtpd *smtpd, enum ipc_kind kind, union ipc_message *message, int attached);
void questions_retry(void *smtpd);
void questions_lost(struct smtpd *smtpd, enum process_role peer);

/* ---- message_spool.c ---- */
void intake_begin(struct dialogue *dialogue, const struct envelope *envelope);
void intake_add(struct dialogue *dialogue, struct bytes octets);
void intake_drop(struct dialogue *dialogue);
/* The machine asks to store it; credential and sender are looked at once more. */
void intake_store(struct dialogue *dialogue, const struct server_action *action);
/* What was asked before: may it be stored? */
void intake_credential_answered(struct dialogue *dialogue, const struct server_action *action, enum credential_verdict verdict);
void intake_sender_answered(struct dialogue *dialogue, const struct server_action *action, enum sender_verdict verdict);
/* The file is there, or will not be. */
void intake_spooled(struct dialogue *dialogue, enum store_verdict verdict, uint64_t spool, int file);
/* The queue process died, and what was in its file with it. */
void intake_lost(struct dialogue *dialogue);
/* Queue has spoken, or is lost. */
void intake_stored(struct dialogue *dialogue, enum store_verdict verdict);

/* ---- smtpd.c ---- */
void smtpd_leave_if_done(struct smtpd *smtpd);

#endif
