/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_state: the state of a server session, shared by its files. Each verb has a function in a file of
 * its own that checks the state, acts on it and returns its reply; server_session.c writes the reply and
 * runs the loop.
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
    PHASE_TLS,     /* 220 was sent; the handshake follows */
    PHASE_ASKING,  /* a question is pending */
    PHASE_CLOSED,  /* input is ignored */
};

/* code 0: no reply now, a question is pending or the phase implies it. */
struct server_reply {
    unsigned code;
    const char *enhanced; /* "2.1.0", or NULL for none (EHLO, 354, 334) */
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

/* The command that transfers the content; fixed for a transaction. */
enum content_transfer { TRANSFER_NONE, TRANSFER_DATA, TRANSFER_BDAT };

/* Progress of the transaction's content. */
enum content_arrival {
    ARRIVAL_NONE,      /* before CONTENT_BEGIN */
    ARRIVAL_RUNS,      /* in transfer, run by run */
    ARRIVAL_END_WAITS, /* DATA, or a chunk, has ended, and is answered after the question about an author */
};

/* Kind of a BDAT chunk (RFC 3030 2). */
enum chunk_kind {
    CHUNK_MORE, /* others follow */
    CHUNK_LAST,
    CHUNK_REFUSED, /* its octets are skipped; the rejection was sent, or is sent after them */
};

enum {
    ACTIONS_MAX = 6,
    REPLY_TEXT_MAX = 1024,
    SESSION_ARENA_BLOCK = 224, /* octets: the addresses and texts of an idle session fit into one or two */
    REPLY_ADDRESS_MAX = 160,   /* octets of an address in a reply, whose line has 512 (RFC 5321 4.5.3.1.5) */
    REFUSALS_MAX = 4,
    ENHANCED_CODE_MAX = 16,    /* octets of "5.7.26" and its end */
    REFUSED_ADDRESS_MAX = 320, /* octets of an address in the log of a refusal */
};

static inline struct bytes reply_address(struct bytes address)
{
    return bytes_first(address, REPLY_ADDRESS_MAX);
}

/* A refusal among the pending replies. */
struct waiting_refusal {
    enum server_meaning meaning;
    uint32_t code;
    const char *enhanced;
    size_t text_at, text_length; /* in `replies` */
    /* in `refused`: the sender, "<>" where it is empty, and the recipient behind it */
    size_t said_at, sender_length, recipient_length;
};

struct server_state {
    enum server_phase phase;
    bool greeted; /* EHLO or HELO was accepted */
    bool esmtp;   /* it was EHLO */
    bool secured; /* TLS is up */
    bool signed_in;
    bool signed_out;     /* the credential was revoked: the session ends as soon as possible */
    bool in_transaction; /* MAIL was accepted */
    enum content_transfer transfer;
    enum content_arrival arrival;
    enum chunk_kind chunk; /* of the last chunk */
    bool skipping_line;    /* skips the rest of a line that is too long */
    bool skipping_http;    /* that line began like HTTP */
    bool skipping_auth;    /* that line began like AUTH */
    bool more_input;       /* there was input behind the line that is carried out */
    bool draining;
    bool close_reported;              /* SERVER_CLOSE was pulled */
    enum server_action_kind question; /* the pending one, SERVER_NOTHING if none */

    /* Pending actions, in order. */
    enum server_action_kind actions[ACTIONS_MAX];
    uint8_t action_count;
    struct buffer replies;                         /* text of the pending SERVER_REPLY */
    bool replies_pulled;                           /* its text can be freed at the next call */
    struct waiting_refusal refusals[REFUSALS_MAX]; /* refusals in it; more are not logged */
    size_t refusal_count;
    struct buffer refused; /* addresses of the refusals */
    /* addresses of the command that is being answered, for a refusal; none once it is answered */
    bool sender_said; /* also an empty sender */
    struct bytes said_sender, said_recipient;
    struct bytes run;      /* of the pending SERVER_CONTENT */
    struct buffer changed; /* holds the run if it differs from the input; freed once pulled */
    bool run_pulled;

    struct arena session_arena; /* origin's texts */
    /* origin.client_helo: a buffer of its own, so that repeated commands do not use more memory */
    struct buffer helo;
    struct arena transaction_arena; /* envelope's texts */
    struct envelope envelope;
    size_t recipients_capacity;   /* of envelope.recipients */
    size_t recipients_octets;     /* used by them */
    uint32_t recipients_tried;    /* RCPT commands of this transaction */
    uint32_t recipients_asked;    /* of them, sent to the shell */
    uint32_t recipients_accepted; /* of them; aliases resolve to more */
    struct content content;       /* decodes the content */
    struct gate gate;             /* filters it for the queue */
    uint64_t chunk_left;

    /* The recipient or sender of the question. */
    struct bytes asked_address, asked_orcpt;
    uint8_t asked_notify;

    enum auth_step auth_step;
    struct buffer auth_user, auth_password; /* wiped after each use */

    const char *auth_mechanism;               /* its name; NULL before the first AUTH */
    bool auth_binds;                          /* the mechanism is SCRAM-SHA-256-PLUS */
    struct buffer scram_header, scram_type;   /* of the client's first message, and its binding type */
    struct buffer scram_binding;              /* the connection's octets for it */
    struct buffer scram_nonce, scram_message; /* both nonces; the AuthMessage so far */
    uint8_t scram_proof[SCRAM_KEY];

    uint64_t steps;                  /* of the client, as server_session_steps() returns them */
    uint32_t pace_octets;            /* of content since the last step */
    struct server_progress progress; /* its messages, recipients and octets */
    uint32_t recipients_since;       /* of them, accepted since the last message */
    uint32_t recipients_fresh;       /* different recipients of this transaction */
    uint64_t recipients_served;      /* different recipients of stored messages */
    uint64_t content_octets;         /* of this message */
    uint32_t bad_commands, idle_commands, auth_failures, transactions, recipients_refused;
    char enhanced[ENHANCED_CODE_MAX]; /* of a reply whose code the shell has given */
    char *text;                       /* of the last reply made by server_reply_format(); or NULL */
};

/* ---- for verbs ---- */

struct server_reply server_reply_format(struct server_session *session, unsigned code, const char *enhanced,
                                        const char *format, ...) __attribute__((format(printf, 4, 5)));
void server_session_push(struct server_session *session, enum server_action_kind action);
void server_session_reply(struct server_session *session, struct server_reply reply);
void server_session_ask(struct server_session *session, enum server_action_kind question);
/* Ignores further input; SERVER_CLOSE follows when all actions are pulled. */
void server_session_close(struct server_session *session);
/* Sends a last reply, then closes. */
void server_session_reply_and_close(struct server_session *session, struct server_reply reply);
#define GOING_DOWN REPLY(421, "4.3.2", "Service restarting; please reconnect")
#define SENDER_LOOKUP_FAILED \
    REPLY(451, "4.3.0", "Temporary lookup failure for the sender; try again in a minute")
#define SIGNED_OUT      \
    REPLY(421, "4.7.0", \
          "Credentials changed or revoked; closing connection, reconnect and authenticate again")
/* If the credential was revoked: ignores further input and closes. */
void server_session_close_if_signed_out(struct server_session *session);
/* Ends the transaction; discards content that has begun. */
void server_session_reset(struct server_session *session);
/* Asserts the invariants between two calls of the shell. */
void server_session_check(const struct server_session *session);
/* Ends the pending question. */
void server_session_take_answer(struct server_session *session, enum server_action_kind question);
/* Recomputes origin.protocol (RFC 3848, RFC 6531 4.3). */
void server_session_update_protocol(struct server_session *session);

/* ---- verbs: each returns its reply ---- */

typedef struct server_reply verb_function(struct server_session *session, struct bytes argument);
verb_function server_helo, server_ehlo, server_starttls, server_auth, server_mail, server_rcpt, server_data,
    server_bdat, server_rset, server_noop, server_vrfy, server_expn, server_help, server_quit;

/* policy.c: the reply that rejects the verb in this state, code 0 if it is allowed. */
struct server_reply policy_check(const struct server_session *session, enum verb verb);
verb_function *policy_verb(enum verb verb);
bool policy_offers_starttls(const struct server_session *session);
bool policy_offers_auth(const struct server_session *session);
bool policy_offers_dsn(const struct server_session *session);

/* turn.c: the client has not waited for the reply to DATA; true if this ends the session, else it is served
 */
bool server_session_refuses_early_data(struct server_session *session);
/* server_session.c: true for the request line of a web browser, or its beginning */
bool server_session_is_http(struct bytes line);
/* refusal.c: remembers a reply as a refusal; `text_at`: start of the text of its last line */
void refusal_note(struct server_state *state, const struct server_reply *reply, size_t text_at);
/* a command begins, or is answered: the texts of its line end with it */
void refusal_forget_said(struct server_state *state);
/* data.c: takes the answer about an author of the message in transfer */
void data_author_answered(struct server_session *session, enum sender_verdict verdict);
/* mail.c: reply for a reached hourly limit */
struct server_reply mail_limited_reply(struct server_session *session, uint32_t wait_s);
/* server_auth.c */
struct server_reply server_auth_response(struct server_session *session, struct bytes line);
void server_auth_forget(struct server_session *session);
struct server_reply server_auth_challenge(struct server_session *session, enum auth_step step,
                                          const char *text);
struct server_reply server_auth_give_up(struct server_session *session, struct server_reply reply);
/* Authenticates as the account, or replies with the failure. */
void server_auth_decide(struct server_session *session, enum password_verdict verdict, struct bytes account);
struct server_reply server_auth_verdict_reply(enum password_verdict verdict);
/* Counts a failure: after AUTH_FAILURES_MAX the session ends. */
void server_auth_count_failure(struct server_session *session);
/* server_scram.c: the client's messages */
struct server_reply server_scram_first(struct server_session *session, struct bytes message);
struct server_reply server_scram_final(struct server_session *session, struct bytes message);
void server_scram_forget(struct server_session *session);
/* data.c: consumes content in PHASE_DATA and PHASE_CHUNK; returns octets used */
size_t data_feed(struct server_session *session, struct bytes input);
size_t data_feed_chunk(struct server_session *session, struct bytes input);
/* skips the octets of a rejected BDAT */
/* Completes a name without a domain where the policy has one for it; else returns the verdict as it is. */
enum argument_verdict server_complete_name(struct server_session *session, enum argument_verdict verdict,
                                           struct bytes *address);
void data_swallow_bdat(struct server_session *session, struct bytes argument);

#endif
