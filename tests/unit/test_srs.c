/* SPDX-License-Identifier: Apache-2.0 */
/* Senders that are rewritten and come back: only ours, only for 21 days, whatever servers do to the case. */
#include <stdio.h>

#include "core/smtp/address.h"
#include "core/trust/srs.h"
#include "unit.h"

enum { NOW_S = 1795435200, DAY_S = 86400 };

/* In the place of HMAC-SHA-256. */
static void hash_of(const struct srs_signed *text, uint64_t key, uint8_t mac[SRS_MAC_OCTETS])
{
    uint64_t hash = bytes_hash(bytes_of(text->at, text->length), key);
    for (size_t i = 0; i < SRS_MAC_OCTETS; i++)
        mac[i] = (uint8_t)(hash >> (8 * i));
}

static bool rewrite(const char *sender, uint64_t key, const char *domain, uint64_t now_s, struct buffer *out)
{
    struct srs_plan plan;
    uint8_t mac[SRS_MAC_OCTETS];
    buffer_clear(out);
    if (!srs_plan(&plan, bytes_of_text(sender), now_s))
        return false;
    hash_of(&plan.signed_text, key, mac);
    srs_write(&plan, mac, bytes_of_text(domain), out);
    return true;
}

/* The result, or -1 if the address is none of the scheme. */
static int come_back(const char *address, uint64_t key, uint64_t now_s, struct buffer *out)
{
    struct srs_reading reading;
    struct bytes local, domain;
    uint8_t mac[SRS_MAC_OCTETS];
    buffer_clear(out);
    assert_true(address_split(bytes_of_text(address), &local, &domain));
    if (!srs_read(&reading, local))
        return -1;
    hash_of(&reading.signed_text, key, mac);
    return (int)srs_open(&reading, mac, now_s, out);
}

static void test_a_sender_comes_back_as_it_was(void **state)
{
    static const char *const SENDERS[] = {"anne@example.org",
                                          "Anne.Of-Green+Gables@Example.ORG",
                                          "a=b==c@example.org",
                                          "\"anne of\"@example.org",
                                          "\"a\\\"b@c\"@example.org",
                                          "j\xC3\xB6rg@example.org",
                                          "srs0@example.org",
                                          "SRS0=@example.org",
                                          "SRS1=XXXX=orig.example=anne@example.org"};
    struct buffer there = {0}, back = {0};
    struct address address;
    for (size_t i = 0; i < ARRAY_LENGTH(SENDERS); i++) {
        assert_true(rewrite(SENDERS[i], 1, "us.example", NOW_S, &there));
        assert_true(address_parse(buffer_bytes(&there), true, &address));
        assert_int_equal(come_back(buffer_text(&there), 1, NOW_S, &back), SRS_OPENED);
        assert_string_equal(buffer_text(&back), SENDERS[i]);
    }
    buffer_free(&there);
    buffer_free(&back);
}

static void test_servers_may_change_the_case(void **state)
{
    struct buffer there = {0}, back = {0};
    rewrite("Anne@example.org", 1, "us.example", NOW_S, &there);
    for (size_t i = 0; i < there.length; i++)
        there.at[i] = ascii_lower(there.at[i]);
    assert_int_equal(come_back(buffer_text(&there), 1, NOW_S, &back), SRS_OPENED);
    assert_string_equal(buffer_text(&back), "anne@example.org");
    for (size_t i = 0; i < there.length; i++)
        if (ascii_is_alpha(there.at[i]))
            there.at[i] = (char)(there.at[i] - ('a' - 'A'));
    assert_int_equal(come_back(buffer_text(&there), 1, NOW_S, &back), SRS_OPENED);
    buffer_free(&there);
    buffer_free(&back);
}

static void test_a_bounce_is_accepted_for_21_days(void **state)
{
    struct buffer there = {0}, back = {0};
    static const struct {
        int days;
        enum srs_result result;
    } AGES[] = {{-2, SRS_EXPIRED}, {-1, SRS_OPENED},  {0, SRS_OPENED},
                {21, SRS_OPENED},  {22, SRS_EXPIRED}, {1000, SRS_EXPIRED}};
    rewrite("anne@example.org", 1, "us.example", NOW_S, &there);
    for (size_t i = 0; i < ARRAY_LENGTH(AGES); i++) {
        uint64_t then_s = (uint64_t)((int64_t)NOW_S + AGES[i].days * (int64_t)DAY_S);
        assert_int_equal(come_back(buffer_text(&there), 1, then_s, &back), AGES[i].result);
        assert_int_equal(back.length > 0, AGES[i].result == SRS_OPENED);
    }
    buffer_free(&there);
    buffer_free(&back);
}

static void test_a_changed_address_is_forged(void **state)
{
    struct buffer there = {0}, back = {0};
    rewrite("anne@example.org", 1, "us.example", NOW_S, &there);
    assert_int_equal(come_back(buffer_text(&there), 2, NOW_S, &back), SRS_FORGED);
    size_t end = bytes_find(buffer_bytes(&there), '@');
    for (size_t i = 5; i < end; i++) {
        char was = there.at[i];
        there.at[i] = was == 'x' ? 'y' : 'x';
        assert_int_not_equal(come_back(buffer_text(&there), 1, NOW_S, &back), SRS_OPENED);
        there.at[i] = was;
    }
    buffer_free(&there);
    buffer_free(&back);
}

static void test_a_chain_of_forwarders_leads_to_the_first(void **state)
{
    struct buffer first = {0}, second = {0}, third = {0}, back = {0};
    rewrite("anne@example.org", 1, "one.example", NOW_S, &first);
    rewrite(buffer_text(&first), 2, "two.example", NOW_S, &second);
    assert_true(bytes_starts_nocase(buffer_bytes(&second), "SRS1="));
    rewrite(buffer_text(&second), 3, "three.example", NOW_S, &third);
    assert_non_null(strstr(buffer_text(&third), "=one.example=="));
    assert_null(strstr(buffer_text(&third), "two.example"));
    assert_int_equal(come_back(buffer_text(&third), 3, NOW_S + 400 * DAY_S, &back), SRS_OPENED);
    assert_string_equal(buffer_text(&back), buffer_text(&first));
    assert_int_equal(come_back(buffer_text(&second), 2, NOW_S, &back), SRS_OPENED);
    assert_string_equal(buffer_text(&back), buffer_text(&first));
    buffer_free(&first);
    buffer_free(&second);
    buffer_free(&third);
    buffer_free(&back);
}

static void test_other_forwarders_addresses_come_back_to_them(void **state)
{
    static const char *const SENDERS[] = {"SRS0=HHHH=TT=orig.example=anne@fwd.example",
                                          "srs0+HHHH=TT=orig.example=anne@fwd.example",
                                          "SRS0-HHHH-TT-orig.example-anne@fwd.example"};
    struct buffer there = {0}, back = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(SENDERS); i++) {
        assert_true(rewrite(SENDERS[i], 1, "us.example", NOW_S, &there));
        assert_int_equal(come_back(buffer_text(&there), 1, NOW_S, &back), SRS_OPENED);
        assert_true(bytes_equal_nocase(buffer_bytes(&back), bytes_of_text(SENDERS[i])));
    }
    assert_true(rewrite("SRS1=XXXX=fwd.example==HHHH=TT=orig.example=anne@other.example", 1, "us.example",
                        NOW_S, &there));
    assert_int_equal(come_back(buffer_text(&there), 1, NOW_S, &back), SRS_OPENED);
    assert_string_equal(buffer_text(&back), "SRS0=HHHH=TT=orig.example=anne@fwd.example");
    buffer_free(&there);
    buffer_free(&back);
}

static void test_a_local_part_has_room_up_to_its_limit(void **state)
{
    char sender[300];
    struct buffer there = {0};
    for (size_t length = 1; length <= 256; length++) {
        memset(sender, 'a', length);
        snprintf(sender + length, sizeof(sender) - length, "@example.org");
        bool fits = rewrite(sender, 1, "us.example", NOW_S, &there);
        assert_true(fits == (length + 2 + 18 + strlen("example.org") <= SRS_LOCAL_MAX));
        assert_true(!fits || bytes_find(buffer_bytes(&there), '@') <= SRS_LOCAL_MAX);
    }
    assert_false(rewrite("anne@[192.0.2.1]", 1, "us.example", NOW_S, &there));
    buffer_free(&there);
}

static void test_other_addresses_are_none_of_the_scheme(void **state)
{
    static const char *const ADDRESSES[] = {"anne@us.example",
                                            "SRS0@us.example",
                                            "SRS0=@us.example",
                                            "SRS0=aaaaaaaa=aa=x@us.example",
                                            "SRS0=aaaaaaaa=aa==x@us.example",
                                            "SRS0=aaaaaaa=aa=x.example=y@us.example",
                                            "SRS2=aaaaaaaa=aa=x=y@us.example",
                                            "SRS0=aaaaaaaa=a=x.example=y@us.example",
                                            "SRS1=aaaaaaaa=x@us.example"};
    struct buffer back = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(ADDRESSES); i++)
        assert_int_equal(come_back(ADDRESSES[i], 1, NOW_S, &back), -1);
    buffer_free(&back);
}

/* A local part is read up to 256 octets. */
static void long_local_parts_are_not_read(void **state)
{
    char local[258] = "SRS0=abcdefgh=aa=there.test=";
    struct srs_reading reading;
    memset(local + strlen(local), 'x', 257 - strlen(local));
    assert_true(srs_read(&reading, bytes_of(local, 256)));
    assert_false(srs_read(&reading, bytes_of(local, 257)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_local_parts_are_not_read),
        cmocka_unit_test(test_a_sender_comes_back_as_it_was),
        cmocka_unit_test(test_servers_may_change_the_case),
        cmocka_unit_test(test_a_bounce_is_accepted_for_21_days),
        cmocka_unit_test(test_a_changed_address_is_forged),
        cmocka_unit_test(test_a_chain_of_forwarders_leads_to_the_first),
        cmocka_unit_test(test_other_forwarders_addresses_come_back_to_them),
        cmocka_unit_test(test_a_local_part_has_room_up_to_its_limit),
        cmocka_unit_test(test_other_addresses_are_none_of_the_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
