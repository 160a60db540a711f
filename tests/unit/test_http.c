/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP session's clock, questions and answers; what attackers send is in tests/attacks/http. */
#include "core/http/http_session.h"
#include "core/http/http_text.h"
#include "core/message/date.h"
#include "unit.h"

static const uint64_t now_ms = 784111777000u; /* the example of RFC 9110 5.6.7 */
#define HEAD_OF(line) line " HTTP/1.1\r\nHost: a.example\r\n"

/* Feeds all of a text; returns what was not used. */
static size_t feed(struct http_session *session, const char *text)
{
    struct bytes unread = bytes_of_text(text);
    for (size_t used; (used = http_session_feed(session, unread, now_ms)) > 0;)
        unread = bytes_from(unread, used);
    return unread.length;
}

static enum http_action_kind next(struct http_session *session)
{
    struct http_action action;
    http_session_action(session, &action);
    return action.kind;
}

static struct http_session asked(const char *text)
{
    struct http_session session;
    http_session_start(&session);
    feed(&session, text);
    assert_int_equal(next(&session), HTTP_ASK_HEAD);
    return session;
}

static void answer(struct http_session *session)
{
    struct http_answer it = {.status = HTTP_OK, .type = BYTES("text/plain"), .body = BYTES("hello")};
    http_session_answer(session, &it, now_ms);
}

static void expect_sent(struct http_session *session, const char *wanted)
{
    struct http_action action;
    assert_true(http_session_action(session, &action));
    assert_int_equal(action.kind, HTTP_SEND);
    assert_text(action.bytes, wanted);
}

static void test_answers(void **state)
{
    struct http_session session = asked(HEAD_OF("GET /") "\r\n");
    struct http_answer it = {.status = HTTP_METHOD_NOT_ALLOWED,
                             .type = BYTES("text/plain"),
                             .fields = BYTES("X: y\r\n"),
                             .body = BYTES("no\n"),
                             .allow = HTTP_METHOD_GET | HTTP_METHOD_POST};
    http_session_answer(&session, &it, now_ms);
    expect_sent(&session,
                "HTTP/1.1 405 Method Not Allowed\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                "Content-Type: text/plain\r\nContent-Length: 3\r\nX-Content-Type-Options: nosniff\r\n"
                "Allow: GET, POST\r\nX: y\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\nno\n");
    assert_int_equal(next(&session), HTTP_NOTHING);
    http_session_free(&session);
    session = asked("HEAD / HTTP/1.0\r\n\r\n");
    answer(&session);
    expect_sent(&session, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                          "Content-Type: text/plain\r\nContent-Length: 5\r\n"
                          "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
    assert_int_equal(next(&session), HTTP_CLOSE);
    assert_int_equal(next(&session), HTTP_NOTHING);
    http_session_free(&session);
    assert_true(HTTP_KEPT_S * 1000 < HTTP_IDLE_TIMEOUT_MS);
}

/* Nothing is read while a question is open, and nothing of a body before it is wanted. */
static void test_one_question_at_a_time(void **state)
{
    struct http_session session;
    struct http_action action;
    http_session_start(&session);
    const char *text = HEAD_OF("POST /a") "Content-Length: 3\r\n\r\nabc" HEAD_OF("GET /b") "\r\n";
    struct bytes unread = bytes_of_text(text);
    for (size_t used; (used = http_session_feed(&session, unread, now_ms)) > 0;)
        unread = bytes_from(unread, used);
    assert_true(bytes_equal(bytes_first(unread, 3), BYTES("abc")));
    assert_true(http_session_action(&session, &action));
    assert_int_equal(action.kind, HTTP_ASK_HEAD);
    assert_text(action.request->path, "/a");
    assert_text(action.request->host, "a.example");
    assert_false(http_session_action(&session, &action)); /* it is asked once */
    assert_int_equal(http_session_feed(&session, unread, now_ms), 0);
    http_session_take_body(&session, 3, now_ms);
    assert_int_equal(http_session_feed(&session, unread, now_ms), 3);
    unread = bytes_from(unread, 3);
    assert_true(http_session_action(&session, &action));
    assert_int_equal(action.kind, HTTP_BODY);
    assert_text(action.bytes, "abc");
    assert_true(http_session_action(&session, &action));
    assert_int_equal(action.kind, HTTP_ASK_ANSWER);
    assert_text(action.request->path, "/a");
    assert_int_equal(http_session_feed(&session, unread, now_ms), 0);
    answer(&session);
    assert_int_equal(next(&session), HTTP_SEND);
    while (unread.length > 0)
        unread = bytes_from(unread, http_session_feed(&session, unread, now_ms));
    assert_true(http_session_action(&session, &action));
    assert_text(action.request->path, "/b");
    http_session_free(&session);
}

/* Single octets put no deadline off. */
static void test_steps_of_heads(void **state)
{
    struct http_session session;
    http_session_start(&session);
    assert_int_equal(http_session_timeout_ms(&session), HTTP_HEAD_TIMEOUT_MS);
    uint64_t steps = http_session_steps(&session);
    feed(&session, "G");
    feed(&session, HEAD_OF("GET /") "X: y\r\n");
    assert_int_equal(http_session_steps(&session), steps); /* the time runs from the start */
    feed(&session, "\r\n");
    assert_int_not_equal(http_session_steps(&session), steps);
    assert_int_equal(next(&session), HTTP_ASK_HEAD);
    assert_int_equal(http_session_timeout_ms(&session), 0);
    answer(&session);
    assert_int_equal(next(&session), HTTP_SEND);
    assert_int_equal(http_session_timeout_ms(&session), HTTP_IDLE_TIMEOUT_MS);
    steps = http_session_steps(&session);
    feed(&session, "\r\n"); /* an empty line is no request yet */
    assert_int_equal(http_session_timeout_ms(&session), HTTP_IDLE_TIMEOUT_MS);
    assert_int_equal(http_session_steps(&session), steps);
    feed(&session, "G");
    assert_int_equal(http_session_timeout_ms(&session), HTTP_HEAD_TIMEOUT_MS);
    assert_int_equal(http_session_steps(&session), steps + 1);
    feed(&session, HEAD_OF("GET /") "X: y");
    assert_int_equal(http_session_steps(&session), steps + 1);
    http_session_free(&session);
}

static void test_steps_of_bodies(void **state)
{
    struct http_session session = asked(HEAD_OF("POST /") "Transfer-Encoding: chunked\r\n\r\n");
    static char octets[HTTP_PACE_OCTETS];
    struct http_action action;
    http_session_take_body(&session, UINT64_MAX, now_ms);
    uint64_t steps = http_session_steps(&session);
    assert_int_equal(http_session_timeout_ms(&session), HTTP_BODY_TIMEOUT_MS);
    feed(&session, "20000;x=y\r\n"); /* framing is no progress */
    assert_int_equal(http_session_steps(&session), steps);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(http_session_feed(&session, bytes_of(octets, sizeof octets - 1), now_ms),
                         sizeof octets - 1);
        assert_true(http_session_action(&session, &action));
        assert_int_equal(http_session_steps(&session), steps);
        assert_int_equal(http_session_feed(&session, bytes_of(octets, 1), now_ms), 1);
        assert_true(http_session_action(&session, &action));
        assert_int_equal(http_session_steps(&session), ++steps);
    }
    http_session_free(&session);
}

static void test_100_continue(void **state)
{
    struct http_session session = asked(
        HEAD_OF("POST /") "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    http_session_take_body(&session, 1, now_ms);
    expect_sent(&session, "HTTP/1.1 100 Continue\r\n\r\n");
    http_session_free(&session);
    session = asked(HEAD_OF("POST /") "Expect: 100-continue\r\n\r\n"); /* no body */
    http_session_take_body(&session, 1, now_ms);
    assert_int_equal(next(&session), HTTP_ASK_ANSWER);
    http_session_free(&session);
}

/* A client that may still be sending is not reset. */
static void test_lingering(void **state)
{
    static const struct {
        const char *text;
        bool lingers;
    } cases[] = {{HEAD_OF("GET /") "Connection: close\r\n\r\n", false},
                 {HEAD_OF("POST /") "Connection: close\r\nContent-Length: 5\r\n\r\n", true},
                 {HEAD_OF("POST /") "Transfer-Encoding: chunked\r\n\r\n", true}};
    struct http_action action;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http_session session = asked(cases[i].text);
        answer(&session);
        assert_int_equal(next(&session), HTTP_SEND);
        assert_true(http_session_action(&session, &action));
        assert_int_equal(action.kind, HTTP_CLOSE);
        assert_int_equal(action.lingers, cases[i].lingers);
        http_session_free(&session);
    }
}

static void test_query_values(void **state)
{
    static const struct {
        const char *query, *value; /* NULL: none */
    } cases[] = {{"x=1", "1"},       {"X=1", "1"},     {"a=b&x=1&x=2", "1"}, {"x=", ""},
                 {"x", NULL},        {"", NULL},       {"ax=1", NULL},       {"x=a%40b%2bc", "a@b+c"},
                 {"x=a+b", "a b"},   {"x=1=2", "1=2"}, {"&&x=1", "1"},       {"x=%C3%a4", "\xc3\xa4"},
                 {"x=%2541", "%41"}, {"x=a;b", "a;b"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buffer value = {0};
        bool found = http_target_query_value(bytes_of_text(cases[i].query), "x", &value);
        assert_int_equal(found, cases[i].value != NULL);
        assert_text(buffer_bytes(&value), found ? cases[i].value : "");
        buffer_free(&value);
    }
}

static void test_hosts(void **state)
{
    static const char *const right[] = {"",
                                        "a",
                                        "A-b_c.example.",
                                        "a:",
                                        "a:1",
                                        "a:65535",
                                        "[::1]",
                                        "[::ffff:192.0.2.1]:80",
                                        "192.0.2.1:8025"};
    static const char *const wrong[] = {"a:65536", "a:123456", "a:b", "a:1:2", "a b",      "a,b", "[]",
                                        "[::1",    "[::1]a",   "[g]", "a/b",   "\xc3\xa4", "a@b", "%61"};
    for (size_t i = 0; i < ARRAY_LENGTH(right); i++)
        assert_true(http_text_is_host(bytes_of_text(right[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(http_text_is_host(bytes_of_text(wrong[i])));
    assert_false(http_text_is_host(bytes_of("a\0b", 3)));
}

static void test_dates(void **state)
{
    struct buffer out = {0};
    date_add_http(&out, 0);
    assert_text(buffer_bytes(&out), "Thu, 01 Jan 1970 00:00:00 GMT");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_one_question_at_a_time),
        cmocka_unit_test(test_steps_of_heads), cmocka_unit_test(test_steps_of_bodies),
        cmocka_unit_test(test_100_continue),   cmocka_unit_test(test_lingering),
        cmocka_unit_test(test_query_values),   cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
