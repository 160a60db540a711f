/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: plays transcripts against the server session. script.h tells the form
 * of a file; here are its lines:
 *
 *   C: EHLO a            the client says this line; C- says it without CRLF
 *   S: 250 2.0.0 Here    the server must say this line; S~ one that begins so;
 *                        S+ one that begins so, and all lines that belong to it
 *   = Hello              this line of content must be stored; =- without CRLF; =* whatever there is
 *   ? password USER PASSWORD => right ACCOUNT | wrong | locked | unavailable
 *   ? sender ACCOUNT ADDRESS => allowed | forbidden | unavailable | signedout
 *   ? recipient ADDRESS => known [ADDRESS [local]]... | unknown | foreign | unavailable | full
 *   ? limit ACCOUNT COUNT => fine | reached SECONDS | toomany MAX | unavailable
 *   ? begin ENVELOPE     a message begins; the envelope as envelope_text() writes it
 *   ? trust => accepted | CODE ENHANCED TEXT
 *   ? store => done ID | full | failed | forbidden | signedout | looped
 *   ? drop | starttls | close
 *   ! timeout | drain | signout  the clock, the operator, who changes the account
 *   ! protocol ESMTPSA   what the Received field will say
 *   ! helo NAME         the client's name there
 *   ! idle | busy        may the connection be closed without a loss?
 *
 * Keys: early (yes: the client's first line is there before the greeting), role (mx, submission, local),
 * domain (of names without one), tls (none, starttls, implicit), port, trust (judged), account, size,
 * recipients, success (all), fix (yes), limits (yes), header (judged), expected (yes: TLS was, and the client
 * speaks in clear).
 */
#include "core/server/server_session.h"
#include "script.h"

struct play {
    struct script *script;
    struct server_policy policy;
    struct server_session session;
    struct buffer input;   /* sent by the client and not consumed yet */
    size_t there;          /* part of it that has arrived */
    struct buffer replies; /* sent by the server and not expected yet */
    struct buffer content;
    struct server_action waiting; /* a question or another event; SERVER_NOTHING if none */
};

static void start(struct play *play, struct script *script)
{
    static const char *const roles[] = {"mx", "submission", "local", NULL}, *const modes[] = {
                                                                                "none", "starttls",
                                                                                "implicit", NULL};
    *play = (struct play){.script = script};
    play->policy = (struct server_policy){
        .role = (enum server_role)script_word(script, script_value(script, "role", "mx"), roles),
        .tls = (enum server_tls)script_word(script, script_value(script, "tls", "starttls"), modes),
        .hostname = script_value(script, "hostname", "mx.example.org"),
        .domain = script_value(script, "domain", ""),
        .message_size_max = script_number(script, "size", 1000000),
        .recipients_max = (uint32_t)script_number(script, "recipients", 100),
        .checks_header = bytes_is(script_value(script, "header", ""), "judged"),
        .tls_expected = bytes_is(script_value(script, "expected", ""), "yes"),
        .asks_trust = bytes_is(script_value(script, "trust", ""), "judged"),
        .limits_sending = bytes_is(script_value(script, "limits", ""), "yes"),
        .success_for_all = bytes_is(script_value(script, "success", ""), "all"),
        .fix_bare_newlines = bytes_is(script_value(script, "fix", ""), "yes")};
    server_session_start(&play->session, &play->policy, BYTES("192.0.2.1"),
                         (uint32_t)script_number(script, "port", 25),
                         play->policy.tls == TLS_IMPLICIT ? BYTES("TLSv1.3 X") : bytes_none(),
                         script_value(script, "account", ""));
}

/* The client has sent its first line before the greeting. */
static void start_early(struct play *play, const struct script *script)
{
    for (size_t i = script->next; i < script->count && !script_is_title(&script->lines[i]); i++)
        if (bytes_is(script->lines[i].mark, "C:") || bytes_is(script->lines[i].mark, "C-")) {
            server_session_heard_early(&play->session, script->lines[i].text);
            return;
        }
}

static void finish(struct play *play)
{
    server_session_free(&play->session);
    buffer_free(&play->input);
    buffer_free(&play->replies);
    buffer_free(&play->content);
}

/* Makes one step of the machine; false if nothing changes any more. */
static bool step(struct play *play)
{
    struct server_action action;
    if (play->waiting.kind != SERVER_NOTHING)
        return false;
    if (server_session_action(&play->session, &action)) {
        if (action.kind == SERVER_REPLY)
            buffer_add(&play->replies, action.bytes);
        else if (action.kind == SERVER_CONTENT)
            buffer_add(&play->content, action.bytes);
        else
            play->waiting = action;
        if (action.kind == SERVER_CONTENT_BEGIN)
            server_session_stamp(&play->session, 1795435200000u, BYTES("1@mx.example.org"));
        return true;
    }
    if (!play->script->octet_by_octet)
        play->there = play->input.length;
    size_t used = server_session_feed(&play->session, bytes_first(buffer_bytes(&play->input), play->there));
    buffer_consume(&play->input, used);
    play->there -= used;
    if (used > 0)
        return true;
    if (play->there == play->input.length)
        return false;
    play->there++; /* another octet arrives */
    return true;
}

/* ---- output ---- */

static void add_address(struct buffer *out, const char *name, struct bytes address)
{
    buffer_add_format(out, "%s<%.*s>", name, BYTES_ARG(address));
}

static void envelope_text(struct buffer *out, const struct envelope *e)
{
    static const char *const bodies[] = {"", " 8bitmime", " binarymime"}, *const rets[] = {"", " ret=hdrs",
                                                                                           " ret=full"};
    static const char *const notifies[] = {"never", "success", "failure", "delay"};
    add_address(out, "from=", e->sender);
    buffer_add_format(out, "%s%s%s", bodies[e->body], rets[e->ret], e->smtputf8 ? " smtputf8" : "");
    if (e->envid.length > 0)
        buffer_add_format(out, " envid=%.*s", BYTES_ARG(e->envid));
    for (size_t i = 0; i < e->recipient_count; i++) {
        const struct recipient *r = &e->recipients[i];
        add_address(out, " to=", r->address);
        buffer_add_text(out, r->local ? " local" : "");
        if (r->original.length > 0)
            add_address(out, " original=", r->original);
        if (r->orcpt.length > 0)
            buffer_add_format(out, " orcpt=%.*s", BYTES_ARG(r->orcpt));
        for (unsigned n = 0; n < 4; n++)
            if ((r->notify & 1u << n) != 0)
                buffer_add_format(out, " %s", notifies[n]);
    }
}

/* Formats the event like the transcript, without an answer. */
static void event_text(struct buffer *out, const struct server_action *a)
{
    switch (a->kind) {
    case SERVER_NOTHING:
    case SERVER_REPLY:
    case SERVER_CONTENT: buffer_add_text(out, "nothing"); break;
    case SERVER_STARTTLS: buffer_add_text(out, "starttls"); break;
    case SERVER_CONTENT_BEGIN:
        buffer_add_text(out, "begin ");
        envelope_text(out, a->envelope);
        break;
    case SERVER_CONTENT_DROP: buffer_add_text(out, "drop"); break;
    case SERVER_ASK_PASSWORD:
        buffer_add_format(out, "password %.*s %.*s", BYTES_ARG(a->user), BYTES_ARG(a->password));
        break;
    case SERVER_ASK_SALT:
        buffer_add_format(out, "salt %.*s %.*s", BYTES_ARG(a->user), BYTES_ARG(a->binding));
        break;
    case SERVER_ASK_PROOF:
        buffer_add_format(out, "proof %.*s %.*s %.*s", BYTES_ARG(a->user), BYTES_ARG(a->proof),
                          BYTES_ARG(a->message));
        break;
    case SERVER_ASK_SENDER:
        buffer_add_format(out, "sender %.*s %.*s", BYTES_ARG(a->account), BYTES_ARG(a->address));
        break;
    case SERVER_ASK_RECIPIENT: buffer_add_format(out, "recipient %.*s", BYTES_ARG(a->address)); break;
    case SERVER_ASK_LIMIT:
        buffer_add_format(out, "limit %.*s %zu", BYTES_ARG(a->account), a->envelope->recipient_count);
        break;
    case SERVER_ASK_TRUST: buffer_add_text(out, "trust"); break;
    case SERVER_ASK_STORE: buffer_add_text(out, "store"); break;
    case SERVER_CLOSE: buffer_add_text(out, "close"); break;
    }
}

static void complain(struct play *play, const struct script_line *line)
{
    struct buffer got = {0};
    struct bytes reply = buffer_bytes(&play->replies);
    if (reply.length > 0)
        buffer_add_format(&got, "S: %.*s",
                          BYTES_ARG(bytes_trim(bytes_first(reply, bytes_search(reply, BYTES("\r\n"))))));
    else
        event_text(&got, &play->waiting);
    script_fail(play->script, line, "came", buffer_bytes(&got));
    buffer_free(&got);
}

static void expect_reply(struct play *play, const struct script_line *line, bool whole)
{
    while (play->replies.length == 0 && step(play))
        continue;
    struct bytes replies = buffer_bytes(&play->replies), text = line->text;
    size_t end = bytes_search(replies, BYTES("\r\n"));
    struct bytes reply = end == SIZE_MAX ? bytes_none() : bytes_first(replies, end);
    if (whole ? !bytes_equal(reply, text) : !bytes_equal(bytes_first(reply, text.length), text)) {
        complain(play, line);
        return;
    }
    bool more = bytes_is(line->mark, "S+") && reply.length > 3 && reply.at[3] == '-';
    buffer_consume(&play->replies, end + 2);
    if (more)
        expect_reply(play, line, false);
}

static void expect_content(struct play *play, const struct script_line *line)
{
    struct buffer wanted = {0};
    while (play->replies.length == 0 && step(play))
        continue;
    if (bytes_is(line->mark, "=*")) {
        buffer_clear(&play->content);
        return;
    }
    buffer_add(&wanted, line->text);
    buffer_add_text(&wanted, bytes_is(line->mark, "=-") ? "" : "\r\n");
    if (!bytes_equal(bytes_first(buffer_bytes(&play->content), wanted.length), buffer_bytes(&wanted)))
        script_fail(play->script, line, "stored", buffer_bytes(&play->content));
    else
        buffer_consume(&play->content, wanted.length);
    buffer_free(&wanted);
}

/* ---- answers ---- */

static void answer_recipient(struct play *play, struct bytes address, struct bytes answer)
{
    static const char *const verdicts[] = {"known",   "unknown",     "foreign", "forged", "expired",
                                           "bounces", "unavailable", "full",    NULL};
    struct recipient targets[8];
    size_t count = 0;
    enum recipient_verdict verdict = (enum recipient_verdict)script_word(play->script,
                                                                         bytes_split(&answer, ' '), verdicts);
    while (answer.length > 0 && count < ARRAY_LENGTH(targets)) {
        struct bytes word = bytes_split(&answer, ' ');
        if (bytes_is(word, "local") && count > 0)
            targets[count - 1].local = true;
        else
            targets[count++] = (struct recipient){.address = word};
    }
    if (count == 0)
        targets[count++] = (struct recipient){.address = address, .local = true};
    server_session_answer_recipient(&play->session, verdict, targets, count);
}

static void answer_trust(struct play *play, struct bytes answer)
{
    uint64_t code = 0;
    struct trust_answer said = {.accepted = bytes_is(answer, "accepted")};
    if (!said.accepted) {
        bytes_to_u64(bytes_split(&answer, ' '), 599, &code);
        said.code = (unsigned)code;
        said.enhanced = bytes_split(&answer, ' ');
        said.text = answer;
    }
    server_session_answer_trust(&play->session, &said);
}

static void give_answer(struct play *play, const struct server_action *asked, struct bytes answer)
{
    static const char *const senders[] = {"allowed", "forbidden", "unavailable", "signedout", NULL};
    static const char *const stores[] = {"done",      "full",   "failed",      "forbidden",
                                         "signedout", "looped", "unreachable", NULL};
    static const char *const limits[] = {"fine", "reached", "toomany", "unavailable", NULL};
    static const char *const passwords[] = {"right", "wrong", "locked", "unavailable", NULL};
    struct bytes rest = answer;
    if (asked->kind == SERVER_STARTTLS) {
        buffer_clear(&play->input); /* like the shell */
        play->there = 0;
        server_session_tls_started(&play->session, BYTES("TLSv1.3 X"));
    } else if (asked->kind == SERVER_ASK_RECIPIENT) {
        answer_recipient(play, arena_copy(&play->script->arena, asked->address), answer);
    } else if (asked->kind == SERVER_ASK_SENDER) {
        server_session_answer_sender(&play->session,
                                     (enum sender_verdict)script_word(play->script, answer, senders));
    } else if (asked->kind == SERVER_ASK_PASSWORD) {
        enum password_verdict verdict = (enum password_verdict)script_word(
            play->script, bytes_split(&rest, ' '), passwords);
        server_session_answer_password(&play->session, verdict, rest);
    } else if (asked->kind == SERVER_ASK_SALT) { /* the channel binding's octets */
        server_session_answer_salt(
            &play->session, bytes_is(rest, "unavailable") ? bytes_none() : BYTES("sixteen octets.."), 4096,
            BYTES("eighteen octets..."), bytes_is(rest, "none") ? bytes_none() : rest);
    } else if (asked->kind == SERVER_ASK_PROOF) {
        enum password_verdict verdict = (enum password_verdict)script_word(
            play->script, bytes_split(&rest, ' '), passwords);
        server_session_answer_proof(&play->session, verdict, rest, BYTES("thirty-two octets of a signature"));
    } else if (asked->kind == SERVER_ASK_LIMIT) {
        uint64_t number = 0;
        enum limit_verdict verdict = (enum limit_verdict)script_word(play->script, bytes_split(&rest, ' '),
                                                                     limits);
        bytes_to_u64(rest, UINT32_MAX, &number);
        server_session_answer_limit(&play->session, verdict, (uint32_t)number);
    } else if (asked->kind == SERVER_ASK_TRUST) {
        answer_trust(play, answer);
    } else if (asked->kind == SERVER_ASK_STORE) {
        enum store_verdict verdict = (enum store_verdict)script_word(play->script, bytes_split(&rest, ' '),
                                                                     stores);
        server_session_answer_store(&play->session, verdict, rest);
    }
}

static void expect_event(struct play *play, const struct script_line *line)
{
    struct buffer got = {0};
    while (step(play))
        continue;
    size_t arrow = bytes_search(line->text, BYTES(" => "));
    struct bytes wanted = bytes_first(line->text, arrow),
                 answer = arrow == SIZE_MAX ? bytes_none() : bytes_from(line->text, arrow + 4);
    event_text(&got, &play->waiting);
    bool store = play->waiting.kind == SERVER_ASK_STORE;
    if (!bytes_equal(buffer_bytes(&got), wanted) || play->replies.length > 0) {
        complain(play, line);
    } else if (store && play->content.length > 0) {
        script_fail(play->script, line, "content nobody asked for", buffer_bytes(&play->content));
    } else {
        struct server_action asked = play->waiting;
        play->waiting = (struct server_action){0};
        give_answer(play, &asked, answer);
    }
    buffer_free(&got);
}

static void interrupt(struct play *play, const struct script_line *line)
{
    struct bytes rest = line->text;
    struct bytes word = bytes_split(&rest, ' ');
    while (step(play))
        continue;
    if (bytes_is(word, "timeout"))
        server_session_timed_out(&play->session);
    else if (bytes_is(word, "drain"))
        server_session_drain(&play->session);
    else if (bytes_is(word, "signout"))
        server_session_sign_out(&play->session);
    else if (bytes_is(word, "protocol") || bytes_is(word, "helo")) {
        const struct origin *origin = &play->session.origin;
        struct bytes is = bytes_is(word, "helo") ? origin->client_helo : origin->protocol;
        if (!bytes_equal(is, rest))
            script_fail(play->script, line, "is", is);
    } else if (server_session_is_idle(&play->session) != bytes_is(word, "idle")) {
        script_fail(play->script, line, "is", BYTES("otherwise"));
    }
}

/* Fails on unexpected output. */
static void expect_silence(struct play *play, const struct script_line *line)
{
    while (step(play))
        continue;
    if (play->replies.length > 0 || play->waiting.kind != SERVER_NOTHING)
        complain(play, line);
}

static void play_dialogue(struct script *script)
{
    struct play play;
    const struct script_line *line, *last = &script->lines[script->next - 1];
    bool listening = true; /* the previous line expected something */
    start(&play, script);
    if (bytes_is(script_value(script, "early", ""), "yes")) {
        start_early(&play, script);
        listening = false;
    }
    while (!script->failed && (line = script_next_line(script)) != NULL) {
        bool says = bytes_is(line->mark, "C:") || bytes_is(line->mark, "C-");
        last = line;
        if (says && listening)
            expect_silence(&play, line);
        listening = !says;
        if (says) {
            buffer_add(&play.input, line->text);
            buffer_add_text(&play.input, bytes_is(line->mark, "C:") ? "\r\n" : "");
        } else if (line->mark.at[0] == 'S') {
            expect_reply(&play, line, bytes_is(line->mark, "S:"));
        } else if (line->mark.at[0] == '=') {
            expect_content(&play, line);
        } else if (bytes_is(line->mark, "?")) {
            expect_event(&play, line);
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
