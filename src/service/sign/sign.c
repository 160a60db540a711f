/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign: signs outgoing mail (DKIM), and seals mail that is forwarded (ARC). The only process that has the
 * private keys of DKIM, and one that reads nothing of others but questions of relay: its sandbox leaves it no
 * file and no network.
 *
 * sign_keys.c has the keys, read before the sandbox; sign_question.c is one request, answered on a thread.
 * At most SIGN_OPEN_MAX are open; further ones wait in the channel. When other keys are active, or at a
 * reload, a successor reads them (SIGNING_KEYS_VERSION).
 */
#include <assert.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "io/random.h"
#include "io/watch.h"
#include "run/child.h"
#include "service/key_tending.h"
#include "service/services.h"
#include "service/sign/sign_question.h"
#include "store/signing_keys.h"

struct sign {
    struct child *child;
    struct sign_keys keys;
    struct worker_threads *workers;
    struct watch done_watch;
    struct sign_question *questions; /* on the threads */
    size_t open_count;
    bool full; /* hears no questions */
    bool draining;
};

static struct sign here; /* one per process */

/* ---- answers ---- */

static void send_answer(struct sign *sign, struct channel *to, const struct ipc_sign_answer *answer)
{
    if (to != NULL)
        child_send(sign->child, to, IPC_SIGN_ANSWER, answer, -1);
}

static void finish(struct sign *sign, struct sign_question *question)
{
    if (question->verdict == SIGN_FAILED)
        log_event(LOG_EVENT_ERROR, "sign_failed", LOG_BYTES("domain", question->keys->domain),
                  LOG_BYTES("selector", question->keys->selector), LOG_TEXT("reason", question->why));
    send_answer(
        sign, question->asker,
        &(struct ipc_sign_answer){.request = question->request,
                                  .verdict = question->verdict,
                                  .fields = buffer_bytes(&question->fields),
                                  .why = question->why == NULL ? bytes_none() : bytes_of_text(question->why),
                                  .signer = question->keys->domain,
                                  .instance = question->instance});
    if (question->previous != NULL)
        question->previous->next = question->next;
    else
        sign->questions = question->next;
    if (question->next != NULL)
        question->next->previous = question->previous;
    sign->open_count--;
    sign_question_free(question);
}

static void leave_if_done(struct sign *sign)
{
    if (sign->draining && sign->open_count == 0)
        child_exit(sign->child, EX_OK);
}

static void on_done(void *owner, bool readable, bool writable)
{
    struct sign *sign = owner;
    for (struct work *done; (done = worker_threads_take(sign->workers)) != NULL;)
        finish(sign, (struct sign_question *)(void *)done);
    if (sign->full && sign->open_count < SIGN_OPEN_MAX && !sign->draining) {
        sign->full = false;
        child_hear(sign->child);
    }
    leave_if_done(sign);
}

/* ---- questions ---- */

static void ask(struct sign *sign, struct channel *from, const struct ipc_sign *asked)
{
    const struct sign_key *keys = sign_keys_find(&sign->keys, asked->domain, asked->takes_parent != 0);
    if (keys == NULL) {
        send_answer(sign, from, &(struct ipc_sign_answer){.request = asked->request, .verdict = SIGN_NO_KEY});
        return;
    }
    struct sign_question *question = sign_question_new(asked, from, keys, clock_epoch_ms() / 1000);
    question->next = sign->questions;
    if (question->next != NULL)
        question->next->previous = question;
    sign->questions = question;
    sign->open_count++;
    bool given = worker_threads_give(sign->workers, &question->work);
    assert(given); /* it waits for as many as are open */
    if (sign->open_count >= SIGN_OPEN_MAX && !sign->full) {
        sign->full = true;
        child_deafen(sign->child);
    }
}

static void sign_message(struct child *child, struct channel *from, enum ipc_kind kind,
                         union ipc_message *message, int attached)
{
    if (attached >= 0)
        close(attached); /* no message has a descriptor for this process */
    if (kind == IPC_SIGN)
        ask(child->service_data, from, &message->sign);
}

static void sign_peer_lost(struct child *child, struct channel *peer)
{
    struct sign *sign = child->service_data;
    for (struct sign_question *question = sign->questions; question != NULL; question = question->next)
        if (question->asker == peer)
            question->asker = NULL;
}

/* ---- life ---- */

static bool sign_open(struct child *child, struct error *error)
{
    here = (struct sign){.child = child};
    child->service_data = &here;
    sign_keys_start(&here.keys, random_u64());
    return sign_keys_read(&here.keys, child->config->data_dir, child->user.uid, child->user.gid, error);
}

static bool sign_start(struct child *child, struct error *error)
{
    struct sign *sign = child->service_data;
    int descriptor;
    sign->workers = worker_threads_open(child->config->smtpd_count, SIGN_OPEN_MAX, "sign", &descriptor,
                                        error);
    if (sign->workers == NULL)
        return false;
    watch_start(&sign->done_watch, child->loop, descriptor, true, false, on_done, sign);
    return true;
}

static void sign_drain(struct child *child, bool quick)
{
    struct sign *sign = child->service_data;
    sign->draining = true;
    child_deafen(child);
    leave_if_done(sign);
}

const struct service sign_service = {
    .role = PROCESS_SIGN,
    .stop = STOP_ANSWERERS,
    .keeps = SANDBOX_HAS_THREADS,
    .prepare = key_tending_prepare,
    .tend = key_tending_chore,
    .follows = SIGNING_KEYS_VERSION,
    .open = sign_open,
    .start = sign_start,
    .on_message = sign_message,
    .on_peer_lost = sign_peer_lost,
    .on_drain = sign_drain,
};
