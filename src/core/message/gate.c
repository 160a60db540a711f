/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/gate.h"

#include <assert.h>

/* Asserts what must hold between two calls. */
static void check_invariant(const struct gate *gate)
{
    bool holds_header = gate->stage == GATE_HEADER || gate->stage == GATE_ASKING;
    assert(gate->observer_count <= GATE_OBSERVERS_MAX);
    assert((gate->fault != GATE_FINE) == (gate->stage == GATE_REFUSED));
    assert(holds_header || gate->stage == GATE_REFUSED || gate->header.text.length == 0);
    assert(!holds_header || (gate->options.checks_header && gate->size == 0));
    assert(gate->stage != GATE_ASKING || (gate->header.whole && gate->author.length > 0));
    assert(gate->line_length <= 2);
}

void gate_start(struct gate *gate, const struct gate_options *options)
{
    gate_free(gate);
    gate->options = *options;
    gate->stage = options->checks_header ? GATE_HEADER : GATE_OPEN;
    check_invariant(gate);
}

void gate_observe(struct gate *gate, struct gate_observer observer)
{
    assert(gate->observer_count < GATE_OBSERVERS_MAX && gate->size == 0);
    gate->observers[gate->observer_count++] = observer;
}

void gate_stamp(struct gate *gate, const struct header_stamp *stamp)
{
    gate->stamp = *stamp;
}

void gate_free(struct gate *gate)
{
    header_free(&gate->header);
    buffer_free(&gate->fixed);
    *gate = (struct gate){0};
}

/* ---- observers ---- */

static void show(struct gate *gate, enum gate_part part, struct bytes octets)
{
    for (size_t i = 0; i < gate->observer_count && (octets.length > 0 || part == GATE_PART_END); i++)
        gate->observers[i].see(gate->observers[i].state, part, octets);
}

/* Returns the octets of the run up to the end of the header's empty line: CRLF, or a lone LF in a binary
 * message. */
static size_t header_part(struct gate *gate, struct bytes octets)
{
    size_t at = 0;
    while (at < octets.length && !gate->in_body) {
        char octet = octets.at[at++];
        if (octet == '\n') {
            gate->in_body = gate->line_length == 0 || (gate->line_length == 1 && gate->line_is_cr);
            gate->line_length = 0;
        } else {
            gate->line_is_cr = gate->line_length == 0 && octet == '\r';
            gate->line_length += gate->line_length < 2;
        }
    }
    return at;
}

static enum gate_verdict pass(struct gate *gate, struct bytes octets, struct bytes *run)
{
    gate->size += octets.length;
    *run = octets;
    if (gate->observer_count > 0) {
        size_t header = header_part(gate, octets);
        show(gate, GATE_PART_HEADER, bytes_first(octets, header));
        show(gate, GATE_PART_BODY, bytes_from(octets, header));
    }
    check_invariant(gate);
    return GATE_PASS;
}

/* ---- the held header ---- */

static enum gate_verdict refuse(struct gate *gate, enum gate_fault fault)
{
    gate->stage = GATE_REFUSED;
    gate->fault = fault;
    buffer_free(&gate->header.text);
    check_invariant(gate);
    return GATE_REFUSE;
}

/* Releases the header as it is stored, with the content after it. */
static enum gate_verdict release(struct gate *gate, struct bytes *run)
{
    gate->stage = GATE_OPEN;
    gate->author = bytes_none();
    header_fix(&gate->header, &gate->stamp, &gate->fixed);
    header_free(&gate->header);
    return pass(gate, buffer_bytes(&gate->fixed), run);
}

/* Asks about the next author other than the sender; after the last one the header passes. */
static enum gate_verdict ask_or_release(struct gate *gate, struct bytes *run)
{
    do
        gate->author = header_author(&gate->header, &gate->author_at);
    while (gate->author.length > 0 && bytes_equal_nocase(gate->author, gate->options.sender));
    if (gate->author.length == 0)
        return release(gate, run);
    gate->stage = GATE_ASKING;
    check_invariant(gate);
    return GATE_ASK;
}

static enum gate_verdict check_header(struct gate *gate, struct bytes *run)
{
    struct header_rules rules = {.utf8_allowed = gate->options.utf8_allowed,
                                 .repairs = gate->options.repairs,
                                 .author_required = gate->options.author_required,
                                 .domain = gate->options.domain,
                                 .adds_sender = gate->options.repairs && gate->options.sender.length > 0};
    if (header_check(&gate->header, &rules) != HEADER_FINE)
        return refuse(gate, GATE_BAD_HEADER);
    return ask_or_release(gate, run);
}

/* ---- content ---- */

/* Returns the start of content whose header is not held. */
static struct bytes begin_unheld(struct gate *gate, struct bytes octets)
{
    bool continues = octets.length > 0 && (octets.at[0] == ' ' || octets.at[0] == '\t');
    assert(gate->size == 0 && gate->fixed.length == 0);
    if (!continues)
        return octets;
    buffer_add_text(&gate->fixed, "\r\n");
    buffer_add(&gate->fixed, octets);
    return buffer_bytes(&gate->fixed);
}

enum gate_verdict gate_feed(struct gate *gate, struct bytes octets, struct bytes *run)
{
    check_invariant(gate);
    *run = bytes_none();
    switch (gate->stage) {
    case GATE_HEADER:
        header_add(&gate->header, octets);
        return header_is_whole(&gate->header) ? check_header(gate, run) : GATE_HOLD;
    case GATE_OPEN:
        buffer_free(&gate->fixed);
        if (gate->size == 0 && !gate->options.checks_header)
            octets = begin_unheld(gate, octets);
        return pass(gate, octets, run);
    case GATE_REFUSED: return GATE_REFUSE;
    case GATE_CLOSED:
    case GATE_ASKING:
    case GATE_ENDED: break;
    }
    assert(gate->stage == GATE_OPEN); /* the gate accepts no content in other stages */
    return GATE_REFUSE;
}

enum gate_verdict gate_end(struct gate *gate, struct bytes *run)
{
    check_invariant(gate);
    assert(gate->stage != GATE_CLOSED && gate->stage != GATE_ASKING);
    *run = bytes_none();
    if (gate->stage == GATE_HEADER) {
        header_finish(&gate->header);
        enum gate_verdict verdict = check_header(gate, run);
        if (verdict != GATE_PASS)
            return verdict;
    }
    if (gate->stage == GATE_REFUSED)
        return GATE_REFUSE;
    if (gate->stage == GATE_OPEN)
        show(gate, GATE_PART_END, bytes_none());
    gate->stage = GATE_ENDED;
    return GATE_PASS;
}

enum gate_verdict gate_answer(struct gate *gate, enum gate_author answer, struct bytes *run)
{
    check_invariant(gate);
    assert(gate->stage == GATE_ASKING);
    *run = bytes_none();
    switch (answer) {
    case GATE_AUTHOR_ALLOWED: return ask_or_release(gate, run);
    case GATE_AUTHOR_FORBIDDEN: return refuse(gate, GATE_FORGED);
    case GATE_AUTHOR_UNKNOWN: break;
    }
    return refuse(gate, GATE_UNKNOWN);
}
