/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_state: the state of a client session, shared by its files: client_session.c runs the session up
 * to READY, client_auth.c authenticates, client_transaction.c sends messages, capabilities.c parses EHLO,
 * encoder.c encodes content.
 */
#ifndef MAILBOAT_CORE_CLIENT_CLIENT_STATE_H
#define MAILBOAT_CORE_CLIENT_CLIENT_STATE_H

#include "core/client/client_session.h"
#include "core/client/content_form.h"
#include "core/sasl/scram.h"

enum client_phase {
    PHASE_GREETING,
    PHASE_EHLO,
    PHASE_HELO,
    PHASE_STARTTLS,
    PHASE_HANDSHAKE,
    PHASE_AUTH_PLAIN,
    PHASE_AUTH_LOGIN,
    PHASE_AUTH_LOGIN_USER,
    PHASE_AUTH_LOGIN_PASSWORD,
    PHASE_AUTH_TOKEN,
    PHASE_AUTH_ASKING,
    PHASE_AUTH_SCRAM_FIRST,
    PHASE_AUTH_SCRAM_FINAL,
    PHASE_AUTH_SCRAM_END,
    PHASE_READY,
    PHASE_MAIL,
    PHASE_RCPT,
    PHASE_DATA,
    PHASE_CONTENT,
    PHASE_CHUNK,
    PHASE_END,
    PHASE_EMPTY_END,
    PHASE_RSET,
    PHASE_QUIT,
    PHASE_OVER,
};

enum { CLIENT_ACTIONS_MAX = 4 };

/* State of a recipient; one that does not fit into a transaction waits for the next one. */
enum recipient_stage { RECIPIENT_WAITS, RECIPIENT_OFFERED, RECIPIENT_TAKEN, RECIPIENT_DECIDED };

struct client_state {
    enum client_phase phase;
    bool secured;
    bool listens;              /* after its last reply the server expects a command */
    struct bytes clear_reason; /* in session_arena */
    enum client_action_kind actions[CLIENT_ACTIONS_MAX]; /* pending actions */
    uint8_t action_count;
    struct buffer out; /* pending output */
    bool out_pulled;
    struct delivery_result failure;
    struct arena session_arena;

    /* AUTH. */
    uint32_t mechanisms;    /* offered and not tried yet */
    uint32_t mechanism;     /* the current one */
    struct buffer response; /* waits for the challenge */
    struct buffer scram_header, scram_bare, scram_nonce, scram_binding, scram_message, scram_final;
    struct scram_server_first scram_challenge;
    uint8_t scram_signature[SCRAM_KEY];

    /* The transaction. */
    const struct envelope *envelope;
    struct bytes top; /* fields that precede the content; in transaction_arena */
    struct arena transaction_arena;
    struct delivery_result *results;
    enum recipient_stage *stages; /* per recipient */
    size_t *offered;              /* recipients of the current transaction, by their index in the envelope */
    size_t offered_count;
    size_t next;        /* index into `offered` of the next reply */
    size_t accepted;    /* by RCPT, in this transaction */
    bool content_begun; /* the shell has passed some of this transaction's content */
    bool stop;          /* the content was deferred: waiting recipients are deferred too */
    bool by_chunks, data_sent_ahead, last_chunk;
    struct encoder encoder;
    struct transfer_encoding *transfer_encoding; /* NULL: the content is sent unchanged */
};

/* Holds between two calls of anything in client_session.h; asserted at its doors. */
bool client_session_is_sound(const struct client_session *session);

void client_push(struct client_session *session, enum client_action_kind action);
void client_out(struct client_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Fills a result from a reply, or from a reason of this server (code 0). */
struct delivery_result client_result_of(struct arena *arena, enum client_step step,
                                        const struct smtp_reply *reply);
struct delivery_result client_result_said(struct arena *arena, enum client_step step,
                                          enum client_outcome outcome, const char *enhanced,
                                          struct bytes text);
/* Ends the session. Decides an open transaction first. */
void client_fail(struct client_session *session, struct delivery_result why);

void client_fail_said(struct client_session *session, enum client_step step, enum client_outcome outcome,
                      const char *enhanced, const char *text);
void client_fail_reply(struct client_session *session, enum client_step step, const struct smtp_reply *reply);
void client_become_ready(struct client_session *session);

/* client_auth.c */
void client_auth_begin(struct client_session *session);
void client_auth_reply(struct client_session *session, const struct smtp_reply *reply);
void client_auth_forget(struct client_session *session);
struct client_scram client_auth_scram(const struct client_session *session);

void capabilities_read(struct client_capabilities *capabilities, const struct smtp_reply *reply);

/* client_transaction.c: handles a reply in one of its phases */
void client_transaction_reply(struct client_session *session, const struct smtp_reply *reply);
void client_transaction_end_encoding(struct client_state *state);
/* Defers undecided recipients with this reason; pushes SENT. */
void client_transaction_abort(struct client_session *session, const struct delivery_result *why);

#endif
