/* SPDX-License-Identifier: Apache-2.0 */
#include "rude.h"

enum { RUDE_RECIPIENTS_MAX = 8, RUDE_OCTETS = 200, RUDE_LINES = 300 };

enum step { AT_GREETING, AT_EHLO, AT_MAIL, AT_RCPT, AT_DATA, AT_END, STEPS };
enum strike { REFUSES, IS_BUSY, TALKS_NONSENSE, ANSWERS_TWICE, NEVER_STOPS, SENDS_GARBAGE, SENDS_HALF, IS_SILENT, HANGS_UP, STRIKES };

struct rude {
    struct letters *letters;
    struct end *end;
    enum step at; /* where it strikes */
    enum strike strike;
    bool struck, in_content, over;
    struct buffer content;
    struct bytes recipients[RUDE_RECIPIENTS_MAX];
    size_t recipient_count;
};

static void say(struct rude *rude, const char *line)
{
    end_send(rude->end, bytes_of_text(line));
    end_send(rude->end, BYTES("\r\n"));
}

static void hang_up(struct rude *rude)
{
    if (rude->over)
        return;
    rude->over = true;
    buffer_free(&rude->content);
    end_close(rude->end);
}

static void send_garbage(struct rude *rude)
{
    char octets[RUDE_OCTETS];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (char)(1 + world_random(rude->letters->world, 255));
    end_send(rude->end, bytes_of(octets, sizeof octets));
    end_send(rude->end, BYTES("\r\n"));
}

static void misbehave(struct rude *rude, enum step step, const char *proper)
{
    rude->struck = true;
    switch (rude->strike) {
    case REFUSES: /* who refuses everybody says nothing about the recipient */
        say(rude, step <= AT_EHLO && world_random(rude->letters->world, 2) == 0 ? "554 5.3.2 not you" : "450 4.3.0 not now");
        break;
    case IS_BUSY:
        say(rude, "421 4.3.2 too much to do");
        hang_up(rude);
        break;
    case TALKS_NONSENSE: say(rude, step == AT_DATA ? "250 what" : "354 what"); break;
    case ANSWERS_TWICE:
        say(rude, proper);
        say(rude, proper);
        break;
    case NEVER_STOPS:
        for (int i = 0; i < RUDE_LINES; i++)
            say(rude, "250-and another thing");
        break;
    case SENDS_GARBAGE: send_garbage(rude); break;
    case SENDS_HALF:
        end_send(rude->end, bytes_first(bytes_of_text(proper), 1 + (size_t)world_random(rude->letters->world, 4)));
        hang_up(rude);
        break;
    case IS_SILENT: break;
    case HANGS_UP:
    case STRIKES: hang_up(rude); break;
    }
}

static void reply(struct rude *rude, enum step step, const char *proper)
{
    if (step == rude->at && !rude->struck)
        misbehave(rude, step, proper);
    else
        say(rude, proper);
}

/* ---- a message ---- */

/* Who misbehaves at the end may have kept it or not; then nobody can know. */
static void take_message(struct rude *rude)
{
    bool strikes = rude->at == AT_END && !rude->struck;
    bool keeps = !strikes || rude->strike == ANSWERS_TWICE || (rude->strike >= SENDS_HALF && world_random(rude->letters->world, 2) == 0);
    struct bytes content = buffer_bytes(&rude->content);
    if (keeps && rude->struck) /* the client may have misunderstood */
        letters_uncertain(rude->letters, content, "a rude server kept it after all");
    for (size_t i = 0; keeps && i < rude->recipient_count; i++)
        letters_arrived(rude->letters, rude->recipients[i], content);
    rude->recipient_count = 0;
    reply(rude, AT_END, "250 2.0.0 kept");
    if (!rude->over)
        buffer_clear(&rude->content);
}

static void take_content(struct rude *rude, struct bytes line)
{
    if (bytes_is(line, ".\r\n")) {
        rude->in_content = false;
        take_message(rude);
    } else {
        buffer_add(&rude->content, line.at[0] == '.' ? bytes_from(line, 1) : line);
    }
}

/* ---- commands ---- */

static void take_rcpt(struct rude *rude, struct bytes line)
{
    size_t open = bytes_find(line, '<'), close = bytes_find(line, '>');
    struct bytes address = open == SIZE_MAX || close == SIZE_MAX ? bytes_none() : bytes_from(bytes_first(line, close), open + 1);
    bool gone = bytes_starts_nocase(address, "reject@");
    bool takes = !gone && rude->recipient_count < RUDE_RECIPIENTS_MAX && !(rude->at == AT_RCPT && !rude->struck && rude->strike != ANSWERS_TWICE);
    if (takes)
        rude->recipients[rude->recipient_count++] = arena_copy(&rude->letters->world->memory, address);
    reply(rude, AT_RCPT, gone ? "550 5.1.1 nobody of that name" : "250 2.1.5 ok");
}

static void take_command(struct rude *rude, struct bytes line)
{
    if (bytes_starts_nocase(line, "EHLO")) {
        reply(rude, AT_EHLO, "250-rude\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES");
    } else if (bytes_starts_nocase(line, "MAIL")) {
        rude->recipient_count = 0;
        reply(rude, AT_MAIL, "250 2.1.0 ok");
    } else if (bytes_starts_nocase(line, "RCPT")) {
        take_rcpt(rude, line);
    } else if (bytes_starts_nocase(line, "DATA") && rude->recipient_count == 0) {
        say(rude, "503 5.5.1 no recipients");
    } else if (bytes_starts_nocase(line, "DATA")) {
        rude->in_content = rude->at != AT_DATA || rude->struck || rude->strike == ANSWERS_TWICE;
        reply(rude, AT_DATA, "354 go on");
    } else if (bytes_starts_nocase(line, "QUIT")) {
        say(rude, "221 2.0.0 bye");
        hang_up(rude);
    } else {
        say(rude, "250 2.0.0 ok");
    }
}

static void on_input(void *owner)
{
    struct rude *rude = owner;
    while (!rude->over) {
        struct bytes input = buffer_bytes(&rude->end->input);
        size_t newline = bytes_find(input, '\n');
        if (newline == SIZE_MAX)
            return;
        struct bytes line = arena_copy(&rude->letters->world->memory, bytes_first(input, newline + 1));
        buffer_consume(&rude->end->input, newline + 1);
        if (rude->in_content)
            take_content(rude, line);
        else
            take_command(rude, line);
    }
}

static void on_end(void *owner)
{
    hang_up(owner);
}

void rude_open(struct letters *letters, struct end *end)
{
    struct rude *rude = ARENA_NEW(&letters->world->memory, struct rude);
    *rude = (struct rude){.letters = letters, .end = end, .at = (enum step)world_random(letters->world, STEPS), .strike = (enum strike)world_random(letters->world, STRIKES)};
    end->on_input = on_input;
    end->on_end = on_end;
    end->owner = rude;
    world_say(letters->world, "a rude server: step %u, strike %u", rude->at, rude->strike);
    reply(rude, AT_GREETING, "220 rude");
}
