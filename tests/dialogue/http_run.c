/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_run: plays transcripts against the HTTP session. script.h tells the form of a file; here are its
 * lines:
 *
 *   C: GET / HTTP/1.1    the client sends this line; C- sends it without CRLF
 *   S: 200 keeps         an answer with this status, whole, that keeps the connection; or closes: it is the
 * last S= 200 keeps         the same without a body, as HEAD gets it S- 100               an interim answer
 *   = abc                the body of the last answer: that of its request
 *   ? nothing | close    no answer yet; the connection ends without one
 *   ! timeout | drain    the clock, the operator
 *
 * The resources are like those of a server: / of mx.example.org, and a POST to /autodiscover/autodiscover.xml
 * with a body of at most 8 KiB.
 */
#include "core/http/http_session.h"
#include "script.h"

enum { BODY_MAX = 8 * 1024 };

struct play {
    struct script *script;
    struct http_session session;
    struct buffer input;   /* sent by the client and not consumed yet */
    size_t there;          /* part of it that has arrived */
    struct buffer answers; /* sent by the server and not expected yet */
    struct buffer body;    /* of the request */
    struct bytes said;     /* of the last answer */
    bool closed, lingers;
};

static const uint64_t now_ms = 1795435200000u;

static void answer(struct play *play, enum http_status status, unsigned allow)
{
    struct http_answer made = {.status = status,
                               .type = BYTES("text/plain"),
                               .body = play->body.length > 0 ? buffer_bytes(&play->body) : BYTES("found"),
                               .allow = allow};
    http_session_answer(&play->session, &made, now_ms);
    buffer_clear(&play->body);
}

static void answer_head(struct play *play, const struct http_request *request)
{
    struct bytes host = bytes_first(request->host, bytes_find(request->host, ':'));
    bool gets = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    bool is_post = bytes_is(request->path, "/autodiscover/autodiscover.xml");
    if (!gets && request->method != HTTP_METHOD_POST)
        answer(play, HTTP_METHOD_NOT_ALLOWED, HTTP_METHOD_GET | HTTP_METHOD_HEAD | HTTP_METHOD_POST);
    else if (is_post && !gets)
        http_session_take_body(&play->session, BODY_MAX, now_ms);
    else if (bytes_is(request->path, "/") && gets && bytes_is_nocase(host, "mx.example.org"))
        answer(play, HTTP_OK, 0);
    else
        answer(play, HTTP_NOT_FOUND, 0);
}

/* Makes one step of the machine; false if nothing changes any more. */
static bool step(struct play *play)
{
    struct http_action action;
    if (http_session_action(&play->session, &action)) {
        if (action.kind == HTTP_SEND)
            buffer_add(&play->answers, action.bytes);
        else if (action.kind == HTTP_BODY)
            buffer_add(&play->body, action.bytes);
        else if (action.kind == HTTP_ASK_HEAD)
            answer_head(play, action.request);
        else if (action.kind == HTTP_ASK_ANSWER)
            answer(play, HTTP_OK, 0);
        else
            play->closed = true;
        return true;
    }
    if (!play->script->octet_by_octet)
        play->there = play->input.length;
    struct bytes there = bytes_first(buffer_bytes(&play->input), play->there);
    size_t used = http_session_feed(&play->session, there, now_ms);
    if (used > 0 && play->session.piece.length > 0 && http_session_action(&play->session, &action))
        buffer_add(&play->body, action.bytes);
    buffer_consume(&play->input, used);
    play->there -= used;
    if (used > 0 || play->session.out.length > 0)
        return true;
    if (play->there == play->input.length)
        return false;
    play->there++; /* another octet arrives */
    return true;
}

static void run(struct play *play)
{
    while (step(play))
        continue;
}

/* Returns the value of a field that an answer has exactly once; empty otherwise. */
static struct bytes field(struct bytes head, const char *name)
{
    struct bytes value = bytes_none();
    unsigned found = 0;
    while (head.length > 0) {
        struct bytes line = bytes_split(&head, '\n');
        if (bytes_starts_nocase(line, name)) {
            value = bytes_trim(bytes_first(bytes_from(line, strlen(name)), line.length - strlen(name) - 1));
            found++;
        }
    }
    return found == 1 ? value : bytes_none();
}

static struct bytes without_prefix(struct bytes b, struct bytes prefix)
{
    bool begins = bytes_equal(bytes_first(b, prefix.length), prefix);
    return begins ? bytes_from(b, prefix.length) : bytes_none();
}

static void expect_interim(struct play *play, const struct script_line *line)
{
    struct bytes all = buffer_bytes(&play->answers), wanted = BYTES("HTTP/1.1 100 Continue\r\n\r\n");
    if (!bytes_is(line->text, "100") || !bytes_equal(all, wanted))
        script_fail(play->script, line, "got", all);
    buffer_clear(&play->answers);
}

static void expect_answer(struct play *play, const struct script_line *line)
{
    struct bytes all = buffer_bytes(&play->answers), wanted = line->text;
    struct bytes status = bytes_split(&wanted, ' ');
    size_t end = bytes_search(all, BYTES("\r\n\r\n"));
    uint64_t length = 0;
    if (end == SIZE_MAX) {
        script_fail(play->script, line, "no answer", all);
        return;
    }
    struct bytes head = bytes_first(all, end + 2);
    bool is_whole = bytes_to_u64(field(head, "Content-Length:"), all.length - end - 4, &length) &&
                    bytes_is(field(head, "Date:"), "Mon, 23 Nov 2026 12:00:00 GMT");
    bool closes = bytes_is(field(head, "Connection:"), "close");
    if (bytes_is(line->mark, "S="))
        length = 0;
    bool fits = bytes_equal(bytes_first(without_prefix(head, BYTES("HTTP/1.1 ")), status.length), status) &&
                closes == bytes_is(wanted, "closes") && (closes || bytes_is(wanted, "keeps"));
    if (!is_whole || !fits || (closes && (!play->closed || all.length != end + 4 + length)))
        script_fail(play->script, line, "got", all);
    play->said = arena_copy(&play->script->arena, bytes_first(bytes_from(all, end + 4), length));
    buffer_consume(&play->answers, end + 4 + (size_t)length);
}

static void expect(struct play *play, const struct script_line *line)
{
    run(play);
    if (bytes_is(line->mark, "S-"))
        expect_interim(play, line);
    else if (line->mark.at[0] == 'S')
        expect_answer(play, line);
    else if (line->mark.at[0] == '=' && !bytes_equal(play->said, line->text))
        script_fail(play->script, line, "got", play->said);
    else if (line->mark.at[0] == '?' &&
             (play->answers.length > 0 || play->closed != bytes_is(line->text, "close")))
        script_fail(play->script, line, "got", buffer_bytes(&play->answers));
}

static void play_line(struct play *play, const struct script_line *line)
{
    if (line->mark.at[0] == 'C') {
        buffer_add(&play->input, line->text);
        buffer_add_text(&play->input, bytes_is(line->mark, "C:") ? "\r\n" : "");
        return;
    }
    run(play);
    if (line->mark.at[0] != '!')
        expect(play, line);
    else if (bytes_is(line->text, "timeout"))
        http_session_timed_out(&play->session, now_ms);
    else
        http_session_drain(&play->session);
}

static void play_dialogue(struct script *script)
{
    struct play play = {.script = script};
    const struct script_line *line, *last = &script->lines[script->next - 1];
    http_session_start(&play.session);
    while (!script->failed && (line = script_next_line(script)) != NULL) {
        last = line;
        play_line(&play, line);
    }
    run(&play);
    if (!script->failed && play.answers.length > 0)
        script_fail(script, last, "and more", buffer_bytes(&play.answers));
    http_session_free(&play.session);
    buffer_free(&play.input);
    buffer_free(&play.answers);
    buffer_free(&play.body);
}

int main(int argc, char **argv)
{
    return script_play_all(argc, argv, play_dialogue);
}
