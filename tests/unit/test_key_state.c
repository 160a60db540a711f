/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a signing key as a table: what each look in DNS moves, what is waited for, and a clock that is
 * wrong. */
#include <string.h>

#include "core/trust/key_state.h"
#include "unit.h"

enum { DAY = KEY_DAY_S, TTL = 3600 };
#define NOW ((uint64_t)1795435200) /* 23 Nov 2026 */

static const struct key_record record = {BYTES("example.org"), BYTES("s1"), DKIM_RSA_SHA256, BYTES("AAAA")};
static const struct key_wait_facts rotating = {NOW, 180 * (uint64_t)DAY}, never = {NOW, 0};

static bool look(struct key_state *state, uint64_t now_s, enum key_seen resolver, enum key_seen servers)
{
    return key_state_look(state, &(struct key_look){now_s, resolver, servers, TTL});
}

static struct key_state prepared(void)
{
    struct key_state state;
    key_state_start(&state, 1, NOW);
    return state;
}

static struct key_state published(void)
{
    struct key_state state = prepared();
    assert_true(look(&state, NOW, KEY_SEEN_OURS, KEY_SEEN_OURS));
    assert_int_equal(state.stage, KEY_PUBLISHED);
    return state;
}

static struct key_state active(void)
{
    struct key_state state = published();
    assert_true(look(&state, NOW + TTL, KEY_SEEN_OURS, KEY_SEEN_OURS));
    assert_int_equal(state.stage, KEY_ACTIVE);
    return state;
}

static struct key_state retired(void)
{
    struct key_state state = active();
    assert_true(key_state_retire(&state, NOW + TTL));
    return state;
}

static struct key_state removed(void)
{
    struct key_state state = retired();
    assert_true(look(&state, NOW + TTL + 14 * DAY, KEY_SEEN_OURS, KEY_SEEN_OURS));
    assert_int_equal(state.stage, KEY_REMOVED);
    return state;
}

static struct key_state at_stage(enum key_stage stage)
{
    static struct key_state (*const makers[KEY_STAGES])(void) = {prepared, published, active, retired,
                                                                 removed};
    return makers[stage]();
}

/* ---- one look ---- */

static void test_each_look_moves_the_stage_as_the_table_says(void **state)
{
    static const struct {
        enum key_stage from;
        enum key_seen resolver, servers;
        uint64_t after_s; /* since the stage began */
        enum key_stage to;
    } table[] = {
        {KEY_PREPARED, KEY_SEEN_OURS, KEY_SEEN_OURS, 0, KEY_PUBLISHED},
        {KEY_PREPARED, KEY_SEEN_OURS, KEY_SEEN_MISSING, DAY, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_MISSING, KEY_SEEN_OURS, DAY, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_UNKNOWN, KEY_SEEN_OURS, DAY, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN, 0, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_CUT, KEY_SEEN_CUT, DAY, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_OTHER, KEY_SEEN_OTHER, DAY, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_ALIAS, KEY_SEEN_ALIAS, DAY, KEY_PREPARED},
        {KEY_PREPARED, KEY_SEEN_UNKNOWN, KEY_SEEN_UNKNOWN, DAY, KEY_PREPARED},
        {KEY_PUBLISHED, KEY_SEEN_OURS, KEY_SEEN_OURS, TTL - 1, KEY_PUBLISHED},
        {KEY_PUBLISHED, KEY_SEEN_OURS, KEY_SEEN_OURS, TTL, KEY_ACTIVE},
        {KEY_PUBLISHED, KEY_SEEN_UNKNOWN, KEY_SEEN_UNKNOWN, TTL, KEY_ACTIVE},
        {KEY_PUBLISHED, KEY_SEEN_OURS, KEY_SEEN_MISSING, TTL, KEY_PREPARED},
        {KEY_PUBLISHED, KEY_SEEN_MISSING, KEY_SEEN_UNKNOWN, 0, KEY_PREPARED},
        {KEY_ACTIVE, KEY_SEEN_OURS, KEY_SEEN_OURS, 900 * (uint64_t)DAY, KEY_ACTIVE},
        {KEY_ACTIVE, KEY_SEEN_UNKNOWN, KEY_SEEN_UNKNOWN, 3, KEY_ACTIVE},
        {KEY_ACTIVE, KEY_SEEN_MISSING, KEY_SEEN_OURS, 3, KEY_ACTIVE}, /* the resolver remembers */
        {KEY_ACTIVE, KEY_SEEN_OURS, KEY_SEEN_MISSING, 3, KEY_PREPARED},
        {KEY_ACTIVE, KEY_SEEN_REVOKED, KEY_SEEN_REVOKED, 3, KEY_PREPARED},
        {KEY_ACTIVE, KEY_SEEN_SEVERAL, KEY_SEEN_UNKNOWN, 3, KEY_PREPARED},
        {KEY_ACTIVE, KEY_SEEN_NO_DOMAIN, KEY_SEEN_UNKNOWN, 3, KEY_PREPARED},
        {KEY_RETIRED, KEY_SEEN_OURS, KEY_SEEN_OURS, 14 * DAY - 1, KEY_RETIRED},
        {KEY_RETIRED, KEY_SEEN_OURS, KEY_SEEN_OURS, 14 * DAY, KEY_REMOVED},
        {KEY_RETIRED, KEY_SEEN_MISSING, KEY_SEEN_MISSING, 3, KEY_RETIRED},
        {KEY_REMOVED, KEY_SEEN_OURS, KEY_SEEN_OURS, 30 * DAY, KEY_REMOVED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct key_state of = at_stage(table[i].from);
        bool moved = look(&of, of.since_s[of.stage] + table[i].after_s, table[i].resolver, table[i].servers);
        if (of.stage != table[i].to || moved != (table[i].from != table[i].to)) {
            print_error("row %zu: %s\n", i, key_stage_name(of.stage));
            fail();
        }
        assert_int_equal(key_state_signs(&of), of.stage == KEY_ACTIVE);
        assert_int_equal(key_state_has_secret(&of), of.stage != KEY_REMOVED);
    }
}

static void test_the_resolver_alone_is_believed_after_a_day(void **state)
{
    struct key_state of = prepared();
    assert_false(look(&of, NOW, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN));
    assert_int_equal(key_state_wait(&of, &never, NULL), KEY_WAIT_SERVERS);
    assert_false(look(&of, NOW + DAY - 1, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN));
    struct key_state interrupted = of;
    assert_true(look(&of, NOW + DAY, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN));
    assert_int_equal(of.stage, KEY_PUBLISHED);
    /* a break begins the day again; no answer is no break */
    assert_false(look(&interrupted, NOW + DAY, KEY_SEEN_MISSING, KEY_SEEN_UNKNOWN));
    assert_false(look(&interrupted, NOW + DAY + 1, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN));
    assert_false(look(&interrupted, NOW + DAY + 2, KEY_SEEN_UNKNOWN, KEY_SEEN_UNKNOWN));
    assert_false(look(&interrupted, NOW + 2 * DAY, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN));
    assert_true(look(&interrupted, NOW + 2 * DAY + 1, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN));
}

static void test_a_long_ttl_is_waited_for_a_day_and_none_not_at_all(void **state)
{
    struct key_state of = prepared();
    assert_true(key_state_look(&of, &(struct key_look){NOW, KEY_SEEN_OURS, KEY_SEEN_OURS, 7 * DAY}));
    assert_int_equal(of.stage, KEY_PUBLISHED);
    assert_false(
        key_state_look(&of, &(struct key_look){NOW + DAY - 1, KEY_SEEN_OURS, KEY_SEEN_OURS, 7 * DAY}));
    assert_true(key_state_look(&of, &(struct key_look){NOW + DAY, KEY_SEEN_OURS, KEY_SEEN_OURS, 7 * DAY}));
    assert_int_equal(of.stage, KEY_ACTIVE);
    of = prepared();
    assert_true(key_state_look(&of, &(struct key_look){NOW, KEY_SEEN_OURS, KEY_SEEN_OURS, 0}));
    assert_int_equal(of.stage, KEY_ACTIVE);
}

/* ---- several keys ---- */

static void test_a_successor_retires_the_key_before_it(void **state)
{
    struct key_state old = active(), fresh;
    struct key_state *both[] = {&old, &fresh};
    key_state_start(&fresh, 2, NOW + 180 * (uint64_t)DAY);
    assert_false(key_state_settle(both, 2, NOW));
    look(&fresh, NOW + 181 * (uint64_t)DAY, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_false(key_state_settle(both, 2, NOW));
    assert_true(key_state_signs(&old));
    look(&fresh, NOW + 182 * (uint64_t)DAY, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_true(key_state_settle(both, 2, NOW + 182 * (uint64_t)DAY));
    assert_int_equal(old.stage, KEY_RETIRED);
    assert_int_equal(fresh.stage, KEY_ACTIVE);
    assert_false(key_state_settle(both, 2, NOW + 183 * (uint64_t)DAY));
}

static void test_an_older_key_that_comes_back_does_not_replace_a_newer(void **state)
{
    struct key_state old = active(), newer = active();
    struct key_state *both[] = {&newer, &old};
    newer.number = 2;
    look(&old, NOW + DAY, KEY_SEEN_MISSING, KEY_SEEN_MISSING);
    assert_int_equal(old.stage, KEY_PREPARED);
    look(&old, NOW + 2 * DAY, KEY_SEEN_OURS, KEY_SEEN_OURS);
    look(&old, NOW + 3 * DAY, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_int_equal(old.stage, KEY_ACTIVE);
    assert_true(key_state_settle(both, 2, NOW + 3 * DAY));
    assert_int_equal(old.stage, KEY_RETIRED);
    assert_true(key_state_signs(&newer));
    assert_false(key_state_settle(both, 0, NOW));
}

static void test_a_person_retires(void **state)
{
    static const enum key_stage to[KEY_STAGES] = {KEY_REMOVED, KEY_REMOVED, KEY_RETIRED, KEY_RETIRED,
                                                  KEY_REMOVED};
    for (int i = 0; i < KEY_STAGES; i++) {
        struct key_state of = at_stage((enum key_stage)i);
        assert_int_equal(key_state_retire(&of, NOW), i < KEY_RETIRED);
        assert_int_equal(of.stage, to[i]);
    }
    struct key_state vanished = active(); /* mail signed with it is on its way */
    look(&vanished, NOW + DAY, KEY_SEEN_MISSING, KEY_SEEN_MISSING);
    assert_true(key_state_retire(&vanished, NOW + DAY));
    assert_int_equal(vanished.stage, KEY_RETIRED);
}

/* ---- times ---- */

static void test_it_is_old_after_the_rotation_and_over_after_thirty_days(void **state)
{
    struct key_state of = active();
    uint64_t since_s = of.since_s[KEY_ACTIVE];
    assert_false(key_state_is_old(&of, since_s + 180 * (uint64_t)DAY - 1, 180 * (uint64_t)DAY));
    assert_true(key_state_is_old(&of, since_s + 180 * (uint64_t)DAY, 180 * (uint64_t)DAY));
    assert_false(key_state_is_old(&of, since_s + 9000 * (uint64_t)DAY, 0));
    of = retired();
    assert_false(key_state_is_old(&of, since_s + 900 * (uint64_t)DAY, DAY));

    of = removed();
    since_s = of.since_s[KEY_REMOVED];
    look(&of, since_s + DAY, KEY_SEEN_REVOKED, KEY_SEEN_REVOKED);
    assert_false(key_state_is_over(&of, since_s + 30 * DAY - 1));
    assert_true(key_state_is_over(&of, since_s + 30 * DAY));
    look(&of, since_s + 30 * DAY, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_false(key_state_is_over(&of, since_s + 300 * (uint64_t)DAY));
    of = prepared(); /* never shown: nothing to wait for */
    key_state_retire(&of, NOW);
    assert_true(key_state_is_over(&of, NOW));
}

static void test_looks_are_often_while_a_record_is_awaited(void **state)
{
    struct key_state of = prepared();
    assert_int_equal(key_state_next_look_s(&of, NOW), 0);
    look(&of, NOW, KEY_SEEN_MISSING, KEY_SEEN_MISSING);
    assert_int_equal(key_state_next_look_s(&of, NOW), KEY_LOOK_OFTEN_S);
    assert_int_equal(key_state_next_look_s(&of, NOW + KEY_LOOK_OFTEN_S - 1), 1);
    assert_int_equal(key_state_next_look_s(&of, NOW + KEY_LOOK_OFTEN_S), 0);
    look(&of, NOW + KEY_LOOK_OFTEN_FOR_S, KEY_SEEN_MISSING, KEY_SEEN_MISSING);
    assert_int_equal(key_state_next_look_s(&of, NOW + KEY_LOOK_OFTEN_FOR_S), KEY_LOOK_S);
    assert_int_equal(key_state_next_look_s(&of, NOW), 0); /* the clock went back */
    of = active();
    assert_int_equal(key_state_next_look_s(&of, NOW + TTL), KEY_LOOK_S);
    of = prepared(); /* a short TTL is over soon */
    key_state_look(&of, &(struct key_look){NOW, KEY_SEEN_OURS, KEY_SEEN_OURS, 7});
    assert_int_equal(key_state_next_look_s(&of, NOW), 7);
}

/* ---- the clock ---- */

static void test_a_wrong_clock_stops_no_signing_and_ends_no_key(void **state)
{
    static const uint64_t clocks[] = {0, 1, 1000, NOW - 2 * DAY, KEY_CLOCK_MAX_S + 1, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(clocks); i++) {
        struct key_state of = active();
        assert_true(key_state_clock_is_wrong(&of, clocks[i]));
        assert_false(look(&of, clocks[i], KEY_SEEN_OURS, KEY_SEEN_OURS));
        assert_true(key_state_signs(&of));
        assert_false(key_state_is_old(&of, clocks[i], DAY));
        struct key_wait_facts facts = {clocks[i], DAY};
        assert_int_equal(key_state_wait(&of, &facts, NULL), KEY_WAIT_CLOCK);
        of = retired();
        assert_false(look(&of, clocks[i], KEY_SEEN_OURS, KEY_SEEN_OURS));
        of = removed();
        assert_false(key_state_is_over(&of, clocks[i]));
        assert_true(look(&of, clocks[i], KEY_SEEN_MISSING, KEY_SEEN_MISSING) == false);
    }
}

static void test_a_clock_that_was_never_set_still_lets_a_key_become_active(void **state)
{
    struct key_state of;
    key_state_start(&of, 1, 0);
    assert_int_not_equal(of.since_s[KEY_PREPARED], 0);
    look(&of, 100, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_int_equal(of.stage, KEY_PUBLISHED);
    look(&of, 100 + TTL, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_true(key_state_signs(&of));
    /* set at last: its age counts from then, so that it is not rotated at once */
    look(&of, NOW, KEY_SEEN_OURS, KEY_SEEN_OURS);
    assert_false(key_state_is_old(&of, NOW + DAY - 1, DAY));
    assert_true(key_state_is_old(&of, NOW + DAY, DAY));
}

static void test_a_clock_that_jumps_is_not_believed_at_once(void **state)
{
    struct key_state of = retired();
    uint64_t far = of.looked_s + KEY_GAP_S + 1;
    assert_false(look(&of, far, KEY_SEEN_OURS, KEY_SEEN_OURS));
    assert_true(look(&of, far + KEY_LOOK_S, KEY_SEEN_OURS, KEY_SEEN_OURS));
    assert_int_equal(of.stage, KEY_REMOVED);
    of = published(); /* back by a year: the wait for the TTL begins again, and ends */
    assert_false(look(&of, NOW - 365 * (uint64_t)DAY, KEY_SEEN_OURS, KEY_SEEN_OURS));
    assert_true(look(&of, NOW - 365 * (uint64_t)DAY + TTL, KEY_SEEN_OURS, KEY_SEEN_OURS));
}

/* ---- words ---- */

static void test_each_wait_has_a_sentence(void **state)
{
    static const struct {
        enum key_stage stage;
        enum key_seen resolver, servers;
        uint64_t after_s, rotate_s;
        enum key_wait wait;
        const char *words; /* a part of it */
    } table[] = {
        {KEY_PREPARED, KEY_SEEN_MISSING, KEY_SEEN_MISSING, 0, 0, KEY_WAIT_PUBLISH,
         "s1._domainkey.example.org: DNS does not have the record; publish it"},
        {KEY_PREPARED, KEY_SEEN_CUT, KEY_SEEN_UNKNOWN, 0, 0, KEY_WAIT_PUBLISH, "at most 255 characters"},
        {KEY_PREPARED, KEY_SEEN_OURS, KEY_SEEN_OTHER, 0, 0, KEY_WAIT_PUBLISH, "another key"},
        {KEY_PREPARED, KEY_SEEN_ALIAS, KEY_SEEN_ALIAS, 0, 0, KEY_WAIT_PUBLISH, "alias (CNAME)"},
        {KEY_PREPARED, KEY_SEEN_NO_DOMAIN, KEY_SEEN_UNKNOWN, 0, 0, KEY_WAIT_PUBLISH, "registrar"},
        {KEY_PREPARED, KEY_SEEN_MISSING, KEY_SEEN_OURS, 0, 0, KEY_WAIT_RESOLVER, "this machine's resolver"},
        {KEY_PREPARED, KEY_SEEN_OURS, KEY_SEEN_UNKNOWN, 0, 0, KEY_WAIT_SERVERS, "after a day"},
        {KEY_PREPARED, KEY_SEEN_UNKNOWN, KEY_SEEN_UNKNOWN, 0, 0, KEY_WAIT_LOOK, "gave no answer"},
        {KEY_PUBLISHED, KEY_SEEN_OURS, KEY_SEEN_OURS, 0, 0, KEY_WAIT_TTL, "Mon, 23 Nov 2026 13:00:00 +0000"},
        {KEY_ACTIVE, KEY_SEEN_OURS, KEY_SEEN_OURS, 0, 0, KEY_WAIT_NONE, "mail is signed with it"},
        {KEY_ACTIVE, KEY_SEEN_OURS, KEY_SEEN_OURS, 0, 180 * (uint64_t)DAY, KEY_WAIT_ROTATION,
         "a successor is prepared on 22 May 2027"},
        {KEY_ACTIVE, KEY_SEEN_OURS, KEY_SEEN_OURS, 2 * DAY, DAY, KEY_WAIT_SUCCESSOR, "until its successor"},
        {KEY_RETIRED, KEY_SEEN_OURS, KEY_SEEN_OURS, 0, 0, KEY_WAIT_RETIRED, "until 7 Dec 2026"},
        {KEY_REMOVED, KEY_SEEN_OURS, KEY_SEEN_OURS, 0, 0, KEY_WAIT_REVOKE,
         "replace the value of s1._domainkey.example.org by \"v=DKIM1; p=\" until 6 Jan 2027"},
        {KEY_REMOVED, KEY_SEEN_REVOKED, KEY_SEEN_REVOKED, 0, 0, KEY_WAIT_REMOVED, "then delete it"},
        {KEY_REMOVED, KEY_SEEN_OURS, KEY_SEEN_OURS, 30 * DAY, 0, KEY_WAIT_DELETE,
         "delete s1._domainkey.example.org"},
        {KEY_REMOVED, KEY_SEEN_MISSING, KEY_SEEN_MISSING, 30 * DAY, 0, KEY_WAIT_NONE, "nothing needs it"},
    };
    struct buffer words = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct key_state of = at_stage(table[i].stage);
        struct key_wait_facts facts = {of.since_s[of.stage] + table[i].after_s, table[i].rotate_s};
        of.looked_s = facts.now_s;
        of.resolver = table[i].resolver;
        of.servers = table[i].servers;
        enum key_wait wait = key_state_wait(&of, &facts, NULL);
        buffer_clear(&words);
        key_state_words(&record, &of, &facts, &words);
        if (wait != table[i].wait || strstr(buffer_text(&words), table[i].words) == NULL) {
            print_error("row %zu: %s: %s\n", i, key_wait_name(wait), buffer_text(&words));
            fail();
        }
    }
    buffer_free(&words);
}

static void test_words_say_that_nothing_is_signed_and_that_the_clock_is_wrong(void **state)
{
    struct buffer words = {0};
    struct key_state of = prepared();
    key_state_words(&record, &of, &rotating, &words);
    assert_text(buffer_bytes(&words), "s1._domainkey.example.org: DNS was not asked yet");
    buffer_clear(&words);
    of = active();
    look(&of, NOW + DAY, KEY_SEEN_MISSING, KEY_SEEN_MISSING);
    key_state_words(&record, &of, &rotating, &words);
    assert_non_null(strstr(buffer_text(&words), "mail is not signed with this key until"));
    buffer_clear(&words);
    of = retired();
    key_state_words(&record, &of, &(struct key_wait_facts){5, 0}, &words);
    assert_text(
        buffer_bytes(&words),
        "this machine's clock says 1 Jan 1970, which is impossible; set the clock: until then no key is "
        "rotated or removed");
    buffer_clear(&words);
    key_state_words(&record, &of, &(struct key_wait_facts){NOW - 90 * (uint64_t)DAY, 0}, &words);
    assert_non_null(strstr(buffer_text(&words), "but the key was retired on 23 Nov 2026"));
    buffer_free(&words);
}

static void test_names_are_read_as_they_are_written(void **state)
{
    enum key_stage stage;
    for (int i = 0; i < KEY_STAGES; i++) {
        assert_true(key_stage_named(bytes_of_text(key_stage_name((enum key_stage)i)), &stage));
        assert_int_equal(stage, i);
    }
    assert_false(key_stage_named(BYTES("Active"), &stage));
    for (int i = 0; i < KEY_WAITS; i++)
        assert_int_not_equal(strlen(key_wait_name((enum key_wait)i)), 0);
    assert_true(key_wait_is_for_person(KEY_WAIT_PUBLISH));
    assert_false(key_wait_is_for_person(KEY_WAIT_TTL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_look_moves_the_stage_as_the_table_says),
        cmocka_unit_test(test_the_resolver_alone_is_believed_after_a_day),
        cmocka_unit_test(test_a_long_ttl_is_waited_for_a_day_and_none_not_at_all),
        cmocka_unit_test(test_a_successor_retires_the_key_before_it),
        cmocka_unit_test(test_an_older_key_that_comes_back_does_not_replace_a_newer),
        cmocka_unit_test(test_a_person_retires),
        cmocka_unit_test(test_it_is_old_after_the_rotation_and_over_after_thirty_days),
        cmocka_unit_test(test_looks_are_often_while_a_record_is_awaited),
        cmocka_unit_test(test_a_wrong_clock_stops_no_signing_and_ends_no_key),
        cmocka_unit_test(test_a_clock_that_was_never_set_still_lets_a_key_become_active),
        cmocka_unit_test(test_a_clock_that_jumps_is_not_believed_at_once),
        cmocka_unit_test(test_each_wait_has_a_sentence),
        cmocka_unit_test(test_words_say_that_nothing_is_signed_and_that_the_clock_is_wrong),
        cmocka_unit_test(test_names_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
