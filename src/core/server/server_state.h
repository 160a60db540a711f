/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_state: what a server session remembers, and what its files share. Each
 * verb has a function in a file of its own that checks the state, acts on it
 * and returns its reply; server_session.c writes the reply and keeps the loop.
 */
#ifndef MAILBOAT_CORE_SERVER_SERVER_STATE_H
#define MAILBOAT_CORE_SERVER_SERVER_STATE_H

#include <assert.h>

#include "core/message/gate.h"
#include "core/sasl/scram.h"
#include "core/server/content.h"
#include "core/server/server_session.h"
#include "core/smtp/command.h"

enum server_phase {
    PHASE_COMMAND, /* the next line is a command */
    PHASE_AUTH,    /* the next line answers a challenge */
    PHASE_DATA,    /* content up to <CRLF>.<CRLF> */
    PHASE_CHUNK,   /* `chunk_left` octets of BDAT */
    PHASE_TLS,     /* 220 was said; the handshake comes */
    PHASE_ASKING,  /* a question is open */
    PHASE_CLOSED,  /* nothing is heard any more */
};

/* code 0: no reply now, a question was asked or the phase says it all. */
struct server_reply {
    unsigned code;
    const char *enhanced; /* "2.1.0", or NULL where there is none (EHLO, 354, 334) */
    const char *text;     /* "\n" separates lines */
    enum server_meaning meaning;
};
#define REPLY(code, enhanced, text) ((struct server_reply){(code), (enhanced), (text), MEANING_PLAIN})
#define NO_REPLY ((struct server_reply){0, NULL, NULL, MEANING_PLAIN})

enum auth_step {
    AUTH_PLAIN_RESPONSE,
    AUTH_LOGIN_USER,
    AUTH_LOGIN_PASSWORD,
    AUTH_SCRAM_FIRST,
    AUTH_SCRAM_FINAL,
    AUTH_SCRAM_END
};

/* By which command the transaction's content comes; it keeps to one. */
enum content_transfer { TRANSFER_NONE, TRANSFER_DATA, TRANSFER_BDAT };

/* How far the content of the transaction is. */
enum content_arrival {
    ARRIVAL_NONE,      /* CONTENT_BEGIN was not said */
    ARRIVAL_RUNS,      /* it comes, run by run */
    ARRIVAL_END_WAITS, /* DATA, or a chunk, has ended, and is answered once an author was asked about */
};

/* What a chunk of BDAT is (RFC 3030 2). */
enum chunk_kind {
    CHUNK_MORE, /* others follow */
    CHUNK_LAST,
    CHUNK_REFUSED, /* its octets are swallowed; its refusal was said, or is said when they are */
};

enum { ACTIONS_MAX = 6, REPLY_TEXT_MAX = 1024, REFUSALS_MAX = 4 };

/* A refusal among the replies that wait. */
struct waiting_refusal {
    enum server_meaning meaning;
    uint32_t code;
    const char *enhanced;
    size_t text_at, text_length; /* in `replies` */
};

struct server_state {
    enum server_phase phase;
    bool greeted; /* EHLO or HELO was accepted */
    bool esmtp;   /* it was EHLO */
    bool secured; /* TLS is up */
    bool signed_in;
    bool signed_out;     /* and it does not hold any more: the session ends as soon as it can */
    bool in_transaction; /* MAIL was accepted */
    enum content_transfer transfer;
    enum content_arrival arrival;
    enum chunk_kind chunk; /* the one that came last */
    bool skipping_line;    /* the rest of a line that is too long */
    bool skipping_http;    /* and it began as a browser's */
    bool skipping_auth;    /* and it began as an AUTH command's */
    bool draining;
    bool close_reported;              /* SERVER_CLOSE was pulled */
    enum server_action_kind question; /* the open one, SERVER_NOTHING when none */

    /* What waits to be pulled, in order. */
    enum server_action_kind actions[ACTIONS_MAX];
    uint8_t action_count;
    struct buffer replies;                         /* text of the SERVER_REPLY that waits */
    bool replies_pulled;                           /* its text can be dropped at the next call */
    struct waiting_refusal refusals[REFUSALS_MAX]; /* in it; more than these are not told of */
    size_t refusal_count;
    struct bytes run;      /* of the SERVER_CONTENT that waits */
    struct buffer changed; /* holds it where it is not as the client sent it; let go once it was pulled */
    bool run_pulled;

    struct arena session_arena;     /* origin's texts */
    struct buffer helo;             /* origin.client_helo: said again and again it must not grow */
    struct arena transaction_arena; /* envelope's texts */
    struct envelope envelope;
    size_t recipients_capacity;   /* of envelope.recipients */
    size_t recipients_octets;     /* that they take */
    uint32_t recipients_tried;    /* RCPT commands of this transaction */
    uint32_t recipients_asked;    /* of them, those that the shell was asked about */
    uint32_t recipients_accepted; /* of them; aliases make more targets */
    struct content content;       /* off the wire */
    struct gate gate;             /* and into the queue */
    uint64_t chunk_left;

    /* The recipient or sender that is asked about. */
    struct bytes asked_address, asked_orcpt;
    uint8_t asked_notify;

    enum auth_step auth_step;
    struct buffer auth_user, auth_password; /* wiped after each use */

    const char *auth_mechanism;               /* its name; NULL before the first */
    bool auth_binds;                          /* the mechanism is SCRAM-SHA-256-PLUS */
    struct buffer scram_header, scram_type;   /* of the client's first message, and the binding it names */
    struct buffer scram_binding;              /* the octets that the connection has for it */
    struct buffer scram_nonce, scram_message; /* both nonces; AuthMessage so far */
    uint8_t scram_proof[SCRAM_KEY];

    uint64_t steps;                  /* of the client's, as server_session_steps() has them */
    uint32_t pace_octets;            /* of content since the last step */
    struct server_progress progress; /* its messages, recipients and octets */
    uint32_t recipients_since;       /* of them, accepted since the last message */
    uint32_t recipients_fresh;       /* different ones of this transaction */
    uint64_t recipients_served;      /* fresh ones of messages that were stored */
    uint64_t content_octets;         /* of this message */
    uint32_t bad_commands, idle_commands, auth_failures, transactions, recipients_refused;
    char text[REPLY_TEXT_MAX]; /* of a reply that was made with server_reply_format() */
};

/* ---- what verbs use ---- */

struct server_reply server_reply_format(struct server_session *session, unsigned code, const char *enhanced,
                                        const char *format, ...) __attribute__((format(printf, 4, 5)));
void server_session_push(struct server_session *session, enum server_action_kind action);
void server_session_reply(struct server_session *session, struct server_reply reply);
void server_session_ask(struct server_session *session, enum server_action_kind question);
/* Nothing more is heard; SERVER_CLOSE follows when all actions are pulled. */
void server_session_close(struct server_session *session);
/* A last reply, then the end. */
void server_session_reply_and_close(struct server_session *session, struct server_reply reply);
#define GOING_DOWN REPLY(421, "4.3.2", "Service restarting; please reconnect")
#define SENDER_LOOKUP_FAILED \
    REPLY(451, "4.3.0", "Temporary lookup failure for the sender; try again in a minute")
#define SIGNED_OUT      \
    REPLY(421, "4.7.0", \
          "Credentials changed or revoked; closing connection, reconnect and authenticate again")
/* Once signed out: nothing more is heard. */
void server_session_close_if_signed_out(struct server_session *session);
/* Ends the transaction; content that has begun is dropped. */
void server_session_reset(struct server_session *session);
/* Asserts what holds between two calls of the shell. */
void server_session_check(const struct server_session *session);
/* The open question is answered. */
void server_session_take_answer(struct server_session *session, enum server_action_kind question);
/* Works out origin.protocol anew (RFC 3848, RFC 6531 4.3). */
void server_session_update_protocol(struct server_session *session);

/* ---- verbs: each returns its reply ---- */

typedef struct server_reply verb_function(struct server_session *session, struct bytes argument);
verb_function server_helo, server_ehlo, server_starttls, server_auth, server_mail, server_rcpt, server_data,
    server_bdat, server_rset, server_noop, server_vrfy, server_expn, server_help, server_quit;

/* policy.c: the reply that forbids the verb here and now, code 0 when it is allowed. */
struct server_reply policy_check(const struct server_session *session, enum verb verb);
verb_function *policy_verb(enum verb verb);
bool policy_offers_starttls(const struct server_session *session);
bool policy_offers_auth(const struct server_session *session);
bool policy_offers_dsn(const struct server_session *session);

/* data.c: the answer about an author of the message that is arriving */
void data_author_answered(struct server_session *session, enum sender_verdict verdict);
/* mail.c: as much was sent as may be in an hour */
struct server_reply mail_limited_reply(struct server_session *session, uint32_t wait_s);
/* server_auth.c */
struct server_reply server_auth_response(struct server_session *session, struct bytes line);
void server_auth_forget(struct server_session *session);
struct server_reply server_auth_challenge(struct server_session *session, enum auth_step step,
                                          const char *text);
struct server_reply server_auth_give_up(struct server_session *session, struct server_reply reply);
/* Signs in as the account, or says why not. */
void server_auth_decide(struct server_session *session, enum password_verdict verdict, struct bytes account);
struct server_reply server_auth_verdict_reply(enum password_verdict verdict);
/* One more refusal: after AUTH_FAILURES_MAX the session ends. */
void server_auth_count_failure(struct server_session *session);
/* server_scram.c: the client's messages */
struct server_reply server_scram_first(struct server_session *session, struct bytes message);
struct server_reply server_scram_final(struct server_session *session, struct bytes message);
void server_scram_forget(struct server_session *session);
/* data.c: content in PHASE_DATA and PHASE_CHUNK; octets used */
size_t data_feed(struct server_session *session, struct bytes input);
size_t data_feed_chunk(struct server_session *session, struct bytes input);
/* bdat that is refused: its octets must still be swallowed */
void data_swallow_bdat(struct server_session *session, struct bytes argument);

#endif
