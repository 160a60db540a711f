/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_session: the server side of one SMTP connection as a pure state machine (RFC 5321 and the
 * extensions of docs/standards.md).
 *
 * The shell calls, in this order: server_session_start() once the connection (and with implicit TLS the
 * handshake) is established; then, in a loop, it pulls and executes every server_session_action(), and
 * passes unread octets to server_session_feed(), one command or one run of content per call. After an
 * action that is a question the machine waits for its answer. If feed uses 0 octets it needs more input,
 * or an answer.
 */
#ifndef MAILBOAT_CORE_SERVER_SERVER_SESSION_H
#define MAILBOAT_CORE_SERVER_SERVER_SESSION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/message/gate.h"
#include "core/smtp/envelope.h"

enum server_limit {
    /* octets with CRLF: 512 (RFC 5321 4.5.3.1.4) plus the extensions */
    COMMAND_LINE_MAX = 2048,
    AUTH_LINE_MAX = 12288, /* octets of a base64 response (RFC 4954 4) */
    /* octets of a line of content; a longer one is rejected at the end, never cut */
    DATA_LINE_MAX = 1024 * 1024,
    RECEIVED_FIELDS_MAX = 100, /* beyond it: mail loop (RFC 5321 6.3) */
    BAD_COMMANDS_MAX = 20,     /* then 421 and close */
    IDLE_COMMANDS_MAX = 200,   /* since the last message was stored, RCPT and BDAT aside; then 421 */
    /* of all recipients of a message, with the members of their aliases: fits into one ipc message to the
     * queue */
    RECIPIENTS_OCTETS_MAX = 2 << 20,
    /* unknown or foreign recipients per connection, beyond half of those that got mail; then 421. Across
     * connections: server/harvest.h */
    RECIPIENTS_REFUSED_MAX = 100,
    AUTH_FAILURES_MAX = 5,               /* per session, then 421 and close */
    TRANSACTIONS_MAX = 100000,           /* messages per connection, then 421 */
    SESSION_TIMEOUT_MS = 5 * 60 * 1000,  /* RFC 5321 4.5.3.2.7 */
    CONTENT_TIMEOUT_MS = 10 * 60 * 1000, /* per CONTENT_PACE_OCTETS of content */
    /* a rate of 500 per second; a slower client is disconnected */
    CONTENT_PACE_OCTETS = 300 * 1000,
};

enum server_role {
    ROLE_MX,         /* 25: mail for local domains only, never AUTH, never relays */
    ROLE_SUBMISSION, /* 587, 465, 2525: TLS, then AUTH, then mail to anywhere */
    ROLE_LOCAL,      /* the socket in the data directory: the kernel identifies the user */
};

enum server_tls {
    TLS_NONE,     /* no STARTTLS: no certificate, or the local socket */
    TLS_STARTTLS, /* offered; on submission required before AUTH */
    TLS_IMPLICIT, /* handshake before the first command */
};

/* Begins the account of a program on a trusted host: "trusted 127.0.0.1". */
#define SERVER_TRUSTED_MARK "trusted "

/* Settings of a listener for all its sessions; outlives them. */
struct server_policy {
    enum server_role role;
    enum server_tls tls;
    struct bytes hostname;     /* for the greeting and EHLO */
    uint64_t message_size_max; /* octets; announced by SIZE */
    uint32_t recipients_max;   /* per transaction; announced by LIMITS RCPTMAX (RFC 9422) */
    /* submission: authors are verified, missing fields are added (RFC 6409 8) */
    bool checks_header;
    /* no TLS on an implicit TLS port: only STARTTLS is possible */
    bool tls_expected;
    /* the shell checks before each message whether the account may send it: SERVER_ASK_LIMIT */
    bool limits_sending;
    /* success reports also on 25: then DSN is offered there (policy_offers_dsn) */
    bool success_for_all;
    /* the shell judges each message by mail authentication before it is stored: SERVER_ASK_TRUST */
    bool asks_trust;
    bool fix_bare_newlines; /* submission only: bare LF becomes CRLF instead of 550 5.6.0 */
    /* ROLE_LOCAL: of names without a domain ("root") in the envelope, From and other fields */
    struct bytes domain;
    /* a program on a trusted host, with ROLE_LOCAL: known by its address, not by its user */
    bool is_trusted_host;
};

enum server_action_kind {
    SERVER_NOTHING, /* no action pending: feed more, or answer */
    SERVER_REPLY,   /* send `bytes`; valid until the next call */
    /* after the replies are sent: drop unread plain text, do the handshake, then
     * server_session_tls_started() or close */
    SERVER_STARTTLS,
    SERVER_CONTENT_BEGIN, /* a message begins: the envelope is complete */
    SERVER_CONTENT,       /* `bytes` of it, in the form to store: CRLF lines, dots removed */
    SERVER_CONTENT_DROP,  /* discard the message that began */
    SERVER_ASK_PASSWORD,  /* verify `user` and `password`: server_session_answer_password() */
    SERVER_ASK_SALT,      /* SCRAM begins: server_session_answer_salt() */
    /* verify that `user` has the password of this `proof` of `message`: server_session_answer_proof() */
    SERVER_ASK_PROOF,
    /* may `account` send as `address` (of MAIL, then of From and Sender)? server_session_answer_sender() */
    SERVER_ASK_SENDER,
    SERVER_ASK_RECIPIENT, /* resolve `address`: server_session_answer_recipient() */
    /* may `account` send this `envelope` within its hourly limits? server_session_answer_limit() */
    SERVER_ASK_LIMIT,
    /* may the message that has ended be accepted from this client? server_session_answer_trust() */
    SERVER_ASK_TRUST,
    SERVER_ASK_STORE, /* store the message that began on disk: server_session_answer_store() */
    SERVER_CLOSE,     /* after the replies are sent: close */
};

struct server_action {
    enum server_action_kind kind;
    struct bytes bytes;   /* REPLY, CONTENT */
    size_t refusal_count; /* REPLY: number of 4xx and 5xx replies in it; server_session_refusal() */
    /* ASK_PASSWORD; wiped once answered; ASK_SALT, ASK_PROOF: only the user */
    struct bytes user, password;
    /* ASK_SALT: name of the requested channel binding; empty: none */
    struct bytes binding;
    struct bytes message, proof; /* ASK_PROOF (RFC 5802 3: AuthMessage, ClientProof) */
    /* ASK_SENDER, ASK_RECIPIENT (account empty on MX), ASK_LIMIT: only the account */
    struct bytes account, address;
    struct bytes sender;             /* ASK_RECIPIENT: of MAIL; empty: the null sender */
    const struct envelope *envelope; /* CONTENT_BEGIN, ASK_LIMIT, ASK_TRUST, ASK_STORE; valid until the answer
                                      */
    bool awaits_turn;                /* CONTENT_BEGIN: by DATA, so that the client must wait for 354 */
};

enum password_verdict { PASSWORD_RIGHT, PASSWORD_WRONG, PASSWORD_LOCKED, PASSWORD_UNAVAILABLE };
enum sender_verdict {
    SENDER_ALLOWED,
    SENDER_FORBIDDEN,
    SENDER_UNAVAILABLE,
    SENDER_SIGNED_OUT, /* the session's credential is no longer valid: 421; never from auth */
};
enum limit_verdict {
    LIMIT_FINE,
    LIMIT_REACHED,     /* 450 4.7.1: hourly limit reached, `number` seconds until it fits */
    LIMIT_TOO_MANY,    /* 550 5.7.1: more recipients than the hourly limit, `number`, could ever allow */
    LIMIT_UNAVAILABLE, /* 451 4.3.0 */
};
enum recipient_verdict {
    RECIPIENT_KNOWN,   /* local, or on submission any: `targets` lists the destinations */
    RECIPIENT_UNKNOWN, /* local domain, no such mailbox: 550 5.1.1 */
    RECIPIENT_FOREIGN, /* not a local domain: on 25 rejected with a hint to the submission ports */
    /* The address has the form of a rewritten sender (trust/srs.h): 550 5.1.1 for each. */
    RECIPIENT_FORGED,       /* this server did not make it */
    RECIPIENT_EXPIRED,      /* it was made too long ago */
    RECIPIENT_BOUNCES_ONLY, /* it is right, and the sender of the message is not null */
    RECIPIENT_UNAVAILABLE,  /* temporary failure: 451 4.3.0 */
    /* local, all its mailboxes are full: 552 5.2.2; never from auth, which knows no mailbox */
    RECIPIENT_FULL,
};
enum store_verdict {
    STORE_DONE,   /* on disk and synced: 250 */
    STORE_FULL,   /* disk full: 452 4.3.1 */
    STORE_FAILED, /* temporary failure: 451 4.3.0 */
    /* the account may no longer send as the envelope's sender: 550 5.7.1; never from queue, as the next */
    STORE_FORBIDDEN,
    STORE_SIGNED_OUT, /* the session's credential is no longer valid: 451 4.7.0, then 421 */
    /* a mail loop for all recipients: 554 5.4.6; from the shell, never from a store */
    STORE_LOOPED,
    STORE_UNREACHABLE, /* the store is currently unreachable: 451 4.3.0 */
};

/* State, limits and the transaction; the members are private to this folder (documented in
 * server/server_state.h); the struct is defined here so that the shell can embed it. */
struct server_session {
    const struct server_policy *policy;
    struct origin origin;       /* texts live in `session_arena` */
    struct server_state *state; /* allocated by start, freed by free */
};

/* Queues the greeting. `client_address` as in struct origin; `port` is local. `tls` is the version and
 * cipher with implicit TLS, else empty. For ROLE_LOCAL `account` is the local user, else empty. */
void server_session_start(struct server_session *session, const struct server_policy *policy,
                          struct bytes client_address, uint32_t port, struct bytes tls, struct bytes account);
void server_session_free(struct server_session *session);

/* Consumes at most one command or one run of content of `input` and returns its octets; 0 if it needs more
 * input, or while an action or an answer is pending. */
size_t server_session_feed(struct server_session *session, struct bytes input);

/*
 * A client that sends before its turn (RFC 5321 3.1, 4.1.1.4; RFC 2920 3.1) does not read the replies, and
 * may be a program that was made to send this text. Port 25 refuses it with 554 5.5.0 and closes; the other
 * ports serve it. feed() finds input behind DATA by itself. Only the shell has two other facts; both
 * functions return true if they refuse the client: then 554 takes the place of the reply that waits.
 */
/* Octets were there before the greeting could leave: before the first action is pulled. HTTP is left to
 * feed(), which names it. */
bool server_session_heard_early(struct server_session *session, struct bytes octets);
/* The same for 354: at a SERVER_CONTENT_BEGIN that awaits_turn. */
bool server_session_heard_content(struct server_session *session);

/* Returns the next action; false and SERVER_NOTHING if there is none. */
bool server_session_action(struct server_session *session, struct server_action *action);

/* The meaning of a reply beyond its codes, for the log. */
enum server_meaning {
    MEANING_PLAIN,
    MEANING_WRONG_PASSWORD, /* wrong user name or password: already logged by the process that checked it */
};
/* A 4xx or 5xx reply; `text` is its last line without the codes, as sent. The sender is that of MAIL, "<>"
 * for an empty one, and empty before MAIL; the recipient is that of a refused RCPT. Both are cut after 320
 * octets. */
struct server_refusal {
    enum server_meaning meaning;
    uint32_t code;
    struct bytes enhanced, text;
    struct bytes sender, recipient;
};
/* Returns refusal number `i` of the last pulled SERVER_REPLY; valid until the next call. */
struct server_refusal server_session_refusal(const struct server_session *session, size_t i);

/* Answers; each is allowed only while its question is pending (asserted). */
void server_session_tls_started(struct server_session *session, struct bytes tls);
void server_session_answer_password(struct server_session *session, enum password_verdict verdict,
                                    struct bytes account);
/* Salt and iterations for the user, SCRAM_NONCE random octets, and those of the requested channel binding
 * (empty: this connection has none). An empty salt: temporary failure. */
void server_session_answer_salt(struct server_session *session, struct bytes salt, uint32_t iterations,
                                struct bytes nonce, struct bytes binding);
/* `signature` is the server's, for the verdict PASSWORD_RIGHT. */
void server_session_answer_proof(struct server_session *session, enum password_verdict verdict,
                                 struct bytes account, struct bytes signature);
void server_session_answer_sender(struct server_session *session, enum sender_verdict verdict);
/* Alternative answer to MAIL's question: the account has reached its sending limit. */
void server_session_answer_limited(struct server_session *session, uint32_t wait_s);
void server_session_answer_limit(struct server_session *session, enum limit_verdict verdict, uint32_t number);
void server_session_answer_recipient(struct server_session *session, enum recipient_verdict verdict,
                                     const struct recipient *targets, size_t target_count);
/* Another: the client has named too many unknown recipients, over several connections (server/harvest.h):
 * 421 and close, whether this recipient exists or not. */
void server_session_answer_guessed(struct server_session *session);
/* The verdict of mail authentication on the message (core/trust/verdict.h). */
struct trust_answer {
    bool accepted;
    /* else the reply: 400 to 599, "5.7.26", and a text that may be anybody's */
    unsigned code;
    struct bytes enhanced, text;
};
void server_session_answer_trust(struct server_session *session, const struct trust_answer *answer);
/* `id` is the queue id for the reply. */
void server_session_answer_store(struct server_session *session, enum store_verdict verdict, struct bytes id);

/* Lets an observer see the message that begins: at SERVER_CONTENT_BEGIN. */
void server_session_observe(struct server_session *session, struct gate_observer observer);
/* Sets the time, and a Message-ID for a message without one, for the header of the message that begins: at
 * SERVER_CONTENT_BEGIN. `message_id` is without brackets. */
void server_session_stamp(struct server_session *session, uint64_t now_ms, struct bytes message_id);

/* Returns the name of the last AUTH mechanism; "" before the first. */
const char *server_session_mechanism(const struct server_session *session);

/* Returns the ms until which the client must make the next step; after them the shell calls
 * server_session_timed_out(), which queues 421 and SERVER_CLOSE. A step is a whole command, or
 * CONTENT_PACE_OCTETS of content; single octets do not extend the time. server_session_steps() changes
 * with each step. */
uint32_t server_session_timeout_ms(const struct server_session *session);
uint64_t server_session_steps(const struct server_session *session);
void server_session_timed_out(struct server_session *session);
/* Progress of the session so far; each number only grows. See server/admission.h. */
struct server_progress {
    uint64_t steps;      /* as server_session_steps() */
    uint64_t messages;   /* stored */
    uint64_t recipients; /* accepted; between two messages at most the limit of one message */
    uint64_t octets;     /* of content that can become a message */
    uint32_t fresh;      /* different recipients of the open transaction: the only number that returns to 0 */
    bool signed_in;
    bool in_transaction;
};
struct server_progress server_session_progress(const struct server_session *session);
/* Closes to free the connection: 421, then SERVER_CLOSE. Not while a question is pending. */
enum server_expulsion {
    EXPELLED_FOR_TIME, /* idle for too long: 4.4.2 */
    EXPELLED_FOR_ROOM, /* needed for others: 4.3.2 */
};
void server_session_expel(struct server_session *session, enum server_expulsion why);
/* Shutdown: 421 4.3.2 before the next command, then close. A transaction whose content has begun is
 * finished first. */
void server_session_drain(struct server_session *session);

/* Ends a session whose credential was revoked (the account was disabled or removed, its password changed,
 * its key revoked). It can send no more messages: 421 4.7.0 and close; content in transfer is skipped, and
 * rejected at its end. A pending question is answered as usual; on one to store the shell decides, and
 * then the session ends. */
void server_session_sign_out(struct server_session *session);

/* True between transactions and outside of AUTH: closing loses nothing. */
bool server_session_is_idle(const struct server_session *session);

#endif
