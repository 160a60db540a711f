/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_session: the client side of one SMTP or LMTP connection as a pure state machine (RFC 5321, RFC
 * 2033): greeting, EHLO, STARTTLS, AUTH, then transactions, pipelined if the peer supports it.
 *
 * The shell connects (with implicit TLS including the handshake), calls client_session_start(), then in a
 * loop pulls every client_session_action() and feeds input, one reply per call. At CLIENT_READY it sends
 * the next message with client_session_send(), or calls client_session_quit().
 */
#ifndef MAILBOAT_CORE_CLIENT_CLIENT_SESSION_H
#define MAILBOAT_CORE_CLIENT_CLIENT_SESSION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/client/client_record.h"
#include "core/client/content_form.h"
#include "core/client/delivery_outcome.h"
#include "core/smtp/envelope.h"
#include "core/smtp/reply.h"

const char *client_step_name(enum client_step step); /* "dns", "connect", "greeting" ... */

enum client_tls {
    CLIENT_TLS_NEVER, /* no TLS: only for loopback and local sockets; the caller ensures that */
    /* STARTTLS if offered, else no TLS; only for relaying on 25, never with AUTH */
    CLIENT_TLS_OPPORTUNISTIC,
    CLIENT_TLS_REQUIRED, /* STARTTLS or the attempt fails */
    CLIENT_TLS_IMPLICIT, /* handshake before the greeting */
};

struct client_options {
    struct bytes helo; /* this host's name, or an address literal */
    enum client_tls tls;
    bool lmtp;                    /* LHLO, and one reply per recipient at the end (RFC 2033) */
    struct bytes user, password;  /* empty user: no AUTH */
    struct bytes token;           /* OAuth 2 token, instead of the password */
    bool probe_only;              /* stop at CLIENT_READY before AUTH: for the race and `mailboat ports` */
    struct client_record *record; /* filled with the replies until TLS; NULL: not needed */
};

/* Capabilities of the peer from its last EHLO reply. */
struct client_capabilities {
    bool esmtp, pipelining, starttls, eightbitmime, binarymime, chunking, smtputf8, dsn, requiretls, enhanced,
        auth;
    /* a keyword was masked, as some firewalls do: "XXXXXXXA" for STARTTLS */
    bool masked;
    bool size_known;
    uint64_t size_max;       /* 0 with size_known: no fixed limit */
    uint32_t recipients_max; /* LIMITS RCPTMAX, 0 if absent */
    uint32_t mechanisms;     /* enum client_mechanism, or'ed */
};
enum client_mechanism {
    MECHANISM_PLAIN = 1,
    MECHANISM_LOGIN = 2,
    MECHANISM_SCRAM_SHA_256 = 4,
    MECHANISM_SCRAM_SHA_256_PLUS = 8,
    MECHANISM_XOAUTH2 = 16,
    MECHANISM_OAUTHBEARER = 32,
    /* known by name alone: this program does not have them */
    MECHANISM_NTLM = 64,
    MECHANISM_GSSAPI = 128,
    MECHANISM_CRAM_MD5 = 256,
    MECHANISM_DIGEST_MD5 = 512,
    MECHANISM_EXTERNAL = 1024,
    MECHANISM_OTHER = 2048 /* any other */
};
/* True if one of these mechanisms is supported, with a password or with a token. */
bool client_can_sign_in(uint32_t mechanisms, bool by_token);
/* Appends their names, "PLAIN LOGIN"; of MECHANISM_OTHER only where there is nothing else. */
void client_mechanism_names(uint32_t mechanisms, struct buffer *out);

enum client_action_kind {
    CLIENT_NOTHING,
    CLIENT_SEND, /* send `bytes`; valid until the next call */
    /* start the handshake (unread plain text is an attack: fail), then client_session_tls_started() or
     * client_session_failed(STEP_TLS) */
    CLIENT_STARTTLS,
    CLIENT_ASK_NONCE,    /* SCRAM begins: client_session_answer_nonce() */
    CLIENT_ASK_PROOF,    /* compute SCRAM's proof for `scram`: client_session_answer_proof() */
    CLIENT_READY,        /* greeted, secured, authenticated: send a message, or quit */
    CLIENT_WANT_CONTENT, /* pass the next run with client_session_content() */
    /* the transaction has ended: `results`, one per recipient; then CLIENT_READY or CLIENT_FAILED */
    CLIENT_SENT,
    /* the session has ended: `failure`; close (after CLIENT_SENT if a transaction was open) */
    CLIENT_FAILED,
    CLIENT_CLOSE, /* after the reply to QUIT, or its timeout: close */
};

/* Input for a proof (RFC 5802 3); valid until the answer. */
struct client_scram {
    struct bytes password, salt, message;
    uint32_t iterations; /* within the limits of sasl/scram.h */
};

struct client_action {
    enum client_action_kind kind;
    /* WANT_CONTENT: from the first octet, possibly again: some recipients need another transaction */
    bool begins;
    struct client_scram scram;             /* ASK_PROOF */
    struct bytes bytes;                    /* SEND */
    const struct delivery_result *results; /* SENT; valid until the next send */
    size_t result_count;
    struct delivery_result failure; /* FAILED; outcome is DEFERRED or FAILED */
};

/* The protocol that non-SMTP input resembles; UNKNOWN before any input. */
enum client_peer { CLIENT_PEER_UNKNOWN, CLIENT_PEER_TLS, CLIENT_PEER_WEB, CLIENT_PEER_SSH };

struct client_session {
    struct client_options options;
    enum client_peer peer;
    struct client_capabilities capabilities;
    struct client_state *state; /* private to this folder; allocated by start, freed by free */
};

/* The texts of `options` must live as long as the session. */
void client_session_start(struct client_session *session, const struct client_options *options);
void client_session_free(struct client_session *session);

/* Consumes at most one reply; 0 if it is incomplete. */
size_t client_session_feed(struct client_session *session, struct bytes input);
bool client_session_action(struct client_session *session, struct client_action *action);

void client_session_tls_started(struct client_session *session);
/* Ends the session after a failed or lost connection: `why` is a sentence. Pending recipients get
 * OUTCOME_DEFERRED (earlier replies still apply). A connection lost after the whole content was sent and
 * before the reply is deferred too: that may cause a duplicate, never a loss. */
void client_session_failed(struct client_session *session, enum client_step step, struct bytes why);

/* Begins a transaction; only at CLIENT_READY. `envelope` must live until CLIENT_SENT. If the peer lacks an
 * extension that the envelope needs (SMTPUTF8, 8BITMIME, SIZE, REQUIRETLS) the results say so and nothing
 * is sent; if only some recipients need SMTPUTF8, only they fail. Recipients beyond the peer's limit per
 * transaction (RFC 5321 4.5.3.1.10, LIMITS RCPTMAX of RFC 9422) follow in further transactions before
 * SENT. */
void client_session_send(struct client_session *session, const struct envelope *envelope);
/* The same with header fields in front of the content (copied): they are not in the envelope's size, and
 * are sent as they are, a signature of the content in this peer's form: client_session_form(). */
void client_session_send_below(struct client_session *session, const struct envelope *envelope,
                               struct bytes top);
/* Returns the form in which this peer gets the message; only from CLIENT_READY on. */
struct content_form client_session_form(const struct client_session *session,
                                        const struct envelope *envelope);
/* Passes the next run of content, at most CONTENT_RUN_MAX octets; `last` ends it. */
enum { CONTENT_RUN_MAX = 64 * 1024 };
void client_session_content(struct client_session *session, struct bytes run, bool last);
void client_session_quit(struct client_session *session);
/* Continues after `probe_only`, once and only at CLIENT_READY: authenticates, then CLIENT_READY again. For
 * the connection that won a race. */
void client_session_sign_in(struct client_session *session, struct bytes user, struct bytes password,
                            struct bytes token);
/* Passes SCRAM_NONCE random octets, and the name and octets of the connection's channel binding (both
 * empty: none). */
void client_session_answer_nonce(struct client_session *session, struct bytes nonce,
                                 struct bytes binding_name, struct bytes binding);
/* Passes ClientProof, and the ServerSignature expected from the server. */
void client_session_answer_proof(struct client_session *session, const uint8_t *proof,
                                 const uint8_t *signature);
/* True if the server expects a command, even if the session failed with its last reply: QUIT must be sent
 * before closing (RFC 5321 4.1.1.10). False after 421, a lost or garbled connection, or a failed TLS
 * handshake. */
bool client_session_may_quit(const struct client_session *session);
/* True at CLIENT_READY with no action pending. */
bool client_session_is_ready(const struct client_session *session);

enum client_limit {
    STARTTLS_REPLY_MS = 60 * 1000, /* for the reply to STARTTLS */
    HANDSHAKE_MS = 30 * 1000,      /* for the whole handshake that follows */
    /* for the reply to the EHLO after it, which the server has answered once before */
    EHLO_AGAIN_MS = 120 * 1000,
};
/* True from STARTTLS to the reply to the EHLO after the handshake: a connection lost here was lost because
 * of TLS. */
bool client_session_is_securing(const struct client_session *session);
bool client_session_is_secured(const struct client_session *session);
/* Returns why an opportunistic session has no TLS: "the server does not offer STARTTLS". Empty otherwise;
 * lives as long as the session. */
struct bytes client_session_clear_reason(const struct client_session *session);

/* Returns the timeout for the peer in the current step (RFC 5321 4.5.3.2). */
uint32_t client_session_timeout_ms(const struct client_session *session);
enum client_step client_session_step(const struct client_session *session);

#endif
