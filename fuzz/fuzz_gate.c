/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any content, in any pieces, with any answers about its authors: what passes
 * is the same however it came; observers see exactly that, once; of what is
 * refused nothing passes.
 */
#include "choices.h"
#include "core/message/gate.h"

struct passage {
    struct gate gate;
    struct buffer stored, seen;
    bool in_body, ended, forbids;
    enum gate_verdict last;
};

static void see(void *state, enum gate_part part, struct bytes octets)
{
    struct passage *p = state;
    INSIST(!p->ended && (octets.length > 0) == (part != GATE_PART_END));
    INSIST(part != GATE_PART_HEADER || !p->in_body);
    p->in_body = part == GATE_PART_BODY;
    p->ended = part == GATE_PART_END;
    buffer_add(&p->seen, octets);
}

static void obey(struct passage *p, enum gate_verdict verdict, struct bytes run)
{
    for (; verdict == GATE_ASK;
         verdict = gate_answer(&p->gate, p->forbids ? GATE_AUTHOR_FORBIDDEN : GATE_AUTHOR_ALLOWED, &run))
        INSIST(gate_is_asking(&p->gate) && p->gate.author.length > 0);
    if (verdict == GATE_PASS)
        buffer_add(&p->stored, run);
    p->last = verdict;
}

static void let_pass(struct passage *p, const struct gate_options *options, struct bytes text,
                     struct choices *choices)
{
    struct bytes run;
    gate_start(&p->gate, options);
    gate_observe(&p->gate, (struct gate_observer){see, p});
    gate_stamp(&p->gate, &(struct header_stamp){.now_ms = 1795435200000u, .message_id = BYTES("1@mx")});
    while (text.length > 0) {
        struct bytes piece = choices == NULL ? text : bytes_first(text, 1 + choose(choices, 30));
        enum gate_verdict verdict = gate_feed(&p->gate, piece, &run);
        obey(p, verdict, run);
        text = bytes_from(text, piece.length);
    }
    do {
        enum gate_verdict verdict = gate_end(&p->gate, &run);
        obey(p, verdict, run);
    } while (p->gate.stage == GATE_OPEN);
}

static void end(struct passage *p)
{
    bool refused = p->last == GATE_REFUSE;
    INSIST(refused == (p->gate.stage == GATE_REFUSED) && refused == (p->gate.fault != GATE_FINE));
    INSIST(p->ended == !refused);
    INSIST(bytes_equal(buffer_bytes(&p->seen), buffer_bytes(&p->stored)) && p->gate.size == p->stored.length);
    INSIST(!refused || p->stored.length == 0);
    gate_free(&p->gate);
    buffer_free(&p->stored);
    buffer_free(&p->seen);
}

/* True if content without a held header passed as it is, behind an empty line if it begins like a field's
 * second line. */
static bool is_unheld(struct bytes stored, struct bytes text)
{
    if (text.length > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        return bytes_starts_nocase(stored, "\r\n") && bytes_equal(bytes_from(stored, 2), text);
    return bytes_equal(stored, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct bytes text = choices_start(&choices, data, size);
    struct gate_options options = {.checks_header = choose(&choices, 4) != 0,
                                   .utf8_allowed = choose(&choices, 2) != 0,
                                   .sender = BYTES("ada@example.org")};
    struct passage pieces = {.forbids = choose(&choices, 2) != 0}, whole = {.forbids = pieces.forbids};
    let_pass(&pieces, &options, text, &choices);
    let_pass(&whole, &options, text, NULL);
    INSIST(pieces.last == whole.last && pieces.gate.fault == whole.gate.fault);
    INSIST(bytes_equal(buffer_bytes(&pieces.stored), buffer_bytes(&whole.stored)));
    INSIST(options.checks_header || is_unheld(buffer_bytes(&whole.stored), text));
    end(&pieces);
    end(&whole);
    return 0;
}
