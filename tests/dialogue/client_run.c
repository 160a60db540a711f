/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_run: plays transcripts against the client session. script.h tells
 * the form of a file; here are its lines:
 *
 *   S: 220 mx            the server says this line; S- says it without CRLF
 *   C: EHLO a            the client must say this line; C- these octets
 *   ? ready => send | quit      it is ready: the message of the keys, or the end
 *   ? starttls => ok | fails WHY
 *   ? nonce => none | BINDING-NAME OCTETS    SCRAM begins
 *   ? proof SALT ITERATIONS MESSAGE => PROOF SIGNATURE    32 octets each
 *   ? content => more TEXT | last TEXT    "content again": from its beginning once more
 *   ? sent               the transaction is over; for each recipient then
 *   + delivered data 250 2.0.0 ok    its result: outcome, step, code, enhanced code (- for none), text
 *   ? failed deferred greeting 421 4.3.2 bye
 *   ? close
 *   ! lost WHY           the connection ends
 *   ! step mail | timeout 300000     where it is, how long it waits
 *
 * Keys: tls (never, opportunistic, required, implicit), lmtp, user, password, token,
 * probe (yes); of the message: from, to (again and again), orcpt, notify,
 * body, ret, envid, size, smtputf8, requiretls (yes).
 */
#include "core/client/client_session.h"
#include "core/sasl/scram.h"
#include "script.h"

enum { RECIPIENTS_MAX = 8 };

struct client_play {
    struct script *script;
    struct client_options options;
    struct client_session session;
    struct envelope envelope;
    struct recipient recipients[RECIPIENTS_MAX];
    struct buffer input;             /* sent by the server and not consumed yet */
    size_t there;                    /* part of it that has arrived */
    struct buffer said;              /* sent by the client, and not expected yet */
    enum client_action_kind waiting; /* an event; CLIENT_NOTHING if none */
    struct buffer event;             /* in the form of the transcript */
    bool gave_content;
    struct buffer results; /* lines of the last transaction */
};

static bool says_yes(const struct script *script, const char *name)
{
    return bytes_is(script_value(script, name, ""), "yes");
}

static void fill_envelope(struct client_play *play)
{
    static const char *const bodies[] = {"7bit", "8bitmime", "binarymime", NULL}, *const rets[] = {
                                                                                      "unsaid", "hdrs",
                                                                                      "full", NULL};
    struct script *script = play->script;
    struct envelope *e = &play->envelope;
    *e = (struct envelope){
        .sender = script_value(script, "from", ""),
        .envid = script_value(script, "envid", ""),
        .body = (enum body_type)script_word(script, script_value(script, "body", "7bit"), bodies),
        .ret = (enum dsn_ret)script_word(script, script_value(script, "ret", "unsaid"), rets),
        .smtputf8 = says_yes(script, "smtputf8"),
        .requiretls = says_yes(script, "requiretls"),
        .size = script_number(script, "size", 0),
        .recipients = play->recipients};
    for (;; e->recipient_count++) {
        struct bytes address = script_nth(script, "to", e->recipient_count, "");
        if (address.length == 0 || e->recipient_count == RECIPIENTS_MAX)
            break;
        play->recipients[e->recipient_count] = (struct recipient){
            .address = address,
            .orcpt = script_value(script, "orcpt", ""),
            .notify = (uint8_t)script_number(script, "notify", 0)};
    }
}

static void start(struct client_play *play, struct script *script)
{
    static const char *const modes[] = {"never", "opportunistic", "required", "implicit", NULL};
    *play = (struct client_play){.script = script};
    play->options = (struct client_options){
        .helo = BYTES("client.example.org"),
        .tls = (enum client_tls)script_word(script, script_value(script, "tls", "never"), modes),
        .lmtp = says_yes(script, "lmtp"),
        .user = script_value(script, "user", ""),
        .password = script_value(script, "password", ""),
        .token = script_value(script, "token", ""),
        .probe_only = says_yes(script, "probe")};
    fill_envelope(play);
    client_session_start(&play->session, &play->options);
}

static void finish(struct client_play *play)
{
    client_session_free(&play->session);
    buffer_free(&play->input);
    buffer_free(&play->said);
    buffer_free(&play->event);
    buffer_free(&play->results);
}

static void add_result(struct buffer *out, const struct delivery_result *r)
{
    static const char *const outcomes[] = {"delivered", "deferred", "failed"};
    buffer_add_format(out, "%s %s %u %.*s %.*s", outcomes[r->outcome], client_step_name(r->step),
                      (unsigned)r->code, BYTES_ARG(r->enhanced.length > 0 ? r->enhanced : BYTES("-")),
                      BYTES_ARG(r->text));
}

static void take_event(struct client_play *play, const struct client_action *action)
{
    static const char *const names[] = {[CLIENT_NOTHING] = "nothing",      [CLIENT_SEND] = "",
                                        [CLIENT_STARTTLS] = "starttls",    [CLIENT_ASK_NONCE] = "nonce",
                                        [CLIENT_ASK_PROOF] = "proof ",     [CLIENT_READY] = "ready",
                                        [CLIENT_WANT_CONTENT] = "content", [CLIENT_SENT] = "sent",
                                        [CLIENT_FAILED] = "failed ",       [CLIENT_CLOSE] = "close"};
    play->waiting = action->kind;
    buffer_clear(&play->event);
    buffer_add_text(&play->event, names[action->kind]);
    if (action->kind == CLIENT_ASK_PROOF)
        buffer_add_format(&play->event, "%.*s %u %.*s", BYTES_ARG(action->scram.salt),
                          (unsigned)action->scram.iterations, BYTES_ARG(action->scram.message));
    if (action->kind == CLIENT_WANT_CONTENT && action->begins && play->gave_content)
        buffer_add_text(&play->event, " again");
    if (action->kind == CLIENT_FAILED)
        add_result(&play->event, &action->failure);
    for (size_t i = 0; i < action->result_count; i++) {
        add_result(&play->results, &action->results[i]);
        buffer_add_text(&play->results, "\n");
    }
}

/* Makes one step of the machine; false if nothing changes any more. */
static bool step(struct client_play *play)
{
    struct client_action action;
    if (play->waiting != CLIENT_NOTHING)
        return false;
    if (client_session_action(&play->session, &action)) {
        if (action.kind == CLIENT_SEND)
            buffer_add(&play->said, action.bytes);
        else
            take_event(play, &action);
        return true;
    }
    if (!play->script->octet_by_octet)
        play->there = play->input.length;
    size_t used = client_session_feed(&play->session, bytes_first(buffer_bytes(&play->input), play->there));
    buffer_consume(&play->input, used);
    play->there -= used;
    if (used > 0)
        return true;
    /* plain text after STARTTLS fails without being consumed */
    if (client_session_action(&play->session, &action)) {
        take_event(play, &action);
        return true;
    }
    if (play->there == play->input.length)
        return false;
    play->there++; /* another octet arrives */
    return true;
}

static void complain(struct client_play *play, const struct script_line *line)
{
    struct bytes said = buffer_bytes(&play->said);
    if (said.length > 0)
        script_fail(play->script, line, "said", bytes_trim(said));
    else if (play->results.length > 0)
        script_fail(play->script, line, "result", buffer_bytes(&play->results));
    else
        script_fail(play->script, line, "came",
                    play->waiting == CLIENT_NOTHING ? BYTES("nothing") : buffer_bytes(&play->event));
}

/* The client's output precedes the event that it waits for. */
static void expect_said(struct client_play *play, const struct script_line *line)
{
    struct buffer wanted = {0};
    while (step(play))
        continue;
    buffer_add(&wanted, line->text);
    buffer_add_text(&wanted, bytes_is(line->mark, "C:") ? "\r\n" : "");
    if (bytes_equal(bytes_first(buffer_bytes(&play->said), wanted.length), buffer_bytes(&wanted)))
        buffer_consume(&play->said, wanted.length);
    else
        complain(play, line);
    buffer_free(&wanted);
}

static void give_answer(struct client_play *play, enum client_action_kind asked, struct bytes answer)
{
    struct bytes rest = answer;
    struct bytes word = bytes_split(&rest, ' ');
    if (asked == CLIENT_STARTTLS && bytes_is(word, "ok"))
        client_session_tls_started(&play->session);
    else if (asked == CLIENT_STARTTLS && bytes_is(word, "fails"))
        client_session_failed(&play->session, STEP_TLS, rest);
    else if (asked == CLIENT_ASK_NONCE)
        client_session_answer_nonce(&play->session, BYTES("eighteen octets..."),
                                    bytes_is(word, "none") ? bytes_none() : word, rest);
    else if (asked == CLIENT_ASK_PROOF && word.length == SCRAM_KEY && rest.length == SCRAM_KEY)
        client_session_answer_proof(&play->session, (const uint8_t *)word.at, (const uint8_t *)rest.at);
    else if (asked == CLIENT_READY && bytes_is(word, "send"))
        client_session_send(&play->session, &play->envelope);
    else if (asked == CLIENT_READY && bytes_is(word, "quit"))
        client_session_quit(&play->session);
    else if (asked == CLIENT_WANT_CONTENT) {
        play->gave_content = true;
        client_session_content(&play->session, rest, bytes_is(word, "last"));
    }
}

static void expect_event(struct client_play *play, const struct script_line *line)
{
    while (step(play))
        continue;
    size_t arrow = bytes_search(line->text, BYTES(" => "));
    struct bytes wanted = bytes_first(line->text, arrow),
                 answer = arrow == SIZE_MAX ? bytes_none() : bytes_from(line->text, arrow + 4);
    if (play->said.length > 0 || play->waiting == CLIENT_NOTHING ||
        !bytes_equal(buffer_bytes(&play->event), wanted)) {
        complain(play, line);
        return;
    }
    enum client_action_kind asked = play->waiting;
    play->waiting = CLIENT_NOTHING;
    give_answer(play, asked, answer);
}

static void expect_result(struct client_play *play, const struct script_line *line)
{
    struct bytes rest = buffer_bytes(&play->results);
    size_t length = bytes_find(rest, '\n');
    if (!bytes_equal(bytes_split(&rest, '\n'), line->text))
        complain(play, line);
    else
        buffer_consume(&play->results, length + 1);
}

static void interrupt(struct client_play *play, const struct script_line *line)
{
    struct bytes rest = line->text;
    struct bytes word = bytes_split(&rest, ' ');
    uint64_t number = 0;
    while (step(play))
        continue;
    if (bytes_is(word, "lost"))
        client_session_failed(&play->session, client_session_step(&play->session), rest);
    else if (bytes_is(word, "step") && !bytes_is(rest, client_step_name(client_session_step(&play->session))))
        script_fail(play->script, line, "is",
                    bytes_of_text(client_step_name(client_session_step(&play->session))));
    else if (bytes_is(word, "timeout") && !(bytes_to_u64(rest, UINT32_MAX, &number) &&
                                            number == client_session_timeout_ms(&play->session)))
        script_fail(play->script, line, "is", BYTES("another"));
}

static void expect_silence(struct client_play *play, const struct script_line *line)
{
    while (step(play))
        continue;
    if (play->said.length > 0 || play->waiting != CLIENT_NOTHING || play->results.length > 0)
        complain(play, line);
}

static void play_dialogue(struct script *script)
{
    struct client_play play;
    const struct script_line *line, *last = &script->lines[script->next - 1];
    bool listening = false; /* the previous line expected something */
    start(&play, script);
    while (!script->failed && (line = script_next_line(script)) != NULL) {
        bool says = line->mark.at[0] == 'S';
        last = line;
        if (says && listening)
            expect_silence(&play, line);
        listening = !says;
        if (says) {
            buffer_add(&play.input, line->text);
            buffer_add_text(&play.input, bytes_is(line->mark, "S:") ? "\r\n" : "");
        } else if (line->mark.at[0] == 'C') {
            expect_said(&play, line);
        } else if (bytes_is(line->mark, "?")) {
            expect_event(&play, line);
        } else if (bytes_is(line->mark, "+")) {
            expect_result(&play, line);
        } else if (bytes_is(line->mark, "!")) {
            interrupt(&play, line);
        } else {
            script_fail(script, line, "what is this line?", line->mark);
        }
    }
    if (!script->failed)
        expect_silence(&play, last);
    finish(&play);
}

int main(int argc, char **argv)
{
    return script_play_all(argc, argv, play_dialogue);
}
