/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race: finds the port of a host that works, and examines ports. Pure: time
 * is an argument, connections are the shell's.
 *
 * Candidates are ports in order of preference times addresses (RFC 8305). A
 * new attempt starts every RACE_STAGGER_MS, or at once when one fails. An
 * attempt is ready when greeting, EHLO, TLS with a valid certificate and,
 * where it is needed, a way to sign in are there. The first that is ready
 * wins, but a better port that is nearly there gets RACE_GRACE_MS. Losers are
 * closed. To examine, all start at once and none wins.
 *
 * Where a port turns out to speak TLS the other way round (clear text where
 * TLS was expected, or silence where a greeting was), a further attempt on it
 * goes the other way: so a server that was set up against the custom is found
 * all the same, and what answers neither way is told from what does.
 *
 * The last resort is the port of the web, where some servers take mail too
 * from who offers "smtp" in TLS (ALPN). It is tried where none of the others
 * has answered, or at once where it is the first of the ports; whoever does
 * not agree to "smtp" there is no mail server.
 *
 * The shell calls race_start(), then in a loop pulls every race_action() and
 * reports what comes of it; race_time() at race_next_ms(). At RACE_WON the
 * winner's session stands at CLIENT_READY before AUTH, and is the shell's to
 * go on with; at RACE_OVER every attempt has its verdict.
 */
#ifndef MAILBOAT_CORE_PORT_RACE_H
#define MAILBOAT_CORE_PORT_RACE_H

#include "core/client/client_session.h"
#include "core/port/verdict.h"
#include "core/route/route.h"

enum race_limit {
    RACE_STAGGER_MS = 250,
    RACE_GRACE_MS = 200,
    RACE_DEADLINE_MS = 10 * 1000, /* for the whole, unless said */
    RACE_CONNECT_MS = 4 * 1000,   /* each step has its own limit */
    /* of the last resort, which nobody shall wait for where it is blocked too */
    RACE_LAST_CONNECT_MS = 2 * 1000,
    RACE_LAST_PORT = 443,
    RACE_STEP_MS = 6 * 1000,     /* greeting, EHLO, TLS */
    RACE_TLS_MISMATCH_MS = 1500, /* silence in place of a greeting: try TLS from the first byte as well */
    RACE_PORTS_MAX = 8,
    RACE_ADDRESSES_MAX = 4,
    RACE_ATTEMPTS_MAX = 2 * RACE_PORTS_MAX * RACE_ADDRESSES_MAX, /* each may have one the other way */
};

struct race_port {
    uint16_t port;
    enum client_tls tls;
};

struct race_options {
    struct race_port ports[RACE_PORTS_MAX]; /* the best first */
    size_t port_count;
    struct route_address addresses[RACE_ADDRESSES_MAX];
    size_t address_count;
    struct bytes helo;    /* ours; outlives the race */
    bool needs_auth;      /* a way to sign in must be offered */
    bool by_token;        /* with an OAuth 2 token */
    bool any_certificate; /* loopback: TLS may be self-signed */
    bool examine;         /* all at once, no winner */
    uint16_t last_resort; /* RACE_LAST_PORT, which is one of the ports then; 0: none */
    uint32_t deadline_ms; /* 0: RACE_DEADLINE_MS */
};

struct race_attempt {
    const struct race_port *port;
    const struct route_address *address;
    enum client_tls tls; /* the port's, or the other way round */
    bool tls_mismatch;
    enum {
        ATTEMPT_WAITING,
        ATTEMPT_CONNECTING,
        ATTEMPT_SHAKING,
        ATTEMPT_TALKING,
        ATTEMPT_READY,
        ATTEMPT_OVER
    } stage;
    enum port_verdict verdict;
    enum client_step step; /* where it stands, or ended */
    uint64_t started_ms, step_ms, ended_ms;
    enum port_verdict certificate; /* PORT_OPEN: valid, or not seen yet */
    bool has_session, secured, connect_due, shake_due, close_due, connected, heard;
    struct client_session session;
    struct client_capabilities capabilities; /* kept when the session is gone */
    unsigned code;                           /* of the reply it ended with; 0 when there was none */
    char said[200];                          /* what the server, or the system, said at the end */
};

struct race {
    struct race_options options;
    struct race_attempt attempts[RACE_ATTEMPTS_MAX];
    size_t attempt_count, planned, next; /* planned: those of the candidates; behind them, the other way */
    uint64_t started_ms, next_start_ms, grace_ms; /* grace: when the one that is ready wins; 0: none is */
    size_t winner;
    bool won, over, told;
};

enum race_action_kind {
    RACE_NOTHING,
    RACE_CONNECT,
    RACE_SEND,
    RACE_HANDSHAKE,
    RACE_CLOSE,
    RACE_WON,
    RACE_OVER
};
struct race_action {
    enum race_action_kind kind;
    size_t attempt;
    struct bytes bytes; /* SEND */
};

/* How a connection can fail. */
enum race_loss {
    LOSS_REFUSED,
    LOSS_UNREACHABLE,
    LOSS_TIMEOUT,
    LOSS_CLOSED,
    LOSS_TLS,
    LOSS_TLS_MISMATCH,
    LOSS_NOT_SMTP
};

void race_start(struct race *race, const struct race_options *options, uint64_t now_ms);
void race_free(struct race *race); /* the winner's session too */
bool race_action(struct race *race, uint64_t now_ms, struct race_action *action);

void race_connected(struct race *race, size_t attempt, uint64_t now_ms);
/* The handshake is done. `certificate`: PORT_OPEN when it is valid, else the verdict on it, and
 * `said`, what it says (the name it is for). */
void race_tls_done(struct race *race, size_t attempt, enum port_verdict certificate, struct bytes said,
                   uint64_t now_ms);
size_t race_feed(struct race *race, size_t attempt, struct bytes input, uint64_t now_ms);
void race_lost(struct race *race, size_t attempt, enum race_loss loss, struct bytes why, uint64_t now_ms);

uint64_t race_next_ms(const struct race *race, uint64_t now_ms); /* UINT64_MAX: nothing to wait for */
void race_time(struct race *race, uint64_t now_ms);

/* The verdict on a port over all its addresses: the attempt that says most. */
const struct race_attempt *race_verdict(const struct race *race, uint16_t port);
/* Did somebody ask us to come later? Then it may work in a while. */
bool race_is_for_later(const struct race *race);
/* Appends, in words, why the winner was chosen, or why nothing works. */
void race_explain(const struct race *race, struct buffer *out);

#endif
