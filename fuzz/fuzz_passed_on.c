/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is accepted and passed on: a client's recipients and content go through
 * the server session, and what is stored through the client session to a peer.
 * What left is then read a second time, by readers of this file alone: one as
 * strict and one as lax as there are must see the same single message.
 */
#include <stdio.h>

#include "choices.h"
#include "core/client/client_session.h"
#include "core/server/server_session.h"

enum { RECIPIENTS = 4, CUTS_MAX = 20 };

struct passed_on_world {
    struct choices choices;
    struct arena arena;
    struct envelope envelope; /* as it was stored */
    struct recipient recipients[RECIPIENTS];
    struct buffer stored, sent, replies;
    bool accepted;
    /* the peer, a strict reader */
    size_t read; /* of `sent` */
    uint64_t chunk_left;
    bool in_data, by_data, chunking, ended;
    struct buffer mails, content; /* lines of MAIL and RCPT; the content as the peer has it */
    struct bytes top;             /* put above it, or empty */
    struct buffer formed;         /* the content as a signature is made of it */
};

/* ---- in ---- */

static void keep_envelope(struct passed_on_world *world, const struct envelope *from)
{
    INSIST(from->recipient_count <= RECIPIENTS);
    world->envelope = *from;
    world->envelope.sender = arena_copy(&world->arena, from->sender);
    world->envelope.envid = arena_copy(&world->arena, from->envid);
    world->envelope.recipients = world->recipients;
    for (size_t i = 0; i < from->recipient_count; i++) {
        world->recipients[i] = from->recipients[i];
        world->recipients[i].address = arena_copy(&world->arena, from->recipients[i].address);
        world->recipients[i].orcpt = arena_copy(&world->arena, from->recipients[i].orcpt);
    }
}

static void take(struct passed_on_world *world, struct server_session *session)
{
    struct server_action action;
    while (server_session_action(session, &action)) {
        if (action.kind == SERVER_ASK_RECIPIENT) {
            struct recipient target = {.address = arena_copy(&world->arena, action.address)};
            server_session_answer_recipient(session, RECIPIENT_KNOWN, &target, 1);
        } else if (action.kind == SERVER_CONTENT_BEGIN) {
            buffer_clear(&world->stored);
        } else if (action.kind == SERVER_CONTENT && !world->accepted) {
            buffer_add(&world->stored, action.bytes);
        } else if (action.kind == SERVER_ASK_STORE) {
            if (!world->accepted)
                keep_envelope(world, action.envelope);
            world->accepted = true; /* the first; what is smuggled behind it is the client's own */
            server_session_answer_store(session, STORE_DONE, BYTES("1"));
        }
    }
}

/* The client's octets: fuzzed recipients, one a line, then an empty one, then the content. Returns how many
 * come before the reply to DATA; all of them with chunks. */
static size_t add_client(struct passed_on_world *world, struct buffer *out, struct bytes input)
{
    static const char *const bodies[] = {"", " BODY=8BITMIME", " BODY=BINARYMIME", " SMTPUTF8"};
    unsigned body = choose(&world->choices, 4);
    bool chunks = choose(&world->choices, 2) == 1 || body == 2;
    buffer_add_format(out, "EHLO a\r\nMAIL FROM:<b@example.net>%s\r\nRCPT TO:<ada@example.org>\r\n",
                      bodies[body]);
    for (struct bytes line; input.length > 0 && (line = bytes_split(&input, '\n')).length > 0;)
        buffer_add_format(out, "RCPT TO:<%.*s>\r\n", BYTES_ARG(line));
    if (!chunks) {
        buffer_add_text(out, "DATA\r\n");
        size_t turn = out->length;
        buffer_add(out, input);
        buffer_add_text(out, "\r\n.\r\n");
        return turn;
    }
    for (unsigned cuts = 0; cuts < CUTS_MAX && input.length > 0; cuts++) {
        struct bytes piece = cuts + 1 == CUTS_MAX ? input
                                                  : bytes_first(input, 1 + choose(&world->choices, 64));
        buffer_add_format(out, "BDAT %zu\r\n", piece.length);
        buffer_add(out, piece);
        input = bytes_from(input, piece.length);
    }
    buffer_add_text(out, "BDAT 0 LAST\r\n");
    return out->length;
}

static void accept_message(struct passed_on_world *world, struct bytes input)
{
    static const struct server_policy policy = {.role = ROLE_MX,
                                                .tls = TLS_NONE,
                                                .hostname = BYTES("mx.example.org"),
                                                .message_size_max = 100000,
                                                .recipients_max = RECIPIENTS};
    struct server_session session;
    struct buffer said = {0};
    size_t used = 0, step;
    size_t turn = add_client(world, &said, input);
    server_session_start(&session, &policy, BYTES("192.0.2.1"), 25, bytes_none(), bytes_none());
    do {
        take(world, &session);
        struct bytes heard = bytes_first(buffer_bytes(&said), used < turn ? turn : said.length);
        step = server_session_feed(&session, bytes_from(heard, used));
        used += step;
    } while (step > 0);
    take(world, &session);
    server_session_free(&session);
    buffer_free(&said);
}

/* ---- out: the strict reader, who answers ---- */

static void hear_line(struct passed_on_world *world, struct bytes line)
{
    const char *reply = "250 2.0.0 ok\r\n";
    INSIST(!bytes_has_control(line) && line.length <= 2048);
    if (bytes_starts_nocase(line, "EHLO "))
        reply = world->chunking ? "250-peer\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-BINARYMIME\r\n250-"
                                  "CHUNKING\r\n250 PIPELINING\r\n"
                                : "250-peer\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 PIPELINING\r\n";
    if (bytes_starts_nocase(line, "MAIL") || bytes_starts_nocase(line, "RCPT")) {
        buffer_add(&world->mails, line);
        buffer_add_octet(&world->mails, '\n');
    }
    if (bytes_is(line, "DATA")) {
        reply = "354 go\r\n";
        world->in_data = world->by_data = true;
    }
    if (bytes_starts_nocase(line, "BDAT ")) {
        struct bytes rest = bytes_from(line, 5);
        INSIST(bytes_to_u64(bytes_split(&rest, ' '), 1000000, &world->chunk_left));
        world->ended = bytes_is(rest, "LAST");
    }
    buffer_add_text(&world->replies, reply);
}

/* A line of content by DATA, or the dot. */
static void hear_content(struct passed_on_world *world, struct bytes line)
{
    if (bytes_is(line, ".")) {
        world->in_data = false;
        world->ended = true;
        buffer_add_text(&world->replies, "250 2.0.0 taken\r\n");
        return;
    }
    buffer_add(&world->content, bytes_from(line, line.length > 0 && line.at[0] == '.' ? 1 : 0));
    buffer_add_text(&world->content, "\r\n");
}

static void hear(struct passed_on_world *world)
{
    for (;;) {
        struct bytes left = bytes_from(buffer_bytes(&world->sent), world->read);
        if (world->chunk_left > 0) {
            struct bytes piece = bytes_first(left, world->chunk_left);
            if (piece.length == 0)
                return;
            buffer_add(&world->content, piece);
            world->chunk_left -= piece.length;
            world->read += piece.length;
            continue;
        }
        size_t end = bytes_search(left, BYTES("\r\n"));
        if (end == SIZE_MAX)
            return;
        world->read += end + 2;
        if (world->in_data)
            hear_content(world, bytes_first(left, end));
        else
            hear_line(world, bytes_first(left, end));
    }
}

/* Forms the stored content ahead, in other runs than the session gets it. */
static void form_ahead(struct passed_on_world *world, struct content_form form)
{
    struct formed_content formed;
    struct bytes left = buffer_bytes(&world->stored);
    unsigned at = choose(&world->choices, 64) + 1;
    content_formed_start(&formed, form);
    for (; left.length > 0; left = bytes_from(left, left.length < at ? left.length : at))
        content_formed_add(&formed, &world->formed, bytes_first(left, at));
    content_formed_end(&formed, &world->formed);
    content_formed_free(&formed);
    INSIST(content_form_number(form) < CONTENT_FORMS);
}

static void pass_on(struct passed_on_world *world)
{
    struct client_options options = {.helo = BYTES("client.example.org"), .tls = CLIENT_TLS_NEVER};
    struct client_session session;
    struct client_action action;
    struct bytes content = buffer_bytes(&world->stored);
    size_t given = 0, used, replies = 0;
    bool begun = false;
    if (world->chunking && choose(&world->choices, 2) == 1)
        world->envelope.size += CONTENT_RUN_MAX; /* large enough for chunks */
    client_session_start(&session, &options);
    buffer_add_text(&world->replies, "220 peer\r\n");
    do {
        while (client_session_action(&session, &action)) {
            if (action.kind == CLIENT_SEND)
                buffer_add(&world->sent, action.bytes);
            else if (action.kind == CLIENT_READY && !begun) {
                begun = true;
                world->top = choose(&world->choices, 2) == 1 ? BYTES("X-Top: a\r\n\tb\r\n") : bytes_none();
                form_ahead(world, client_session_form(&session, &world->envelope));
                client_session_send_below(&session, &world->envelope, world->top);
            } else if (action.kind == CLIENT_WANT_CONTENT) {
                given = action.begins ? 0 : given;
                struct bytes run = bytes_first(bytes_from(content, given), choose(&world->choices, 64) * 3);
                if (run.length == 0)
                    run = bytes_from(content, given);
                given += run.length;
                client_session_content(&session, run, given == content.length);
            } else if (action.kind == CLIENT_SENT) {
                for (size_t i = 0; i < action.result_count; i++)
                    INSIST(action.results[i].outcome == OUTCOME_DELIVERED);
            } else {
                INSIST(action.kind != CLIENT_FAILED);
            }
            hear(world);
        }
        used = client_session_feed(&session, bytes_from(buffer_bytes(&world->replies), replies));
        replies += used;
    } while (used > 0);
    client_session_free(&session);
}

/* ---- the second reading ---- */

/* Where somebody lax sees an end of DATA: a dot between any newlines, or NUL. */
static size_t lax_ends(struct bytes sent)
{
    size_t ends = 0;
    for (size_t i = 1; i + 1 < sent.length; i++) {
        bool before = sent.at[i - 1] == '\n' || sent.at[i - 1] == '\r',
             after = sent.at[i + 1] == '\n' || sent.at[i + 1] == '\r' || sent.at[i + 1] == '\0';
        ends += sent.at[i] == '.' && before && after && sent.at[i + 1] != '\0';
    }
    return ends;
}

static void check(struct passed_on_world *world)
{
    struct bytes sent = buffer_bytes(&world->sent), lines = buffer_bytes(&world->mails),
                 content = buffer_bytes(&world->content), stored = buffer_bytes(&world->stored),
                 formed = buffer_bytes(&world->formed);
    INSIST(world->ended && !world->in_data && world->chunk_left == 0 && world->read == sent.length);
    /* The envelope: one MAIL, and each recipient once, to the octet. */
    INSIST(bytes_starts_nocase(bytes_split(&lines, '\n'), "MAIL FROM:<b@example.net>"));
    for (size_t i = 0; i < world->envelope.recipient_count; i++) {
        struct buffer wanted = {0};
        struct bytes line = bytes_split(&lines, '\n');
        buffer_add_format(&wanted, "RCPT TO:<%.*s>", BYTES_ARG(world->recipients[i].address));
        INSIST(bytes_equal(bytes_first(line, wanted.length), buffer_bytes(&wanted)));
        buffer_free(&wanted);
    }
    INSIST(lines.length == 0);
    /* What was put above it, then what a signature is made of, but for a missing end of line. */
    INSIST(bytes_equal(bytes_first(content, world->top.length), world->top));
    content = bytes_from(content, world->top.length);
    INSIST(bytes_equal(bytes_first(content, formed.length), formed));
    INSIST(content.length == formed.length || (world->by_data && content.length == formed.length + 2));
    /* The content: what was stored, with the end of line that DATA needs. */
    bool added = world->by_data && (stored.length < 2 || stored.at[stored.length - 1] != '\n') &&
                 stored.length > 0;
    /* then its words are others */
    bool encoded = world->envelope.body == BODY_BINARYMIME && !world->chunking;
    INSIST(encoded || (content.length == stored.length + (added ? 2 : 0) &&
                       bytes_equal(bytes_first(content, stored.length), stored)));
    for (size_t i = 0; i < sent.length && (encoded || world->envelope.body != BODY_BINARYMIME); i++) {
        INSIST(sent.at[i] != '\n' || (i > 0 && sent.at[i - 1] == '\r'));
        INSIST(sent.at[i] != '\r' || (i + 1 < sent.length && sent.at[i + 1] == '\n'));
    }
    INSIST(!world->by_data || lax_ends(sent) == 1);
}

/* For tests/passed_on.py: what was stored and what the peer has. */
static void show(const struct passed_on_world *world)
{
    const char *path = getenv("FUZZ_SHOW");
    FILE *file = path == NULL ? NULL : fopen(path, "ab");
    if (file == NULL)
        return;
    struct bytes content = bytes_from(buffer_bytes(&world->content), world->top.length);
    fprintf(file, "%zu %zu\n", world->stored.length, content.length);
    fwrite(buffer_text(&world->stored), 1, world->stored.length, file);
    if (content.length > 0)
        fwrite(content.at, 1, content.length, file);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct passed_on_world world = {0};
    struct bytes input = choices_start(&world.choices, data, size);
    world.chunking = choose(&world.choices, 2) == 1;
    accept_message(&world, input);
    if (world.accepted) {
        pass_on(&world);
        check(&world);
        show(&world);
    }
    struct buffer *buffers[] = {&world.stored, &world.sent,    &world.replies,
                                &world.mails,  &world.content, &world.formed};
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        buffer_free(buffers[i]);
    arena_clear(&world.arena);
    return 0;
}
