/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/attempt_facts.h"

#include <assert.h>

static enum known known_if(bool is_known, bool is_so)
{
    return !is_known ? KNOWN_NOT : is_so ? KNOWN_YES : KNOWN_NO;
}

/* ---- who speaks ---- */

static bool is_three_digits(struct bytes first)
{
    size_t digits = 0;
    while (digits < 3 && digits < first.length && ascii_is_digit(first.at[digits]))
        digits++;
    return digits == 3 && (first.length == 3 || !ascii_is_digit(first.at[3]));
}

/* FTP greets with 220 as well: whoever needs to tell it has the greeting. */
enum fact_voice attempt_facts_voice(struct bytes first)
{
    static const struct {
        const char *begins;
        enum fact_voice voice;
    } table[] = {{"\x16\x03", VOICE_TLS}, {"\x15\x03", VOICE_TLS},   {"HTTP/", VOICE_HTTP},
                 {"<!DOC", VOICE_HTTP},   {"<html", VOICE_HTTP},     {"SSH-", VOICE_SSH},
                 {"* OK", VOICE_IMAP},    {"* PREAUTH", VOICE_IMAP}, {"* BYE", VOICE_IMAP},
                 {"+OK", VOICE_POP3},     {"-ERR", VOICE_POP3}};
    if (first.length == 0)
        return VOICE_UNKNOWN;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (bytes_starts_nocase(first, table[i].begins))
            return table[i].voice;
    return is_three_digits(first) ? VOICE_SMTP : VOICE_OTHER;
}

static bool is_undecided(const struct race_attempt *attempt)
{
    return attempt->stage != ATTEMPT_OVER || attempt->verdict == PORT_UNTRIED;
}

/* Returns how a connection without any octet ended. */
static enum fact_voice voice_of_none(const struct race_attempt *attempt, const struct attempt_line *line)
{
    if (is_undecided(attempt))
        return VOICE_UNKNOWN;
    if (line->reset || line->tls == FACT_TLS_RESET)
        return VOICE_RESET;
    if (attempt->loss == LOSS_TIMEOUT && attempt->lost)
        return VOICE_MUTE;
    return VOICE_CLOSED;
}

static enum fact_voice voice_of(const struct race_attempt *attempt, const struct attempt_line *line)
{
    enum fact_voice voice = attempt_facts_voice(bytes_of(attempt->first, attempt->first_length));
    if (!attempt->connected)
        return VOICE_UNKNOWN;
    /* inside TLS another word than SMTP's is worth telling */
    if (attempt->tls == CLIENT_TLS_IMPLICIT && line->tls_received > 0 && line->tls != FACT_TLS_CLEAR_TEXT)
        return voice == VOICE_UNKNOWN || voice == VOICE_SMTP ? VOICE_TLS : voice;
    return voice != VOICE_UNKNOWN ? voice : voice_of_none(attempt, line);
}

/* ---- was it reached? ---- */

static enum fact_reach reach_of(const struct race_attempt *attempt)
{
    if (attempt->connected)
        return REACH_CONNECTED;
    if (is_undecided(attempt) || !attempt->lost)
        return REACH_UNKNOWN;
    switch (attempt->loss) {
    case LOSS_REFUSED:
    case LOSS_CLOSED: return REACH_REFUSED;
    case LOSS_UNREACHABLE: return REACH_UNREACHABLE;
    case LOSS_TIMEOUT:
        return attempt->ended_ms - attempt->started_ms < ATTEMPT_FACTS_SILENCE_MS ? REACH_UNKNOWN
                                                                                  : REACH_SILENT;
    case LOSS_TLS:
    case LOSS_TLS_MISMATCH:
    case LOSS_NOT_SMTP: break;
    }
    return REACH_UNKNOWN;
}

static uint32_t after_ms(const struct race_attempt *attempt, uint64_t then_ms)
{
    return then_ms > attempt->started_ms ? (uint32_t)(then_ms - attempt->started_ms) : 0;
}

static void write_address(char *to, size_t size, const struct route_address *address)
{
    struct buffer text = {0};
    route_address_text(&text, address);
    client_record_text(to, size, buffer_bytes(&text), false);
    buffer_free(&text);
}

static void fill_reach(struct fact_attempt *fact, const struct race_attempt *attempt,
                       const struct attempt_line *line)
{
    fact->reach = reach_of(attempt);
    bool answered = fact->reach == REACH_REFUSED || fact->reach == REACH_UNREACHABLE;
    if (fact->reach == REACH_UNREACHABLE)
        fact->unreachable = line->unreachable;
    if (answered)
        fact->icmp = line->icmp;
    if (fact->icmp > FACT_ICMP_NONE)
        write_address(fact->icmp_from, sizeof fact->icmp_from, &line->icmp_from);
    fact->connect_ms = after_ms(attempt, answered ? attempt->ended_ms : attempt->connected_ms);
    fact->first_ms = after_ms(attempt, attempt->first_ms);
    fact->took_ms = after_ms(attempt, attempt->ended_ms);
    fact->voice = voice_of(attempt, line);
}

/* ---- what it said ---- */

static void fill_dialogue(struct fact_attempt *fact, const struct race_attempt *attempt)
{
    const struct client_record *record = &attempt->record;
    bool in_clear = attempt->tls != CLIENT_TLS_IMPLICIT && record->ehlo_code / 100 == 2;
    fact->greeting_code = (uint16_t)record->greeting_code;
    fact->greeting_masked = known_if(record->greeting_code != 0, record->greeting_masked);
    fact->ehlo_code = (uint16_t)record->ehlo_code;
    fact->starttls_offered = known_if(in_clear, record->starttls_offered);
    fact->ehlo_masked = known_if(in_clear, record->ehlo_masked);
    fact->starttls_code = (uint16_t)record->starttls_code;
    memcpy(fact->greeting, record->greeting, sizeof fact->greeting);
    memcpy(fact->ehlo, record->ehlo, sizeof fact->ehlo);
    memcpy(fact->starttls_said, record->starttls_said, sizeof fact->starttls_said);
    fact->end_code = (uint16_t)attempt->code;
    /* a web server's own words lead on to where it wants to be asked */
    const char *said = fact->voice == VOICE_HTTP && record->greeting[0] != '\0' ? record->greeting
                                                                                : attempt->said;
    client_record_text(fact->said, sizeof fact->said, bytes_of_text(said), false);
}

/* ---- TLS, and what is offered behind it ---- */

static void fill_tls(struct fact_attempt *fact, const struct race_attempt *attempt,
                     const struct attempt_line *line)
{
    /* one that was hung up on in the middle, as another had won, has not failed */
    bool has_end = line->tls == FACT_TLS_DONE || !is_undecided(attempt);
    fact->tls = has_end ? line->tls : FACT_TLS_NOT_BEGUN;
    fact->tls_sent = line->tls_sent;
    fact->tls_received = line->tls_received;
    memcpy(fact->tls_version, line->tls_version, sizeof fact->tls_version);
    fact->certificate = line->certificate;
}

static void fill_offers(struct fact_attempt *fact, const struct race_attempt *attempt)
{
    const struct client_capabilities *offers = attempt->has_session ? &attempt->session.capabilities
                                                                    : &attempt->capabilities;
    bool is_known = attempt->secured && offers->esmtp;
    bool by_password = client_can_sign_in(offers->mechanisms, false),
         by_token = client_can_sign_in(offers->mechanisms, true),
         has_any = is_known && offers->mechanisms != 0;
    struct buffer names = {0};
    bool ready = attempt->verdict == PORT_OPEN || attempt->verdict == PORT_NO_AUTH;
    fact->auth_offered = known_if(is_known, offers->auth);
    fact->auth_passwords = known_if(has_any, by_password);
    fact->auth_tokens = known_if(has_any, by_token);
    client_mechanism_names(has_any ? offers->mechanisms : 0, &names);
    client_record_text(fact->mechanisms, sizeof fact->mechanisms, buffer_bytes(&names), false);
    buffer_free(&names);
    fact->ready = known_if(attempt->stage == ATTEMPT_READY || !is_undecided(attempt), ready);
}

void attempt_facts_fill(struct fact_attempt *fact, const struct race_attempt *attempt,
                        const struct attempt_line *line)
{
    _Static_assert(sizeof fact->greeting == sizeof attempt->record.greeting &&
                       sizeof fact->ehlo == sizeof attempt->record.ehlo &&
                       sizeof fact->starttls_said == sizeof attempt->record.starttls_said,
                   "a record's texts fit into a fact's");
    assert(attempt->port != NULL && attempt->address != NULL);
    *fact = (struct fact_attempt){.six = attempt->address->six,
                                  .port = attempt->port->port,
                                  .implicit_tls = attempt->tls == CLIENT_TLS_IMPLICIT};
    write_address(fact->address, sizeof fact->address, attempt->address);
    fill_reach(fact, attempt, line);
    fill_dialogue(fact, attempt);
    fill_tls(fact, attempt, line);
    fill_offers(fact, attempt);
}
