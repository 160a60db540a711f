/* SPDX-License-Identifier: Apache-2.0 */
/* What a signature is made of: the header and the body's digest of a message, in memory or in a file, and the
 * domain that signs. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/trust/field_index.h"
#include "service/relay/signature_digest.h"
#include "unit.h"

static void digest_of(struct bytes body, uint8_t digest[DKIM_DIGEST])
{
    struct body_hashes hashes;
    struct dkim_body_fact fact;
    signature_hash_start(&hashes, &(struct dkim_body){CANON_RELAXED, CANON_WHOLE}, 1);
    signature_hash_add(&hashes, body);
    signature_hash_finish(&hashes, &fact);
    memcpy(digest, fact.digest, DKIM_DIGEST);
}

static int file_of(struct bytes content)
{
    int file = memfd_create("content", MFD_CLOEXEC);
    assert_int_equal(write(file, content.at, content.length), content.length);
    return file;
}

static void expect(struct bytes front, struct bytes content, struct content_form form, const char *header,
                   struct bytes body)
{
    uint8_t wanted[DKIM_DIGEST];
    digest_of(body, wanted);
    for (int in_file = 0; in_file <= 1; in_file++)
        for (uint64_t octets = 1; octets <= 1 << 20; octets <<= 10) {
            struct signature_digest digest;
            struct signature_message message = {.front = front,
                                                .content = in_file ? bytes_none() : content,
                                                .file = in_file ? file_of(content) : -1,
                                                .size = front.length + content.length};
            signature_digest_start(&digest, &message, form);
            if (in_file)
                close(message.file); /* it has its own */
            while (signature_digest_run(&digest, octets) < DIGEST_DONE)
                continue;
            assert_int_equal(digest.stage, DIGEST_DONE);
            assert_text(buffer_bytes(&digest.header), header);
            assert_memory_equal(digest.digest, wanted, DKIM_DIGEST);
            signature_digest_free(&digest);
        }
}

static void the_header_ends_at_its_empty_line(void **state)
{
    const struct content_form as_it_is = {0};
    expect(BYTES("Received: x\r\n"), BYTES("From: a\r\n\r\nhi \r\n\r\n\r\n"), as_it_is,
           "Received: x\r\nFrom: a\r\n", BYTES("hi \r\n\r\n\r\n"));
    expect(bytes_none(), BYTES("From: a\r\n\r\n"), as_it_is, "From: a\r\n", bytes_none());
    expect(bytes_none(), BYTES("From: a\r\n"), as_it_is, "From: a\r\n", bytes_none());
    expect(bytes_none(), BYTES("\r\nbody"), as_it_is, "", BYTES("body"));
    expect(bytes_none(), BYTES("From: a\r\n\r\n\r\n\r\nx"), as_it_is, "From: a\r\n", BYTES("\r\n\r\nx"));
    /* bare newlines are mended before they leave, those of binary content are not */
    expect(bytes_none(), BYTES("From: a\r\n\r\nx\ny\rz"), as_it_is, "From: a\r\n", BYTES("x\r\ny\r\nz\r\n"));
    expect(bytes_none(), BYTES("From: a\r\n\r\nx\ny\rz"), (struct content_form){.raw = true}, "From: a\r\n",
           BYTES("x\ny\rz"));
    expect(BYTES("Received: x\r\n"),
           BYTES("MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n"),
           (struct content_form){.encodes = true},
           "Received: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n",
           BYTES("=C3=BC\r\n"));
}

static void large_contents_are_read_in_turns(void **state)
{
    struct buffer content = {0};
    buffer_add_text(&content, "From: a\r\n\r\n");
    for (int i = 0; i < 200000; i++)
        buffer_add_format(&content, "line  %d\t\r\n", i);
    struct bytes all = buffer_bytes(&content);
    expect(BYTES("Received: x\r\n"), all, (struct content_form){0}, "Received: x\r\nFrom: a\r\n",
           bytes_from(all, strlen("From: a\r\n\r\n")));
    buffer_free(&content);
}

/* Results for an ARC set are those that this server put in front; the content's are others'. */
static void results_are_those_of_this_server(void **state)
{
    static const struct {
        const char *front, *results;
        enum arc_result chain;
    } rows[] = {{"Delivered-To: a@b\r\nAuthentication-Results: mx.here;\r\n\tspf=pass\r\nReceived: x\r\n",
                 " mx.here;\r\n\tspf=pass", ARC_NONE},
                {"AUTHENTICATION-RESULTS:mx.here; none\r\n", "mx.here; none", ARC_FAIL},
                {"Authentication-Results: mx.here; none\r\n", "", ARC_PENDING},
                {"Received: x\r\n", "", ARC_PASS},
                {"", "", ARC_PASS}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct signature_digest digest;
        const struct signature_message message = {
            .chain = rows[i].chain,
            .file = -1,
            .front = bytes_of_text(rows[i].front),
            .content = BYTES("Authentication-Results: mx.evil; dmarc=pass\r\nFrom: a\r\n\r\n")};
        signature_digest_start(&digest, &message, (struct content_form){0});
        while (signature_digest_run(&digest, 1 << 16) < DIGEST_DONE)
            continue;
        signature_digest_let_go(&digest);
        assert_text(buffer_bytes(&digest.results), rows[i].results);
        signature_digest_free(&digest);
    }
}

static void names_of_hosts_in_the_form_of_dns(void **state)
{
    char long_name[DOMAIN_MAX + 2], domain[DOMAIN_MAX + 1];
    memset(long_name, 'a', sizeof long_name);
    assert_true(signature_digest_name(BYTES("MX.Example.ORG"), domain));
    assert_string_equal(domain, "mx.example.org");
    assert_true(signature_digest_name(BYTES("mx.b\xc3\xbc"
                                            "cher.example"),
                                      domain));
    assert_string_equal(domain, "mx.xn--bcher-kva.example");
    assert_false(signature_digest_name(bytes_of(long_name, sizeof long_name - 1), domain));
}

static enum signature_digest_stage end_of(struct signature_message message)
{
    struct signature_digest digest;
    signature_digest_start(&digest, &message, (struct content_form){0});
    while (signature_digest_run(&digest, 1 << 16) < DIGEST_DONE)
        continue;
    enum signature_digest_stage stage = digest.stage;
    signature_digest_free(&digest);
    return stage;
}

static void what_cannot_be_read(void **state)
{
    int file = file_of(BYTES("From: a\r\n\r\nx\r\n"));
    assert_int_equal(end_of((struct signature_message){.file = file, .size = 14}), DIGEST_DONE);
    assert_int_equal(end_of((struct signature_message){.file = file, .size = 15}), DIGEST_UNREADABLE);
    close(file);
    assert_int_equal(end_of((struct signature_message){.file = file, .size = 14}), DIGEST_UNREADABLE);
    struct buffer header = {0};
    while (header.length < FIELD_INDEX_OCTETS_MAX - 2)
        buffer_add_text(&header, "x");
    buffer_add_text(&header, "\r\n");
    buffer_add_text(&header, "\r\n");
    assert_int_equal(end_of((struct signature_message){.file = -1, .content = buffer_bytes(&header)}),
                     DIGEST_DONE);
    buffer_clear(&header);
    while (header.length < FIELD_INDEX_OCTETS_MAX + 1)
        buffer_add_text(&header, "x");
    assert_int_equal(end_of((struct signature_message){.file = -1, .content = buffer_bytes(&header)}),
                     DIGEST_TOO_LARGE);
    buffer_free(&header);
}

static void the_domain_is_that_of_the_only_author(void **state)
{
    static const struct {
        const char *header, *domain, *why;
    } rows[] = {
        {"From: Ada <ada@Example.ORG>\r\n", "example.org", NULL},
        {"FROM : ada@example.org (of example.net)\r\n", "example.org", NULL},
        {"From: a@example.org, b@example.org\r\n", "example.org", NULL},
        {"From: a@example.org, b@example.net\r\n", NULL, "the From field has addresses of several domains"},
        {"From: a@example.org\r\nFrom: b@example.org\r\n", NULL, "the message has several From fields"},
        {"To: a@example.org\r\n", NULL, "the message has no From field"},
        {"", NULL, "the message has no From field"},
        {"From: nobody\r\n", NULL, "the From field is malformed"},
        {"From: a@[192.0.2.1]\r\n", NULL, "the domain of the From field is not a name"},
        {"From: a@b\xc3\xbc"
         "cher.example\r\n",
         "xn--bcher-kva.example", NULL},
        {"From: \"a@example.net\" <a@example.org>\r\n", "example.org", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char domain[DOMAIN_MAX + 1] = "";
        const char *why = NULL;
        bool found = signature_digest_domain(bytes_of_text(rows[i].header), domain, &why);
        if (found != (rows[i].domain != NULL) || (found && strcmp(domain, rows[i].domain) != 0) ||
            (!found && strcmp(why, rows[i].why) != 0))
            fail_msg("%s: %s", rows[i].header, found ? domain : why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_ends_at_its_empty_line),
        cmocka_unit_test(results_are_those_of_this_server),
        cmocka_unit_test(names_of_hosts_in_the_form_of_dns),
        cmocka_unit_test(large_contents_are_read_in_turns),
        cmocka_unit_test(what_cannot_be_read),
        cmocka_unit_test(the_domain_is_that_of_the_only_author),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
