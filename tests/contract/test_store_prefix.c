/* SPDX-License-Identifier: Apache-2.0 */
/* A message is a prefix and a content: the contract of store.h about prefixes, for every kind of store. */
#include "ground.h"

enum { LARGE = 300 * 1000 };

static const struct bytes destination = BYTES("d");

static bool accept_with(struct ground *ground, uint64_t id, struct bytes prefix, struct bytes content,
                        uint64_t spool)
{
    struct recipient recipient = {.address = BYTES("ada@example.org")};
    struct store_message message = {.id = id,
                                    .arrived_ms = 1000,
                                    .expires_ms = 9000,
                                    .prefix = prefix,
                                    .content = content,
                                    .envelope = {.recipients = &recipient, .recipient_count = 1}};
    return store_accept(ground->store, &message, &destination, 10, spool);
}

static void assert_prefix(struct ground *ground, uint64_t id, struct bytes prefix, uint64_t content_size)
{
    struct store_message message;
    struct store_summary summary;
    assert_true(store_read(ground->store, id, true, &ground->arena, &message));
    assert_int_equal(message.prefix.length, prefix.length);
    if (prefix.length > 0)
        assert_memory_equal(message.prefix.at, prefix.at, prefix.length);
    assert_int_equal(message.envelope.size, prefix.length + content_size);
    assert_true(store_read(ground->store, id, false, &ground->arena, &message));
    assert_int_equal(message.envelope.size, prefix.length + content_size);
    assert_int_equal(message.content.length, 0);
    assert_int_equal(store_list(ground->store, id - 1, 1, &ground->arena, &summary), 1);
    assert_int_equal(summary.size, prefix.length + content_size);
}

static void a_prefix_is_kept_beside_the_content(void **state)
{
    struct ground *ground = *state;
    const struct bytes prefix = BYTES("Received: from a\r\n\tby b;\r\n\tnow\r\nX: \xc3\xa4\xff\r\n");
    assert_true(accept_with(ground, 5, prefix, BYTES("Subject: x\r\n\r\nHello\r\n"), 0));
    assert_true(accept_with(ground, 6, bytes_none(), BYTES("Hello\r\n"), 0));
    assert_true(accept_with(ground, 7, prefix, bytes_none(), 0));
    commit(ground);
    crash(ground);
    struct store_message message;
    assert_prefix(ground, 5, prefix, 21);
    assert_true(store_read(ground->store, 5, true, &ground->arena, &message));
    assert_true(bytes_is(message.content, "Subject: x\r\n\r\nHello\r\n"));
    assert_prefix(ground, 6, bytes_none(), 7);
    assert_prefix(ground, 7, prefix, 0);
}

static void a_large_content_has_its_prefix_in_its_row(void **state)
{
    struct ground *ground = *state;
    enum store_verdict verdict;
    char *content = memory_new(LARGE);
    int file = store_spool(ground->store, 3, &verdict);
    assert_int_equal(verdict, STORE_DONE);
    assert_int_equal(write(file, content, LARGE), LARGE);
    close(file);
    assert_true(accept_with(ground, 5, BYTES("X: y\r\n"), bytes_none(), 3));
    commit(ground);
    crash(ground);
    assert_prefix(ground, 5, BYTES("X: y\r\n"), LARGE);
    file = store_content(ground->store, 5);
    assert_int_equal(read(file, content, LARGE), LARGE); /* the file is the content alone */
    assert_int_equal(content[0], 0);
    close(file);
    free(content);
}

static void a_prefix_may_be_so_long_and_no_longer(void **state)
{
    struct ground *ground = *state;
    char *octets = memory_new(STORE_PREFIX_MAX + 1);
    memset(octets, 'x', STORE_PREFIX_MAX + 1);
    struct bytes most = bytes_of(octets, STORE_PREFIX_MAX);
    assert_true(accept_with(ground, 5, most, BYTES("Hello\r\n"), 0));
    assert_false(accept_with(ground, 6, bytes_of(octets, STORE_PREFIX_MAX + 1), BYTES("Hello\r\n"), 0));
    assert_true(accept_with(ground, 7, bytes_none(), BYTES("Hello\r\n"), 0)); /* the batch goes on */
    commit(ground);
    crash(ground);
    assert_prefix(ground, 5, most, 7);
    assert_false(is_there(ground, 6));
    assert_prefix(ground, 7, bytes_none(), 7);
    free(octets);
}

static void a_lost_batch_loses_its_prefix(void **state)
{
    struct ground *ground = *state;
    assert_true(accept_with(ground, 5, BYTES("X: y\r\n"), BYTES("Hello\r\n"), 0));
    crash(ground);
    assert_false(is_there(ground, 5));
    assert_true(accept_with(ground, 5, bytes_none(), BYTES("Hello\r\n"), 0));
    assert_prefix(ground, 5, bytes_none(), 7);
}

#define CONTRACT(set_up)                                         \
    BOTH(set_up, a_prefix_is_kept_beside_the_content),           \
        BOTH(set_up, a_large_content_has_its_prefix_in_its_row), \
        BOTH(set_up, a_prefix_may_be_so_long_and_no_longer), BOTH(set_up, a_lost_batch_loses_its_prefix)

int main(void)
{
    CONTRACT_HOLDS;
}
