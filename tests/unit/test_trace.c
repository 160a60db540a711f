/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of a message: ids, dates, Received fields, log lines. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "core/message/date.h"
#include "core/message/loop_detection.h"
#include "core/message/received.h"
#include "core/queue/queue_id.h"
#include "io/log.h"
#include "unit.h"

/* ---- who sent it on ---- */

static bool returns(const char *header, const char *via)
{
    struct bytes who;
    bool found = loop_detection_returns(bytes_of_text(header), bytes_of_text(via), &who);
    assert_int_equal(found, who.length > 0);
    return found;
}

static void what_comes_back_is_known_by_its_trace(void **state)
{
    assert_true(returns("Delivered-To: ada@a.example\r\n\r\n", "ada@a.example"));
    assert_true(returns("Received: x\r\n\ty\r\ndelivered-TO:\t<ADA@A.example> \r\nSubject: s\r\n\r\n",
                        "eve@a.example ada@a.example"));
    assert_true(returns("Delivered-To:\r\n ada@a.example\r\n\r\n", "ada@a.example bob@b.example"));
    assert_true(returns("Delivered-To: ada@a.example", "ada@a.example")); /* a header and nothing else */
    assert_true(returns("Delivered-To: ada@a.example\nSubject: s\n\n", "ada@a.example"));
    assert_true(returns("Delivered-To: *@a.example\r\n", "*@a.example"));
    assert_false(returns("Delivered-To: x@a.example\r\n", "*@a.example"));
    assert_false(returns("Delivered-To: ada@a.example\r\n\r\n", ""));
    assert_false(returns("\r\nDelivered-To: ada@a.example\r\n", "ada@a.example")); /* the body */
    assert_false(returns("Subject: s\r\n\r\nDelivered-To: ada@a.example\r\n", "ada@a.example"));
    assert_false(returns("X-Delivered-To: ada@a.example\r\nDelivered-To: nada@a.example\r\nDelivered-To: "
                         "ada@a.example.net\r\nDelivered-To: ada@a.exampl\r\n"
                         "Delivered-To:\r\nDelivered-To: \r\nDelivered-To : ada@a.example\r\nComments: x\r\n "
                         "Delivered-To: ada@a.example\r\n",
                         "ada@a.example"));
}

static void a_trace_is_looked_for_in_the_first_part_of_a_header(void **state)
{
    struct buffer header = {0};
    struct bytes who;
    const struct bytes field = BYTES("Delivered-To: ada@a.example\r\n"), via = BYTES("ada@a.example");
    buffer_add_text(&header, "X: ");
    while (header.length < LOOP_DETECTION_LOOK_MAX - field.length - 2)
        buffer_add_octet(&header, 'x');
    buffer_add_text(&header, "\r\n");
    buffer_add(&header, field);
    assert_true(loop_detection_returns(buffer_bytes(&header), via, &who));
    buffer_clear(&header);
    buffer_add_text(&header, "X: ");
    while (header.length < LOOP_DETECTION_LOOK_MAX - 2)
        buffer_add_octet(&header, 'x');
    buffer_add_text(&header, "\r\n");
    buffer_add(&header, field);
    assert_false(loop_detection_returns(buffer_bytes(&header), via, &who));
    buffer_free(&header);
}

static void a_trace_is_written_and_read_back(void **state)
{
    struct arena arena = {0};
    struct buffer out = {0};
    struct bytes via = bytes_none(), who;
    static const char *const addresses[] = {"ada@a.example", "@a.example", "b\xc3\xa4r@a.example",
                                            "two words@a.example", "x\r\nSubject: y@a.example"};
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++)
        via = loop_detection_join(&arena, via, loop_detection_name(&arena, bytes_of_text(addresses[i])));
    assert_text(
        via,
        "ada@a.example *@a.example b=C3=A4r@a.example two=20words@a.example x=0D=0ASubject=3A=20y@a.example");
    loop_detection_add(&out, via);
    assert_non_null(
        strstr(buffer_text(&out), "Delivered-To: *@a.example\r\nDelivered-To: ada@a.example\r\n"));
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++)
        assert_true(loop_detection_returns(buffer_bytes(&out),
                                           loop_detection_name(&arena, bytes_of_text(addresses[i])), &who));
    struct bytes longest = bytes_of(arena_take(&arena, VIA_MAX), VIA_MAX);
    memset((char *)(uintptr_t)longest.at, 'a', VIA_MAX);
    via = loop_detection_join(&arena, bytes_none(), bytes_first(longest, VIA_MAX - 2));
    assert_int_equal(loop_detection_join(&arena, via, BYTES("b")).length, VIA_MAX);
    assert_int_equal(loop_detection_join(&arena, via, BYTES("bc")).length, VIA_MAX - 2); /* one past it */
    buffer_free(&out);
    arena_clear(&arena);
}

/* ---- ids ---- */

static void ids_grow_whatever_the_clock_does(void **state)
{
    struct queue_id_maker maker = {.slot = 7};
    static const uint64_t clock_us[] = {1000, 1000, 999, 0, 1001, 5000, 4000};
    uint64_t last = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(clock_us); i++) {
        uint64_t id = queue_id_next(&maker, clock_us[i]);
        assert_true(id > last);
        assert_int_equal(id % QUEUE_ID_SLOTS, 7);
        last = id;
    }
}

/* An id of an earlier version, made one unit earlier, sorts before; and the time can be read from an id. */
static void ids_of_several_nodes_differ_and_stand_in_the_order_of_time(void **state)
{
    struct queue_id_maker makers[QUEUE_ID_NODES];
    const uint64_t now_us = UINT64_C(1795449600000000),
                   earlier_version = (now_us - 16) * QUEUE_ID_SLOTS + 255;
    uint64_t last = earlier_version;
    for (uint8_t node = 0; node < QUEUE_ID_NODES; node++) {
        makers[node] = (struct queue_id_maker){.slot = 255, .node = node};
        uint64_t id = queue_id_next(&makers[node], now_us);
        assert_true(id > last);
        assert_int_equal(id / QUEUE_ID_SLOTS / 16, now_us / 16);
        last = id;
    }
    assert_true(queue_id_next(&makers[0], now_us) > last);
    assert_true(last < UINT64_C(1) << 60); /* it has QUEUE_ID_TEXT_LENGTH characters */
}

static void ids_are_written_and_read(void **state)
{
    static const uint64_t ids[] = {
        0, 1, 31, 32, UINT64_C(1795449600000000) * QUEUE_ID_SLOTS + 255, (UINT64_C(1) << 60) - 1};
    char text[QUEUE_ID_TEXT_LENGTH + 1];
    uint64_t id;
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        queue_id_text(ids[i], text);
        assert_int_equal(strlen(text), QUEUE_ID_TEXT_LENGTH);
        assert_true(queue_id_parse(bytes_of_text(text), &id) && id == ids[i]);
        for (char *c = text; *c != '\0'; c++) {
            assert_null(strchr("ilou", *c));
            *c = (char)(*c >= 'a' ? *c - 32 : *c);
        }
        assert_true(queue_id_parse(bytes_of_text(text), &id) && id == ids[i]);
    }
    static const char *const wrong[] = {"",
                                        "0",
                                        "00000000000",
                                        "0000000000000",
                                        "00000000000i",
                                        "00000000000 ",
                                        "../../../etc",
                                        "-00000000000"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(queue_id_parse(bytes_of_text(wrong[i]), &id));
}

/* ---- dates ---- */

static void dates_are_those_of_the_c_library(void **state)
{
    struct buffer out = {0};
    date_add(&out, UINT64_C(1795435517999));
    assert_text(buffer_bytes(&out), "Mon, 23 Nov 2026 12:05:17 +0000");
    for (uint64_t day = 0; day < 200 * 366; day++) { /* to 2170, over 2000 and 2100 */
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        char wanted[64];
        struct tm calendar;
        gmtime_r(&seconds, &calendar);
        strftime(wanted, sizeof wanted, "%a, %e %b %Y %H:%M:%S +0000", &calendar);
        if (wanted[5] == ' ')
            memmove(wanted + 5, wanted + 6, strlen(wanted + 5));
        buffer_clear(&out);
        date_add(&out, (uint64_t)seconds * 1000);
        assert_text(buffer_bytes(&out), wanted);
    }
    buffer_free(&out);
}

/* ---- Received ---- */

static void received_says_who_how_and_when(void **state)
{
    struct buffer out = {0};
    struct recipient one = {.address = BYTES("ada@example.org"), .original = BYTES("team@example.org")};
    struct envelope envelope = {.recipients = &one, .recipient_count = 1};
    struct origin origin = {.client_helo = BYTES("mail.example.net"),
                            .client_address = BYTES("2001:db8::1"),
                            .protocol = BYTES("ESMTPS"),
                            .tls = BYTES("TLSv1.3 TLS_AES_256_GCM_SHA384")};
    received_add(&out, &origin, &envelope, BYTES("mx.example.org"), 33, 0);
    assert_text(buffer_bytes(&out), "Received: from mail.example.net ([IPv6:2001:db8::1])\r\n\tby "
                                    "mx.example.org (Mailboat) with ESMTPS id 000000000011\r\n"
                                    "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tfor "
                                    "<team@example.org>;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
    buffer_clear(&out);
    envelope.recipient_count = 2; /* nobody learns of the others */
    origin = (struct origin){
        .client_helo = BYTES("a"), .client_address = BYTES("192.0.2.1"), .protocol = BYTES("SMTP")};
    received_add(&out, &origin, &envelope, BYTES("mx.example.org"), 33, 0);
    assert_text(buffer_bytes(&out), "Received: from a ([192.0.2.1])\r\n\tby mx.example.org (Mailboat) with "
                                    "SMTP id 000000000011;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
    buffer_clear(&out);
    origin = (struct origin){.kind = ORIGIN_LOCAL,
                             .client_helo = BYTES("a"),
                             .client_address = BYTES("local"),
                             .account = BYTES("uid 33"),
                             .protocol = BYTES("ESMTP")};
    received_add(&out, &origin, &envelope, BYTES("mx.example.org"), 33, 0);
    assert_true(bytes_starts_nocase(buffer_bytes(&out), "Received: from a (local, by uid 33)\r\n"));
    buffer_free(&out);
}

static void nothing_from_the_network_forges_a_field(void **state)
{
    struct buffer out = {0};
    struct recipient one = {.address = BYTES("a\r\nX: y@example.org")};
    const struct envelope envelope = {.recipients = &one, .recipient_count = 1};
    const struct origin origin = {.client_helo = BYTES("a)\r\nSubject: evil\\\xff"),
                                  .client_address = BYTES("192.0.2.1"),
                                  .protocol = BYTES("SMTP")};
    received_add(&out, &origin, &envelope, BYTES("mx"), 1, 0);
    assert_true(bytes_starts_nocase(buffer_bytes(&out), "Received: from a???Subject: evil?? ("));
    assert_true(bytes_search(buffer_bytes(&out), BYTES("for <a??X: y@example.org>")) != SIZE_MAX);
    buffer_clear(&out);
    received_add_delivery_fields(&out, BYTES("a\nb@c"), bytes_none(), bytes_none(), "\n");
    assert_text(buffer_bytes(&out), "Return-Path: <a?b@c>\nDelivered-To: \n");
    buffer_free(&out);
}

/* ---- the log ---- */

static const char *line_of(enum log_format format, struct log_field field)
{
    static char room[LOG_LINE_MAX + 1];
    const struct log_field fields[] = {LOG_ID(33), field};
    size_t length = log_format_line(room, format, 1795435517999, "smtpd", LOG_EVENT_WARN, "bounced", fields,
                                    2);
    assert_true(length <= LOG_LINE_MAX && room[length - 1] == '\n');
    room[length - 1] = '\0';
    assert_int_equal(strlen(room), length - 1);
    assert_null(strchr(room, '\n')); /* one line, whatever was given */
    return room;
}

static void a_line_has_its_fields(void **state)
{
    assert_string_equal(line_of(LOG_LOGFMT, LOG_TEXT("from", "ada@example.org")),
                        "2026-11-23T12:05:17.999Z warn smtpd bounced id=000000000011 from=ada@example.org");
    assert_string_equal(line_of(LOG_JSON, LOG_TEXT("from", "ada@example.org")),
                        "{\"time\":\"2026-11-23T12:05:17.999Z\",\"level\":\"warn\",\"process\":\"smtpd\","
                        "\"event\":\"bounced\",\"id\":\"000000000011\","
                        "\"from\":\"ada@example.org\"}");
    assert_string_equal(line_of(LOG_LOGFMT, LOG_U64("size", 12)) + 60, "size=12");
    assert_string_equal(line_of(LOG_LOGFMT, LOG_FLAG("tls", true)) + 60, "tls=true");
    assert_string_equal(line_of(LOG_LOGFMT, LOG_TEXT("from", "")) + 59, ""); /* empty ones are left out */
}

static void no_value_forges_a_line(void **state)
{
    static const char *const cases[][2] = {
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"a\"b", "\"a\\\"b\""},
        {"a\\b", "\"a\\\\b\""},
        {"a\nid=1", "\"a\\u000aid=1\""},
        {"\x1b[2J", "\"\\u001b[2J\""},
        {"\x7f", "\"\\u007f\""},
        {"\xc2\x9b"
         "2J",
         "\"\\u009b2J\""},
        {"a\xe2\x80\xa8"
         "b\xe2\x80\xae",
         "\"a\\u2028b\\u202e\""},
        {"b\xc3\xa4r", "\"b\xc3\xa4r\""},
        {"\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc3", "\"\xef\xbf\xbd\""},
        {"\xc0\x8a", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_string_equal(line_of(LOG_LOGFMT, LOG_TEXT("x", cases[i][0])) + 62, cases[i][1]);
        const char *json = strstr(line_of(LOG_JSON, LOG_TEXT("x", cases[i][0])), "\"x\":") + 4;
        assert_int_equal(strlen(json), strlen(cases[i][1]) + 1);
        assert_memory_equal(json, cases[i][1], strlen(cases[i][1]));
    }
}

static size_t told(int pipe)
{
    static char room[2 * LOG_HELD_MAX];
    ssize_t count = read(pipe, room, sizeof room);
    for (ssize_t i = 0; i < count; i++)
        /* whole lines */
        assert_true(room[i] != '\n' || i + 1 == count || strncmp(room + i + 1, "20", 2) == 0);
    return count < 0 ? 0 : (size_t)count;
}

static void what_is_held_is_told_when_it_happened(void **state)
{
    int ends[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_DIRECT), 0); /* each write(2) is read alone */
    dup2(ends[1], STDERR_FILENO);
    log_hold();
    log_event(LOG_EVENT_INFO, "delivered", LOG_U64("n", 1));
    size_t at_once = told(ends[0]);
    log_event(LOG_EVENT_ERROR, "store_full", LOG_U64("n", 2));
    size_t trouble = told(ends[0]);
    log_release(false);
    size_t undone = told(ends[0]);
    for (int i = 0; i < 100; i++)
        log_event(LOG_EVENT_INFO, "delivered", LOG_U64("n", 3));
    log_release(true);
    size_t first = told(ends[0]), second = told(ends[0]), third = told(ends[0]);
    for (int i = 0; i < 20000; i++) /* past LOG_HELD_MAX some are told early: memory is bounded */
        log_event(LOG_EVENT_INFO, "delivered", LOG_U64("n", 4));
    size_t early = told(ends[0]);
    while (told(ends[0]) > 0)
        ;
    log_release(false);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(at_once, 0);
    assert_true(trouble > 0);
    assert_int_equal(undone, 0);
    assert_true(first > 0 && first <= PIPE_BUF && second > 0 && second <= PIPE_BUF && third == 0);
    assert_true(early > 0);
    close(ends[0]);
    close(ends[1]);
}

static void long_values_and_many_are_cut(void **state)
{
    static char room[LOG_LINE_MAX], value[3 * LOG_LINE_MAX];
    struct log_field fields[40];
    for (int octet = 0; octet < 2; octet++) { /* plain ones, and ones that grow six times */
        memset(value, octet == 0 ? 'x' : 1, sizeof value);
        for (size_t length = 1; length < sizeof value; length = length * 3 / 2 + 1) {
            for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
                fields[i] = LOG_BYTES("key", bytes_of(value, length));
            for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
                size_t used = log_format_line(room, (enum log_format)format, 0, "p", LOG_EVENT_INFO, "e",
                                              fields, ARRAY_LENGTH(fields));
                assert_in_range(used, 1, LOG_LINE_MAX);
                assert_int_equal(room[used - 1], '\n');
                assert_true(format == LOG_LOGFMT || room[used - 2] == '}');
            }
        }
    }
    memset(value, 'x', sizeof value);
    assert_non_null(
        strstr(line_of(LOG_LOGFMT, LOG_BYTES("v", bytes_of(value, LOG_VALUE_MAX + 1))), "x...\""));
    assert_null(strstr(line_of(LOG_LOGFMT, LOG_BYTES("v", bytes_of(value, LOG_VALUE_MAX))), "..."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_back_is_known_by_its_trace),
        cmocka_unit_test(a_trace_is_looked_for_in_the_first_part_of_a_header),
        cmocka_unit_test(a_trace_is_written_and_read_back),
        cmocka_unit_test(ids_grow_whatever_the_clock_does),
        cmocka_unit_test(ids_are_written_and_read),
        cmocka_unit_test(ids_of_several_nodes_differ_and_stand_in_the_order_of_time),
        cmocka_unit_test(dates_are_those_of_the_c_library),
        cmocka_unit_test(received_says_who_how_and_when),
        cmocka_unit_test(nothing_from_the_network_forges_a_field),
        cmocka_unit_test(a_line_has_its_fields),
        cmocka_unit_test(no_value_forges_a_line),
        cmocka_unit_test(what_is_held_is_told_when_it_happened),
        cmocka_unit_test(long_values_and_many_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
