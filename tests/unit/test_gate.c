/* SPDX-License-Identifier: Apache-2.0 */
/* A message's content passes the gate into the queue, and observers see it. */
#include "core/message/gate.h"
#include "unit.h"

struct seen {
    struct buffer header, body;
    unsigned ends;
    bool out_of_order;
};

static void see(void *state, enum gate_part part, struct bytes octets)
{
    struct seen *seen = state;
    seen->out_of_order = seen->out_of_order || seen->ends > 0 || octets.length == 0;
    switch (part) {
    case GATE_PART_HEADER:
        seen->out_of_order = seen->out_of_order || seen->body.length > 0;
        buffer_add(&seen->header, octets);
        break;
    case GATE_PART_BODY: buffer_add(&seen->body, octets); break;
    case GATE_PART_END:
        seen->ends++;
        seen->out_of_order = seen->ends > 1 || octets.length > 0;
        break;
    }
}

/* The result for a message: passed octets, authors asked about ("a@b c@d "), observed octets. */
struct passage {
    struct gate gate;
    struct seen seen, second;
    struct buffer stored, asked;
    enum gate_author answer;
    enum gate_verdict last;
};

static void obey(struct passage *p, enum gate_verdict verdict, struct bytes run)
{
    for (; verdict == GATE_ASK; verdict = gate_answer(&p->gate, p->answer, &run)) {
        buffer_add(&p->asked, p->gate.author);
        buffer_add_octet(&p->asked, ' ');
    }
    if (verdict == GATE_PASS)
        buffer_add(&p->stored, run);
    p->last = verdict;
}

static void let_pass(struct passage *p, const struct gate_options *options, const char *content, size_t piece)
{
    struct bytes rest = bytes_of_text(content), run;
    gate_start(&p->gate, options);
    gate_observe(&p->gate, (struct gate_observer){see, &p->seen});
    gate_observe(&p->gate, (struct gate_observer){see, &p->second});
    gate_stamp(&p->gate, &(struct header_stamp){.now_ms = 1795435200000u, .message_id = BYTES("1@mx")});
    for (; rest.length > 0; rest = bytes_from(rest, piece < rest.length ? piece : rest.length)) {
        enum gate_verdict verdict = gate_feed(&p->gate, bytes_first(rest, piece), &run);
        obey(p, verdict, run);
    }
    enum gate_verdict verdict = gate_end(&p->gate, &run);
    obey(p, verdict, run);
    if (p->gate.stage == GATE_OPEN) /* the header ended with the content, and was asked about */
        obey(p, gate_end(&p->gate, &run), run);
}

static void end(struct passage *p)
{
    gate_free(&p->gate);
    buffer_free(&p->stored);
    buffer_free(&p->asked);
    buffer_free(&p->seen.header);
    buffer_free(&p->seen.body);
    buffer_free(&p->second.header);
    buffer_free(&p->second.body);
}

static const struct gate_options submission = {.checks_header = true, .sender = BYTES("ada@example.org")};

#define DATE "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
#define ID "Message-ID: <1@mx>\r\n"
#define FROM "From: ada@example.org\r\n"

static void observers_see_what_is_stored_once_and_in_parts(void **state)
{
    static const struct {
        bool checks_header;
        const char *content, *header, *body;
    } cases[] = {
        {true, FROM "\r\nhello\r\n", DATE ID FROM "\r\n", "hello\r\n"},
        {true, FROM "Bcc: x@example.org\r\n\r\n\r\n\r\nb", DATE ID FROM "\r\n", "\r\n\r\nb"},
        {true, FROM, DATE ID FROM, ""},
        {true, "", DATE ID, ""},
        {false, FROM "\r\nhello\r\n", FROM "\r\n", "hello\r\n"},
        {false, "\r\nbody", "\r\n", "body"},
        {false, "A: b\n\nbinary", "A: b\n\n", "binary"},
        {false, "A: b\r\r\n\r\nx", "A: b\r\r\n\r\n", "x"},
        {false, "A: b", "A: b", ""},
        {false, "", "", ""},
        /* it would continue the field that the server puts before it */
        {false, " by evil.example\r\n" FROM "\r\nx", "\r\n", " by evil.example\r\n" FROM "\r\nx"},
        {false, "\tA: b\r\n", "\r\n", "\tA: b\r\n"},
        {false, " ", "\r\n", " "},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t piece = 1; piece < 80; piece++) {
            struct passage p = {0};
            struct gate_options options = submission;
            struct buffer whole = {0};
            options.checks_header = cases[i].checks_header;
            let_pass(&p, &options, cases[i].content, piece);
            buffer_add_format(&whole, "%s%s", cases[i].header, cases[i].body);
            assert_int_equal(p.last, GATE_PASS);
            assert_text(buffer_bytes(&p.stored), buffer_text(&whole));
            assert_text(buffer_bytes(&p.seen.header), cases[i].header);
            assert_text(buffer_bytes(&p.seen.body), cases[i].body);
            assert_text(buffer_bytes(&p.second.body), cases[i].body);
            assert_int_equal(p.seen.ends, 1);
            assert_false(p.seen.out_of_order || p.second.out_of_order);
            assert_int_equal(p.gate.size, p.stored.length);
            assert_int_equal(p.gate.stage, GATE_ENDED);
            buffer_free(&whole);
            end(&p);
        }
}

static void each_author_but_the_sender_is_asked_about(void **state)
{
    static const char content[] =
        "From: ada@example.org, bob@example.org\r\nSender: eve@example.org\r\n\r\nx";
    for (size_t piece = 1; piece < sizeof content; piece++) {
        struct passage p = {.answer = GATE_AUTHOR_ALLOWED};
        let_pass(&p, &submission, content, piece);
        assert_text(buffer_bytes(&p.asked), "bob@example.org eve@example.org ");
        assert_int_equal(p.last, GATE_PASS);
        assert_int_equal(p.seen.ends, 1);
        end(&p);
    }
}

static void of_what_is_refused_nothing_passes_and_no_end_is_seen(void **state)
{
    static const struct {
        enum gate_author answer;
        const char *content;
        enum gate_fault fault;
    } cases[] = {
        {GATE_AUTHOR_FORBIDDEN, "From: eve@example.org\r\n\r\nx", GATE_FORGED},
        {GATE_AUTHOR_FORBIDDEN, "From: eve@example.org\r\n", GATE_FORGED},
        {GATE_AUTHOR_UNKNOWN, "From: eve@example.org\r\n\r\nx", GATE_UNKNOWN},
        {GATE_AUTHOR_ALLOWED, FROM FROM "\r\nx", GATE_BAD_HEADER},
        {GATE_AUTHOR_ALLOWED, "no field\r\n\r\nx", GATE_BAD_HEADER},
        {GATE_AUTHOR_ALLOWED, "no field", GATE_BAD_HEADER},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct passage p = {.answer = cases[i].answer};
            let_pass(&p, &submission, cases[i].content, piece);
            assert_int_equal(p.last, GATE_REFUSE);
            assert_int_equal(p.gate.fault, cases[i].fault);
            assert_int_equal(p.stored.length + p.seen.header.length + p.seen.body.length + p.seen.ends, 0);
            if (cases[i].fault != GATE_BAD_HEADER)
                assert_text(p.gate.author, "eve@example.org");
            end(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_see_what_is_stored_once_and_in_parts),
        cmocka_unit_test(each_author_but_the_sender_is_asked_about),
        cmocka_unit_test(of_what_is_refused_nothing_passes_and_no_end_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
