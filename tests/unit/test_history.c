/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of ports, passwords and calls, in a state folder of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/ports/history.h"
#include "cli/ports/state_file.h"
#include "unit.h"

static char folder[64];
static const char file_name[] = "history.json";

static int start_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/history-XXXXXX");
    return mkdtemp(folder) == NULL || setenv("XDG_STATE_HOME", folder, 1) != 0 ? -1 : 0;
}

static int end_folder(void **state)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct fact_history facts_of(const char *host, const char *user)
{
    struct fact_history facts;
    history_facts(host, user, &facts);
    return facts;
}

/* Makes all entries of a part older. */
static void age(const char *part, const char *field, json_int_t by_s)
{
    json_t *all = state_file_load(file_name), *entry;
    const char *key;
    json_object_foreach(json_object_get(all, part), key, entry)
    {
        json_int_t at = json_integer_value(json_object_get(entry, field));
        json_object_set_new(entry, field, json_integer(at - by_s));
    }
    state_file_save(file_name, all);
    json_decref(all);
}

static size_t size_of(const char *part)
{
    json_t *all = state_file_load(file_name);
    size_t size = json_object_size(json_object_get(all, part));
    json_decref(all);
    return size;
}

static void nothing_is_known_at_first(void **state)
{
    struct fact_history facts = facts_of("smtp.example.org", "ada");
    assert_int_equal(facts.count, 0);
    assert_int_equal(facts.calls_last_hour, 0);
    assert_int_equal(facts.password_refused, KNOWN_NO);
    assert_int_equal(facts_of("smtp.example.org", NULL).password_refused, KNOWN_NO);
    assert_int_equal(facts_of("", "ada").password_refused, KNOWN_NOT);
}

static void a_refused_password_is_remembered_for_an_hour(void **state)
{
    history_remember_refused("smtp.example.org", "ada@example.org");
    assert_int_equal(facts_of("smtp.example.org", "ada@example.org").password_refused, KNOWN_YES);
    assert_int_equal(facts_of("smtp.example.org", "bob@example.org").password_refused, KNOWN_NO);
    assert_int_equal(facts_of("smtp.example.net", "ada@example.org").password_refused, KNOWN_NO);
    json_t *all = state_file_load(file_name);
    char *text = json_dumps(all, 0);
    assert_null(strstr(text, "ada")); /* nobody's name stands there */
    free(text);
    json_decref(all);
    age("refused", "at", HISTORY_REFUSED_S - 10);
    assert_int_equal(facts_of("smtp.example.org", "ada@example.org").password_refused, KNOWN_YES);
    age("refused", "at", 20);
    assert_int_equal(facts_of("smtp.example.org", "ada@example.org").password_refused, KNOWN_NO);
    history_remember_refused("smtp.example.org", "ada@example.org");
    history_forget_refused("smtp.example.org", "ada@example.org");
    assert_int_equal(facts_of("smtp.example.org", "ada@example.org").password_refused, KNOWN_NO);
}

static void calls_are_counted_by_the_hour(void **state)
{
    for (int i = 0; i < 7; i++)
        history_remember_call("smtp.example.org");
    assert_int_equal(facts_of("smtp.example.org", NULL).calls_last_hour, 7);
    assert_int_equal(facts_of("smtp.example.net", NULL).calls_last_hour, 0);
    age("calls", "hour", 1);
    assert_true(facts_of("smtp.example.org", NULL).calls_last_hour <= 7);
    age("calls", "hour", 1);
    assert_int_equal(facts_of("smtp.example.org", NULL).calls_last_hour, 0);
}

static struct race race;
static const struct race_port ports[] = {
    {587, CLIENT_TLS_REQUIRED}, {2525, CLIENT_TLS_REQUIRED}, {465, CLIENT_TLS_IMPLICIT}};
static const struct route_address address;

static void run_race(bool first, bool second, bool third)
{
    const bool heard[] = {first, second, third};
    race = (struct race){.attempt_count = 3, .won = first || second || third};
    for (size_t i = 0; i < 3; i++)
        race.attempts[i] = (struct race_attempt){.port = &ports[i],
                                                 .address = &address,
                                                 .heard = heard[i],
                                                 .verdict = heard[i] ? PORT_OPEN : PORT_FILTERED,
                                                 .started_ms = 1000 + 250 * i};
}

static void a_silent_port_is_blocked_once_a_later_one_has_spoken(void **state)
{
    run_race(false, true, false); /* 465 began after 2525, and may have had no time */
    history_remember_race("smtp.example.org", &race);
    struct fact_history facts = facts_of("smtp.other.example", NULL); /* the network's, not the host's */
    assert_int_equal(facts.count, 2);
    assert_true(history_is_blocked(&facts, 587));
    assert_false(history_is_blocked(&facts, 2525));
    assert_false(history_is_blocked(&facts, 465));
    run_race(true, false, false);
    history_remember_race("smtp.example.org", &race);
    facts = facts_of("smtp.example.org", NULL);
    assert_false(history_is_blocked(&facts, 587));
}

static void silence_on_all_ports_tells_of_a_known_provider_alone(void **state)
{
    run_race(false, false, false);
    history_remember_race("smtp.example.org", &race);
    assert_int_equal(facts_of("smtp.example.org", NULL).count, 0);
    history_remember_race("smtp.gmail.com", &race); /* which has no 2525 */
    struct fact_history facts = facts_of("smtp.gmail.com", NULL);
    assert_int_equal(facts.count, 2);
    assert_true(history_is_blocked(&facts, 587) && history_is_blocked(&facts, 465));
    assert_false(history_is_blocked(&facts, 2525));
}

static void everything_has_its_bound(void **state)
{
    char host[300];
    for (int i = 0; i < HISTORY_HOSTS_MAX + 20; i++) {
        snprintf(host, sizeof host, "h%d.example", i);
        history_remember_call(host);
        history_remember_refused(host, "ada");
    }
    assert_int_equal(size_of("calls"), HISTORY_HOSTS_MAX);
    assert_int_equal(size_of("refused"), HISTORY_REFUSED_MAX);
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    history_remember_call(host); /* no host name is so long */
    assert_int_equal(size_of("calls"), HISTORY_HOSTS_MAX);
    assert_int_equal(facts_of(host, "ada").calls_last_hour, 0);
}

static void a_file_that_is_none_is_replaced(void **state)
{
    static const char *const bad[] = {"", "[]", "{\"calls\": 1, \"refused\": [], \"networks\": null}",
                                      "{\"calls\": {\"smtp.example.org\": {\"hour\": \"x\"}}}"};
    char path[128];
    history_remember_call("smtp.example.org"); /* makes the folder */
    snprintf(path, sizeof path, "%s/mailboat/%s", folder, file_name);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        fputs(bad[i], file);
        fclose(file);
        assert_int_equal(facts_of("smtp.example.org", "ada").calls_last_hour, 0);
        history_remember_call("smtp.example.org");
        assert_int_equal(facts_of("smtp.example.org", "ada").calls_last_hour, 1);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, start_folder, end_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(nothing_is_known_at_first),
        IN_FOLDER(a_refused_password_is_remembered_for_an_hour),
        IN_FOLDER(calls_are_counted_by_the_hour),
        IN_FOLDER(a_silent_port_is_blocked_once_a_later_one_has_spoken),
        IN_FOLDER(silence_on_all_ports_tells_of_a_known_provider_alone),
        IN_FOLDER(everything_has_its_bound),
        IN_FOLDER(a_file_that_is_none_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
