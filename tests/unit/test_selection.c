/* SPDX-License-Identifier: Apache-2.0 */
/* Recipients that match a filter. */
#include <stdio.h>
#include <sysexits.h>

#include "core/text/selection.h"
#include "unit.h"

enum { MINUTE_MS = 60 * 1000, NOW_MS = 100 * MINUTE_MS };

static struct selection read_texts(struct selection_texts texts)
{
    struct selection selection;
    struct error error = {0};
    if (!selection_read(&selection, &texts, &error))
        fail_msg("%s", error.text);
    return selection;
}

static void assert_refused(struct selection_texts texts, const char *says)
{
    struct selection selection;
    struct error error = {0};
    assert_false(selection_read(&selection, &texts, &error));
    assert_int_equal(error.exit_code, EX_USAGE);
    assert_non_null(strstr(error.text, says));
}

static bool takes_sender(const char *filter, const char *sender)
{
    struct selection s = read_texts((struct selection_texts){.sender = filter});
    return selection_takes_message(&s, bytes_of_text(sender), 0, NOW_MS);
}

struct tried {
    struct recipient recipient;
    struct attempt_record last;
};

static bool takes_to(struct selection_texts texts, const struct tried *r)
{
    struct selection s = read_texts(texts);
    return selection_takes_recipient(&s, &r->recipient, &r->last);
}

static void nothing_said_is_told_from_everything(void **state)
{
    struct selection none = read_texts((struct selection_texts){0}),
                     all = read_texts((struct selection_texts){.all = true});
    struct selection some = read_texts((struct selection_texts){.all = true, .older = "1m"});
    assert_true(selection_is_unsaid(&none) && !selection_is_everything(&none));
    assert_true(!selection_is_unsaid(&all) && selection_is_everything(&all));
    assert_true(!selection_is_unsaid(&some) && !selection_is_everything(&some));
    const struct tried r = {.recipient = {.address = BYTES("bob@example.net")}};
    assert_true(selection_takes_message(&none, bytes_none(), 5, 6) &&
                selection_takes_recipient(&none, &r.recipient, &r.last));
}

static void each_filter_makes_it_said(void **state)
{
    const struct selection_texts said[] = {{.sender = ""},   {.recipient = "a@b"}, {.domain = "b"},
                                           {.older = "1s"},  {.younger = "1s"},    {.reason = "x"},
                                           {.state = "held"}};
    for (size_t i = 0; i < ARRAY_LENGTH(said); i++) {
        struct selection s = read_texts(said[i]);
        assert_false(selection_is_unsaid(&s) || selection_is_everything(&s));
        assert_int_equal(selection_looks_at_recipients(&s),
                         said[i].recipient != NULL || said[i].domain != NULL || said[i].reason != NULL ||
                             said[i].state != NULL);
    }
}

static void a_state_is_one_of_four_or_its_reason(void **state)
{
    struct selection any = read_texts((struct selection_texts){0}),
                     waiting = read_texts((struct selection_texts){.state = "Waiting"}),
                     deferred = read_texts((struct selection_texts){.state = "deferred"}),
                     retry = read_texts((struct selection_texts){.state = "retry"});
    assert_true(selection_takes_state(&any, "held", "held"));
    assert_true(selection_takes_state(&waiting, "waiting", "destination_backoff"));
    assert_true(selection_takes_state(&deferred, "waiting", "retry"));
    assert_true(selection_takes_state(&retry, "waiting", "retry"));
    assert_false(selection_takes_state(&retry, "waiting", "destination_backoff"));
    assert_false(selection_takes_state(&waiting, "ready", "turn"));
}

static void a_sender_is_an_address_or_a_domain_or_nobody(void **state)
{
    assert_true(takes_sender("ada@example.org", "ada@example.org"));
    assert_true(takes_sender("<Ada@Example.ORG>", "ada@example.org"));
    assert_false(takes_sender("ada@example.org", "bada@example.org"));
    assert_false(takes_sender("ada@example.org", "ada@example.org.net"));
    assert_true(takes_sender("@example.org", "anybody@EXAMPLE.org"));
    assert_true(takes_sender("@example.org", "\"a@b\"@example.org"));
    assert_false(takes_sender("@example.org", "ada@mail.example.org"));
    assert_false(takes_sender("@example.org", ""));
    assert_true(takes_sender("<>", "") && takes_sender("", ""));
    assert_false(takes_sender("<>", "ada@example.org"));
}

static void ages_meet_at_their_bound(void **state)
{
    struct selection older = read_texts((struct selection_texts){.older = "2m"}),
                     younger = read_texts((struct selection_texts){.younger = "2m"});
    for (uint64_t age_ms = 2 * MINUTE_MS - 1; age_ms <= 2 * MINUTE_MS + 1; age_ms++) {
        assert_int_equal(selection_takes_message(&older, bytes_none(), NOW_MS - age_ms, NOW_MS),
                         age_ms >= 2 * MINUTE_MS);
        assert_int_equal(selection_takes_message(&younger, bytes_none(), NOW_MS - age_ms, NOW_MS),
                         age_ms < 2 * MINUTE_MS);
    }
    /* the clock was put back */
    assert_true(selection_takes_message(&younger, bytes_none(), NOW_MS + 5, NOW_MS));
}

static void recipients_are_taken_by_address_domain_and_reason(void **state)
{
    const struct tried r = {
        .recipient = {.address = BYTES("bob@there.net"), .original = BYTES("info@here.org")},
        .last = {
            .when_ms = 1, .code = 451, .enhanced = BYTES("4.7.1"), .text = BYTES("Greylisted, see you")}};
    assert_true(takes_to((struct selection_texts){.recipient = "BOB@there.net"}, &r));
    /* as the sender wrote it */
    assert_true(takes_to((struct selection_texts){.recipient = "info@here.org"}, &r));
    assert_true(takes_to((struct selection_texts){.recipient = "@there.net"}, &r));
    assert_false(takes_to((struct selection_texts){.recipient = "eve@there.net"}, &r));
    assert_true(takes_to((struct selection_texts){.domain = "There.NET"}, &r) &&
                takes_to((struct selection_texts){.domain = "@there.net"}, &r));
    assert_false(takes_to((struct selection_texts){.domain = "net"}, &r) ||
                 takes_to((struct selection_texts){.domain = "here.org"}, &r));
    assert_true(takes_to((struct selection_texts){.reason = "greylist"}, &r) &&
                takes_to((struct selection_texts){.reason = "451 4.7.1 G"}, &r));
    assert_true(takes_to((struct selection_texts){.reason = "you"}, &r) &&
                takes_to((struct selection_texts){.reason = "451 4.7.1 greylisted, see you"}, &r));
    assert_false(takes_to((struct selection_texts){.reason = "you!"}, &r) ||
                 takes_to((struct selection_texts){.reason = "451 4.7.1 greylisted, see you."}, &r));
    /* all that was said must hold */
    assert_true(takes_to((struct selection_texts){.domain = "there.net", .reason = "greylist"}, &r));
    assert_false(takes_to((struct selection_texts){.domain = "there.net", .reason = "refused"}, &r));
    const struct tried fresh = {.recipient = {.address = BYTES("bob@there.net")}};
    assert_false(takes_to((struct selection_texts){.reason = "g"}, &fresh));
    /* an address that was not changed is no match for nothing */
    assert_false(takes_to((struct selection_texts){.recipient = "<>"}, &fresh));
}

static void what_cannot_be_is_refused(void **state)
{
    assert_refused((struct selection_texts){.state = "lost"}, "--state: 'lost'");
    assert_refused((struct selection_texts){.state = ""}, "--state");
    assert_refused((struct selection_texts){.older = "soon"}, "--older: 'soon'");
    assert_refused((struct selection_texts){.older = ""}, "--older");
    assert_refused((struct selection_texts){.younger = "5"}, "--younger");
    assert_refused((struct selection_texts){.younger = "99999999999999999999d"}, "--younger");
    assert_refused((struct selection_texts){.domain = ""}, "--domain");
    assert_refused((struct selection_texts){.reason = ""}, "--reason");
    assert_refused((struct selection_texts){.recipient = ""}, "--recipient");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_told_from_everything),
        cmocka_unit_test(each_filter_makes_it_said),
        cmocka_unit_test(a_state_is_one_of_four_or_its_reason),
        cmocka_unit_test(a_sender_is_an_address_or_a_domain_or_nobody),
        cmocka_unit_test(ages_meet_at_their_bound),
        cmocka_unit_test(recipients_are_taken_by_address_domain_and_reason),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
