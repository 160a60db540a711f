/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_session: the client's side of one SMTP or LMTP connection as a pure
 * machine (RFC 5321, RFC 2033): greeting, EHLO, STARTTLS, AUTH, then
 * transactions, pipelined where the peer allows it.
 *
 * The shell connects (and with implicit TLS shakes hands), calls
 * client_session_start(), then in a loop pulls every client_session_action()
 * and feeds what arrives, one reply a call. At CLIENT_READY it may give the
 * next message with client_session_send(), or client_session_quit().
 */
#ifndef MAILBOAT_CORE_CLIENT_CLIENT_SESSION_H
#define MAILBOAT_CORE_CLIENT_CLIENT_SESSION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/client/delivery_outcome.h"
#include "core/smtp/envelope.h"
#include "core/smtp/reply.h"

const char *client_step_name(enum client_step step); /* "dns", "connect", "greeting" ... */

enum client_tls {
    CLIENT_TLS_NEVER, /* in clear: loopback and local sockets only; the caller sees to that */
    /* STARTTLS where offered, else in clear; relaying on 25 only, never with AUTH */
    CLIENT_TLS_OPPORTUNISTIC,
    CLIENT_TLS_REQUIRED, /* STARTTLS or the attempt fails */
    CLIENT_TLS_IMPLICIT, /* the handshake came first */
};

struct client_options {
    struct bytes helo; /* our name, or an address literal */
    enum client_tls tls;
    bool lmtp;                   /* LHLO, and a reply per recipient at the end (RFC 2033) */
    struct bytes user, password; /* empty user: no AUTH */
    struct bytes token;          /* of OAuth 2, in place of the password */
    bool probe_only;             /* stop at CLIENT_READY before AUTH: for the race and `mailboat ports` */
};

/* What the peer announced in its last EHLO reply. */
struct client_capabilities {
    bool esmtp, pipelining, starttls, eightbitmime, binarymime, chunking, smtputf8, dsn, requiretls, enhanced,
        auth;
    /* a keyword was overwritten on the way, as firewalls do: "XXXXXXXA" for STARTTLS */
    bool masked;
    bool size_known;
    uint64_t size_max;       /* 0 with size_known: no fixed limit */
    uint32_t recipients_max; /* LIMITS RCPTMAX, 0 when unsaid */
    uint32_t mechanisms;     /* enum client_mechanism, or'ed */
};
enum client_mechanism {
    MECHANISM_PLAIN = 1,
    MECHANISM_LOGIN = 2,
    MECHANISM_SCRAM_SHA_256 = 4,
    MECHANISM_SCRAM_SHA_256_PLUS = 8,
    MECHANISM_XOAUTH2 = 16,
    MECHANISM_OAUTHBEARER = 32
};
/* Is there one among these by which we can sign in, with a password or with a token? */
bool client_can_sign_in(uint32_t mechanisms, bool by_token);

enum client_action_kind {
    CLIENT_NOTHING,
    CLIENT_SEND, /* send `bytes`; valid until the next call */
    /* shake hands now (unread clear text is an attack: fail), then
     * client_session_tls_started() or client_session_failed(STEP_TLS) */
    CLIENT_STARTTLS,
    CLIENT_ASK_NONCE,    /* SCRAM begins: client_session_answer_nonce() */
    CLIENT_ASK_PROOF,    /* SCRAM's arithmetic, for `scram`: client_session_answer_proof() */
    CLIENT_READY,        /* greeted, secured, signed in: send a message, or quit */
    CLIENT_WANT_CONTENT, /* give the next run with client_session_content() */
    /* the transaction is over: `results`, one a recipient; then CLIENT_READY or CLIENT_FAILED */
    CLIENT_SENT,
    /* the session is over: `failure`; close (after CLIENT_SENT where a transaction was open) */
    CLIENT_FAILED,
    CLIENT_CLOSE, /* after QUIT was answered, or timed out: close */
};

/* What a proof is made of (RFC 5802 3); lives until the answer. */
struct client_scram {
    struct bytes password, salt, message;
    uint32_t iterations; /* within the limits of sasl/scram.h */
};

struct client_action {
    enum client_action_kind kind;
    /* WANT_CONTENT: from the first octet, also where it was given
     * before: some recipients needed a transaction of their own */
    bool begins;
    struct client_scram scram;             /* ASK_PROOF */
    struct bytes bytes;                    /* SEND */
    const struct delivery_result *results; /* SENT; live until the next send */
    size_t result_count;
    struct delivery_result failure; /* FAILED; outcome is DEFERRED or FAILED */
};

/* What the octets look like that are no SMTP; UNKNOWN until there are any. */
enum client_peer { CLIENT_PEER_UNKNOWN, CLIENT_PEER_TLS, CLIENT_PEER_WEB, CLIENT_PEER_SSH };

struct client_session {
    struct client_options options;
    enum client_peer peer;
    struct client_capabilities capabilities;
    struct client_state *state; /* this folder's own; allocated by start, freed by free */
};

/* The texts of `options` must live as long as the session. */
void client_session_start(struct client_session *session, const struct client_options *options);
void client_session_free(struct client_session *session);

/* Uses up at most one reply; 0 when it needs more octets. */
size_t client_session_feed(struct client_session *session, struct bytes input);
bool client_session_action(struct client_session *session, struct client_action *action);

void client_session_tls_started(struct client_session *session);
/* The connection ended or could not be: `why` is a sentence. Pending
 * recipients get OUTCOME_DEFERRED (what the peer said before stays). A
 * connection lost after the whole content was sent and before the reply is
 * deferred too: it may lead to a duplicate, never to a loss. */
void client_session_failed(struct client_session *session, enum client_step step, struct bytes why);

/* Begins a transaction; only at CLIENT_READY. `envelope` must live until
 * CLIENT_SENT. Where the peer lacks what the envelope needs (SMTPUTF8,
 * 8BITMIME, SIZE, REQUIRETLS) the results say so and nothing is sent; where
 * only some recipients need SMTPUTF8 they alone fail. The
 * recipients beyond those that the peer takes together (RFC 5321 4.5.3.1.10,
 * LIMITS RCPTMAX of RFC 9422) follow in further transactions before SENT. */
void client_session_send(struct client_session *session, const struct envelope *envelope);
/* The next run of content, at most CONTENT_RUN_MAX octets; `last` ends it. */
enum { CONTENT_RUN_MAX = 64 * 1024 };
void client_session_content(struct client_session *session, struct bytes run, bool last);
void client_session_quit(struct client_session *session);
/* Goes on where `probe_only` stopped, once and only at CLIENT_READY: signs in,
 * then CLIENT_READY again. For the one connection that won a race. */
void client_session_sign_in(struct client_session *session, struct bytes user, struct bytes password,
                            struct bytes token);
/* SCRAM_NONCE random octets, and the name and octets of the channel binding
 * that the connection has (both empty: it has none). */
void client_session_answer_nonce(struct client_session *session, struct bytes nonce,
                                 struct bytes binding_name, struct bytes binding);
/* ClientProof, and the ServerSignature that the server shall prove itself with. */
void client_session_answer_proof(struct client_session *session, const uint8_t *proof,
                                 const uint8_t *signature);
/* At CLIENT_READY, with nothing waiting to be pulled. */
bool client_session_is_ready(const struct client_session *session);

enum client_limit {
    STARTTLS_REPLY_MS = 60 * 1000, /* for the answer to STARTTLS */
    HANDSHAKE_MS = 30 * 1000,      /* for all of the handshake that follows */
    EHLO_AGAIN_MS = 120 * 1000,    /* for the answer to the EHLO behind it: the first one was answered */
};
/* Between STARTTLS and the answer to the EHLO that follows the handshake: what
 * is lost here is lost for TLS's sake. */
bool client_session_is_securing(const struct client_session *session);
bool client_session_is_secured(const struct client_session *session);
/* Where TLS was wished for and there is none, why: "the server does not offer
 * STARTTLS". Empty elsewhere; lives as long as the session. */
struct bytes client_session_clear_reason(const struct client_session *session);

/* How long to wait for the peer in the step it is in (RFC 5321 4.5.3.2). */
uint32_t client_session_timeout_ms(const struct client_session *session);
enum client_step client_session_step(const struct client_session *session);

#endif
