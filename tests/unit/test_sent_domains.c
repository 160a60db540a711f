/* SPDX-License-Identifier: Apache-2.0 */
/* The domains that users sent mail to: notes of days, within bounds, and what they say of other domains. */
#include <stdio.h>

#include "core/trust/sent_domains.h"
#include "unit.h"

static struct sent_domains sent;

static int prepare(void **state)
{
    sent_domains_start(&sent, 1);
    sent_domains_begin(&sent, 100, bytes_none());
    return 0;
}

static int clean_up(void **state)
{
    sent_domains_free(&sent);
    return 0;
}

static bool add(const char *domain)
{
    return sent_domains_add(&sent, bytes_of_text(domain));
}

static void a_domain_is_noted_once_a_day(void **state)
{
    assert_true(add("a.test"));
    assert_false(add("A.test"));
    assert_true(add("B.test"));
    assert_text(buffer_bytes(&sent.text), "100\na.test\nb.test\n");
    static const char *const wrong[] = {"",         "a..test",     "gr\xc3\xbc\xc3\x9f.test",
                                        "a.test\n", "[192.0.2.1]", "-"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        if (add(wrong[i]))
            fail_msg("%s is noted", wrong[i]);
    assert_text(buffer_bytes(&sent.text), "100\na.test\nb.test\n");
}

static void a_note_is_taken_up_on_its_day_alone(void **state)
{
    sent_domains_begin(&sent, 101, BYTES("101\na.test\n<nonsense>\nb.test\n"));
    assert_false(add("a.test"));
    assert_false(add("b.test"));
    assert_text(buffer_bytes(&sent.text), "101\na.test\nb.test\n");
    static const char *const others[] = {"", "100\na.test\n", "a.test\n", "999999999999\na.test\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        sent_domains_begin(&sent, 101, bytes_of_text(others[i]));
        assert_text(buffer_bytes(&sent.text), "101\n");
        assert_true(add("a.test"));
    }
}

static void notes_have_names_in_turn(void **state)
{
    char first[SENT_DOMAINS_NAME_MAX], other[SENT_DOMAINS_NAME_MAX];
    sent_domains_note_name(UINT32_MAX - SENT_DOMAINS_NOTES, first);
    for (uint32_t day = UINT32_MAX - SENT_DOMAINS_NOTES + 1; day < UINT32_MAX; day++) {
        sent_domains_note_name(day, other);
        assert_string_not_equal(first, other); /* of all days that count */
    }
    sent_domains_note_name(UINT32_MAX, other);
    assert_string_equal(first, other);
    assert_true(SENT_DOMAINS_NOTES > SENT_DOMAINS_DAYS + 1);
}

static void so_many_domains_a_day(void **state)
{
    char name[32];
    for (unsigned i = 0; i < SENT_DOMAINS_MAX; i++) {
        snprintf(name, sizeof name, "d%u.test", i);
        assert_true(add(name));
    }
    assert_false(add("another.test"));
    assert_int_equal(sent.names.count, 4000);
    sent_domains_begin(&sent, 101, bytes_none());
    assert_true(add("another.test"));
}

static void so_many_octets_a_day(void **state)
{
    char name[256];
    size_t used = sent.text.length;
    for (unsigned i = 0; 131072 - used >= 202; i++, used += 202) {
        snprintf(name, sizeof name, "%060u.%060u.%060u.%018u", 1u, 2u, 3u, i);
        assert_true(add(name));
    }
    size_t rest = 131072 - used; /* one more name, and its line end */
    assert_true(rest > 60 && rest < 202);
    memset(name, 'x', sizeof name);
    for (size_t at = 40; at < rest; at += 40)
        name[at] = '.';
    name[rest] = '\0'; /* one octet too long */
    if (name[rest - 1] == '.' || name[rest - 2] == '.')
        name[rest - 1] = name[rest - 2] = 'x';
    assert_false(add(name));
    name[rest - 1] = '\0';
    assert_true(add(name));
    assert_int_equal(sent.text.length, 131072);
}

static void so_many_labels(void **state)
{
    assert_true(add("a.b.c.d.e.f.g.test"));
    assert_false(add("a.b.c.d.e.f.g.h.test"));
}

static bool has(const struct sent_since *since, const char *domain)
{
    return sent_since_has(since, bytes_of_text(domain));
}

static void an_organization_has_several_domains(void **state)
{
    struct sent_since since;
    sent_since_start(&since, 100, 1);
    sent_since_take(&since, BYTES("100\nexample.com\nmail.shop.test\n"));
    static const char *const yes[] = {"example.com",    "news.example.com", "a.b.example.com",
                                      "mail.shop.test", "shop.test",        "x.mail.shop.test"};
    static const char *const no[] = {"com", "test", "other.com", "news.shop.test", "anexample.com", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++)
        if (!has(&since, yes[i]))
            fail_msg("%s is not known", yes[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++)
        if (has(&since, no[i]))
            fail_msg("%s is known", no[i]);
    sent_since_free(&since);
}

static void so_many_days_count(void **state)
{
    static const struct {
        const char *note;
        bool counts;
    } rows[] = {{"100\na.test\n", true},
                {"70\na.test\n", true},
                {"69\na.test\n", false},
                {"101\na.test\n", false},
                {"a.test\n", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sent_since since;
        sent_since_start(&since, 100, 1);
        sent_since_take(&since, bytes_of_text(rows[i].note));
        if (has(&since, "a.test") != rows[i].counts)
            fail_msg("%s", rows[i].note);
        sent_since_free(&since);
    }
}

#define ON(test) cmocka_unit_test_setup_teardown(test, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {ON(a_domain_is_noted_once_a_day),
                                       ON(a_note_is_taken_up_on_its_day_alone),
                                       ON(notes_have_names_in_turn),
                                       ON(so_many_domains_a_day),
                                       ON(so_many_octets_a_day),
                                       ON(so_many_labels),
                                       ON(an_organization_has_several_domains),
                                       ON(so_many_days_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
