/* SPDX-License-Identifier: Apache-2.0 */
/* Aspects of the server session beyond transcripts: time, and very long sessions. */
#include <malloc.h>

#include "core/server/server_session.h"
#include "unit.h"

static const struct server_policy policy = {.role = ROLE_MX,
                                            .tls = TLS_STARTTLS,
                                            .hostname = BYTES("mx.example.org"),
                                            .message_size_max = 1000,
                                            .recipients_max = 1};

static void start(struct server_session *session)
{
    struct server_action action;
    server_session_start(session, &policy, BYTES("192.0.2.1"), 25, bytes_none(), bytes_none());
    assert_true(server_session_action(session, &action));
    assert_int_equal(action.kind, SERVER_REPLY);
    assert_false(server_session_action(session, &action));
}

/* Sends one command; returns its reply's code. */
static unsigned say(struct server_session *session, const char *line)
{
    struct server_action action;
    struct bytes input = bytes_of_text(line);
    uint64_t code = 0;
    assert_int_equal(server_session_feed(session, input), input.length);
    while (server_session_action(session, &action)) {
        if (action.kind == SERVER_REPLY)
            assert_true(bytes_to_u64(bytes_first(action.bytes, 3), 599, &code));
        if (action.kind == SERVER_ASK_RECIPIENT && bytes_starts_nocase(action.address, "gone"))
            server_session_answer_recipient(session, RECIPIENT_UNKNOWN, NULL, 0);
        else if (action.kind == SERVER_ASK_RECIPIENT)
            server_session_answer_recipient(
                session, RECIPIENT_KNOWN,
                &(struct recipient){.address = BYTES("a@example.org"), .local = true}, 1);
        if (action.kind == SERVER_ASK_STORE)
            server_session_answer_store(session, STORE_DONE, BYTES("1"));
        if (action.kind == SERVER_CLOSE)
            code = 1000 + code;
    }
    return (unsigned)code;
}

static void give_message(struct server_session *session)
{
    assert_int_equal(say(session, "MAIL FROM:<a@example.net>\r\n"), 250);
    assert_int_equal(say(session, "RCPT TO:<a@example.org>\r\n"), 250);
    assert_int_equal(say(session, "DATA\r\n"), 354);
    assert_int_equal(say(session, ".\r\n"), 250);
}

static void a_connection_carries_so_many_messages(void **state)
{
    struct server_session session;
    start(&session);
    assert_int_equal(say(&session, "EHLO a\r\n"), 250);
    for (int i = 0; i < TRANSACTIONS_MAX; i++)
        give_message(&session);
    assert_int_equal(say(&session, "MAIL FROM:<a@example.net>\r\n"), 1421); /* and closed */
    assert_int_equal(server_session_feed(&session, BYTES("NOOP\r\n")), 0);
    server_session_free(&session);
}

/* Returns the number of rejected recipients until the end, after so many messages. */
static unsigned refusals_after(unsigned messages)
{
    struct server_session session;
    unsigned told = 0, code = 0;
    start(&session);
    assert_int_equal(say(&session, "EHLO a\r\n"), 250);
    for (unsigned i = 0; i < messages; i++)
        give_message(&session);
    while (code < 1000) {
        if (told % 2 == 0) { /* two are asked about in a transaction */
            assert_int_equal(say(&session, "RSET\r\n"), 250);
            assert_int_equal(say(&session, "MAIL FROM:<a@example.net>\r\n"), 250);
        }
        code = say(&session, "RCPT TO:<gone@example.org>\r\n");
        told++;
    }
    server_session_free(&session);
    return told;
}

static void refusals_are_weighed_against_what_was_accepted(void **state)
{
    assert_int_equal(refusals_after(0), RECIPIENTS_REFUSED_MAX);
    assert_int_equal(refusals_after(1), RECIPIENTS_REFUSED_MAX);
    assert_int_equal(refusals_after(40), RECIPIENTS_REFUSED_MAX + 20);
}

static void what_comes_of_a_session_is_told(void **state)
{
    struct server_session session;
    start(&session);
    assert_int_equal(say(&session, "EHLO a\r\n"), 250);
    give_message(&session);
    /* the same recipient again and again: one more than a message may have is none */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(say(&session, "MAIL FROM:<a@example.net>\r\n"), 250);
        assert_int_equal(say(&session, "RCPT TO:<a@example.org>\r\n"), 250);
        assert_int_equal(server_session_progress(&session).fresh, 1);
        assert_int_equal(say(&session, "RSET\r\n"), 250);
    }
    struct server_progress progress = server_session_progress(&session);
    assert_int_equal(progress.messages, 1);
    assert_int_equal(progress.recipients, 2);
    assert_int_equal(progress.octets, 3); /* a dot and its newline */
    assert_int_equal(progress.fresh, 0);
    server_session_expel(&session, EXPELLED_FOR_ROOM);
    struct server_action action;
    assert_true(server_session_action(&session, &action));
    assert_true(bytes_starts_nocase(action.bytes, "421 4.3.2 "));
    assert_true(server_session_action(&session, &action));
    assert_int_equal(action.kind, SERVER_CLOSE);
    server_session_free(&session);
}

/* Refusals are reported as facts, one each; a wrong password is marked as such. */
static void refusals_are_told_as_facts(void **state)
{
    static const struct server_policy submission = {.role = ROLE_SUBMISSION,
                                                    .tls = TLS_IMPLICIT,
                                                    .hostname = BYTES("mx.example.org"),
                                                    .message_size_max = 1000,
                                                    .recipients_max = 10};
    struct server_session session;
    struct server_action action;
    struct server_refusal refusal;
    server_session_start(&session, &submission, BYTES("192.0.2.1"), 465, BYTES("TLSv1.3"), bytes_none());
    assert_true(server_session_action(&session, &action));
    assert_int_equal(action.refusal_count, 0);
    server_session_feed(&session, BYTES("EHLO a\r\n"));
    assert_true(server_session_action(&session, &action));
    assert_int_equal(action.refusal_count, 0);
    server_session_feed(&session, BYTES("NONSENSE\r\n"));
    assert_true(server_session_action(&session, &action));
    assert_int_equal(action.refusal_count, 1);
    refusal = server_session_refusal(&session, 0);
    assert_int_equal(refusal.code, 500);
    assert_int_equal(refusal.meaning, MEANING_PLAIN);
    assert_true(bytes_starts_nocase(refusal.enhanced, "5.5.") && refusal.text.length > 0);
    size_t at = bytes_search(action.bytes, refusal.text);
    assert_true(at == strlen("500 5.5.1 ") && at + refusal.text.length + 2 == action.bytes.length);
    for (unsigned wrong = 1; wrong <= 3; wrong++) {
        server_session_feed(&session, BYTES("AUTH PLAIN AGEAYg==\r\n"));
        assert_true(server_session_action(&session, &action));
        assert_int_equal(action.kind, SERVER_ASK_PASSWORD);
        server_session_answer_password(&session, PASSWORD_WRONG, bytes_none());
        assert_true(server_session_action(&session, &action));
        refusal = server_session_refusal(&session, 0);
        assert_true(refusal.code == 535 && refusal.meaning == MEANING_WRONG_PASSWORD);
        for (size_t i = 1; i < action.refusal_count; i++) /* and the end */
            assert_true(server_session_refusal(&session, i).code == 421 &&
                        server_session_refusal(&session, i).meaning == MEANING_PLAIN);
        if (action.refusal_count > 1)
            break;
        server_session_feed(&session, BYTES("NOOP\r\n"));
        assert_true(server_session_action(&session, &action));
        assert_int_equal(action.refusal_count, 0);
    }
    server_session_free(&session);
}

/* Feeds the commands and returns the last refusal. */
static struct server_refusal refused_after(struct server_session *session, const char *commands)
{
    struct bytes left = bytes_of_text(commands);
    struct server_action action;
    size_t count = 0;
    do {
        left = bytes_from(left, server_session_feed(session, left));
        while (server_session_action(session, &action))
            if (action.kind == SERVER_ASK_RECIPIENT)
                server_session_answer_recipient(session, RECIPIENT_UNKNOWN, NULL, 0);
            else if (action.kind == SERVER_REPLY)
                count = action.refusal_count;
    } while (left.length > 0);
    assert_true(count > 0);
    return server_session_refusal(session, count - 1);
}

static void assert_refusal(struct server_session *session, const char *commands, unsigned code,
                           const char *sender, const char *recipient)
{
    struct server_refusal refusal = refused_after(session, commands);
    assert_int_equal(refusal.code, code);
    assert_true(bytes_is(refusal.sender, sender) && bytes_is(refusal.recipient, recipient));
}

/* Who wanted to send, and to whom, belongs to the refusal alone that it concerns. */
static void refusals_carry_their_addresses(void **state)
{
    static const struct server_policy mx = {.role = ROLE_MX,
                                            .tls = TLS_STARTTLS,
                                            .hostname = BYTES("mx.example.org"),
                                            .message_size_max = 1000,
                                            .recipients_max = 10};
    struct server_session session;
    char long_sender[400];
    server_session_start(&session, &mx, BYTES("192.0.2.1"), 25, bytes_none(), bytes_none());
    assert_refusal(&session, "EHLO a\r\nNONSENSE\r\n", 500, "", "");
    assert_refusal(&session, "MAIL FROM:<sam@there.net> SIZE=2000\r\n", 552, "sam@there.net", "");
    assert_refusal(&session, "DATA\r\n", 503, "", "");
    assert_refusal(&session, "MAIL FROM:<sam@there.net>\r\nRCPT TO:<who@example.org>\r\n", 550,
                   "sam@there.net", "who@example.org");
    assert_refusal(&session, "DATA\r\n", 554, "sam@there.net", "");
    assert_refusal(&session, "RCPT TO:<nonsense>\r\n", 501, "sam@there.net", "");
    assert_refusal(&session, "RSET\r\nNONSENSE\r\n", 500, "", "");
    assert_refusal(&session, "MAIL FROM:<>\r\nRCPT TO:<who@example.org>\r\n", 550, "<>", "who@example.org");
    assert_refusal(&session, "RSET\r\nMAIL FROM:<a@b.net>\r\nMAIL FROM:<c@d.net>\r\n", 503, "a@b.net", "");
    /* a pipelined group: the last of them, without what the others said */
    assert_refusal(&session, "RCPT TO:<one@example.org>\r\nRCPT TO:<two@example.org>\r\nNONSENSE\r\n", 500,
                   "a@b.net", "");
    snprintf(long_sender, sizeof long_sender, "RSET\r\nMAIL FROM:<a@%.60s.%.60s.%.60s.net> SIZE=2000\r\n",
             "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
             "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
             "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
    assert_true(refused_after(&session, long_sender).sender.length <= 320);
    server_session_free(&session);
}

/* Adds aliases with a hundred members each, until no more fit; the message includes the others. */
static void recipients_and_their_members_have_a_size(void **state)
{
    enum { MEMBERS = 100, ADDRESS = 250 };
    static const struct server_policy many = {.role = ROLE_MX,
                                              .tls = TLS_STARTTLS,
                                              .hostname = BYTES("mx.example.org"),
                                              .message_size_max = 1000,
                                              .recipients_max = 5000};
    static char texts[MEMBERS][ADDRESS];
    struct recipient members[MEMBERS];
    struct server_session session;
    struct server_action action;
    unsigned taken = 0;
    uint64_t code = 250;
    server_session_start(&session, &many, BYTES("192.0.2.1"), 25, bytes_none(), bytes_none());
    assert_true(server_session_action(&session, &action));
    say(&session, "EHLO a\r\n");
    say(&session, "MAIL FROM:<a@example.net>\r\n");
    for (unsigned round = 0; code == 250; round++) {
        for (size_t i = 0; i < MEMBERS; i++) {
            memset(texts[i], 'x', ADDRESS);
            texts[i][0] = (char)('a' + round % 26);
            texts[i][1] = (char)('a' + round / 26);
            texts[i][2] = (char)('a' + i % 26);
            texts[i][3] = (char)('a' + i / 26);
            members[i] = (struct recipient){.address = bytes_of(texts[i], ADDRESS)};
        }
        assert_int_equal(server_session_feed(&session, BYTES("RCPT TO:<a@x.exam>\r\n")), 20);
        assert_true(server_session_action(&session, &action));
        assert_int_equal(action.kind, SERVER_ASK_RECIPIENT);
        server_session_answer_recipient(&session, RECIPIENT_KNOWN, members, MEMBERS);
        assert_true(server_session_action(&session, &action));
        assert_true(bytes_to_u64(bytes_first(action.bytes, 3), 599, &code));
        taken += code == 250;
    }
    assert_int_equal(code, 452);
    assert_int_equal(taken, RECIPIENTS_OCTETS_MAX / (MEMBERS * (ADDRESS + strlen("a@x.exam") + 64)));
    assert_int_equal(say(&session, "DATA\r\n"), 354);
    server_session_free(&session);
}

static void content_may_take_longer_than_a_command(void **state)
{
    struct server_session session;
    start(&session);
    assert_int_equal(server_session_timeout_ms(&session), SESSION_TIMEOUT_MS);
    say(&session, "EHLO a\r\n");
    say(&session, "MAIL FROM:<a@example.net>\r\n");
    say(&session, "RCPT TO:<a@example.org>\r\n");
    assert_int_equal(say(&session, "DATA\r\n"), 354);
    assert_int_equal(server_session_timeout_ms(&session), CONTENT_TIMEOUT_MS);
    assert_false(server_session_is_idle(&session));
    server_session_free(&session);
    server_session_free(&session); /* once is enough, twice does no harm */
}

/* A pending question does not count as idle time of the client. */
static void nobody_times_out_while_we_think(void **state)
{
    struct server_session session;
    struct server_action action;
    start(&session);
    say(&session, "EHLO a\r\n");
    say(&session, "MAIL FROM:<a@example.net>\r\n");
    server_session_feed(&session, BYTES("RCPT TO:<a@example.org>\r\n"));
    assert_true(server_session_action(&session, &action));
    assert_int_equal(action.kind, SERVER_ASK_RECIPIENT);
    server_session_timed_out(&session);
    assert_false(server_session_action(&session, &action));
    assert_int_equal(server_session_feed(&session, BYTES("NOOP\r\n")), 0);
    server_session_answer_recipient(&session, RECIPIENT_UNKNOWN, NULL, 0);
    assert_true(server_session_action(&session, &action));
    assert_text(action.bytes, "550 5.1.1 <a@example.org>: User unknown\r\n");
    server_session_free(&session);
}

/* Repeated resets do not make a session grow. */
static void a_long_session_stays_small(void **state)
{
    struct server_session session;
    start(&session);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(say(&session, "EHLO a-name-of-some-length.example.net\r\n"), 250);
        assert_int_equal(
            say(&session, "MAIL FROM:<a-sender-of-some-length@example.net> ENVID=a-name-of-some-length\r\n"),
            250);
        assert_int_equal(say(&session, "RCPT TO:<a@example.org>\r\n"), 250);
        if (i % 20 == 0) {
            say(&session, "RSET\r\n");
            give_message(&session);
        }
    }
    assert_text(session.origin.client_helo, "a-name-of-some-length.example.net");
    assert_true(mallinfo2().uordblks < before + 16384);
    server_session_free(&session);
}

/* Single octets are not a step: a client that trickles them times out. */
static void octets_are_no_steps(void **state)
{
    struct server_session session;
    start(&session);
    uint64_t steps = server_session_steps(&session);
    assert_int_equal(server_session_feed(&session, BYTES("EHLO a")), 0);
    assert_true(server_session_steps(&session) == steps);
    char line[COMMAND_LINE_MAX + 1];
    memset(line, 'x', sizeof line); /* nor is an endless line, though its octets are consumed */
    for (int i = 0; i < 100; i++)
        assert_int_equal(server_session_feed(&session, bytes_of(line, sizeof line)), sizeof line);
    assert_true(server_session_steps(&session) == steps);
    assert_int_equal(say(&session, "\r\n"), 500);
    assert_true(server_session_steps(&session) > steps);
    server_session_free(&session);
}

/* Each CONTENT_PACE_OCTETS of content is a step, by DATA and by any number of chunks. */
static void content_must_keep_the_pace(void **state)
{
    static const struct server_policy roomy = {.role = ROLE_MX,
                                               .tls = TLS_STARTTLS,
                                               .hostname = BYTES("mx.example.org"),
                                               .message_size_max = 10000000,
                                               .recipients_max = 1};
    for (int chunks = 0; chunks < 2; chunks++) {
        struct server_session session;
        start(&session);
        session.policy = &roomy;
        say(&session, "EHLO a\r\n");
        say(&session, "MAIL FROM:<a@example.net>\r\n");
        say(&session, "RCPT TO:<a@example.org>\r\n");
        if (chunks == 0)
            say(&session, "DATA\r\n");
        else
            say(&session, "BDAT 0\r\n");
        uint64_t steps = server_session_steps(&session);
        for (int i = 0; i < CONTENT_PACE_OCTETS / 10; i++) {
            assert_true(server_session_steps(&session) == steps);
            assert_int_equal(server_session_timeout_ms(&session), CONTENT_TIMEOUT_MS);
            if (chunks == 1)
                assert_int_equal(say(&session, "BDAT 10\r\n"), 0);
            say(&session, "12345678\r\n");
        }
        assert_true(server_session_steps(&session) == steps + 1);
        server_session_free(&session);
    }
}

/* Lines that begin with a dot form one run like others, and leave no memory allocated. */
static void dots_are_one_run_and_hold_no_memory(void **state)
{
    static const struct server_policy roomy = {.role = ROLE_MX,
                                               .tls = TLS_STARTTLS,
                                               .hostname = BYTES("mx.example.org"),
                                               .message_size_max = 10000000,
                                               .recipients_max = 1};
    enum { LINES = 10000 };
    struct server_session session;
    struct server_action action;
    struct buffer lines = {0};
    size_t runs = 0, octets = 0;
    start(&session);
    session.policy = &roomy;
    say(&session, "EHLO a\r\n");
    say(&session, "MAIL FROM:<a@example.net>\r\n");
    say(&session, "RCPT TO:<a@example.org>\r\n");
    say(&session, "DATA\r\n");
    for (int i = 0; i < LINES; i++)
        buffer_add_text(&lines, "..x\r\n");
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    assert_int_equal(server_session_feed(&session, buffer_bytes(&lines)), lines.length);
    for (; server_session_action(&session, &action); runs++)
        octets += action.bytes.length;
    assert_int_equal(runs, 1);
    assert_int_equal(octets, 4 * LINES);
    assert_true(mallinfo2().uordblks + mallinfo2().hblkhd < before + 1024);
    buffer_free(&lines);
    server_session_free(&session);
}

/* Commands without a message, at the limit and one past it. */
static void idle_commands_have_an_end(void **state)
{
    static const char *const lines[] = {"NOOP\r\n", "RSET\r\n", "HELP\r\n", "VRFY a\r\n", "EHLO a\r\n"};
    struct server_session session;
    start(&session);
    say(&session, "EHLO a\r\n");
    give_message(&session); /* it begins anew behind a message */
    for (size_t i = 0; i < IDLE_COMMANDS_MAX; i++)
        assert_true(say(&session, lines[i % ARRAY_LENGTH(lines)]) < 300);
    assert_int_equal(say(&session, "NOOP\r\n"), 1421);
    server_session_free(&session);
    /* recipients without end: two that may be asked about, then the room for idle ones, then the count */
    start(&session);
    say(&session, "EHLO a\r\n");
    say(&session, "MAIL FROM:<a@example.net>\r\n");
    for (size_t i = 1; i < 2 + IDLE_COMMANDS_MAX + IDLE_COMMANDS_MAX - 1; i++)
        assert_true(say(&session, "RCPT TO:<a@example.org>\r\n") < 1000);
    assert_int_equal(say(&session, "RCPT TO:<a@example.org>\r\n"), 1421);
    server_session_free(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_are_no_steps),
        cmocka_unit_test(content_must_keep_the_pace),
        cmocka_unit_test(dots_are_one_run_and_hold_no_memory),
        cmocka_unit_test(idle_commands_have_an_end),
        cmocka_unit_test(a_connection_carries_so_many_messages),
        cmocka_unit_test(refusals_are_weighed_against_what_was_accepted),
        cmocka_unit_test(what_comes_of_a_session_is_told),
        cmocka_unit_test(recipients_and_their_members_have_a_size),
        cmocka_unit_test(content_may_take_longer_than_a_command),
        cmocka_unit_test(nobody_times_out_while_we_think),
        cmocka_unit_test(a_long_session_stays_small),
        cmocka_unit_test(refusals_are_told_as_facts),
        cmocka_unit_test(refusals_carry_their_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
