/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/race.h"

#include <assert.h>

#include "core/port/race_pace.h"
#include "core/smtp/status.h"

static bool is_last_resort(const struct race *race, const struct race_port *port)
{
    return race->options.last_resort != 0 && port->port == race->options.last_resort;
}

/* The last resort comes last, unless it won before. */
static bool comes_last(const struct race *race, const struct race_port *port)
{
    return is_last_resort(race, port) && port != &race->options.ports[0];
}

static void assert_race(const struct race *race)
{
    assert(race->next <= race->planned && race->planned <= race->attempt_count);
    assert(race->attempt_count <= RACE_ATTEMPTS_MAX && race->again_count <= RACE_AGAIN_MAX);
    assert(!race->won || (!race->over && race->winner < race->attempt_count));
}

void race_start(struct race *race, const struct race_options *options, uint64_t now_ms)
{
    assert(options->port_count <= RACE_PORTS_MAX && options->address_count <= RACE_ADDRESSES_MAX);
    *race = (struct race){.options = *options,
                          .started_ms = now_ms,
                          .next_start_ms = now_ms,
                          .round_trip_ms = options->round_trip_ms};
    if (race->options.deadline_ms == 0)
        race->options.deadline_ms = RACE_DEADLINE_MS;
    /* All ports of one address before the next address: a blocked port costs one stagger. */
    for (size_t a = 0; a < 2 * options->address_count; a++)
        for (size_t p = 0; p < options->port_count; p++)
            if (comes_last(race, &race->options.ports[p]) == (a >= options->address_count))
                race->attempts[race->attempt_count++] = (struct race_attempt){
                    .port = &race->options.ports[p],
                    .address = &race->options.addresses[a % options->address_count],
                    .tls = options->ports[p].tls,
                    .certificate = PORT_OPEN,
                    .step = STEP_CONNECT};
    race->planned = race->attempt_count;
    race_time(race, now_ms);
}

void race_free(struct race *race)
{
    for (size_t i = 0; i < race->attempt_count; i++)
        if (race->attempts[i].has_session)
            client_session_free(&race->attempts[i].session);
}

/* ---- ends ---- */

static void keep_said(struct race_attempt *a, struct bytes text)
{
    client_record_text(a->said, sizeof a->said, text, false);
}

/* Keeps the text of a failure; for STARTTLS with the codes of the reply. */
static void keep_failure(struct race_attempt *a, const struct delivery_result *why)
{
    struct buffer text = {0};
    bool codes = why->step == STEP_TLS;
    status_add_said(&text, codes ? why->code : 0, codes ? why->enhanced : bytes_none(), why->text);
    keep_said(a, buffer_bytes(&text));
    buffer_free(&text);
}

static void close_attempt(struct race_attempt *a, enum port_verdict verdict, uint64_t now_ms)
{
    a->close_due = a->connected || a->stage == ATTEMPT_CONNECTING;
    a->stage = ATTEMPT_OVER;
    a->verdict = verdict;
    a->ended_ms = now_ms;
    a->connect_due = a->shake_due = false;
    if (a->has_session) {
        a->capabilities = a->session.capabilities;
        a->may_quit = client_session_may_quit(&a->session);
        client_session_free(&a->session);
        a->has_session = false;
    }
}

/* Ends the other attempts that still knock at the same port and address: all once the server has spoken. */
static void withdraw_others(struct race *race, const struct race_attempt *than, uint64_t now_ms)
{
    for (size_t i = 0; i < race->attempt_count; i++) {
        struct race_attempt *a = &race->attempts[i];
        bool is_behind = than->heard ? race_attempt_has_no_answer(a) : a->stage == ATTEMPT_CONNECTING;
        if (a == than || !is_behind || a->port != than->port || a->address != than->address ||
            a->tls != than->tls)
            continue;
        a->withdrawn = true;
        close_attempt(a, PORT_UNTRIED, now_ms);
    }
}

static void end_attempt(struct race *race, struct race_attempt *a, enum port_verdict verdict, uint64_t now_ms)
{
    if (a->stage == ATTEMPT_OVER)
        return;
    if (a->stage == ATTEMPT_CONNECTING && !race->won)
        withdraw_others(race, a, now_ms);
    close_attempt(a, verdict, now_ms);
    race->next_start_ms = now_ms; /* starts the next one immediately */
}

/* Classifies the failure of STARTTLS. Whoever offers it knows it: 500, 502 and garbage come from a device on
 * the path. Other codes are the server's own: 454, "TLS not available" (RFC 3207 4). */
static enum port_verdict verdict_of_starttls(const struct race_attempt *a, const struct delivery_result *why)
{
    bool asked = a->record.starttls_asked;
    if (!asked)
        return a->session.capabilities.masked ? PORT_STRIPPED : PORT_NO_TLS;
    return why->code == 0 || why->code == 500 || why->code == 502 ? PORT_STRIPPED : PORT_STARTTLS_REFUSED;
}

static enum port_verdict verdict_of_failure(const struct race_attempt *a, const struct delivery_result *why)
{
    if (why->step == STEP_TLS)
        return verdict_of_starttls(a, why);
    if (why->code >= 400)
        return why->code / 100 == 4 ? PORT_LATER : PORT_UNWILLING;
    return a->session.peer == CLIENT_PEER_TLS ? PORT_TLS_OTHER : PORT_NOT_SMTP;
}

/* Starts another attempt at the port and address of one that is there. */
static struct race_attempt *add_attempt(struct race *race, const struct race_attempt *like,
                                        enum client_tls tls, uint64_t now_ms)
{
    assert(race->attempt_count < RACE_ATTEMPTS_MAX);
    struct race_attempt *added = &race->attempts[race->attempt_count++];
    *added = (struct race_attempt){.port = like->port,
                                   .address = like->address,
                                   .tls = tls,
                                   .certificate = PORT_OPEN,
                                   .step = STEP_CONNECT,
                                   .stage = ATTEMPT_CONNECTING,
                                   .connect_due = true,
                                   .started_ms = now_ms,
                                   .step_ms = now_ms};
    return added;
}

/* ---- the other TLS mode ---- */

static bool is_tried(const struct race *race, const struct race_attempt *like, enum client_tls tls)
{
    for (size_t i = 0; i < race->attempt_count; i++)
        if (race->attempts[i].port->port == like->port->port && race->attempts[i].address == like->address &&
            race->attempts[i].tls == tls)
            return true;
    return false;
}

/* Not on 25: a server may delay its greeting, and none uses implicit TLS. */
static void try_other_tls_mode(struct race *race, const struct race_attempt *a, uint64_t now_ms)
{
    enum client_tls tls = a->tls == CLIENT_TLS_IMPLICIT ? CLIENT_TLS_REQUIRED : CLIENT_TLS_IMPLICIT;
    if (a->tls == CLIENT_TLS_OPPORTUNISTIC || a->tls_mismatch || is_last_resort(race, a->port) ||
        is_tried(race, a, tls))
        return;
    add_attempt(race, a, tls, now_ms)->tls_mismatch = true;
}

static void hear(struct race *race, struct race_attempt *a, uint64_t now_ms)
{
    if (!a->heard)
        a->first_ms = now_ms;
    a->heard = true;
    a->progress_ms = now_ms;
    withdraw_others(race, a, now_ms);
}

static void keep_first(struct race_attempt *a, struct bytes input)
{
    input = bytes_first(input, sizeof a->first);
    if (input.length <= a->first_length)
        return;
    memcpy(a->first, input.at, input.length);
    a->first_length = (uint8_t)input.length;
}

/* ---- the session of an attempt ---- */

static void begin_session(struct race *race, struct race_attempt *a, uint64_t now_ms)
{
    struct client_options options = {.helo = a->helo.length > 0 ? a->helo : race->options.helo,
                                     .tls = a->tls,
                                     .probe_only = true,
                                     .record = &a->record};
    client_session_start(&a->session, &options);
    a->has_session = true;
    a->stage = ATTEMPT_TALKING;
    a->step = STEP_GREETING;
    a->step_ms = now_ms;
}

static void became_ready(struct race *race, struct race_attempt *a, uint64_t now_ms)
{
    if (a->certificate != PORT_OPEN) {
        end_attempt(race, a, a->certificate, now_ms);
    } else if (race->options.needs_auth &&
               !client_can_sign_in(a->session.capabilities.mechanisms, race->options.by_token)) {
        end_attempt(race, a, PORT_NO_AUTH, now_ms);
    } else if (race->options.examine) {
        end_attempt(race, a, PORT_OPEN, now_ms);
    } else {
        a->stage = ATTEMPT_READY;
        a->verdict = PORT_OPEN;
        a->ended_ms = now_ms;
    }
}

/* Handles one action of its session; true if the shell must act too. */
static bool take_session_action(struct race *race, size_t i, const struct client_action *from,
                                uint64_t now_ms, struct race_action *action)
{
    struct race_attempt *a = &race->attempts[i];
    switch (from->kind) {
    case CLIENT_SEND: *action = (struct race_action){RACE_SEND, i, from->bytes}; return true;
    case CLIENT_STARTTLS:
        a->stage = ATTEMPT_SHAKING;
        a->step = STEP_TLS;
        a->step_ms = now_ms;
        *action = (struct race_action){.kind = RACE_HANDSHAKE, .attempt = i};
        return true;
    case CLIENT_READY: became_ready(race, a, now_ms); return false;
    case CLIENT_FAILED:
        keep_failure(a, &from->failure);
        a->step = from->failure.step;
        a->code = from->failure.code;
        end_attempt(race, a, verdict_of_failure(a, &from->failure), now_ms);
        return false;
    case CLIENT_NOTHING:
    case CLIENT_ASK_NONCE:
    case CLIENT_ASK_PROOF:
    case CLIENT_WANT_CONTENT:
    case CLIENT_SENT:
    case CLIENT_CLOSE: break;
    }
    return false;
}

static bool attempt_action(struct race *race, size_t i, uint64_t now_ms, struct race_action *action)
{
    struct race_attempt *a = &race->attempts[i];
    struct client_action from;
    if (a->connect_due || a->shake_due) {
        *action = (struct race_action){.kind = a->connect_due ? RACE_CONNECT : RACE_HANDSHAKE, .attempt = i};
        a->connect_due = a->shake_due = false;
        return true;
    }
    while (a->has_session && a->stage == ATTEMPT_TALKING && client_session_action(&a->session, &from)) {
        bool acts = take_session_action(race, i, &from, now_ms, action);
        if (a->has_session && a->stage == ATTEMPT_TALKING && client_session_step(&a->session) != a->step) {
            a->step = client_session_step(&a->session);
            a->step_ms = now_ms;
        }
        if (acts)
            return true;
    }
    if (!a->close_due)
        return false;
    a->close_due = false;
    *action = (struct race_action){.kind = RACE_CLOSE, .attempt = i};
    return true;
}

/* ---- the winner ---- */

static bool is_better(const struct race_attempt *a, const struct race_attempt *b)
{
    return a->port < b->port; /* by its position in the order */
}

/* Refines verdicts by comparing attempts, once all are decided. */
static void check_pair(struct race_attempt *a, const struct race_attempt *b)
{
    bool same = a->port->port == b->port->port && a->address == b->address;
    /* It waits for the client to send first and has no TLS: like a web server, unless it then greets. */
    bool greets = a->record.greeting_code != 0 || b->record.greeting_code != 0;
    if (same && b->tls_mismatch && !greets &&
        ((a->verdict == PORT_SILENT && b->verdict == PORT_TLS_OTHER) ||
         (a->verdict == PORT_TLS_OTHER && b->verdict == PORT_SILENT)))
        a->verdict = PORT_PORTAL;
    /* The same server offers it on another port. */
    if (a->verdict == PORT_NO_TLS && a->tls == CLIENT_TLS_REQUIRED && b->secured &&
        b->tls == CLIENT_TLS_REQUIRED && a->address == b->address)
        a->verdict = PORT_STRIPPED;
    bool doubtful = a->verdict == PORT_CERTIFICATE_OTHER_NAME || a->verdict == PORT_CERTIFICATE_SELF_SIGNED ||
                    a->verdict == PORT_CERTIFICATE_UNKNOWN_ISSUER;
    if (doubtful && b->secured && b->certificate == PORT_OPEN && a->address == b->address &&
        a->port->port != b->port->port)
        a->verdict = PORT_IMPOSTOR;
}

static void check_certificates(struct race *race)
{
    for (size_t i = 0; i < race->attempt_count; i++)
        for (size_t k = 0; k < race->attempt_count; k++)
            check_pair(&race->attempts[i], &race->attempts[k]);
}

static void win(struct race *race, size_t i, uint64_t now_ms)
{
    race->won = true;
    race->winner = i;
    for (size_t k = 0; k < race->attempt_count; k++)
        if (k != i && race->attempts[k].stage != ATTEMPT_WAITING && race->attempts[k].stage != ATTEMPT_OVER)
            end_attempt(race, &race->attempts[k],
                        race->attempts[k].stage == ATTEMPT_READY ? PORT_OPEN : PORT_UNTRIED, now_ms);
}

static const struct race_attempt *best_ready(const struct race *race)
{
    const struct race_attempt *best = NULL;
    for (size_t i = 0; i < race->attempt_count; i++)
        if (race->attempts[i].stage == ATTEMPT_READY && (best == NULL || is_better(&race->attempts[i], best)))
            best = &race->attempts[i];
    return best;
}

/* Returns when the ready attempt wins; 0: none is ready. */
static uint64_t wins_at_ms(const struct race *race, const struct race_attempt *best)
{
    uint64_t at_ms = race->ready_ms, last_ms = race->ready_ms + RACE_GRACE_MAX_MS,
             deadline_ms = race->started_ms + race->options.deadline_ms;
    for (size_t i = 0; best != NULL && i < race->attempt_count; i++) {
        const struct race_attempt *a = &race->attempts[i];
        if (race_attempt_is_in_progress(a) && is_better(a, best) && race_pace_grace_ms(race, a) > at_ms)
            at_ms = race_pace_grace_ms(race, a);
    }
    last_ms = deadline_ms < last_ms ? deadline_ms : last_ms;
    return best == NULL ? 0 : at_ms < last_ms ? at_ms : last_ms;
}

static void decide(struct race *race, uint64_t now_ms)
{
    if (race->won || race->over)
        return;
    const struct race_attempt *best = best_ready(race);
    if (best == NULL)
        race->ready_ms = 0; /* the ready attempt was lost: the others continue */
    else if (race->ready_ms == 0)
        race->ready_ms = now_ms;
    if (best != NULL && now_ms >= wins_at_ms(race, best))
        win(race, (size_t)(best - race->attempts), now_ms);
    bool any_left = best != NULL || race->next < race->planned;
    for (size_t i = 0; i < race->attempt_count; i++)
        any_left = any_left || race_attempt_is_in_progress(&race->attempts[i]);
    race->over = !race->won && !any_left;
}

bool race_action(struct race *race, uint64_t now_ms, struct race_action *action)
{
    *action = (struct race_action){.kind = RACE_NOTHING};
    for (size_t i = 0; i < race->attempt_count; i++)
        if (attempt_action(race, i, now_ms, action))
            return true;
    race_time(race, now_ms);
    for (size_t i = 0; i < race->attempt_count; i++)
        if (attempt_action(race, i, now_ms, action))
            return true;
    assert_race(race);
    if ((!race->won && !race->over) || race->told)
        return false;
    race->told = true;
    check_certificates(race);
    *action = (struct race_action){.kind = race->won ? RACE_WON : RACE_OVER, .attempt = race->winner};
    return true;
}

/* ---- events ---- */

void race_greet_as(struct race *race, size_t i, struct bytes helo)
{
    race->attempts[i].helo = helo;
}

void race_connected(struct race *race, size_t i, uint64_t now_ms)
{
    struct race_attempt *a = &race->attempts[i];
    if (a->stage != ATTEMPT_CONNECTING)
        return;
    a->connected = true;
    a->connected_ms = a->step_ms = now_ms;
    if (race->round_trip_ms == 0 || now_ms - a->started_ms < race->round_trip_ms)
        race->round_trip_ms = now_ms - a->started_ms;
    withdraw_others(race, a, now_ms);
    a->next_knock_ms = now_ms + race_pace_greeting_ms(race);
    if (a->tls != CLIENT_TLS_IMPLICIT) {
        begin_session(race, a, now_ms);
        return;
    }
    a->stage = ATTEMPT_SHAKING;
    a->step = STEP_TLS;
    a->shake_due = true;
}

void race_tls_done(struct race *race, size_t i, enum port_verdict certificate, struct bytes said,
                   uint64_t now_ms)
{
    struct race_attempt *a = &race->attempts[i];
    if (a->stage != ATTEMPT_SHAKING)
        return;
    a->secured = true;
    hear(race, a, now_ms);
    a->certificate = race->options.any_certificate ? PORT_OPEN : certificate;
    if (certificate != PORT_OPEN)
        keep_said(a, said);
    if (!a->has_session) {
        begin_session(race, a, now_ms);
        return;
    }
    a->stage = ATTEMPT_TALKING;
    a->step = STEP_EHLO;
    a->step_ms = now_ms;
    client_session_tls_started(&a->session);
}

size_t race_feed(struct race *race, size_t i, struct bytes input, uint64_t now_ms)
{
    struct race_attempt *a = &race->attempts[i];
    if (!a->has_session || a->stage != ATTEMPT_TALKING)
        return 0;
    bool is_first = !a->heard && input.length > 0;
    if (input.length > 0)
        hear(race, a, now_ms);
    if (a->record.greeting_code == 0)
        keep_first(a, input);
    if (is_first && bytes_starts_nocase(input, "HTTP/")) {
        keep_said(a, input);
        end_attempt(race, a, PORT_PORTAL, now_ms);
        return 0;
    }
    return client_session_feed(&a->session, input);
}

void race_met_clear_text(struct race *race, size_t i, struct bytes text, uint64_t now_ms)
{
    struct race_attempt *a = &race->attempts[i];
    if (text.length == 0 || a->stage == ATTEMPT_OVER)
        return;
    if (a->tls == CLIENT_TLS_IMPLICIT) {
        hear(race, a, now_ms);
        keep_first(a, text);
    }
    struct smtp_reply reply;
    size_t used;
    if (a->tls == CLIENT_TLS_IMPLICIT && reply_parse(text, &reply, &used) == REPLY_COMPLETE)
        client_record_greeting(&a->record, &reply);
    else
        client_record_nonsense(&a->record, text);
}

void race_lost(struct race *race, size_t i, enum race_loss loss, struct bytes why, uint64_t now_ms)
{
    static const enum port_verdict verdicts[] = {
        [LOSS_REFUSED] = PORT_REFUSED,  [LOSS_UNREACHABLE] = PORT_UNREACHABLE,
        [LOSS_TIMEOUT] = PORT_SILENT,   [LOSS_CLOSED] = PORT_CLOSED,
        [LOSS_TLS] = PORT_TLS_FAILED,   [LOSS_TLS_MISMATCH] = PORT_TLS_OTHER,
        [LOSS_NOT_SMTP] = PORT_NOT_SMTP};
    struct race_attempt *a = &race->attempts[i];
    if (a->stage == ATTEMPT_OVER)
        return;
    enum port_verdict verdict = verdicts[loss];
    if (loss == LOSS_TIMEOUT)
        verdict = !a->connected ? PORT_FILTERED : a->heard ? PORT_SLOW : PORT_SILENT;
    if (a->stage == ATTEMPT_WAITING)
        verdict = PORT_UNTRIED;
    if (a->has_session)
        a->step = a->stage == ATTEMPT_SHAKING ? STEP_TLS : client_session_step(&a->session);
    keep_said(a, why);
    a->lost = true;
    a->loss = loss;
    end_attempt(race, a, verdict, now_ms);
    a->close_due = true;
    if (loss == LOSS_TLS_MISMATCH)
        try_other_tls_mode(race, a, now_ms);
}

/* ---- time ---- */

static uint64_t limit_of(const struct race *race, const struct race_attempt *a)
{
    uint64_t connect_ms = is_last_resort(race, a->port) ? RACE_LAST_CONNECT_MS : RACE_CONNECT_MS;
    return a->step_ms + (a->stage == ATTEMPT_CONNECTING ? connect_ms : RACE_STEP_MS);
}

/* Returns until when the last resort waits, while another port that responded may still win: a time, or
 * UINT64_MAX until something happens. 0: it may start, or no port has responded. */
static uint64_t held_until_ms(const struct race *race)
{
    uint64_t until_ms = 0;
    if (race->options.examine || race->next == race->planned ||
        !comes_last(race, race->attempts[race->next].port))
        return 0;
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *a = &race->attempts[i];
        bool may_win = a->connected && race_attempt_is_in_progress(a) && (a->heard || !a->tls_mismatch);
        uint64_t this_ms = !may_win ? 0 : a->heard ? UINT64_MAX : a->step_ms + RACE_TLS_MISMATCH_MS;
        until_ms = this_ms > until_ms ? this_ms : until_ms;
    }
    return until_ms;
}

/* Returns when the next port may start. */
static uint64_t starts_at_ms(const struct race *race)
{
    uint64_t held_ms = held_until_ms(race), answering_ms = race_pace_answering_ms(race),
             at_ms = race->next_start_ms;
    at_ms = held_ms > at_ms ? held_ms : at_ms;
    return answering_ms > at_ms ? answering_ms : at_ms;
}

static void start_next(struct race *race, uint64_t now_ms)
{
    struct race_attempt *a = &race->attempts[race->next++];
    a->stage = ATTEMPT_CONNECTING;
    a->connect_due = true;
    a->knocks = 1;
    a->started_ms = a->step_ms = now_ms;
    a->next_knock_ms = now_ms + race_pace_knock_ms(race);
    race->next_start_ms = race->options.examine ? now_ms : now_ms + race_pace_stagger_ms(race);
}

/* Not the last resort: it is another server's, mostly. */
static bool may_knock(const struct race *race, const struct race_attempt *a)
{
    return (a->again ? race_attempt_is_mute(a) : race_attempt_has_no_answer(a)) && !a->tls_mismatch &&
           !race->options.examine && a->knocks < RACE_KNOCKS_MAX && race->again_count < RACE_AGAIN_MAX &&
           !is_last_resort(race, a->port);
}

static void knock_again(struct race *race, struct race_attempt *a, uint64_t now_ms)
{
    a->knocks++;
    a->next_knock_ms = now_ms + race_pace_knock_ms(race);
    race->again_count++;
    struct race_attempt *again = add_attempt(race, a, a->tls, now_ms);
    again->again = true;
    again->knocks = a->knocks;
}

void race_time(struct race *race, uint64_t now_ms)
{
    bool late = now_ms >= race->started_ms + race->options.deadline_ms;
    if (race->won || race->over)
        return;
    for (size_t i = 0; i < race->attempt_count; i++) {
        struct race_attempt *a = &race->attempts[i];
        if (race_attempt_is_in_progress(a) && (late || now_ms >= limit_of(race, a)))
            race_lost(race, i, LOSS_TIMEOUT, BYTES("timed out"), now_ms);
        else if (race_attempt_is_mute(a) && now_ms >= a->step_ms + RACE_TLS_MISMATCH_MS)
            try_other_tls_mode(race, a, now_ms);
    }
    decide(race, now_ms); /* a ready attempt ends the race */
    while (!race->won && !late && race->ready_ms == 0 && race->next < race->planned &&
           now_ms >= starts_at_ms(race))
        start_next(race, now_ms);
    for (size_t i = 0; !race->won && !late && race->ready_ms == 0 && i < race->attempt_count; i++)
        if (may_knock(race, &race->attempts[i]) && now_ms >= race->attempts[i].next_knock_ms)
            knock_again(race, &race->attempts[i], now_ms);
    if (late)
        race->next = race->planned;
    decide(race, now_ms);
}

uint64_t race_next_ms(const struct race *race, uint64_t now_ms)
{
    uint64_t next_ms = race->started_ms + race->options.deadline_ms;
    if (race->won || race->over)
        return UINT64_MAX;
    uint64_t start_ms = starts_at_ms(race);
    if (race->next < race->planned && race->ready_ms == 0 && start_ms < next_ms)
        next_ms = start_ms;
    if (race->ready_ms != 0 && wins_at_ms(race, best_ready(race)) < next_ms)
        next_ms = wins_at_ms(race, best_ready(race));
    for (size_t i = 0; i < race->attempt_count; i++) {
        const struct race_attempt *a = &race->attempts[i];
        uint64_t other_ms = a->step_ms + RACE_TLS_MISMATCH_MS;
        if (race_attempt_is_in_progress(a) && limit_of(race, a) < next_ms)
            next_ms = limit_of(race, a);
        if (race_attempt_is_mute(a) && other_ms > now_ms && other_ms < next_ms)
            next_ms = other_ms;
        if (race->ready_ms == 0 && may_knock(race, a) && a->next_knock_ms < next_ms)
            next_ms = a->next_knock_ms;
    }
    return next_ms > now_ms ? next_ms : now_ms;
}
