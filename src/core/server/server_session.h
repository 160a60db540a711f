/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_session: the server's side of one SMTP connection as a pure machine
 * (RFC 5321 and the extensions of docs/standards.md).
 *
 * The shell calls, in this order: server_session_start() when the connection
 * (and with implicit TLS the handshake) is there; then, in a loop, pulls
 * every server_session_action() and carries it out, and feeds the unread
 * octets with server_session_feed(), one command or one run of content a
 * call. When an action is a question the machine stops until the answer is
 * given. When feed uses 0 octets it waits for more, or for an answer.
 */
#ifndef MAILBOAT_CORE_SERVER_SERVER_SESSION_H
#define MAILBOAT_CORE_SERVER_SERVER_SESSION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/smtp/envelope.h"

enum server_limit {
    /* octets with CRLF: 512 (RFC 5321 4.5.3.1.4) and what the extensions add */
    COMMAND_LINE_MAX = 2048,
    AUTH_LINE_MAX = 12288, /* octets of a base64 response (RFC 4954 4) */
    /* octets of a line of content; a longer one is refused at the end, never cut */
    DATA_LINE_MAX = 1024 * 1024,
    RECEIVED_FIELDS_MAX = 100, /* then the message loops (RFC 5321 6.3) */
    BAD_COMMANDS_MAX = 20,     /* then 421 and the end */
    IDLE_COMMANDS_MAX = 200,   /* since the last message was stored, RCPT and BDAT aside; then 421 */
    /* of all recipients of a message, with the members of their
     * aliases: what goes to the queue fits into one message of ipc */
    RECIPIENTS_OCTETS_MAX = 2 << 20,
    /* unknown or foreign ones on one connection, beyond half of those that
     * got mail; then 421. Over connections: server/harvest.h */
    RECIPIENTS_REFUSED_MAX = 100,
    AUTH_FAILURES_MAX = 5,               /* in one session, then 421 and the end */
    TRANSACTIONS_MAX = 100000,           /* messages on one connection, then 421 */
    SESSION_TIMEOUT_MS = 5 * 60 * 1000,  /* RFC 5321 4.5.3.2.7 */
    CONTENT_TIMEOUT_MS = 10 * 60 * 1000, /* for each CONTENT_PACE_OCTETS of content */
    /* that is 500 a second; who is slower holds a connection for nothing */
    CONTENT_PACE_OCTETS = 300 * 1000,
};

enum server_role {
    ROLE_MX,         /* 25: mail for local domains only, never AUTH, never relays */
    ROLE_SUBMISSION, /* 587, 465, 2525: TLS, then AUTH, then mail to anywhere */
    ROLE_LOCAL,      /* the socket in the data folder: the user is known by the kernel */
};

enum server_tls {
    TLS_NONE,     /* no STARTTLS: no certificate, or the local socket */
    TLS_STARTTLS, /* offered; on submission required before AUTH */
    TLS_IMPLICIT, /* the handshake came first */
};

/* What holds for every session of a listener; lives longer than the sessions. */
struct server_policy {
    enum server_role role;
    enum server_tls tls;
    struct bytes hostname;     /* for the greeting and EHLO */
    uint64_t message_size_max; /* octets; announced by SIZE */
    uint32_t recipients_max;   /* a transaction; announced by LIMITS RCPTMAX (RFC 9422) */
    /* submission: who wrote it is checked, what is missing is added (RFC 6409 8) */
    bool checks_header;
    /* in clear on a port that speaks TLS from the first byte: only STARTTLS leads on */
    bool tls_expected;
    /* the shell is asked before each message whether the account may send it: SERVER_ASK_LIMIT */
    bool limits_sending;
    /* on 25 too who asks is told of success: then DSN is offered there (policy_offers_dsn) */
    bool success_for_all;
    bool fix_bare_newlines; /* submission only: bare LF becomes CRLF instead of 550 5.6.0 */
};

enum server_action_kind {
    SERVER_NOTHING, /* no action waits: feed more, or answer */
    SERVER_REPLY,   /* send `bytes`; valid until the next call */
    /* after the replies are sent: drop unread clear text, shake
     * hands, then server_session_tls_started() or close */
    SERVER_STARTTLS,
    SERVER_CONTENT_BEGIN, /* a message begins: envelope is complete */
    SERVER_CONTENT,       /* `bytes` of it, as they shall be stored: CRLF lines, dots removed */
    SERVER_CONTENT_DROP,  /* forget the message that began */
    SERVER_ASK_PASSWORD,  /* are `user` and `password` right? server_session_answer_password() */
    SERVER_ASK_SALT,      /* SCRAM begins: server_session_answer_salt() */
    /* does `user` have the password that this `proof` of
     * `message` was made with? server_session_answer_proof() */
    SERVER_ASK_PROOF,
    /* may `account` send as `address` (of MAIL, then those of
     * From and Sender)? server_session_answer_sender() */
    SERVER_ASK_SENDER,
    SERVER_ASK_RECIPIENT, /* where does `address` go? server_session_answer_recipient() */
    /* may `account` send this `envelope` within its limits an hour? server_session_answer_limit() */
    SERVER_ASK_LIMIT,
    SERVER_ASK_STORE, /* put the message that began on disk; server_session_answer_store() */
    SERVER_CLOSE,     /* after the replies are sent: close */
};

struct server_action {
    enum server_action_kind kind;
    struct bytes bytes;   /* REPLY, CONTENT */
    size_t refusal_count; /* REPLY: of 4xx and 5xx that are in it; server_session_refusal() */
    /* ASK_PASSWORD; wiped once answered; ASK_SALT, ASK_PROOF the user alone */
    struct bytes user, password;
    /* ASK_SALT: the name of the channel binding that is wanted; empty: none */
    struct bytes binding;
    struct bytes message, proof; /* ASK_PROOF (RFC 5802 3: AuthMessage, ClientProof) */
    /* ASK_SENDER, ASK_RECIPIENT (account empty on MX), ASK_LIMIT the account alone */
    struct bytes account, address;
    const struct envelope *envelope; /* CONTENT_BEGIN, ASK_LIMIT, ASK_STORE; lives until the answer */
};

enum password_verdict { PASSWORD_RIGHT, PASSWORD_WRONG, PASSWORD_LOCKED, PASSWORD_UNAVAILABLE };
enum sender_verdict {
    SENDER_ALLOWED,
    SENDER_FORBIDDEN,
    SENDER_UNAVAILABLE,
    SENDER_SIGNED_OUT, /* what the session signed in with does not hold any more: 421; not said by auth */
};
enum limit_verdict {
    LIMIT_FINE,
    LIMIT_REACHED,     /* 450 4.7.1: too much in this hour, `number` seconds until it fits */
    LIMIT_TOO_MANY,    /* 550 5.7.1: more recipients than the `number` that are allowed in any hour */
    LIMIT_UNAVAILABLE, /* 451 4.3.0 */
};
enum recipient_verdict {
    RECIPIENT_KNOWN,       /* ours, or on submission anywhere: `targets` say where it goes */
    RECIPIENT_UNKNOWN,     /* our domain, no such mailbox: 550 5.1.1 */
    RECIPIENT_FOREIGN,     /* not our domain: on 25 a refusal that names the submission ports */
    RECIPIENT_UNAVAILABLE, /* cannot be told now: 451 4.3.0 */
    /* ours, and no mailbox of it has room: 552 5.2.2; not said by auth, which knows no mailbox */
    RECIPIENT_FULL,
};
enum store_verdict {
    STORE_DONE,   /* on disk and synced: 250 */
    STORE_FULL,   /* no room: 452 4.3.1 */
    STORE_FAILED, /* could not be stored now: 451 4.3.0 */
    /* the account may not send as the envelope's sender any
     * more: 550 5.7.1; not said by queue, as the next */
    STORE_FORBIDDEN,
    STORE_SIGNED_OUT, /* the session's credential does not hold any more: 451 4.7.0, then 421 */
    /* it came back to those who sent it on, all of them: 554 5.4.6; said by the shell, by no store */
    STORE_LOOPED,
    STORE_UNREACHABLE, /* the store is away just now: 451 4.3.0 */
};

/* States, limits and the transaction; the members are this folder's own
 * (server/server_state.h gives their meaning), the struct stands here so that the
 * shell can own it without an allocation of its own. */
struct server_session {
    const struct server_policy *policy;
    struct origin origin;       /* texts live in `session_arena` */
    struct server_state *state; /* allocated by start, freed by free */
};

/* `client_address` as in struct origin; `port` is ours. `tls` is the version
 * and cipher where implicit TLS is up, else empty. For ROLE_LOCAL `account`
 * names the local user, else it is empty. Queues the greeting. */
void server_session_start(struct server_session *session, const struct server_policy *policy,
                          struct bytes client_address, uint32_t port, struct bytes tls, struct bytes account);
void server_session_free(struct server_session *session);

/* Uses up at most one command or one run of content of `input` and says how
 * many octets; 0 when it needs more, when an action or an answer is awaited. */
size_t server_session_feed(struct server_session *session, struct bytes input);

/* The next action; kind SERVER_NOTHING and false when there is none. */
bool server_session_action(struct server_session *session, struct server_action *action);

/* What a reply means beyond its codes, for whom it is logged. */
enum server_meaning {
    MEANING_PLAIN,
    MEANING_WRONG_PASSWORD, /* of a user name or a password that is wrong: who checked it has told of it */
};
/* A reply of 4xx or 5xx; `text` is its last line without the codes, as it is sent. */
struct server_refusal {
    enum server_meaning meaning;
    uint32_t code;
    struct bytes enhanced, text;
};
/* Refusal number `i` of the SERVER_REPLY that was pulled last, until the next call. */
struct server_refusal server_session_refusal(const struct server_session *session, size_t i);

/* Answers; each is allowed only while its question is open (asserted). */
void server_session_tls_started(struct server_session *session, struct bytes tls);
void server_session_answer_password(struct server_session *session, enum password_verdict verdict,
                                    struct bytes account);
/* Salt and iterations for the user, SCRAM_NONCE random octets, and those of
 * the channel binding that was asked for (empty: this connection has none).
 * A salt of none: nobody can tell now. */
void server_session_answer_salt(struct server_session *session, struct bytes salt, uint32_t iterations,
                                struct bytes nonce, struct bytes binding);
/* `signature` is the server's, where the verdict is PASSWORD_RIGHT. */
void server_session_answer_proof(struct server_session *session, enum password_verdict verdict,
                                 struct bytes account, struct bytes signature);
void server_session_answer_sender(struct server_session *session, enum sender_verdict verdict);
/* To MAIL's question instead: the account has sent as much as it may for now. */
void server_session_answer_limited(struct server_session *session, uint32_t wait_s);
void server_session_answer_limit(struct server_session *session, enum limit_verdict verdict, uint32_t number);
void server_session_answer_recipient(struct server_session *session, enum recipient_verdict verdict,
                                     const struct recipient *targets, size_t target_count);
/* To the same question: the client has named too many that do not exist, over
 * connections (server/harvest.h): 421 and the end, whether this one does or not. */
void server_session_answer_guessed(struct server_session *session);
/* `id` is the queue id for the reply's text. */
void server_session_answer_store(struct server_session *session, enum store_verdict verdict, struct bytes id);

/* The time, and a name for a message that has none, for the header of the one
 * that begins: at SERVER_CONTENT_BEGIN. `message_id` is without brackets. */
void server_session_stamp(struct server_session *session, uint64_t now_ms, struct bytes message_id);

/* The name of the last AUTH mechanism that was begun; "" before. */
const char *server_session_mechanism(const struct server_session *session);

/* How long the client may take until it has made the next step, in ms; then the
 * shell calls server_session_timed_out(), which queues 421 and SERVER_CLOSE.
 * A step is a whole command, or CONTENT_PACE_OCTETS of content; single octets
 * put nothing off. server_session_steps() tells another number after each. */
uint32_t server_session_timeout_ms(const struct server_session *session);
uint64_t server_session_steps(const struct server_session *session);
void server_session_timed_out(struct server_session *session);
/* What has come of the session so far; each number only grows. See server/admission.h. */
struct server_progress {
    uint64_t steps;      /* as server_session_steps() */
    uint64_t messages;   /* that were stored */
    uint64_t recipients; /* accepted ones; between two messages not more than one message may have */
    uint64_t octets;     /* of content that may become a message */
    uint32_t fresh;      /* different recipients of the open transaction: this one falls back to 0 */
    bool signed_in;
    bool in_transaction;
};
struct server_progress server_session_progress(const struct server_session *session);
/* The shell needs its place: 421, then SERVER_CLOSE. Not while a question is open. */
enum server_expulsion {
    EXPELLED_FOR_TIME, /* it did nothing for too long: 4.4.2 */
    EXPELLED_FOR_ROOM, /* others wait: 4.3.2 */
};
void server_session_expel(struct server_session *session, enum server_expulsion why);
/* The server is going down: 421 4.3.2 before the next command, then close.
 * A transaction whose content has begun is finished first. */
void server_session_drain(struct server_session *session);

/* What the session signed in with does not hold any more (the account was
 * disabled or removed, its password changed, its key revoked). Nothing more is
 * sent for it: 421 4.7.0 and the end; content that is arriving is swallowed, and
 * refused at its end. An open question is answered as ever; one that asks to
 * store is answered as the shell decides, and then the session ends. */
void server_session_sign_out(struct server_session *session);

/* True between transactions and outside of AUTH: nothing is lost by closing. */
bool server_session_is_idle(const struct server_session *session);

#endif
