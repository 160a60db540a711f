/* SPDX-License-Identifier: Apache-2.0 */
/* Connection floods and hours of waiting, with simulated numbers and time. */
#include "core/server/admission.h"
#include "unit.h"

enum { MAX = 10000 };
enum { PORT_25, P587, P465, P2525, LOCAL, PORTS };
#define MINUTES(n) ((uint64_t)(n)*60 * 1000)

/* Returns how many connections of a flood are accepted. */
static uint32_t flood(struct admission *all, size_t port, bool known, uint32_t come)
{
    uint32_t in = 0;
    for (; in < come && admission_has_room(all, port, known); in++)
        *(known ? &all->known : &all->strangers[port]) += 1;
    return in;
}

static struct admission empty(uint32_t max)
{
    return (struct admission){.max = max, .port_count = PORTS};
}

static void a_flood_on_one_port_leaves_the_others_and_the_known(void **state)
{
    for (size_t port = 0; port < PORTS; port++) {
        struct admission all = empty(MAX);
        uint32_t in = flood(&all, port, false, 100000);
        assert_int_equal(in, 4800); /* 8000 for strangers: its share of 800, and the open 4000 */
        assert_false(admission_has_room(&all, port, false));
        for (size_t other = 0; other < PORTS; other++)
            if (other != port)
                assert_int_equal(flood(&all, other, false, 100000), 800);
        assert_int_equal(flood(&all, P587, true, 100000), 2000);
        assert_false(admission_has_room(&all, P587, true));
    }
}

static void known_clients_leave_a_quarter(void **state)
{
    struct admission all = empty(MAX);
    assert_int_equal(flood(&all, P587, true, 100000), 7500);
    assert_true(admission_known_are_many(&all));
    assert_int_equal(flood(&all, PORT_25, false, 10000), 1500);
    for (size_t port = P587; port < PORTS; port++)
        assert_int_equal(flood(&all, port, false, 10000), 250);
}

static void a_small_limit_is_used_up(void **state)
{
    for (uint32_t max = 1; max < 300; max++) {
        struct admission all = empty(max), one = {.max = max, .port_count = 1};
        uint32_t in = 0;
        for (size_t port = 0; port < PORTS; port++)
            in += flood(&all, port, false, 1000);
        assert_int_equal(in, max - max / KNOWN_SHARE);
        in += flood(&all, P465, true, 1000);
        assert_int_equal(in, max);
        assert_int_equal(flood(&one, 0, false, 1000), max - max / KNOWN_SHARE);
        assert_true(admission_has_room(&one, 0, true) == (max >= KNOWN_SHARE));
    }
}

static void pressure_begins_later_than_it_ends(void **state)
{
    struct admission all = empty(MAX);
    assert_false(admission_is_pressed(&all, false));
    all.strangers[PORT_25] = 800 + 2800; /* 70 % of what is open to any port */
    assert_false(admission_is_pressed(&all, false));
    all.strangers[PORT_25]++;
    assert_true(admission_is_pressed(&all, false));
    all.strangers[PORT_25] = 800 + 2401;
    assert_true(admission_is_pressed(&all, true));
    all.strangers[PORT_25] = 800 + 2400;
    assert_false(admission_is_pressed(&all, true));
    all = empty(MAX);
    all.known = 7000; /* of all connections */
    assert_false(admission_is_pressed(&all, false));
    all.known++;
    assert_true(admission_is_pressed(&all, false));
    all = (struct admission){.max = 1, .port_count = 1};
    assert_false(admission_is_pressed(&all, false));
}

/* ---- stays ---- */

/* Returns how long an active client stays, in minutes; `most` if longer. */
static uint64_t stays_min(enum server_role role, bool signs_in, uint64_t every_ms,
                          struct server_progress each, uint64_t most)
{
    struct admission_stay stay;
    struct server_progress progress = {0};
    admission_stay_begin(&stay, role, 0);
    for (uint64_t now = every_ms; now < MINUTES(most); now += every_ms) {
        for (uint64_t at = now - every_ms; at < now; at += 1000) /* somebody looks each second */
            if (admission_stay_check(&stay, false, false, at) == STAY_IS_OVER)
                return at / MINUTES(1);
        progress.signed_in = signs_in;
        progress.steps += each.steps;
        progress.messages += each.messages;
        progress.recipients += each.recipients;
        progress.octets += each.octets;
        admission_stay_count(&stay, &progress, now);
    }
    return most;
}

static void who_comes_to_nothing_leaves_within_minutes(void **state)
{
    struct server_progress nothing = {0}, step = {.steps = 1}, octet = {.octets = 1},
                           recipient = {.steps = 1, .recipients = 1};
    enum { DAY = 24 * 60 };
    assert_int_equal(stays_min(ROLE_MX, false, MINUTES(4), nothing, DAY), 10);
    assert_int_equal(stays_min(ROLE_SUBMISSION, false, MINUTES(4), nothing, DAY), 5);
    for (uint64_t every_s = 1; every_s < 300; every_s += 13) { /* NOOP, RSET, EHLO: dripped */
        assert_int_equal(stays_min(ROLE_MX, false, every_s * 1000, step, DAY), 10);
        assert_int_equal(stays_min(ROLE_SUBMISSION, false, every_s * 1000, step, DAY), 5);
        assert_in_range(stays_min(ROLE_SUBMISSION, true, every_s * 1000, step, DAY), 30, 35);
        assert_in_range(stays_min(ROLE_MX, false, every_s * 1000, octet, DAY), 10, 10); /* DATA that drips */
    }
    assert_in_range(stays_min(ROLE_MX, false, MINUTES(1), recipient, DAY), 10, 11); /* one RCPT a minute */
}

static void who_sends_mail_stays(void **state)
{
    enum { DAY = 24 * 60 };
    struct server_progress message = {.steps = 4, .recipients = 1, .octets = 100, .messages = 1},
                           slow = {.octets = 500}, too_slow = {.octets = 400};
    assert_int_equal(stays_min(ROLE_MX, false, MINUTES(4), message, DAY), DAY);
    assert_int_equal(stays_min(ROLE_SUBMISSION, true, MINUTES(4), message, DAY), DAY);
    assert_int_equal(stays_min(ROLE_MX, false, 1000, slow, DAY), DAY); /* 4,000 bits a second */
    assert_int_equal(stays_min(ROLE_MX, false, 1000, too_slow, DAY), 50);
}

/* Much at once buys no more than the whole budget. */
static void time_is_not_hoarded(void **state)
{
    struct admission_stay stay;
    struct server_progress progress = {.octets = 50 << 20, .recipients = 1000, .steps = 1000};
    admission_stay_begin(&stay, ROLE_MX, 0);
    admission_stay_count(&stay, &progress, 1000);
    assert_int_equal(admission_stay_check(&stay, false, false, 1000 + STAY_MX_MS - 1), STAY_GOES_ON);
    assert_int_equal(admission_stay_check(&stay, false, false, 1000 + STAY_MX_MS), STAY_IS_OVER);
    admission_stay_excuse(&stay, MINUTES(9)); /* we were slow ourselves */
    assert_int_equal(admission_stay_check(&stay, false, false, MINUTES(18)), STAY_GOES_ON);
}

static void pressure_is_for_strangers(void **state)
{
    struct admission_stay stay;
    struct server_progress progress = {0};
    admission_stay_begin(&stay, ROLE_MX, 0);
    assert_int_equal(admission_stay_check(&stay, true, false, PRESSED_STEP_MS - 1), STAY_GOES_ON);
    assert_int_equal(admission_stay_check(&stay, true, false, PRESSED_STEP_MS), STAY_IS_IN_THE_WAY);
    assert_int_equal(admission_stay_check(&stay, true, true, PRESSED_STEP_MS), STAY_GOES_ON);
    assert_int_equal(admission_stay_check(&stay, false, false, PRESSED_STEP_MS), STAY_GOES_ON);
    for (uint64_t now = 5000; now < PRESSED_STAY_MS; now += 5000) { /* one NOOP after the other */
        progress.steps++;
        admission_stay_count(&stay, &progress, now);
        assert_int_equal(admission_stay_check(&stay, true, false, now), STAY_GOES_ON);
    }
    assert_int_equal(admission_stay_check(&stay, true, false, PRESSED_STAY_MS), STAY_IS_IN_THE_WAY);
    progress.recipients++; /* naming one after the other is not enough */
    admission_stay_count(&stay, &progress, PRESSED_STAY_MS);
    assert_int_equal(admission_stay_check(&stay, true, false, PRESSED_STAY_MS), STAY_IS_IN_THE_WAY);
    progress.octets += PRESSED_STEP_OCTETS; /* content at the least pace */
    admission_stay_count(&stay, &progress, PRESSED_STAY_MS);
    assert_int_equal(admission_stay_check(&stay, true, false, PRESSED_STAY_MS + PRESSED_STEP_MS - 1),
                     STAY_GOES_ON);
    progress.octets += PRESSED_STEP_OCTETS - 1; /* and one octet less */
    admission_stay_count(&stay, &progress, PRESSED_STAY_MS + PRESSED_STEP_MS);
    assert_int_equal(admission_stay_check(&stay, true, false, PRESSED_STAY_MS + PRESSED_STEP_MS),
                     STAY_IS_IN_THE_WAY);
}

static void who_works_makes_room_for_nobody(void **state)
{
    struct admission_stay stay;
    struct server_progress progress = {.steps = 3};
    admission_stay_begin(&stay, ROLE_MX, 0);
    admission_stay_count(&stay, &progress, 100);
    assert_true(admission_stay_can_make_room(&stay, 100)); /* EHLO, MAIL, RSET */
    progress.recipients = 1;
    admission_stay_count(&stay, &progress, 200);
    assert_false(admission_stay_can_make_room(&stay, 200 + WORKED_RECENTLY_MS - 1));
    assert_true(admission_stay_can_make_room(&stay, 200 + WORKED_RECENTLY_MS));
    /* the same recipient, in one transaction after the other */
    for (uint64_t now = 1000; now < PRESSED_STAY_MS; now += 1000) {
        progress.recipients++;
        admission_stay_count(&stay, &progress, now);
        assert_false(admission_stay_can_make_room(&stay, now));
    }
    assert_true(admission_stay_can_make_room(&stay, PRESSED_STAY_MS));
    progress.octets += PRESSED_STEP_OCTETS;
    admission_stay_count(&stay, &progress, PRESSED_STAY_MS);
    assert_false(admission_stay_can_make_room(&stay, PRESSED_STAY_MS + WORKED_RECENTLY_MS - 1));
    admission_stay_begin(&stay, ROLE_SUBMISSION, 0);
    progress = (struct server_progress){.signed_in = true, .steps = 5};
    admission_stay_count(&stay, &progress, 1000);
    assert_false(admission_stay_can_make_room(&stay, 1000 + SIGNED_IN_IDLE_MS - 1));
    assert_true(admission_stay_can_make_room(&stay, 1000 + SIGNED_IN_IDLE_MS));
    progress.in_transaction = true;
    admission_stay_count(&stay, &progress, 2000);
    assert_false(admission_stay_can_make_room(&stay, MINUTES(20)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_on_one_port_leaves_the_others_and_the_known),
        cmocka_unit_test(known_clients_leave_a_quarter),
        cmocka_unit_test(a_small_limit_is_used_up),
        cmocka_unit_test(pressure_begins_later_than_it_ends),
        cmocka_unit_test(who_comes_to_nothing_leaves_within_minutes),
        cmocka_unit_test(who_sends_mail_stays),
        cmocka_unit_test(time_is_not_hoarded),
        cmocka_unit_test(pressure_is_for_strangers),
        cmocka_unit_test(who_works_makes_room_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
