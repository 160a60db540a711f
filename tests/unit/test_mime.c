/* SPDX-License-Identifier: Apache-2.0 */
/* Composing: header fields, text and attachments as octets. Other tests check that other programs can read
 * them. */
#include "core/message/mime.h"
#include "unit.h"

static struct mime_input letter;
static struct bytes to[2];
static struct buffer out;

static int prepare(void **state)
{
    to[0] = BYTES("bob@example.com");
    to[1] = BYTES("Eve Ex <eve@example.net>");
    letter = (struct mime_input){.from = BYTES("ada@example.org"),
                                 .to = to,
                                 .to_count = 1,
                                 .subject = BYTES("hello"),
                                 .text = BYTES("hi\n"),
                                 .message_id = BYTES("1.2@example.org"),
                                 .date_ms = 0};
    buffer_clear(&out);
    return 0;
}

static bool has(const char *text)
{
    return bytes_search(buffer_bytes(&out), bytes_of_text(text)) != SIZE_MAX;
}

static void compose(void)
{
    struct mime mime;
    assert_null(mime_check(&letter));
    mime_begin(&mime, &out, &letter);
    mime_end(&mime, &out);
}

static void a_plain_letter_stays_plain(void **state)
{
    letter.to_count = 2;
    compose();
    assert_text(buffer_bytes(&out),
                "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nFrom: ada@example.org\r\nTo: bob@example.com,\r\n "
                "\"Eve Ex\" <eve@example.net>\r\nSubject: hello\r\n"
                "Message-ID: <1.2@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                "charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhi\r\n");
}

static void other_letters_are_encoded(void **state)
{
    letter.subject = BYTES("Gr\xc3\xbc\xc3\x9f"
                           "e");
    letter.from = BYTES("J\xc3\xb6rg <joerg@example.org>");
    letter.text = BYTES("\xc3\xa4=\n");
    compose();
    assert_true(has("Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n") &&
                has("From: =?utf-8?B?SsO2cmc=?= <joerg@example.org>\r\n"));
    assert_true(has("charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4=3D\r\n"));
}

static void long_subjects_are_folded_between_characters(void **state)
{
    struct buffer subject = {0};
    for (int i = 0; i < 100; i++)
        buffer_add_text(&subject, "\xe2\x82\xac"); /* three octets each */
    letter.subject = buffer_bytes(&subject);
    compose();
    for (struct bytes rest = buffer_bytes(&out); rest.length > 0;)
        assert_true(bytes_split(&rest, '\n').length <= 77); /* 76 and CR */
    assert_false(has("gqw=\r\n")); /* a word that ends within a character would end so */
    buffer_free(&subject);
}

static void what_looks_encoded_is_encoded(void **state)
{
    letter.subject = BYTES("=?utf-8?B?aGk=?=");
    compose();
    assert_false(has("Subject: =?utf-8?B?aGk=?=\r\n"));
}

static void line_breaks_inject_nothing(void **state)
{
    letter.subject = BYTES("hi\r\nBcc: all@example.org");
    assert_non_null(mime_check(&letter));
    letter.subject = BYTES("hi");
    to[0] = BYTES("bob@example.com\nBcc: all@example.org");
    assert_non_null(mime_check(&letter));
    to[0] = BYTES("bob@example.com");
    letter.text = BYTES("\xff");
    assert_non_null(mime_check(&letter));
    assert_non_null(mime_check_name(BYTES("a\r\nb")));
    assert_null(mime_check_name(BYTES("a \xc3\xa4.png")));
}

static void lines_at_the_limit_and_one_past_it(void **state)
{
    static char line[MIME_LINE_MAX + 1];
    memset(line, 'x', sizeof line);
    letter.text = bytes_of(line, MIME_LINE_MAX);
    compose();
    assert_true(has("7bit"));
    buffer_clear(&out);
    letter.text = bytes_of(line, MIME_LINE_MAX + 1);
    compose();
    assert_true(has("quoted-printable") && has("x=\r\n"));
}

static void attach(const char *name, struct bytes content, size_t piece)
{
    struct mime mime;
    letter.attachments = true;
    mime_begin(&mime, &out, &letter);
    mime_attach(&mime, &out, bytes_of_text(name));
    for (; content.length > 0; content = bytes_from(content, bytes_first(content, piece).length))
        mime_attach_some(&mime, &out, bytes_first(content, piece));
    mime_attach_end(&mime, &out);
    mime_end(&mime, &out);
}

static void attachments_of_every_length_end_right(void **state)
{
    static const struct {
        const char *content, *encoded;
    } table[] = {{"", "\r\n\r\n\r\n--"},
                 {"a", "\r\n\r\nYQ==\r\n\r\n--"},
                 {"ab", "\r\n\r\nYWI=\r\n\r\n--"},
                 {"abc", "\r\n\r\nYWJj\r\n\r\n--"}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        buffer_clear(&out);
        attach("a.png", bytes_of_text(table[i].content), 1);
        assert_true(has(table[i].encoded) && has("Content-Type: image/png\r\n") && has("filename=\"a.png\""));
    }
}

static void pieces_of_an_attachment_make_no_difference(void **state)
{
    static char content[1000];
    struct buffer first = {0};
    memset(content, 'z', sizeof content);
    attach("f", bytes_of(content, sizeof content), sizeof content);
    buffer_add(&first, buffer_bytes(&out));
    for (size_t piece = 1; piece < 100; piece += 7) {
        buffer_clear(&out);
        attach("f", bytes_of(content, sizeof content), piece);
        assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&first)));
    }
    buffer_free(&first);
}

static void names_of_attachments_in_any_script(void **state)
{
    attach("n\xc3\xb6te \"1\".txt", BYTES("x"), 1);
    assert_true(has("filename*=utf-8''n%C3%B6te%20%221%22.txt\r\n") && has("text/plain"));
    assert_true(has("Content-Type: text/plain;\r\n\tname=\"=?utf-8?B?bsO2dGUgIjEiLnR4dA==?=\"\r\n"));
    static const struct {
        const char *name, *encoded;
    } others[] = {{"=?utf-8?Q?x?=.txt", "filename*=utf-8''%3D%3Futf-8%3FQ%3Fx%3F%3D.txt\r\n"},
                  {" a.txt", "filename*=utf-8''%20a.txt\r\n"},
                  {"a.txt ", "filename*=utf-8''a.txt%20\r\n"},
                  {"a b.txt", "filename=\"a b.txt\"\r\n"}};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        buffer_clear(&out);
        attach(others[i].name, BYTES("x"), 1);
        assert_true(has(others[i].encoded));
    }
    assert_non_null(mime_check_name(BYTES("a\tb")));
    /* never as base64 of a message */
    assert_string_equal(mime_type_of(BYTES("a.EML")), "application/octet-stream");
    assert_string_equal(mime_type_of(BYTES("a.PDF")), "application/pdf");
}

#define TESTED(name) cmocka_unit_test_setup(name, prepare)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTED(a_plain_letter_stays_plain),
        TESTED(other_letters_are_encoded),
        TESTED(long_subjects_are_folded_between_characters),
        TESTED(what_looks_encoded_is_encoded),
        TESTED(line_breaks_inject_nothing),
        TESTED(lines_at_the_limit_and_one_past_it),
        TESTED(attachments_of_every_length_end_right),
        TESTED(pieces_of_an_attachment_make_no_difference),
        TESTED(names_of_attachments_in_any_script),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&out);
    return failed;
}
