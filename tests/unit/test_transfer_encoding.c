/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of a message for servers with fewer extensions, for all splits. */
#include "core/message/transfer_encoding.h"
#include "core/smtp/envelope.h"
#include "unit.h"

#define MULTIPART "Content-Type: multipart/mixed; boundary=b\r\n"

static void binary_content_leaves_without_nul(void **state)
{
    static const struct {
        struct bytes content;
        const char *encoded;
    } cases[] = {
        /* no MIME at all */
        {BYTES("A: b\r\n\r\nx\0y\r\nz\r\n"),
         "A: b\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx=00y\r\nz\r\n"},
        /* a part that says nothing, one that says 7bit, one that says binary */
        {BYTES("MIME-Version: 1.0\r\n" MULTIPART
               "\r\n--b\r\n\r\nx\0\r\n--b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\0\r\n--b\r\n"
               "Content-Transfer-Encoding: binary\r\n\r\n\0\n\r\n--b--\r\n"),
         "MIME-Version: 1.0\r\n" MULTIPART
         "\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx=00\r\n--b\r\n"
         "Content-Transfer-Encoding: quoted-printable\r\n\r\n=00\r\n--b\r\nContent-Transfer-Encoding: "
         "base64\r\n\r\nAAo=\r\n--b--\r\n"},
        /* what is encoded already stays */
        {BYTES("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAAo=\r\n"),
         "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAAo=\r\n"},
        /* what cannot be encoded: between parts, in a part's header,
         * said to be encoded; no line ends there but with CRLF */
        {BYTES("MIME-Version: 1.0\r\n" MULTIPART
               "\r\n\0\n.\nMAIL\r\n--b\r\nX: \0\r\r\nContent-Transfer-Encoding: "
               "base64\r\n\r\nAA\0\n.\r.\r\n--b\r\n"
               "Content-Type: message/rfc822\r\n\r\nX: \0\n\r\n\r\n\0\r\n--b--\r\n\0\n.\r\n\r"),
         "MIME-Version: 1.0\r\n" MULTIPART
         "\r\n?\r\n.\r\nMAIL\r\n--b\r\nX: ?\r\n\r\nContent-Transfer-Encoding: "
         "base64\r\n\r\nAA?\r\n.\r\n.\r\n--b\r\n"
         "Content-Type: message/rfc822\r\n\r\nX: ?\r\n\r\nContent-Transfer-Encoding: "
         "quoted-printable\r\n\r\n=00\r\n--b--\r\n?\r\n.\r\n\r\n"},
        {BYTES("A: b\n\n\0\n.\n"), "A: b\r\n\r\n?\r\n.\r\n"}, /* its header has no end */
        /* other types than text */
        {BYTES("MIME-Version: 1.0\r\nContent-Type: image/x\r\n\r\n\0\1\2"),
         "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t first = 0; first <= cases[i].content.length; first++) {
            struct buffer out = {0};
            struct transfer_encoding sevenbit;
            transfer_encoding_start(&sevenbit, true);
            transfer_encoding_add(&sevenbit, &out, bytes_first(cases[i].content, first));
            transfer_encoding_add(&sevenbit, &out, bytes_from(cases[i].content, first));
            transfer_encoding_end(&sevenbit, &out);
            assert_text(buffer_bytes(&out), cases[i].encoded);
            transfer_encoding_free(&sevenbit);
            buffer_free(&out);
        }
}

static void what_says_nothing_passes_where_it_is_not_binary(void **state)
{
    static const struct bytes content = BYTES("MIME-Version: 1.0\r\n" MULTIPART
                                              "\r\n--b\r\n\r\nx\r\n--b--\r\n");
    struct buffer out = {0};
    struct transfer_encoding sevenbit;
    transfer_encoding_start(&sevenbit, false);
    transfer_encoding_add(&sevenbit, &out, content);
    transfer_encoding_end(&sevenbit, &out);
    assert_true(bytes_equal(buffer_bytes(&out), content));
    transfer_encoding_free(&sevenbit);
    buffer_free(&out);
}

static void shorten(struct buffer *out, struct bytes content, size_t step)
{
    struct transfer_encoding encoding;
    transfer_encoding_start(&encoding, false);
    encoding.short_lines = encoding.eight_passes = true;
    for (; content.length > 0; content = bytes_from(content, bytes_first(content, step).length))
        transfer_encoding_add(&encoding, out, bytes_first(content, step));
    transfer_encoding_end(&encoding, out);
    transfer_encoding_free(&encoding);
}

static size_t longest_line(struct bytes content)
{
    size_t longest = 0;
    while (content.length > 0) {
        size_t length = bytes_split(&content, '\n').length;
        longest = length > longest ? length : longest;
    }
    return longest > 0 ? longest - 1 : 0; /* the CR */
}

static void add_many(struct buffer *out, char octet, size_t count)
{
    memset(buffer_reserve(out, count), octet, count);
    buffer_written(out, count);
}

/* Each is longer than a line may be, in every place that can be shortened. */
static void long_lines_become_short_ones(void **state)
{
    static const struct {
        const char *before;
        char octet;
        const char *after, *contains;
    } cases[] = {
        {"Subject: x\r\n\r\n", 'a', "\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\naaa"},
        {"MIME-Version: 1.0\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", 'a',
         "\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\naaa"},
        {"MIME-Version: 1.0\r\nContent-Type: image/x\r\n\r\n", 'a', "\r\n", "base64\r\n\r\nYWFh"},
        {"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n", 'A', "\r\n", "base64\r\n\r\nAAAA"},
        {"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=20", '-', "=20\r\n",
         "=\r\n=2D-"},
        {"Subject: a ", 'b', "\r\nTo: c\r\n\r\nx\r\n", "Subject: a\r\n bbb"},
        {"To: a@b,", 'b', "\r\n\r\nx\r\n", " a@b,\r\n bbb"},
        {"X:", ' ', "y\r\n\r\nx\r\n", "\r\n\r\nx"},
        {"X: ", 'c', "\r\n\r\nx\r\n", "X:\r\n ccc"},
        {"Subject: ", '\xc3', "\r\n\r\nx\r\n", "Subject:\r\n \xc3"},
    };
    static const size_t counts[] = {999, 1500, 1997, 2001, 5000, 70000};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t k = 0; k < ARRAY_LENGTH(counts); k++) {
            struct buffer content = {0}, out = {0}, cut = {0};
            buffer_add_text(&content, cases[i].before);
            add_many(&content, cases[i].octet, counts[k]);
            buffer_add_text(&content, cases[i].after);
            shorten(&out, buffer_bytes(&content), SIZE_MAX);
            shorten(&cut, buffer_bytes(&content), 7);
            assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&cut)));
            if (longest_line(buffer_bytes(&out)) > LINE_OCTETS_MAX ||
                bytes_search(buffer_bytes(&out), bytes_of_text(cases[i].contains)) == SIZE_MAX)
                fail_msg("case %zu, %zu: %.200s", i, counts[k], buffer_text(&out));
            buffer_free(&content);
            buffer_free(&out);
            buffer_free(&cut);
        }
}

/* An empty part in base64 keeps the line end before its boundary. */
static void empty_base64_stays(void **state)
{
    static const char part[] = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                               "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--b--\r\n";
    struct buffer out = {0};
    shorten(&out, bytes_of_text(part), SIZE_MAX);
    assert_string_equal(buffer_text(&out), part);
    buffer_free(&out);
}

/* At the limit nothing changes, nor where a signature would break. */
static void other_lines_stay(void **state)
{
    static const char *const before[] = {
        "DKIM-Signature: v=1\r\nMIME-Version: 1.0\r\n\r\n",
        "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(before); i++) {
        struct buffer content = {0}, out = {0};
        buffer_add_text(&content, before[i]);
        add_many(&content, 'a', 3000);
        buffer_add_text(&content, "\r\n--b--\r\n");
        shorten(&out, buffer_bytes(&content), 100);
        assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&content)));
        buffer_free(&content);
        buffer_free(&out);
    }
    struct buffer field = {0}, out = {0};
    buffer_add_text(&field, "X: ");
    add_many(&field, 'a', LINE_OCTETS_MAX - 3);
    buffer_add_text(&field, "\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n");
    shorten(&out, buffer_bytes(&field), SIZE_MAX);
    assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&field)));
    buffer_free(&field);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_content_leaves_without_nul),
        cmocka_unit_test(what_says_nothing_passes_where_it_is_not_binary),
        cmocka_unit_test(long_lines_become_short_ones),
        cmocka_unit_test(empty_base64_stays),
        cmocka_unit_test(other_lines_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
