/* SPDX-License-Identifier: Apache-2.0 */
#include "service/relay/signatures.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/relay/signature_digest.h"

enum signature_stage {
    SIGNATURE_HASHING,
    SIGNATURE_ASKING, /* sign, or waits for it */
    SIGNATURE_KNOWN,  /* in the ring of known ones */
};

struct signature {
    struct signatures *all;
    struct signature *previous, *next; /* list of the pending ones */
    struct signature *hashing_next;
    char key[40];
    enum signature_stage stage;
    struct signature_wait *waits;
    struct signature_digest digest; /* until it is known */
    char domain[DOMAIN_MAX + 1];
    uint64_t request; /* at sign; 0: none */
    unsigned tries;
    uint64_t asked_ms;    /* since when an answer is waited for */
    struct buffer fields; /* once it is known, */
    uint64_t known_ms;    /* since then */
};

static void signature_key(char key[40], uint64_t id, struct content_form form)
{
    snprintf(key, 40, "%llx/%u", (unsigned long long)id, content_form_number(form));
}

/* ---- the table ---- */

static void unlink_pending(struct signature *signature)
{
    struct signatures *all = signature->all;
    if (signature->previous != NULL)
        signature->previous->next = signature->next;
    else
        all->first = signature->next;
    if (signature->next != NULL)
        signature->next->previous = signature->previous;
}

static void signature_free(struct signature *signature)
{
    assert(signature->waits == NULL);
    map_remove(&signature->all->all, bytes_of_text(signature->key));
    buffer_free(&signature->fields);
    free(signature);
}

/* Keeps it in the place of the oldest. */
static void keep(struct signature *signature)
{
    struct signatures *all = signature->all;
    struct signature **place = &all->known[all->known_at++ % SIGNATURES_KNOWN_MAX];
    if (*place != NULL)
        signature_free(*place);
    *place = signature;
    signature->stage = SIGNATURE_KNOWN;
    signature->known_ms = clock_now_ms();
}

/* True if it is known, and not for so long that other keys may sign now. An old one is forgotten. */
static bool is_fresh(struct signature *signature)
{
    struct signatures *all = signature->all;
    if (signature->stage != SIGNATURE_KNOWN)
        return false;
    if (clock_now_ms() - signature->known_ms < SIGNATURES_KNOWN_MS)
        return true;
    for (size_t i = 0; i < SIGNATURES_KNOWN_MAX; i++)
        if (all->known[i] == signature)
            all->known[i] = NULL;
    signature_free(signature);
    return false;
}

static void forget_known(struct signatures *all)
{
    for (size_t i = 0; i < SIGNATURES_KNOWN_MAX; i++)
        if (all->known[i] != NULL)
            signature_free(all->known[i]);
    memset(all->known, 0, sizeof all->known);
}

void signatures_leave(struct signature_wait *wait)
{
    if (wait->signature == NULL)
        return;
    if (wait->previous != NULL)
        wait->previous->next = wait->next;
    else
        wait->signature->waits = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    *wait = (struct signature_wait){.owner = wait->owner};
}

/* Tells all who wait. They may ask again, about others. */
static void finish(struct signature *signature, const struct signature_result *result, bool keeps)
{
    struct signatures *all = signature->all;
    unlink_pending(signature);
    signature_digest_free(&signature->digest);
    if (keeps) {
        keep(signature);
    } else { /* later requests begin again */
        map_remove(&all->all, bytes_of_text(signature->key));
        signature->key[0] = '\0';
    }
    for (struct signature_wait *wait; (wait = signature->waits) != NULL;) {
        void *owner = wait->owner;
        signatures_leave(wait);
        all->on_done(owner, result);
    }
    if (!keeps)
        signature_free(signature);
}

static void defer(struct signature *signature, const char *enhanced, const char *why)
{
    finish(signature,
           &(struct signature_result){.is_deferred = true, .enhanced = enhanced, .why = bytes_of_text(why)},
           false);
}

static void send_unsigned(struct signature *signature)
{
    finish(signature, &(struct signature_result){0}, false);
}

/* A stranger's message is never signed: signatures_get(). */
static bool is_sealed(const struct signature *signature)
{
    return signature->digest.message.author == AUTHOR_STRANGER;
}

/* Signed or sealed for the host: a domain above it may have the key. */
static bool is_of_host(const struct signature *signature)
{
    return signature->digest.message.author == AUTHOR_SERVER || is_sealed(signature);
}

/* Never in silence: it was to be signed. */
static void log_unfit(const struct signature *signature, struct bytes why)
{
    log_event(LOG_EVENT_WARN, is_sealed(signature) ? "not_sealed" : "not_signed",
              LOG_ID(signature->digest.message.id), LOG_TEXT("domain", signature->domain),
              LOG_BYTES("reason", why));
}

/* ---- domains without a key ---- */

static void forget_keyless(struct signatures *all)
{
    uint64_t seed = all->keyless.seed;
    map_free(&all->keyless);
    map_start(&all->keyless, seed);
    all->keyless_since_ms = clock_now_ms();
}

static bool is_keyless(struct signatures *all, const char *domain)
{
    if (clock_now_ms() - all->keyless_since_ms >= SIGNATURES_KEYLESS_MS)
        forget_keyless(all);
    return map_get(&all->keyless, bytes_of_text(domain)) != NULL;
}

static void note_keyless(struct signatures *all, const char *domain)
{
    if (all->keyless.count >= SIGNATURES_KEYLESS_MAX)
        forget_keyless(all);
    map_put(&all->keyless, bytes_of_text(domain), all);
}

/* ---- asking sign ---- */

static void ask(struct signature *signature)
{
    struct signatures *all = signature->all;
    struct channel *sign = child_peer(all->child, PROCESS_SIGN);
    const struct signature_digest *digest = &signature->digest;
    if (sign == NULL)
        return; /* signatures_peer() */
    if (++signature->tries > SIGNATURES_TRIES_MAX) {
        defer(signature, "4.7.5", "the message could not be signed: the process that signs ended each time");
        return;
    }
    signature->request = ++all->last_request;
    struct ipc_sign question = {.request = signature->request,
                                .domain = bytes_of_text(signature->domain),
                                .takes_parent = is_of_host(signature),
                                .header = buffer_bytes(&digest->header),
                                .body_digest = bytes_of(digest->digest, sizeof digest->digest),
                                .chain = (uint8_t)digest->message.chain,
                                .results = buffer_bytes(&digest->results)};
    if (!child_send(all->child, sign, IPC_SIGN, &question, -1))
        signature->request = 0;
}

static void begin_asking(struct signature *signature)
{
    struct signatures *all = signature->all;
    signature->stage = SIGNATURE_ASKING;
    signature->asked_ms = clock_now_ms();
    signature_digest_let_go(&signature->digest);
    if (!all->looks)
        timer_set(&all->look, SIGNATURES_WAIT_MS);
    all->looks = true;
    ask(signature);
}

/* Sign has not answered for long. */
static void look_at_waits(void *owner)
{
    struct signatures *all = owner;
    uint64_t now_ms = clock_now_ms();
    all->looks = false;
    for (struct signature *signature = all->first, *next; signature != NULL; signature = next) {
        next = signature->next;
        bool asking = signature->stage == SIGNATURE_ASKING;
        if (asking && now_ms - signature->asked_ms >= SIGNATURES_WAIT_MS)
            defer(signature, "4.7.5",
                  "the message could not be signed: the process that signs does not answer");
        else
            all->looks = all->looks || asking;
    }
    if (all->looks)
        timer_set(&all->look, SIGNATURES_WAIT_MS / 4);
}

static struct signature *find_request(struct signatures *all, uint64_t request)
{
    struct signature *signature = all->first;
    while (signature != NULL && (signature->stage != SIGNATURE_ASKING || signature->request != request))
        signature = signature->next;
    return request == 0 ? NULL : signature;
}

static void log_sealed(const struct signature *signature, const struct ipc_sign_answer *answer)
{
    log_event(LOG_EVENT_INFO, "arc_sealed", LOG_ID(signature->digest.message.id),
              LOG_BYTES("domain", answer->signer), LOG_U64("instance", answer->instance),
              LOG_TEXT("chain", arc_result_word(signature->digest.message.chain)));
}

void signatures_answered(struct signatures *all, const struct ipc_sign_answer *answer)
{
    struct signature *signature = find_request(all, answer->request);
    if (signature == NULL)
        return;
    bool is_current = answer->request > all->former_request;
    switch ((enum sign_verdict)answer->verdict) {
    case SIGN_DONE:
        buffer_add(&signature->fields, answer->fields);
        if (is_sealed(signature))
            log_sealed(signature, answer);
        finish(signature, &(struct signature_result){.fields = buffer_bytes(&signature->fields)}, is_current);
        return;
    case SIGN_NO_KEY:
        if (!is_of_host(signature) && is_current)
            note_keyless(all, signature->domain);
        send_unsigned(signature);
        return;
    case SIGN_UNFIT:
        log_unfit(signature, answer->why);
        send_unsigned(signature);
        return;
    case SIGN_FAILED:
    case SIGN_VERDICTS: break;
    }
    defer(signature, "4.7.5", "the message could not be signed: the domain's DKIM key cannot be used");
}

static void ask_unasked(struct signatures *all)
{
    for (struct signature *signature = all->first, *next; signature != NULL; signature = next) {
        next = signature->next;
        if (signature->stage == SIGNATURE_ASKING && signature->request == 0)
            ask(signature);
    }
}

void signatures_peer(struct signatures *all)
{
    all->former_request = all->last_request;
    forget_keyless(all);
    forget_known(all);
    ask_unasked(all);
}

void signatures_peer_lost(struct signatures *all)
{
    for (struct signature *signature = all->first; signature != NULL; signature = signature->next)
        signature->request = 0;
    ask_unasked(all); /* the successor may be here already */
}

/* ---- hashing ---- */

static bool find_domain(struct signature *signature, const char **why)
{
    if (is_sealed(signature))
        return snprintf(signature->domain, sizeof signature->domain, "%s", signature->all->host) > 0;
    return signature_digest_domain(buffer_bytes(&signature->digest.header), signature->domain, why);
}

/* Goes on with the work; false while there is more to be done. */
static bool hash(struct signature *signature, uint64_t octets_max)
{
    struct signature_digest *digest = &signature->digest;
    bool was_header = digest->stage == DIGEST_HEADER;
    enum signature_digest_stage stage = signature_digest_run(digest, octets_max);
    const char *why = "the header is too large";
    if (stage == DIGEST_UNREADABLE) {
        defer(signature, "4.3.0", "the content could not be read");
        return true;
    }
    if (stage == DIGEST_HEADER)
        return false;
    if (stage == DIGEST_TOO_LARGE || (was_header && !find_domain(signature, &why))) {
        signature->domain[0] = '\0';
        log_unfit(signature, bytes_of_text(why));
        send_unsigned(signature);
        return true;
    }
    if (was_header && !is_of_host(signature) && is_keyless(signature->all, signature->domain)) {
        send_unsigned(signature);
        return true;
    }
    if (stage == DIGEST_DONE)
        begin_asking(signature);
    return stage == DIGEST_DONE;
}

static void add_hashing(struct signature *signature)
{
    struct signatures *all = signature->all;
    signature->hashing_next = NULL;
    if (all->hashing_last != NULL)
        all->hashing_last->hashing_next = signature;
    else
        all->hashing_first = signature;
    all->hashing_last = signature;
    timer_set(&all->turn, 0);
}

static struct signature *next_hashing(struct signatures *all)
{
    struct signature *signature = all->hashing_first;
    if (signature == NULL)
        return NULL;
    all->hashing_first = signature->hashing_next;
    if (all->hashing_first == NULL)
        all->hashing_last = NULL;
    return signature;
}

/* One turn: several small messages, or a part of a large one, which the others then precede. */
static void hash_in_turn(void *owner)
{
    struct signatures *all = owner;
    struct signature *signature;
    uint64_t left = SIGNATURES_TURN_OCTETS;
    while (left > 0 && (signature = next_hashing(all)) != NULL) {
        uint64_t size = signature->digest.message.size + SIGNATURES_MESSAGE_OCTETS;
        uint64_t octets = size < left ? size : left;
        if (!hash(signature, octets))
            add_hashing(signature);
        left -= octets;
    }
    if (all->hashing_first != NULL)
        timer_set(&all->turn, 0);
}

/* ---- getting one ---- */

static struct signature *begin(struct signatures *all, const struct signature_message *message,
                               struct content_form form)
{
    struct signature *signature = memory_new(sizeof *signature);
    signature->all = all;
    signature_key(signature->key, message->id, form);
    map_put(&all->all, bytes_of_text(signature->key), signature);
    signature->next = all->first;
    if (signature->next != NULL)
        signature->next->previous = signature;
    all->first = signature;
    signature_digest_start(&signature->digest, message, form);
    return signature;
}

/* A chain that could not be checked is left as it is. */
static bool gets_sealed(const struct signatures *all, const struct signature_message *message)
{
    return message->author == AUTHOR_STRANGER && all->host[0] != '\0' && message->chain != ARC_PENDING &&
           message->chain != ARC_TEMPERROR;
}

bool signatures_get(struct signatures *all, const struct signature_message *message, struct content_form form,
                    struct signature_wait *wait, struct signature_result *result)
{
    char key[40];
    assert(wait->signature == NULL && wait->owner != NULL);
    *result = (struct signature_result){0};
    if (message->author == AUTHOR_STRANGER && !gets_sealed(all, message))
        return true;
    signature_key(key, message->id, form);
    struct signature *signature = map_get(&all->all, bytes_of_text(key));
    bool was_known = signature != NULL && signature->stage == SIGNATURE_KNOWN;
    if (was_known && is_fresh(signature)) {
        result->fields = buffer_bytes(&signature->fields);
        return true;
    }
    if (signature == NULL || was_known) {
        signature = begin(all, message, form);
        add_hashing(signature);
    }
    wait->signature = signature;
    wait->previous = NULL;
    wait->next = signature->waits;
    if (wait->next != NULL)
        wait->next->previous = wait;
    signature->waits = wait;
    return false;
}

void signatures_start(struct signatures *all, struct child *child, uint64_t seed,
                      void (*on_done)(void *owner, const struct signature_result *result))
{
    *all = (struct signatures){.child = child, .on_done = on_done};
    map_start(&all->all, seed);
    map_start(&all->keyless, seed);
    if (child->config->forward.seal &&
        !signature_digest_name(bytes_of_text(child->config->hostname), all->host))
        all->host[0] = '\0';
    timer_start(&all->turn, child->loop, hash_in_turn, all);
    timer_start(&all->look, child->loop, look_at_waits, all);
}
