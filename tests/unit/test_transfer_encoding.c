/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of a message for servers with fewer extensions, for all splits. */
#include "core/message/transfer_encoding.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_content_leaves_without_nul),
        cmocka_unit_test(what_says_nothing_passes_where_it_is_not_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
