/* SPDX-License-Identifier: Apache-2.0 */
/* Relay's signatures: how many it remembers and for how long, and how often and how long it asks `sign`; a
 * message that cannot be signed is deferred, never lost. The functions below stand in the place of run/child
 * and io/clock. */
#include <stdio.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/relay/signatures.h"
#include "unit.h"

static struct loop loop;
static struct config config = {.hostname = "mx.example.net"};
static struct child child = {.config = &config, .loop = &loop};
static struct channel sign;
static struct signatures signatures;

static struct ipc_sign last; /* only its numbers are valid */
static unsigned asked, done, deferred, unsigned_ones;
static char why[16];

static uint64_t now_ms = 1000;

uint64_t clock_now_ms(void)
{
    return now_ms;
}

uint64_t clock_now_us(void)
{
    return now_ms * 1000;
}

uint64_t clock_boot_ms(void)
{
    return now_ms;
}

uint64_t clock_epoch_ms(void)
{
    return now_ms;
}

uint64_t clock_epoch_us(void)
{
    return now_ms * 1000;
}

uint64_t clock_cpu_us(void)
{
    return 0;
}

struct channel *child_peer(struct child *of, enum process_role role)
{
    return &sign;
}

bool child_send(struct child *to_child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached)
{
    assert_int_equal(kind, IPC_SIGN);
    last = *(const struct ipc_sign *)message;
    asked++;
    return true;
}

static void on_done(void *owner, const struct signature_result *result)
{
    done++;
    deferred += result->is_deferred;
    unsigned_ones += !result->is_deferred && result->fields.length == 0;
    if (result->is_deferred)
        snprintf(why, sizeof why, "%s", result->enhanced);
}

static int prepare(void **state)
{
    struct error error;
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR + 1);
    asked = done = deferred = unsigned_ones = 0;
    if (!loop_start(&loop, &error))
        return -1;
    signatures_start(&signatures, &child, 1, on_done);
    signatures_peer(&signatures);
    return 0;
}

static int clean_up(void **state)
{
    signatures_peer(&signatures); /* forgets what it knows */
    bool left = signatures.all.count > 0 || signatures.first != NULL;
    map_free(&signatures.all);
    map_free(&signatures.keyless);
    loop_free(&loop);
    return left ? -1 : 0;
}

/* Gets the signature of a message; true if it is known. Otherwise `sign` has been asked, or on_done called.
 */
static bool get(uint64_t id, unsigned domain, struct signature_wait *wait)
{
    char content[64];
    struct signature_result result;
    int length = snprintf(content, sizeof content, "From: a@d%u.example\r\n\r\nhello\r\n", domain);
    const struct signature_message message = {.id = id,
                                              .author = AUTHOR_SUBMITTED,
                                              .content = bytes_of(content, (size_t)length),
                                              .file = -1,
                                              .size = (uint64_t)length};
    unsigned before = asked + done;
    *wait = (struct signature_wait){.owner = wait};
    bool known = signatures_get(&signatures, &message, (struct content_form){0}, wait, &result);
    if (known)
        assert_text(result.fields, "DKIM-Signature: v=1\r\n");
    bool is_first = !known && wait->next == NULL;
    while (is_first && asked + done == before)
        event_base_loop(loop.base, EVLOOP_ONCE);
    return known;
}

static void say(enum sign_verdict verdict)
{
    const struct ipc_sign_answer answer = {.request = last.request,
                                           .verdict = verdict,
                                           .fields = verdict == SIGN_DONE ? BYTES("DKIM-Signature: v=1\r\n")
                                                                          : bytes_none()};
    signatures_answered(&signatures, &answer);
}

static void get_new(uint64_t id)
{
    struct signature_wait wait;
    unsigned before = done;
    assert_false(get(id, 1, &wait));
    say(SIGN_DONE);
    assert_int_equal(done, before + 1);
}

static void remembered_signatures(void **state)
{
    struct signature_wait wait;
    for (uint64_t id = 1; id <= SIGNATURES_KNOWN_MAX; id++)
        get_new(id);
    assert_int_equal(asked, SIGNATURES_KNOWN_MAX);
    for (uint64_t id = 1; id <= SIGNATURES_KNOWN_MAX; id++)
        assert_true(get(id, 1, &wait));
    assert_int_equal(asked, SIGNATURES_KNOWN_MAX);
    get_new(SIGNATURES_KNOWN_MAX + 1); /* in the place of the oldest */
    assert_true(get(SIGNATURES_KNOWN_MAX + 1, 1, &wait));
    assert_true(get(2, 1, &wait));
    assert_int_equal(signatures.all.count, SIGNATURES_KNOWN_MAX);
    get_new(1); /* made again */
    assert_int_equal(asked, SIGNATURES_KNOWN_MAX + 2);
    assert_false(get(2, 1, &wait));
    say(SIGN_DONE);
}

static void remembered_signatures_and_domains_for_so_long(void **state)
{
    struct signature_wait wait;
    get_new(1);
    assert_false(get(2, 2, &wait));
    say(SIGN_NO_KEY);
    now_ms += SIGNATURES_KNOWN_MS - 1;
    assert_true(get(1, 1, &wait));
    assert_false(get(2, 2, &wait));
    assert_int_equal(asked, 2);
    now_ms++; /* another key may sign now, or one where there was none */
    get_new(1);
    assert_int_equal(asked, 3);
    assert_false(get(2, 2, &wait));
    assert_int_equal(asked, 4);
    say(SIGN_NO_KEY);
}

static void domains_that_are_known_to_have_no_key(void **state)
{
    struct signature_wait wait;
    for (unsigned domain = 1; domain <= SIGNATURES_KEYLESS_MAX; domain++) {
        assert_false(get(domain, domain, &wait));
        say(SIGN_NO_KEY);
    }
    assert_int_equal(asked, SIGNATURES_KEYLESS_MAX);
    for (unsigned domain = 1; domain <= SIGNATURES_KEYLESS_MAX; domain++)
        assert_false(get(domain, domain, &wait));
    assert_int_equal(asked, SIGNATURES_KEYLESS_MAX);
    assert_false(get(1, SIGNATURES_KEYLESS_MAX + 1, &wait)); /* one more: they are all asked about again */
    say(SIGN_NO_KEY);
    assert_int_equal(signatures.keyless.count, 1);
    assert_false(get(1, 1, &wait));
    assert_int_equal(asked, SIGNATURES_KEYLESS_MAX + 2);
    say(SIGN_NO_KEY);
    assert_int_equal(done, 2 * SIGNATURES_KEYLESS_MAX + 2);
    assert_int_equal(unsigned_ones, done);
    assert_int_equal(deferred, 0);
}

static void processes_that_end_with_the_same_message(void **state)
{
    struct signature_wait wait;
    assert_false(get(1, 1, &wait));
    for (int i = 1; i < SIGNATURES_TRIES_MAX; i++)
        signatures_peer_lost(&signatures);
    assert_int_equal(asked, SIGNATURES_TRIES_MAX);
    assert_int_equal(done, 0);
    signatures_peer_lost(&signatures);
    assert_int_equal(asked, SIGNATURES_TRIES_MAX);
    assert_int_equal(deferred, 1);
    assert_string_equal(why, "4.7.5");
    assert_false(get(1, 1, &wait)); /* the next attempt asks again */
    assert_int_equal(asked, SIGNATURES_TRIES_MAX + 1);
    say(SIGN_FAILED); /* an active key that does not sign */
    assert_int_equal(deferred, 2);
    assert_string_equal(why, "4.7.5");
}

/* Keys change while the process ends and its successor starts: what the old one signed is not used again. */
static void signatures_of_former_keys_are_forgotten(void **state)
{
    struct signature_wait wait, waits;
    assert_false(get(1, 1, &wait));
    say(SIGN_DONE);
    assert_true(get(1, 1, &wait));
    assert_false(get(2, 1, &waits)); /* the old process answers it after its successor has come */
    signatures_peer(&signatures);
    say(SIGN_DONE);
    assert_int_equal(done, 2); /* a valid signature: this message leaves with it */
    for (uint64_t id = 1; id <= 2; id++) {
        unsigned before = asked;
        assert_false(get(id, 1, &wait));
        assert_int_equal(asked, before + 1);
        say(SIGN_DONE);
        assert_true(get(id, 1, &wait));
        assert_int_equal(asked, before + 1);
    }
}

/* That a domain has no key is forgotten, too: its first key signs the next message. */
static void a_former_lack_of_keys_is_forgotten(void **state)
{
    struct signature_wait wait;
    assert_false(get(1, 1, &wait));
    signatures_peer(&signatures);
    say(SIGN_NO_KEY); /* by the old process */
    assert_false(get(2, 1, &wait));
    assert_int_equal(asked, 2);
    say(SIGN_NO_KEY);
    assert_false(get(3, 1, &wait));
    assert_int_equal(asked, 2); /* now it is known */
    signatures_peer(&signatures);
    assert_false(get(4, 1, &wait));
    assert_int_equal(asked, 3);
    say(SIGN_DONE);
    assert_true(get(4, 1, &wait));
}

/* It hangs, or its successor does not come. */
static void a_process_that_does_not_answer(void **state)
{
    struct signature_wait wait, other;
    assert_false(get(1, 1, &wait));
    now_ms += SIGNATURES_WAIT_MS - 1;
    signatures.look.on_time(signatures.look.owner);
    assert_int_equal(done, 0);
    assert_false(get(1, 1, &other)); /* another destination of the same message waits for the same answer */
    assert_int_equal(asked, 1);
    now_ms++;
    signatures.look.on_time(signatures.look.owner);
    assert_int_equal(deferred, 2);
    assert_int_equal(done, 2);
    assert_string_equal(why, "4.7.5");
    say(SIGN_DONE); /* too late */
    assert_int_equal(done, 2);
}

#define ON(test) cmocka_unit_test_setup_teardown(test, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {ON(remembered_signatures),
                                       ON(remembered_signatures_and_domains_for_so_long),
                                       ON(domains_that_are_known_to_have_no_key),
                                       ON(processes_that_end_with_the_same_message),
                                       ON(a_process_that_does_not_answer),
                                       ON(signatures_of_former_keys_are_forgotten),
                                       ON(a_former_lack_of_keys_is_forgotten)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
