/* SPDX-License-Identifier: Apache-2.0 */
/* Large contents, and no room: the contract of store.h, for every kind of store. */
#include "ground.h"

/* ---- large contents ---- */

enum { LARGE = 300 * 1000 };

static char large_octet(size_t i)
{
    return (char)(i * 7 + i / 251);
}

static void write_spool(struct ground *ground, uint64_t spool)
{
    enum store_verdict verdict;
    char *content = memory_new(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        content[i] = large_octet(i);
    int file = store_spool(ground->store, spool, &verdict);
    assert_int_equal(verdict, STORE_DONE);
    assert_int_equal(write(file, content, LARGE), LARGE);
    close(file);
    free(content);
}

static bool accept_spool(struct ground *ground, uint64_t id, uint64_t spool)
{
    struct recipient recipient = {.address = BYTES("ada@example.org")};
    struct store_message message = {.id = id,
                                    .envelope = {.recipients = &recipient, .recipient_count = 1, .size = 1}};
    const struct bytes destination = BYTES("d");
    return store_accept(ground->store, &message, &destination, 10, spool);
}

static void assert_large_content(struct ground *ground, uint64_t id)
{
    struct store_message message;
    char *content = memory_new(LARGE + 1);
    assert_true(store_read(ground->store, id, true, &ground->arena, &message));
    assert_true(message.large);
    assert_int_equal(message.content.length, 0);
    assert_int_equal(message.envelope.size, LARGE);
    int first = store_content(ground->store, id), second = store_content(ground->store, id);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(read(first, content, LARGE + 1), LARGE);
    for (size_t i = 0; i < LARGE; i += 997)
        assert_int_equal(content[i], large_octet(i));
    assert_int_equal(read(second, content, 5), 5); /* each reader has its own place */
    assert_int_equal(content[0], large_octet(0));
    close(first);
    close(second);
    free(content);
}

static void a_spooled_content_becomes_the_message_s(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, UINT64_MAX);
    assert_true(accept_spool(ground, 8, UINT64_MAX));
    assert_large_content(ground, 8);
    commit(ground);
    crash(ground);
    assert_large_content(ground, 8);
    assert_false(accept_spool(ground, 9, UINT64_MAX)); /* it is used up */
    assert_false(accept_spool(ground, 9, 1234));       /* there never was one */
    assert_true(finish(ground, 8, 0));
    commit(ground);
    assert_int_equal(store_content(ground->store, 8), -1);
}

static void a_dropped_spool_is_gone(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    enum store_verdict verdict;
    assert_int_equal(store_spool(ground->store, 5, &verdict), -1); /* the number is in use */
    assert_int_equal(verdict, STORE_FAILED);
    store_spool_drop(ground->store, 5);
    store_spool_drop(ground->store, 5);
    assert_false(accept_spool(ground, 9, 5));
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    commit(ground);
    assert_large_content(ground, 9);
}

static void a_lost_batch_loses_its_large_content(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    crash(ground);
    assert_false(is_there(ground, 9));
    assert_int_equal(store_content(ground->store, 9), -1);
    write_spool(ground, 5); /* its number is free, and so is the id */
    assert_true(accept_spool(ground, 9, 5));
    commit(ground);
    assert_large_content(ground, 9);
}

static void a_large_content_survives_a_lost_removal(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    commit(ground);
    store_remove(ground->store, 9);
    crash(ground);
    assert_large_content(ground, 9);
}

static void a_message_may_come_and_go_in_one_batch(void **state)
{
    struct ground *ground = *state;
    write_spool(ground, 5);
    assert_true(accept_spool(ground, 9, 5));
    store_remove(ground->store, 9);
    put_letter(ground, 9, "d", 1, 1);
    store_remove(ground->store, 9);
    put_letter(ground, 9, "d", 1, 2);
    commit(ground);
    crash(ground);
    assert_int_equal(waiting(ground, 9), 2);
    assert_int_equal(store_content(ground->store, 9), -1);
}

/* ---- no room ---- */

static void limit(struct ground *ground, bool full)
{
    if (ground->on_disk)
        sqlite_store_limit_pages(ground->store, full ? 1 : 0); /* Limits SQLite to its current size. */
    else
        memory_store_limit(ground->store, full ? 200 : 0);
}

/* Adds messages until one does not fit; returns the id of that one. */
static uint64_t fill(struct ground *ground, uint64_t id)
{
    struct error error = {0};
    for (; id < 10000; id++) {
        put_letter(ground, id, "d", 1, 1);
        enum store_verdict verdict = store_commit(ground->store, &error);
        if (verdict == STORE_DONE)
            continue;
        assert_int_equal(verdict, STORE_FULL);
        assert_true(strlen(error.text) > 0);
        return id;
    }
    fail_msg("it never became full");
    return id;
}

static void a_full_store_says_so_and_recovers(void **state)
{
    struct ground *ground = *state;
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    limit(ground, true);
    uint64_t refused = fill(ground, 2);
    assert_false(store_is_changed(ground->store)); /* the batch is gone */
    assert_false(is_there(ground, refused));
    assert_true(is_there(ground, refused - 1));
    for (uint64_t id = 1; id < refused; id++) { /* delivered messages are removed even when full */
        assert_true(finish(ground, id, 0));
    }
    commit(ground);
    put_letter(ground, refused, "d", 1, 1);
    commit(ground);
    limit(ground, false);
    put_letter(ground, refused + 1, "d", 1, 1);
    commit(ground);
    crash(ground);
    assert_true(is_there(ground, refused) && is_there(ground, refused + 1) && !is_there(ground, 1));
}

/* A batch in which something does not fit goes as a whole. */
static void a_batch_fits_or_does_not(void **state)
{
    struct ground *ground = *state;
    struct error error;
    put_letter(ground, 1, "d", 1, 1);
    commit(ground);
    limit(ground, true);
    for (uint64_t id = 2; id < 2000; id++)
        assert_true(put_letter(ground, id, "d", 1, 1)); /* reported by the commit */
    finish(ground, 1, 0);
    assert_int_equal(store_commit(ground->store, &error), STORE_FULL);
    assert_int_equal(waiting(ground, 1), 1);
    for (uint64_t id = 2; id < 2000; id++)
        assert_false(is_there(ground, id));
}

#define CONTRACT(set_up)                                                                          \
    BOTH(set_up, a_spooled_content_becomes_the_message_s), BOTH(set_up, a_dropped_spool_is_gone), \
        BOTH(set_up, a_lost_batch_loses_its_large_content),                                       \
        BOTH(set_up, a_large_content_survives_a_lost_removal),                                    \
        BOTH(set_up, a_message_may_come_and_go_in_one_batch),                                     \
        BOTH(set_up, a_full_store_says_so_and_recovers), BOTH(set_up, a_batch_fits_or_does_not)

int main(void)
{
    CONTRACT_HOLDS;
}
