/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <string.h>

enum { ENDLESS_LINES = 300, ENDLESS_OCTETS = 6000 };

/* What it does at its step, in place of the answer that belongs there. */
struct peer_fault {
    const char *reply;
    enum { THEN_ON, THEN_CLOSE, THEN_STALL, THEN_TALK_ON, THEN_NO_LINE } then;
    bool doubled;
};

static const struct peer_fault faults[] = {
    {"450 4.2.1 try later, greylisted\r\n", THEN_ON, false},
    {"451-4.3.0 not\r\n451 4.3.0 now\r\n", THEN_ON, false},
    {"452 4.5.3 too many\r\n", THEN_ON, false},
    {"454 4.7.0 no TLS just now\r\n", THEN_ON, false},
    {"421 4.3.2 closing\r\n", THEN_CLOSE, false},
    {"421 4.3.2 closing, and yet here\r\n", THEN_STALL, false},
    {"500 what?\r\n", THEN_ON, false},
    {"550 5.1.1 nobody of that name\r\n", THEN_ON, false},
    {"552 too much\r\n", THEN_ON, false},
    {"554 5.7.1 not from you\r\n", THEN_CLOSE, false},
    {"354 go ahead\r\n", THEN_ON, false},
    {"334 \r\n", THEN_ON, false},
    {"250 ok\r\n", THEN_ON, false},
    {"220 ready\r\n", THEN_CLOSE, false},
    {"221 bye\r\n", THEN_CLOSE, false},
    {"250\r\n", THEN_ON, false},
    {"250 lone line feed\n", THEN_ON, false},
    {"250 ok\r\n250 ok\r\n", THEN_ON, true},
    {"450 no\r\n450 no\r\n", THEN_ON, true},
    {"550 no\r\n550 no\r\n", THEN_ON, true},
    {"354 go\r\n354 go\r\n", THEN_ON, true},
    {"220 go\r\n250 put in by somebody else\r\n", THEN_ON, true},
    {"199 too small\r\n", THEN_ON, false},
    {"999 too large\r\n", THEN_ON, false},
    {"\xff\xfe\x80 \x01 garbage\r\n", THEN_ON, false},
    {"450 \xe4\xf6\xfc \x1b[2J\r\n", THEN_ON, false},
    {"HTTP/1.1 400 Bad Request\r\n\r\n", THEN_CLOSE, false},
    {"450-one\r\n250 two\r\n", THEN_ON, false},
    {"250-", THEN_TALK_ON, false},
    {"450 ", THEN_NO_LINE, false},
    {"25", THEN_CLOSE, false},
    {"450 no end of line", THEN_CLOSE, false},
    {"450-more to come\r\n", THEN_STALL, false},
    {"", THEN_CLOSE, false},
    {"", THEN_STALL, false},
};

void peer_close(struct peer *peer)
{
    peer->stuck = true;
    buffer_free(&peer->content);
    end_close(peer->end);
}

/* ---- replies ---- */

static void say(struct peer *peer, const char *text)
{
    peer->said_never = peer->said_never || text[0] == '5';
    end_send(peer->end, bytes_of_text(text));
}

static void talk_without_end(struct peer *peer)
{
    struct buffer text = {0};
    for (int i = 0; i < ENDLESS_LINES; i++)
        buffer_add_text(&text, "250-and another thing\r\n");
    end_send(peer->end, buffer_bytes(&text));
    buffer_free(&text);
}

static void talk_without_lines(struct peer *peer)
{
    struct buffer text = {0};
    for (int i = 0; i < ENDLESS_OCTETS; i++)
        buffer_add_octet(&text, 'a');
    end_send(peer->end, buffer_bytes(&text));
    buffer_free(&text);
}

/* True if by this reply the peer takes responsibility: for the content, the sender, a recipient. */
static bool binds(enum peer_step step, const char *reply)
{
    return reply[0] == (step == PEER_DATA ? '3' : '2') && strchr(reply, '\n') != NULL && reply[3] != '-';
}

/* Answers at a step, correctly or with its fault; true for a positive reply. */
static bool answer(struct peer *peer, enum peer_step step, const char *right)
{
    if (step != peer->step || peer->patience-- > 0) {
        say(peer, right);
        return true;
    }
    const struct peer_fault *fault = peer->fault;
    peer->patience = (unsigned)world_random(peer->world, 2);
    peer->out_of_step = peer->out_of_step || fault->doubled;
    world_say(peer->world, "a peer misbehaves at step %d: %.20s", (int)step, fault->reply);
    say(peer, fault->reply);
    switch (fault->then) {
    case THEN_ON: break;
    case THEN_TALK_ON: talk_without_end(peer); return false;
    case THEN_NO_LINE: talk_without_lines(peer); return false;
    case THEN_STALL: peer->stuck = true; break;
    case THEN_CLOSE:
        end_close(peer->end);
        peer->stuck = true;
        break;
    }
    return binds(step, fault->reply);
}

/* ---- commands ---- */

static void hello(struct peer *peer)
{
    bool tls = peer->offers_tls && !peer->secured;
    answer(peer, PEER_EHLO,
           tls && peer->pipelining ? "250-peer\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
           : tls                   ? "250-peer\r\n250 STARTTLS\r\n"
           : peer->pipelining      ? "250-peer\r\n250-8BITMIME\r\n250-LIMITS RCPTMAX=2\r\n250 PIPELINING\r\n"
                                   : "250 peer\r\n");
}

static void recipient(struct peer *peer, struct bytes line)
{
    size_t from = bytes_search(line, BYTES("<")), to = bytes_search(line, BYTES(">"));
    if (from == SIZE_MAX || to == SIZE_MAX || to < from)
        return;
    struct bytes address = bytes_first(bytes_from(line, from + 1), to - from - 1);
    if (bytes_starts_nocase(address, "reject@")) {
        say(peer, "550 5.1.1 nobody of that name\r\n");
        return;
    }
    if (answer(peer, PEER_RCPT, "250 ok\r\n") && peer->accepted_count < ARRAY_LENGTH(peer->accepted))
        peer->accepted[peer->accepted_count++] = arena_copy(&peer->world->memory, address);
}

/* The final reply: the peer has taken responsibility, even if the reply gets lost. */
static void end_of_content(struct peer *peer)
{
    struct bytes content = buffer_bytes(&peer->content);
    bool lost = world_chance(peer->world, 100); /* the reply goes out, and the connection goes first */
    peer->in_content = false;
    if (lost ? true : answer(peer, PEER_END, "250 taken\r\n")) {
        for (size_t i = 0; i < peer->accepted_count; i++)
            letters_arrived(peer->letters, peer->accepted[i], content);
        if (peer->out_of_step)
            letters_confused(peer->letters, content);
    }
    peer->accepted_count = 0;
    buffer_clear(&peer->content);
    if (lost)
        peer_close(peer);
}

static void content_line(struct peer *peer, struct bytes line)
{
    if (bytes_is(line, ".\r\n"))
        end_of_content(peer);
    else
        buffer_add(&peer->content, line.at[0] == '.' ? bytes_from(line, 1) : line);
}

static void command(struct peer *peer, struct bytes line)
{
    if (bytes_starts_nocase(line, "EHLO") || bytes_starts_nocase(line, "HELO")) {
        hello(peer);
    } else if (bytes_starts_nocase(line, "STARTTLS")) {
        peer->secured = answer(peer, PEER_STARTTLS, "220 go\r\n");
    } else if (bytes_starts_nocase(line, "MAIL")) {
        peer->accepted_count = 0;
        if (peer->must_secure && !peer->secured)
            peer->letters->in_clear++;
        answer(peer, PEER_MAIL, "250 ok\r\n");
    } else if (bytes_starts_nocase(line, "RCPT")) {
        recipient(peer, line);
    } else if (bytes_starts_nocase(line, "DATA")) {
        if (peer->accepted_count == 0)
            say(peer, "503 5.5.1 nobody to send it to\r\n");
        else
            peer->in_content = answer(peer, PEER_DATA, "354 go\r\n");
    } else if (bytes_starts_nocase(line, "QUIT")) {
        say(peer, "221 bye\r\n");
        peer_close(peer);
    } else {
        peer->accepted_count = bytes_starts_nocase(line, "RSET") ? 0 : peer->accepted_count;
        say(peer, "250 ok\r\n");
    }
}

static void on_input(void *owner)
{
    struct peer *peer = owner;
    size_t at;
    while (!peer->stuck && (at = bytes_search(buffer_bytes(&peer->end->input), BYTES("\r\n"))) != SIZE_MAX) {
        struct bytes line = arena_copy(&peer->world->memory,
                                       bytes_first(buffer_bytes(&peer->end->input), at + 2));
        buffer_consume(&peer->end->input, at + 2);
        if (peer->in_content)
            content_line(peer, line);
        else
            command(peer, line);
    }
}

static void on_end(void *owner)
{
    peer_close(owner);
}

struct peer *peer_open(struct world *world, struct letters *letters, struct end *end, bool must_secure)
{
    struct peer *peer = ARENA_NEW(&world->memory, struct peer);
    *peer = (struct peer){.world = world, .letters = letters, .end = end, .must_secure = must_secure};
    peer->step = (enum peer_step)world_random(world, PEER_STEPS);
    peer->fault = &faults[world_random(world, ARRAY_LENGTH(faults))];
    peer->patience = (unsigned)world_random(world, 3);
    if (peer->step <= PEER_STARTTLS)
        peer->patience = 0;
    peer->offers_tls = world_random(world, 3) > 0;
    peer->pipelining = world_random(world, 2) == 0;
    end->on_input = on_input;
    end->on_end = on_end;
    end->owner = peer;
    answer(peer, PEER_GREETING, "220 peer\r\n");
    return peer;
}
