/* SPDX-License-Identifier: Apache-2.0 */
/* The process that signs takes so many questions at a time, and hears no more until one is answered: further
 * ones wait in the channel. The functions below stand in the place of run/child, and of key_tending, which is
 * another process. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/trust/dkim_field.h"
#include "io/log.h"
#include "run/child.h"
#include "service/key_tending.h"
#include "service/services.h"
#include "service/sign/sign_question.h"
#include "store/signing_keys.h"
#include "unit.h"

#define NOW ((uint64_t)1795435200) /* 23 Nov 2026 */

static char ground[] = "/tmp/mailboat-sign-XXXXXX";
static struct loop loop;
static struct config config;
static struct child child;
static struct channel asker;
static size_t answered[SIGN_VERDICTS];
static unsigned deafened, heard;
static int exit_code;

bool child_send(struct child *to_child, struct channel *to, enum ipc_kind kind, const void *message,
                int attached)
{
    const struct ipc_sign_answer *answer = message;
    assert_int_equal(kind, IPC_SIGN_ANSWER);
    assert_int_equal(answer->fields.length > 0, answer->verdict == SIGN_DONE);
    answered[answer->verdict]++;
    return true;
}

void child_deafen(struct child *deaf)
{
    deafened++;
}

void child_hear(struct child *hearing)
{
    heard++;
}

void child_exit(struct child *ended, int code)
{
    exit_code = code;
}

bool key_tending_prepare(const struct config *of, struct error *error)
{
    return true;
}

uint32_t key_tending_chore(const struct config *of)
{
    return KEY_TENDING_MINUTES_MAX;
}

static void activate(void *owner, struct stored_key *of, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        of[i].state.stage = KEY_ACTIVE;
        of[i].state.since_s[KEY_PUBLISHED] = of[i].state.since_s[KEY_ACTIVE] = NOW;
    }
}

static int prepare(void **state)
{
    struct signing_keys keys;
    struct stored_key made;
    struct error error;
    umask(022);
    log_start("test", LOG_LOGFMT, LOG_EVENT_ERROR);
    if (mkdtemp(ground) == NULL || chmod(ground, 0755) != 0 ||
        !signing_keys_open(&keys, ground, geteuid(), getegid(), true, &error))
        return -1;
    bool added = signing_keys_add(&keys, "example.org", "s1", DKIM_ED25519_SHA256, NOW, &made, &error) &&
                 signing_keys_change(&keys, "example.org", activate, NULL, &error);
    signing_keys_close(&keys);
    config = (struct config){.data_dir = ground, .smtpd_count = 2};
    child = (struct child){.config = &config, .loop = &loop, .user = {.uid = geteuid(), .gid = getegid()}};
    return added && loop_start(&loop, &error) && sign_service.open(&child, &error) &&
                   sign_service.start(&child, &error)
               ? 0
               : -1;
}

static int clean_up(void **state)
{
    loop_free(&loop);
    folder_remove(AT_FDCWD, ground);
    return 0;
}

static void ask(uint64_t request)
{
    static const char digest[DKIM_DIGEST];
    union ipc_message message = {.sign = {.request = request,
                                          .domain = BYTES("example.org"),
                                          .header = BYTES("From: ada@example.org\r\n"),
                                          .body_digest = bytes_of(digest, sizeof digest)}};
    sign_service.on_message(&child, &asker, IPC_SIGN, &message, -1);
}

static void wait_for_answers(size_t count)
{
    while (answered[SIGN_DONE] < count)
        event_base_loop(loop.base, EVLOOP_ONCE);
    assert_int_equal(answered[SIGN_DONE], count);
}

static void open_questions(void **state)
{
    for (unsigned i = 1; i < SIGN_OPEN_MAX; i++)
        ask(i);
    assert_int_equal(deafened, 0);
    ask(SIGN_OPEN_MAX);
    assert_int_equal(deafened, 1);
    assert_int_equal(heard, 0);
    wait_for_answers(SIGN_OPEN_MAX);
    assert_int_equal(heard, 1);
    /* those that have waited come now; it is full again after as many */
    for (unsigned i = 1; i < SIGN_OPEN_MAX; i++)
        ask(SIGN_OPEN_MAX + i);
    assert_int_equal(deafened, 1);
    ask(2 * SIGN_OPEN_MAX);
    assert_int_equal(deafened, 2);
    wait_for_answers(2 * SIGN_OPEN_MAX);
    assert_int_equal(heard, 2);
}

/* A process that is replaced answers all that it has, and then ends. */
static void an_old_process_that_is_full_answers_all_that_it_has(void **state)
{
    size_t before = answered[SIGN_DONE];
    exit_code = -1;
    for (unsigned i = 0; i < SIGN_OPEN_MAX; i++)
        ask(1000 + i);
    sign_service.on_drain(&child, false);
    assert_int_equal(exit_code, -1);
    wait_for_answers(before + SIGN_OPEN_MAX);
    assert_int_equal(exit_code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(open_questions),
                                       cmocka_unit_test(an_old_process_that_is_full_answers_all_that_it_has)};
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
