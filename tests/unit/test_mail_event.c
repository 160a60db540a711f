/* SPDX-License-Identifier: Apache-2.0 */
/* A mail event as a struct, a line and octets. */
#include "core/event/mail_event.h"
#include "core/smtp/envelope.h"
#include "unit.h"

static const struct mail_event full = {
    .kind = EVENT_DEFERRED,
    .id = UINT64_MAX,
    .at_ms = 1795435200000u,
    .message = 127,
    .number = 128,
    .sender = {"sam@there.net", 13},
    .recipient = {"ada@example.org", 15},
    .destination = {"example.org", 11},
    .recipients = 16383,
    .size = 16384,
    .other = 1,
    .client = {"192.0.2.1", 9},
    .protocol = {"ESMTPS", 6},
    .account = {"ada@example.org", 15},
    .port = 587,
    .own = 1,
    .peer = {"mx.example.org[192.0.2.2]:25", 28},
    .tls = {"TLSv1.3", 7},
    .tls_policy = {"dane", 4},
    .tls_reason = {"because", 7},
    .attempt = 3,
    .code = 451,
    .enhanced = {"4.7.1", 5},
    .text = {"later", 5},
    .step = {"rcpt", 4},
    .mailbox = 1,
    .delay_ms = 1,
    .retry_in_ms = 300000,
    .members = 2,
    .known_already = 3,
    .missing = 4,
    .more = 1,
    .helo = {"mail.there.net", 14},
    .reply_class = {"greylist", 8},
    .reply_about = {"sending_ip", 10},
};

static void assert_same(const struct mail_event *a, const struct mail_event *b)
{
    struct buffer first = {0}, second = {0};
    mail_event_encode(&first, a);
    mail_event_encode(&second, b);
    assert_true(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    assert_int_equal(a->kind, b->kind);
    buffer_free(&first);
    buffer_free(&second);
}

static void octets_give_the_same_event(void **state)
{
    struct buffer octets = {0};
    struct mail_event found, little = {.kind = EVENT_REMOVED, .id = 1, .at_ms = 1};
    mail_event_encode(&octets, &full);
    size_t first = octets.length;
    mail_event_encode(&octets, &little);
    struct bytes left = buffer_bytes(&octets);
    assert_true(mail_event_decode(&left, &found));
    assert_int_equal(left.length, octets.length - first);
    assert_same(&found, &full);
    assert_int_equal(found.id, UINT64_MAX);
    assert_int_equal(found.retry_in_ms, 300000);
    assert_true(bytes_is(found.tls_reason, "because") && bytes_is(found.recipient, "ada@example.org"));
    assert_int_equal(found.more, 1);
    assert_true(mail_event_decode(&left, &found));
    assert_int_equal(left.length, 0);
    assert_same(&found, &little);
    assert_false(mail_event_decode(&left, &found));
    buffer_free(&octets);
}

/* Stored events must stay readable: these octets never change. */
static void version_one_stays_as_it_is(void **state)
{
    static const char octets[] = "\1\4\41\0\0\0" /* version 1, delivered, 33 octets */
                                 "\1\254\2"      /* id 300 */
                                 "\2\1"          /* at_ms 1 */
                                 "\3\7"          /* message 7 */
                                 "\6\17"
                                 "ada@example.org"
                                 "\25\372\1" /* code 250 */
                                 "\26\2"
                                 "ok"
                                 "\32\1"; /* delay_ms 1 */
    struct bytes left = bytes_of(octets, sizeof octets - 1);
    struct mail_event event;
    struct buffer again = {0};
    assert_true(mail_event_decode(&left, &event));
    assert_int_equal(event.kind, EVENT_DELIVERED);
    assert_int_equal(event.id, 300);
    assert_int_equal(event.message, 7);
    assert_true(bytes_is(event.recipient, "ada@example.org") && bytes_is(event.enhanced, "ok"));
    assert_int_equal(event.code, 250);
    assert_int_equal(event.delay_ms, 1);
    mail_event_encode(&again, &event);
    assert_true(bytes_equal(buffer_bytes(&again), bytes_of(octets, sizeof octets - 1)));
    buffer_free(&again);
}

static void assert_refused(const char *octets, size_t length)
{
    struct bytes left = bytes_of(octets, length);
    struct mail_event event;
    assert_false(mail_event_decode(&left, &event));
    assert_int_equal(left.length, length);
}
#define ASSERT_REFUSED(octets) assert_refused((octets), sizeof(octets) - 1)

static void other_octets_are_refused(void **state)
{
    ASSERT_REFUSED("");
    ASSERT_REFUSED("\1\4\4\0\0");
    ASSERT_REFUSED("\2\4\4\0\0\0\1\1\2\1");      /* another version */
    ASSERT_REFUSED("\1\0\4\0\0\0\1\1\2\1");      /* no kind */
    ASSERT_REFUSED("\1\21\4\0\0\0\1\1\2\1");     /* a kind that is none */
    ASSERT_REFUSED("\1\4\2\0\0\0\1\1");          /* no time */
    ASSERT_REFUSED("\1\4\5\0\0\0\1\1\2\1");      /* more was said than is there */
    ASSERT_REFUSED("\1\4\4\0\0\0\2\1\1\1");      /* not in order */
    ASSERT_REFUSED("\1\4\6\0\0\0\1\1\1\1\2\1");  /* twice */
    ASSERT_REFUSED("\1\4\6\0\0\0\1\1\2\1\40\1"); /* a tag that is none */
    ASSERT_REFUSED("\1\4\6\0\0\0\1\1\2\1\3\0");  /* what is nothing is not written */
    ASSERT_REFUSED("\1\4\5\0\0\0\1\201\0\2\1");  /* not the shortest form */
    ASSERT_REFUSED("\1\4\7\0\0\0\1\1\2\1\5\2a"); /* the text ends early */
    ASSERT_REFUSED("\1\4\16\0\0\0\1\377\377\377\377\377\377\377\377\377\2\2\1"); /* more than 64 bits */
}

static void a_text_is_cut_at_its_limit(void **state)
{
    static char text[EVENT_TEXT_MAX + 1];
    struct mail_event event = {.kind = EVENT_BOUNCED, .id = 1, .at_ms = 1}, found;
    memset(text, 'a', sizeof text);
    for (size_t length = EVENT_TEXT_MAX; length <= EVENT_TEXT_MAX + 1; length++) {
        struct buffer octets = {0};
        event.text = bytes_of(text, length);
        mail_event_encode(&octets, &event);
        struct bytes left = buffer_bytes(&octets);
        assert_true(mail_event_decode(&left, &found));
        assert_int_equal(found.text.length, EVENT_TEXT_MAX);
        buffer_free(&octets);
    }
}

/* The keys are an interface: programs read them. */
static void lines_show_what_they_did(void **state)
{
    static const struct {
        enum event_kind kind;
        const char *line;
    } wanted[] = {
        {EVENT_RECEIVED, "accepted id from to recipients size client port protocol tls account"},
        {EVENT_REFUSED, "reply_rejected code status reason from to client helo port account"},
        {EVENT_DEFERRED,
         "deferred id to peer tls tls_policy tls_reason attempt code status reply class about step "
         "delay_ms retry_in_ms"},
        {EVENT_DELIVERED,
         "delivered id to peer tls tls_policy tls_reason attempt code status reply class about delay_ms"},
        {EVENT_FORWARDED,
         "delivered id to peer tls tls_policy tls_reason attempt code status reply class about delay_ms"},
        {EVENT_BOUNCED,
         "bounced id to peer tls tls_policy tls_reason attempt code status reply class about delay_ms "
         "from client account"},
        {EVENT_EXPIRED,
         "expired id to peer tls tls_policy tls_reason attempt code status reply class about delay_ms "
         "from client account"},
        {EVENT_LOOPED,
         "looped id to peer tls tls_policy tls_reason attempt code status reply class about delay_ms from "
         "client account"},
        {EVENT_DISCARDED, "report_discarded id to peer tls tls_policy tls_reason attempt code status reply "
                          "class about delay_ms"},
        {EVENT_REQUEUED, "report_requeued id to new_id"},
        {EVENT_EXPANDED, "expanded id to members known_already missing more"},
        {EVENT_RETRIED, "retried id to recipients"},
        {EVENT_HELD, "held id to recipients"},
        {EVENT_RELEASED, "released id to recipients"},
        {EVENT_REMOVED, "removed id to recipients"},
        {EVENT_NOT_STORED,
         "queue_write_failed id from to recipients size reply client port protocol tls account"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        struct mail_event event = full;
        struct event_value values[EVENT_SHOWN_MAX];
        struct buffer line = {0};
        event.kind = wanted[i].kind;
        buffer_add_text(&line, mail_event_log_name(event.kind));
        for (size_t k = 0, count = mail_event_shown(&event, values); k < count; k++)
            buffer_add_format(&line, " %s", values[k].name);
        assert_string_equal(buffer_text(&line), wanted[i].line);
        assert_int_equal(mail_event_is_warning(event.kind),
                         mail_event_class(event.kind) == EVENT_CLASS_FAILED ||
                             event.kind == EVENT_DISCARDED || event.kind == EVENT_NOT_STORED);
        buffer_free(&line);
    }
}

static void a_peers_reply_and_our_reason_have_different_keys(void **state)
{
    struct mail_event event = {.kind = EVENT_DEFERRED, .id = 1, .at_ms = 1, .text = {"busy", 4}};
    struct event_value values[EVENT_SHOWN_MAX];
    static const char *const names[] = {"reason", "reply"};
    for (size_t replied = 0; replied < 2; replied++) {
        size_t found = 0, count;
        event.code = replied * 451;
        count = mail_event_shown(&event, values);
        for (size_t i = 0; i < count; i++)
            found += bytes_is(values[i].text, "busy") && strcmp(values[i].name, names[replied]) == 0;
        assert_int_equal(found, 1);
    }
}

static void only_counts_are_shown_when_they_are_nothing(void **state)
{
    struct mail_event event = {.kind = EVENT_EXPANDED, .id = 1, .at_ms = 1};
    struct event_value values[EVENT_SHOWN_MAX];
    assert_int_equal(mail_event_shown(&event, values), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(values[i].type == EVENT_TYPE_COUNT && values[i].number == 0);
}

static void a_message_is_told_with_its_envelope_and_origin(void **state)
{
    struct recipient recipients[] = {{.address = BYTES("ada@example.org")}, {.address = BYTES("b@c.net")}};
    struct envelope envelope = {
        .sender = BYTES("sam@there.net"), .size = 9, .recipients = recipients, .recipient_count = 1};
    struct origin origin = {.kind = ORIGIN_NETWORK,
                            .client_address = BYTES("192.0.2.1"),
                            .protocol = BYTES("ESMTPSA"),
                            .account = BYTES("sam@there.net"),
                            .port = 587};
    struct mail_event event = mail_event_of_message(EVENT_RECEIVED, 7, &envelope, &origin);
    assert_true(event.kind == EVENT_RECEIVED && event.message == 7 && event.size == 9 && event.port == 587);
    assert_true(bytes_is(event.recipient, "ada@example.org") && event.recipients == 1);
    assert_true(bytes_is(event.sender, "sam@there.net") && bytes_is(event.client, "192.0.2.1"));
    envelope.recipient_count = 2;
    origin.kind = ORIGIN_REPORT;
    event = mail_event_of_message(EVENT_NOT_STORED, 7, &envelope, &origin);
    assert_true(event.recipients == 2 && event.recipient.length == 0 && bytes_is(event.sender, "<>"));
}

static bool shows(const struct mail_event *event, const char *name, const char *text)
{
    struct event_value values[EVENT_SHOWN_MAX];
    size_t count = mail_event_shown(event, values);
    assert_true(count <= EVENT_SHOWN_MAX);
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0)
            return values[i].type == EVENT_TYPE_TEXT && bytes_is(values[i].text, text);
    return false;
}

/* As typed facts in the octets, as words in the log. */
static void findings_of_mail_authentication_are_told(void **state)
{
    struct trust_record record = {.disposition = DISPOSITION_DELIVER,
                                  .proposed = DISPOSITION_REJECT,
                                  .finding = FINDING_FAIL_REJECT,
                                  .author = BYTES("bank.example"),
                                  .story = BYTES("SPF fail."),
                                  .evidence = BYTES("1 bank.example")};
    for (enum event_kind kind = EVENT_RECEIVED; kind <= EVENT_REFUSED; kind++) {
        struct mail_event event = {.kind = kind, .id = 1, .at_ms = 1}, again;
        struct buffer octets = {0};
        assert_false(shows(&event, "trust", "deliver")); /* nothing was checked */
        mail_event_set_trust(&event, &record);
        assert_true(shows(&event, "trust", "deliver") && shows(&event, "enforced", "reject"));
        assert_true(shows(&event, "finding", verdict_finding_sentence(FINDING_FAIL_REJECT)));
        assert_true(shows(&event, "author", "bank.example") && shows(&event, "story", "SPF fail."));
        mail_event_encode(&octets, &event);
        struct bytes left = buffer_bytes(&octets);
        assert_true(mail_event_decode(&left, &again));
        struct trust_record read = mail_event_trust(&again);
        assert_int_equal(trust_record_code(&read), trust_record_code(&record));
        assert_true(bytes_is(read.author, "bank.example") && bytes_is(read.story, "SPF fail."));
        assert_true(bytes_is(read.evidence, "1 bank.example") &&
                    !shows(&event, "evidence", "1 bank.example"));
        again.trust = TRUST_CODE_MAX; /* a finding that this version does not know */
        assert_int_equal(mail_event_trust(&again).finding, FINDING_NOT_CHECKED);
        buffer_free(&octets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peers_reply_and_our_reason_have_different_keys),
        cmocka_unit_test(octets_give_the_same_event),
        cmocka_unit_test(version_one_stays_as_it_is),
        cmocka_unit_test(other_octets_are_refused),
        cmocka_unit_test(a_text_is_cut_at_its_limit),
        cmocka_unit_test(lines_show_what_they_did),
        cmocka_unit_test(findings_of_mail_authentication_are_told),
        cmocka_unit_test(a_message_is_told_with_its_envelope_and_origin),
        cmocka_unit_test(only_counts_are_shown_when_they_are_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
