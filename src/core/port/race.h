/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race: finds a working port of a host, and checks ports. Pure: the time is an argument, connections are
 * the shell's.
 *
 * Candidates are ports in order of preference times addresses (RFC 8305). A new attempt starts every
 * RACE_STAGGER_MS (longer where the round trip is known to be long), or immediately when one fails. An
 * attempt is ready after greeting, EHLO, TLS with a valid certificate and, if needed, an authentication
 * mechanism. The first ready one wins, but a better port that may still be on its way gets a grace. Losers
 * are closed. To check ports, all start at once and none wins.
 *
 * A lost packet is not a blocked port. TCP sends a lost SYN again after a second, too late for a race: so a
 * port without an answer is knocked at again after RACE_KNOCK_MS, by another attempt, and the first that
 * connects goes on. The grace of a better port follows from the round trip: until its last knock must have
 * been answered, or lost octets must have been sent again (RFC 6298). A port is taken for blocked only if it
 * was silent for at least two knocks (race_is_proven()).
 *
 * If a port turns out to use the other TLS mode (plain text instead of TLS, or silence instead of a
 * greeting), another attempt uses that mode: so an unusually configured server is found too, and is
 * distinguished from one that responds in neither mode.
 *
 * Port 443 is the last resort, where some servers accept mail too: it counts as a mail server only if the
 * server selects ALPN "smtp". It is tried if no other port has responded, or immediately if it is the
 * first of the ports.
 *
 * The shell calls race_start(), then in a loop executes every race_action() and reports the result;
 * race_time() at race_next_ms(). At RACE_WON the winner's session is at CLIENT_READY before AUTH, and the
 * shell continues with it; at RACE_OVER every attempt has its verdict.
 */
#ifndef MAILBOAT_CORE_PORT_RACE_H
#define MAILBOAT_CORE_PORT_RACE_H

#include "core/client/client_session.h"
#include "core/port/port_order.h"
#include "core/port/verdict.h"
#include "core/route/route.h"

enum race_limit {
    RACE_STAGGER_MS = 250,
    RACE_STAGGER_MAX_MS = 750,
    RACE_KNOCK_MS = 125,          /* until a port without an answer is knocked at again; longer likewise */
    RACE_KNOCKS_MAX = 4,          /* connections to a port of an address, none of which is answered yet */
    RACE_KNOCK_MARGIN_MS = 20,    /* for the host to answer, beside one and a half round trips */
    RACE_RESEND_MIN_MS = 200,     /* until TCP sends again what was lost, beside the round trip */
    RACE_GRACE_MAX_MS = 3 * 1000, /* of all better ports */
    RACE_DEADLINE_MS = 10 * 1000, /* default for the whole race */
    RACE_CONNECT_MS = 4 * 1000,   /* each step has its own timeout */
    /* of the last resort: short, since it may be blocked too */
    RACE_LAST_CONNECT_MS = 2 * 1000,
    RACE_STEP_MS = 6 * 1000,     /* greeting, EHLO, TLS */
    RACE_TLS_MISMATCH_MS = 1500, /* silence instead of a greeting: tries implicit TLS too */
    RACE_PORTS_MAX = 8,
    RACE_ADDRESSES_MAX = 8,
    RACE_FIRST_MAX = 16, /* first octets kept of each server */
    RACE_AGAIN_MAX = 16, /* attempts that knock again */
    /* each candidate may have one in the other TLS mode */
    RACE_ATTEMPTS_MAX = 2 * RACE_PORTS_MAX * RACE_ADDRESSES_MAX + RACE_AGAIN_MAX,
};

/* How a connection failed. */
enum race_loss {
    LOSS_REFUSED,
    LOSS_UNREACHABLE,
    LOSS_TIMEOUT,
    LOSS_CLOSED,
    LOSS_TLS,
    LOSS_TLS_MISMATCH,
    LOSS_NOT_SMTP
};

struct race_port {
    uint16_t port;
    enum client_tls tls;
};

struct race_options {
    struct race_port ports[RACE_PORTS_MAX]; /* most preferred first */
    size_t port_count;
    struct route_address addresses[RACE_ADDRESSES_MAX];
    size_t address_count;
    struct bytes helo;      /* of this host; outlives the race; empty: race_greet_as() sets it per attempt */
    bool needs_auth;        /* an authentication mechanism must be offered */
    bool by_token;          /* with an OAuth 2 token */
    bool any_certificate;   /* loopback: TLS may be self-signed */
    bool examine;           /* starts all at once, no winner */
    uint16_t remembered;    /* the first port, where it is there since it worked last time; 0: none */
    uint16_t last_resort;   /* PORT_LAST_RESORT, which must be among the ports; 0: none */
    uint32_t round_trip_ms; /* to the host, as known from before; 0: not known */
    uint32_t deadline_ms;   /* 0: RACE_DEADLINE_MS */
};

struct race_attempt {
    const struct race_port *port;
    const struct route_address *address;
    enum client_tls tls; /* the port's usual mode, or the other */
    bool tls_mismatch;
    bool again;     /* knocks again where another attempt has no answer */
    bool withdrawn; /* another attempt at the same port and address goes on, or tells more */
    uint8_t knocks; /* connections so far, this one among them */
    uint64_t next_knock_ms;
    enum {
        ATTEMPT_WAITING,
        ATTEMPT_CONNECTING,
        ATTEMPT_SHAKING,
        ATTEMPT_TALKING,
        ATTEMPT_READY,
        ATTEMPT_OVER
    } stage;
    enum port_verdict verdict;
    enum client_step step; /* current or last step */
    uint64_t started_ms, step_ms, ended_ms;
    uint64_t connected_ms, first_ms; /* time of the connection and of the first octet; 0: never */
    uint64_t progress_ms;            /* time of the last octets of the server */
    enum port_verdict certificate;   /* PORT_OPEN: valid, or not known yet */
    bool has_session, secured, connect_due, shake_due, close_due, connected, heard;
    struct client_session session;
    struct client_capabilities capabilities; /* kept after the session */
    unsigned code;                           /* of its last reply; 0: none */
    char said[200];                          /* last reply of the server, or error of the system */
    struct client_record record;             /* replies until TLS */
    char first[RACE_FIRST_MAX];              /* its first octets, in plain text */
    uint8_t first_length;
    struct bytes helo; /* of this host on this connection; empty: that of the race */
    bool may_quit;     /* the server expected a command when the attempt ended */
    bool lost;         /* ended by race_lost(), as `loss` says */
    enum race_loss loss;
};

struct race {
    struct race_options options;
    struct race_attempt attempts[RACE_ATTEMPTS_MAX];
    /* planned: attempts of the candidates; those in the other TLS mode follow them */
    size_t attempt_count, planned, next, again_count;
    uint64_t started_ms, next_start_ms;
    uint64_t ready_ms;      /* since when one is ready; 0: none is */
    uint64_t round_trip_ms; /* the shortest time of a connection, or what was known from before; 0: not known
                             */
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

void race_start(struct race *race, const struct race_options *options, uint64_t now_ms);
void race_free(struct race *race); /* also frees the winner's session */
bool race_action(struct race *race, uint64_t now_ms, struct race_action *action);

/* Sets the host name to greet with on this connection; before race_connected(). It outlives the race. */
void race_greet_as(struct race *race, size_t attempt, struct bytes helo);
void race_connected(struct race *race, size_t attempt, uint64_t now_ms);
/* Reports the end of the handshake. `certificate`: PORT_OPEN if it is valid, else its verdict, and `said`,
 * a detail (the name it is for). */
void race_tls_done(struct race *race, size_t attempt, enum port_verdict certificate, struct bytes said,
                   uint64_t now_ms);
size_t race_feed(struct race *race, size_t attempt, struct bytes input, uint64_t now_ms);
void race_lost(struct race *race, size_t attempt, enum race_loss loss, struct bytes why, uint64_t now_ms);
/* Records plain text that the server sent where TLS was expected; before race_lost(). */
void race_met_clear_text(struct race *race, size_t attempt, struct bytes text, uint64_t now_ms);

uint64_t race_next_ms(const struct race *race, uint64_t now_ms); /* UINT64_MAX: nothing to wait for */
void race_time(struct race *race, uint64_t now_ms);

/* After RACE_WON: true if each better port failed, or was silent for two knocks that had time to be answered:
 * a reason to begin with the winner the next time. */
bool race_is_proven(const struct race *race);
/* Returns the verdict on a port over all its addresses: the most significant attempt. */
const struct race_attempt *race_verdict(const struct race *race, uint16_t port);
/* True if a server asked to try again later. */
bool race_is_for_later(const struct race *race);
/* Appends, in words, why the winner was chosen, or why nothing works. */
void race_explain(const struct race *race, struct buffer *out);

#endif
