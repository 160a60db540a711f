/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ipc_message.h"

#include <assert.h>

#include "core/server/server_session.h"
#include "ipc/ipc_fields.h"

#define FIELDS(...)                                    \
    .fields = (const struct ipc_field[]){__VA_ARGS__}, \
    .field_count = ARRAY_LENGTH(((const struct ipc_field[]){__VA_ARGS__}))
#define AT(type, message, member)                            \
    {                                                        \
        FIELD_##type, offsetof(struct ipc_##message, member) \
    }
#define FROM(role) (1u << PROCESS_##role)

static const struct ipc_kind_row {
    const char *name;
    unsigned from, to; /* sets of enum process_role */
    const struct ipc_field *fields;
    size_t field_count;
    enum ipc_carries carries;
    bool is_secret;
    bool is_answer; /* never starts an exchange: needs no channel of its own */
} kinds[IPC_KINDS] = {
    [IPC_PEER] = {"peer", FROM(SUPERVISOR), ~0u, FIELDS(AT(U32, peer, role), AT(U32, peer, number)),
                  .carries = CARRIES_CHANNEL},
    [IPC_PEER_LOST] = {"peer-lost", ~0u, FROM(SUPERVISOR),
                       FIELDS(AT(U32, peer, role), AT(U32, peer, number))},
    [IPC_DRAIN] = {"drain", FROM(SUPERVISOR), ~0u, FIELDS(AT(U8, drain, quick))},
    [IPC_READY] = {"ready", ~0u, FROM(SUPERVISOR), FIELDS(AT(U8, nothing, unused))},
    [IPC_PASSWORD] = {"password", FROM(SMTPD) | FROM(CLI), FROM(AUTH),
                      FIELDS(AT(U64, password, request), AT(BYTES, password, user),
                             AT(BYTES, password, password), AT(BYTES, password, client_address)),
                      .is_secret = true},
    [IPC_PASSWORD_ANSWER] = {"password-answer", FROM(AUTH), FROM(SMTPD) | FROM(CLI),
                             FIELDS(AT(U64, password_answer, request), AT(U32, password_answer, verdict),
                                    AT(BYTES, password_answer, account),
                                    AT(BYTES, password_answer, credential)),
                             .is_answer = true},
    [IPC_SALT] = {"salt", FROM(SMTPD), FROM(AUTH), FIELDS(AT(U64, salt, request), AT(BYTES, salt, user))},
    [IPC_SALT_ANSWER] = {"salt-answer", FROM(AUTH), FROM(SMTPD),
                         FIELDS(AT(U64, salt_answer, request), AT(BYTES, salt_answer, salt),
                                AT(U32, salt_answer, iterations)),
                         .is_answer = true},
    [IPC_PROOF] = {"proof", FROM(SMTPD), FROM(AUTH),
                   FIELDS(AT(U64, proof, request), AT(BYTES, proof, user), AT(BYTES, proof, message),
                          AT(BYTES, proof, proof), AT(BYTES, proof, client_address)),
                   .is_secret = true},
    [IPC_PROOF_ANSWER] = {"proof-answer", FROM(AUTH), FROM(SMTPD),
                          FIELDS(AT(U64, proof_answer, request), AT(U32, proof_answer, verdict),
                                 AT(BYTES, proof_answer, account), AT(BYTES, proof_answer, signature),
                                 AT(BYTES, proof_answer, credential)),
                          .is_answer = true},
    [IPC_CREDENTIAL] = {"credential", FROM(SMTPD), FROM(AUTH),
                        FIELDS(AT(U64, credential, request), AT(BYTES, credential, account),
                               AT(BYTES, credential, credential))},
    [IPC_CREDENTIAL_ANSWER] = {"credential-answer", FROM(AUTH), FROM(SMTPD),
                               FIELDS(AT(U64, credential_answer, request),
                                      AT(U32, credential_answer, verdict)),
                               .is_answer = true},
    [IPC_SECRET] = {"secret", FROM(RELAY), FROM(SUPERVISOR), FIELDS(AT(U8, nothing, unused))},
    [IPC_SECRET_ANSWER] = {"secret-answer", FROM(SUPERVISOR), FROM(RELAY),
                           FIELDS(AT(BYTES, secret_answer, secret), AT(BYTES, secret_answer, why)),
                           .is_secret = true, .is_answer = true},
    [IPC_LIMIT] = {"limit", FROM(SMTPD) | FROM(PICKUP), FROM(AUTH),
                   FIELDS(AT(U64, limit, request), AT(BYTES, limit, account), AT(U32, limit, recipients))},
    [IPC_LIMIT_ANSWER] = {"limit-answer", FROM(AUTH), FROM(SMTPD) | FROM(PICKUP),
                          FIELDS(AT(U64, limit_answer, request), AT(U32, limit_answer, verdict),
                                 AT(U32, limit_answer, number)),
                          .is_answer = true},
    [IPC_LIMIT_END] = {"limit-end", FROM(SMTPD) | FROM(PICKUP), FROM(AUTH),
                       FIELDS(AT(U64, limit_end, request), AT(U8, limit_end, sent))},
    [IPC_SENDER] = {"sender", FROM(SMTPD) | FROM(PICKUP), FROM(AUTH),
                    FIELDS(AT(U64, sender, request), AT(BYTES, sender, account), AT(BYTES, sender, address))},
    [IPC_SENDER_ANSWER] = {"sender-answer", FROM(AUTH), FROM(SMTPD) | FROM(PICKUP),
                           FIELDS(AT(U64, sender_answer, request), AT(U32, sender_answer, verdict)),
                           .is_answer = true},
    [IPC_RECIPIENT] = {"recipient", FROM(SMTPD) | FROM(QUEUE) | FROM(PICKUP), FROM(AUTH),
                       FIELDS(AT(U64, recipient, request), AT(BYTES, recipient, account),
                              AT(BYTES, recipient, address))},
    [IPC_RECIPIENT_ANSWER] = {"recipient-answer", FROM(AUTH), FROM(SMTPD) | FROM(QUEUE) | FROM(PICKUP),
                              FIELDS(AT(U64, recipient_answer, request), AT(U32, recipient_answer, verdict),
                                     AT(RECIPIENTS, recipient_answer, targets)),
                              .is_answer = true},
    [IPC_EXPAND] = {"expand", FROM(QUEUE), FROM(AUTH),
                    FIELDS(AT(U64, expand, request), AT(BYTES, expand, address), AT(U32, expand, how),
                           AT(BYTES, expand, after))},
    [IPC_EXPAND_ANSWER] = {"expand-answer", FROM(AUTH), FROM(QUEUE),
                           FIELDS(AT(U64, expand_answer, request), AT(U32, expand_answer, verdict),
                                  AT(RECIPIENTS, expand_answer, members),
                                  AT(RECIPIENTS, expand_answer, missing), AT(BYTES, expand_answer, after)),
                           .is_answer = true},
    [IPC_AWAY] = {"away", FROM(QUEUE), FROM(AUTH), FIELDS(AT(U64, away, request), AT(BYTES, away, user))},
    [IPC_AWAY_ANSWER] = {"away-answer", FROM(AUTH), FROM(QUEUE),
                         FIELDS(AT(U64, away_answer, request), AT(U8, away_answer, is_away),
                                AT(U32, away_answer, days), AT(BYTES, away_answer, subject),
                                AT(BYTES, away_answer, text)),
                         .is_answer = true},
    [IPC_SPOOL] = {"spool", FROM(SMTPD) | FROM(PICKUP), FROM(QUEUE), FIELDS(AT(U64, spool, request))},
    [IPC_SPOOL_ANSWER] = {"spool-answer", FROM(QUEUE), FROM(SMTPD) | FROM(PICKUP),
                          FIELDS(AT(U64, spool_answer, request), AT(U32, spool_answer, verdict),
                                 AT(U64, spool_answer, spool)),
                          .carries = CARRIES_FILE_TO_WRITE, .is_answer = true},
    [IPC_SPOOL_DROP] = {"spool-drop", FROM(SMTPD) | FROM(PICKUP), FROM(QUEUE),
                        FIELDS(AT(U64, spool_drop, spool))},
    [IPC_SUBMIT] = {"submit", FROM(SMTPD) | FROM(PICKUP), FROM(QUEUE),
                    FIELDS(AT(U64, submit, request), AT(U64, submit, id), AT(U64, submit, spool),
                           AT(ENVELOPE, submit, envelope), AT(ORIGIN, submit, origin),
                           AT(BYTES, submit, prefix), AT(BYTES, submit, content))},
    [IPC_SUBMIT_ANSWER] = {"submit-answer", FROM(QUEUE), FROM(SMTPD) | FROM(PICKUP),
                           FIELDS(AT(U64, submit_answer, request), AT(U32, submit_answer, verdict)),
                           .is_answer = true},
    [IPC_EXAMINE] = {"examine", FROM(WEB), FROM(RELAY), FIELDS(AT(U8, nothing, unused))},
    [IPC_EXAMINED] = {"examined", FROM(RELAY), FROM(WEB), FIELDS(AT(BYTES, examined, closed)),
                      .is_answer = true},
    [IPC_HANDED_OVER] = {"guest", FROM(WEB), FROM(SMTPD), FIELDS(AT(U32, handed_over, port)),
                         .carries = CARRIES_CONNECTION},
    [IPC_DELIVER] = {"deliver", FROM(QUEUE), FROM(RELAY) | FROM(LOCAL),
                     FIELDS(AT(U64, deliver, delivery), AT(U64, deliver, id), AT(U64, deliver, arrived_ms),
                            AT(U32, deliver, attempt), AT(BYTES, deliver, destination), AT(U32, deliver, hop),
                            AT(ENVELOPE, deliver, envelope), AT(BYTES, deliver, prefix),
                            AT(BYTES, deliver, content), AT(U8, deliver, in_file)),
                     .carries = CARRIES_FILE_TO_READ},
    [IPC_DELIVER_ANSWER] = {"deliver-answer", FROM(RELAY) | FROM(LOCAL), FROM(QUEUE),
                            FIELDS(AT(U64, deliver_answer, delivery), AT(BYTES, deliver_answer, peer),
                                   AT(TLS, deliver_answer, tls), AT(RESULTS, deliver_answer, results)),
                            .is_answer = true},
    [IPC_CONTROL] = {"control", FROM(CLI), FROM(QUEUE),
                     FIELDS(AT(U64, control, request), AT(U32, control, verb), AT(U64, control, id),
                            AT(BYTES, control, argument))},
    [IPC_CONTROL_ANSWER] = {"control-answer", FROM(QUEUE) | FROM(AUTH), FROM(CLI),
                            FIELDS(AT(U64, control_answer, request), AT(U32, control_answer, ok),
                                   AT(U64, control_answer, count), AT(BYTES, control_answer, text)),
                            .is_answer = true},
    [IPC_LOCKS] = {"locks", FROM(CLI), FROM(AUTH), FIELDS(AT(U64, locks, request))},
    [IPC_LOCKS_ANSWER] = {"locks-answer", FROM(AUTH), FROM(CLI),
                          FIELDS(AT(U64, locks_answer, request), AT(LOCKS, locks_answer, locks)),
                          .is_answer = true},
    [IPC_UNLOCK] = {"unlock", FROM(CLI), FROM(AUTH),
                    FIELDS(AT(U64, unlock, request), AT(BYTES, unlock, who))},
    [IPC_ACCOUNT_CHANGE] = {"account-change", FROM(CLI), FROM(AUTH),
                            FIELDS(AT(U64, account_change, request), AT(U32, account_change, verb),
                                   AT(BYTES, account_change, name), AT(BYTES, account_change, value),
                                   AT(U64, account_change, octets), AT(U8, account_change, flag),
                                   AT(U64, account_change, since_ms), AT(U64, account_change, until_ms),
                                   AT(U32, account_change, days), AT(BYTES, account_change, subject),
                                   AT(BYTES, account_change, text), AT(TEXTS, account_change, targets)),
                            .is_secret = true},
    [IPC_ACCOUNT_CHANGED] = {"account-changed", FROM(AUTH), FROM(CLI),
                             FIELDS(AT(U64, account_changed, request), AT(U32, account_changed, exit_code),
                                    AT(BYTES, account_changed, text), AT(U64, account_changed, count),
                                    AT(BYTES, account_changed, secret), AT(BYTES, account_changed, user)),
                             .is_secret = true, .is_answer = true},
    [IPC_ACCOUNT_LIST] = {"account-list", FROM(CLI), FROM(AUTH),
                          FIELDS(AT(U64, account_list, request), AT(U32, account_list, list),
                                 AT(BYTES, account_list, after))},
    [IPC_ACCOUNT_ROWS] = {"account-rows", FROM(AUTH), FROM(CLI),
                          FIELDS(AT(U64, account_rows, request), AT(U32, account_rows, exit_code),
                                 AT(BYTES, account_rows, text), AT(BYTES, account_rows, after),
                                 AT(U32, account_rows, columns), AT(TEXTS, account_rows, cells)),
                          .is_answer = true},
    [IPC_CHOOSE] = {"choose", FROM(CLI), FROM(QUEUE),
                    FIELDS(AT(U64, choose, request), AT(U32, choose, verb), AT(CHOSEN, choose, chosen))},
    [IPC_STATUS] = {"status", FROM(CLI), FROM(QUEUE),
                    FIELDS(AT(U64, status, request), AT(U8, status, with_in_progress))},
    [IPC_STATUS_ANSWER] = {"status-answer", FROM(QUEUE), FROM(CLI),
                           FIELDS(AT(U64, status_answer, request), AT(U64, status_answer, started_ms),
                                  AT(U64, status_answer, accepted), AT(U64, status_answer, delivered),
                                  AT(U64, status_answer, deferred), AT(U64, status_answer, failed),
                                  AT(U32, status_answer, deliveries), AT(U8, status_answer, is_held),
                                  AT(U8, status_answer, is_full),
                                  AT(DESTINATIONS, status_answer, destinations),
                                  AT(CHOSEN, status_answer, in_progress)),
                           .is_answer = true},
};

const char *ipc_role_name(enum process_role role)
{
#define ROLE_NAME(role, name) name,
    static const char *const names[] = {PROCESS_ROLES(ROLE_NAME)};
    return (size_t)role < ARRAY_LENGTH(names) ? names[role] : "unknown";
}

const char *ipc_kind_name(enum ipc_kind kind)
{
    return kind < IPC_KINDS ? kinds[kind].name : "unknown";
}

bool ipc_allowed(enum ipc_kind kind, enum process_role from, enum process_role to)
{
    return kind < IPC_KINDS && (kinds[kind].from & (1u << from)) != 0 && (kinds[kind].to & (1u << to)) != 0;
}

bool ipc_asks(enum process_role asker, enum process_role answerer)
{
    for (int kind = 0; kind < IPC_KINDS; kind++)
        if (!kinds[kind].is_answer && ipc_allowed((enum ipc_kind)kind, asker, answerer))
            return true;
    return false;
}

enum ipc_carries ipc_carries(enum ipc_kind kind, const void *message)
{
    assert(kind < IPC_KINDS);
    bool announced = kind == IPC_DELIVER ? ((const struct ipc_deliver *)message)->in_file != 0
                     : kind == IPC_SPOOL_ANSWER
                         ? ((const struct ipc_spool_answer *)message)->verdict == STORE_DONE
                         : true;
    return announced ? kinds[kind].carries : CARRIES_NOTHING;
}

bool ipc_is_secret(enum ipc_kind kind)
{
    return kind < IPC_KINDS && kinds[kind].is_secret;
}

/* ---- writing ---- */

static void put(struct buffer *out, const void *at, size_t size)
{
    buffer_add(out, bytes_of(at, size));
}

static void put_u8(struct buffer *out, unsigned value)
{
    uint8_t octet = (uint8_t)value;
    put(out, &octet, sizeof octet);
}

static void put_u32(struct buffer *out, size_t value)
{
    assert(value <= UINT32_MAX);
    uint32_t number = (uint32_t)value;
    put(out, &number, sizeof number);
}

static void put_bytes(struct buffer *out, struct bytes b)
{
    put_u32(out, b.length);
    buffer_add(out, b);
}

static void put_recipients(struct buffer *out, const struct recipient *recipients, size_t count)
{
    put_u32(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct recipient *r = &recipients[i];
        put_bytes(out, r->address);
        put_bytes(out, r->original);
        put_bytes(out, r->orcpt);
        put_u8(out, r->notify);
        put_u8(out, r->local);
        put_u8(out, r->away);
        put_u8(out, r->expands);
        put_bytes(out, r->via);
    }
}

static void put_envelope(struct buffer *out, const struct envelope *e)
{
    put_bytes(out, e->sender);
    put_bytes(out, e->envid);
    put_u8(out, e->body);
    put_u8(out, e->ret);
    put_u8(out, e->smtputf8);
    put_u8(out, (e->requiretls ? 1u : 0u) | (e->long_lines ? 2u : 0u));
    put(out, &e->size, sizeof e->size);
    put_recipients(out, e->recipients, e->recipient_count);
}

static void put_origin(struct buffer *out, const struct origin *o)
{
    put_u8(out, o->kind);
    put_bytes(out, o->account);
    put_bytes(out, o->client_address);
    put_bytes(out, o->client_helo);
    put_bytes(out, o->protocol);
    put_bytes(out, o->tls);
    put_u32(out, o->port);
}

static void put_tls(struct buffer *out, const struct tls_result *tls)
{
    put_u8(out, tls->protocol);
    put_u8(out, tls->certificate);
    put_u8(out, tls->resumed);
    put_u8(out, tls->level);
    put_bytes(out, tls->cipher);
    put_bytes(out, tls->clear_reason);
    put_bytes(out, tls->level_reason);
}

static void put_results(struct buffer *out, const struct delivery_result *results, size_t count)
{
    put_u32(out, count);
    for (size_t i = 0; i < count; i++) {
        put_u8(out, results[i].outcome);
        put_u8(out, results[i].step);
        put_u32(out, results[i].code);
        put_bytes(out, results[i].enhanced);
        put_bytes(out, results[i].text);
        put_u8(out, results[i].peer_reports);
    }
}

static void put_u64(struct buffer *out, uint64_t value)
{
    put(out, &value, sizeof value);
}

static void put_chosen(struct buffer *out, const struct chosen *chosen, size_t count)
{
    put_u32(out, count);
    for (size_t i = 0; i < count; i++) {
        put_u64(out, chosen[i].id);
        put_u32(out, chosen[i].number);
    }
}

static void put_destinations(struct buffer *out, const struct destination_status *d, size_t count)
{
    put_u32(out, count);
    for (size_t i = 0; i < count; i++, d++) {
        put_bytes(out, d->name);
        put_u32(out, d->deliveries);
        put_u32(out, d->limit);
        put_u32(out, d->failures);
        put_u8(out, d->has_due);
        put_u64(out, d->until_ms);
        put_u64(out, d->deferred_ms);
        put_bytes(out, d->reason);
    }
}

static void put_locks(struct buffer *out, const struct lock_status *lock, size_t count)
{
    put_u32(out, count);
    for (size_t i = 0; i < count; i++, lock++) {
        put_bytes(out, lock->address);
        put_bytes(out, lock->account);
        put_u32(out, lock->failures);
        put_u64(out, lock->left_ms);
    }
}

/* The length of an absent text; no text has it. */
enum { TEXT_ABSENT = -1 };

static void put_texts(struct buffer *out, const struct bytes *text, size_t count)
{
    put_u32(out, count);
    for (size_t i = 0; i < count; i++, text++)
        if (text->at == NULL)
            put_u32(out, (uint32_t)TEXT_ABSENT);
        else
            put_bytes(out, *text);
}

static void put_field(struct buffer *out, enum field_type type, const void *at)
{
    const struct ipc_array *array = at;
    switch (type) {
    case FIELD_U8: put(out, at, 1); break;
    case FIELD_U32: put(out, at, 4); break;
    case FIELD_U64: put(out, at, 8); break;
    case FIELD_BYTES: put_bytes(out, *(const struct bytes *)at); break;
    case FIELD_ENVELOPE: put_envelope(out, at); break;
    case FIELD_ORIGIN: put_origin(out, at); break;
    case FIELD_RECIPIENTS: put_recipients(out, array->at, array->count); break;
    case FIELD_TLS: put_tls(out, at); break;
    case FIELD_RESULTS: put_results(out, array->at, array->count); break;
    case FIELD_CHOSEN: put_chosen(out, array->at, array->count); break;
    case FIELD_DESTINATIONS: put_destinations(out, array->at, array->count); break;
    case FIELD_LOCKS: put_locks(out, array->at, array->count); break;
    case FIELD_TEXTS: put_texts(out, array->at, array->count); break;
    }
}

void ipc_encode(struct buffer *out, enum ipc_kind kind, const void *message)
{
    assert(kind < IPC_KINDS);
    put_u8(out, kind);
    for (size_t i = 0; i < kinds[kind].field_count; i++)
        put_field(out, kinds[kind].fields[i].type, (const char *)message + kinds[kind].fields[i].offset);
}

/* ---- reading: after a short read every getter returns zeroes ---- */

struct ipc_reader {
    struct bytes left;
    struct arena *arena;
    bool bad;
};

static void get(struct ipc_reader *reader, void *at, size_t size)
{
    if (reader->bad || reader->left.length < size) {
        reader->bad = true;
        memset(at, 0, size);
        return;
    }
    memcpy(at, reader->left.at, size);
    reader->left = bytes_from(reader->left, size);
}

static uint32_t get_u32(struct ipc_reader *reader)
{
    uint32_t value;
    get(reader, &value, sizeof value);
    return value;
}

/* Reads one octet of at most `max`. */
static unsigned get_u8(struct ipc_reader *reader, unsigned max)
{
    uint8_t value;
    get(reader, &value, sizeof value);
    if (value > max)
        reader->bad = true;
    return value;
}

static struct bytes get_bytes(struct ipc_reader *reader)
{
    uint32_t length = get_u32(reader);
    if (reader->bad || length > reader->left.length) {
        reader->bad = true;
        return bytes_none();
    }
    struct bytes b = bytes_first(reader->left, length);
    reader->left = bytes_from(reader->left, length);
    return b;
}

/* Reads the count of an array whose elements need at least `element_min` octets each. */
static size_t get_count(struct ipc_reader *reader, size_t element_min)
{
    uint32_t count = get_u32(reader);
    if (count > reader->left.length / element_min)
        reader->bad = true;
    return reader->bad ? 0 : count;
}

static void get_recipients(struct ipc_reader *reader, struct ipc_array *array)
{
    array->count = get_count(reader, 20);
    struct recipient *r = array->at = ARENA_ARRAY(reader->arena, struct recipient, array->count);
    for (size_t i = 0; i < array->count; i++, r++) {
        r->address = get_bytes(reader);
        r->original = get_bytes(reader);
        r->orcpt = get_bytes(reader);
        r->notify = (uint8_t)get_u8(reader, NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
        r->local = get_u8(reader, 1) != 0;
        r->away = get_u8(reader, 1) != 0;
        r->expands = (uint8_t)get_u8(reader, EXPANDS_KINDS - 1);
        r->via = get_bytes(reader);
    }
}

static void get_envelope(struct ipc_reader *reader, struct envelope *e)
{
    struct ipc_array recipients;
    e->sender = get_bytes(reader);
    e->envid = get_bytes(reader);
    e->body = (enum body_type)get_u8(reader, BODY_BINARYMIME);
    e->ret = (enum dsn_ret)get_u8(reader, RET_FULL);
    e->smtputf8 = get_u8(reader, 1) != 0;
    unsigned flags = get_u8(reader, 3);
    e->requiretls = (flags & 1) != 0, e->long_lines = (flags & 2) != 0;
    get(reader, &e->size, sizeof e->size);
    get_recipients(reader, &recipients);
    e->recipients = recipients.at;
    e->recipient_count = recipients.count;
}

static void get_origin(struct ipc_reader *reader, struct origin *o)
{
    o->kind = (enum origin_kind)get_u8(reader, ORIGIN_KINDS - 1);
    o->account = get_bytes(reader);
    o->client_address = get_bytes(reader);
    o->client_helo = get_bytes(reader);
    o->protocol = get_bytes(reader);
    o->tls = get_bytes(reader);
    o->port = get_u32(reader);
}

static void get_tls(struct ipc_reader *reader, struct tls_result *tls)
{
    tls->protocol = (enum tls_protocol)get_u8(reader, TLS_PROTOCOL_1_3);
    tls->certificate = (enum tls_certificate)get_u8(reader, TLS_CERTIFICATE_NO_TLSA);
    tls->resumed = get_u8(reader, 1) != 0;
    tls->level = (enum tls_level)get_u8(reader, TLS_LEVEL_REQUIRETLS);
    tls->cipher = get_bytes(reader);
    tls->clear_reason = get_bytes(reader);
    tls->level_reason = get_bytes(reader);
}

static void get_results(struct ipc_reader *reader, struct ipc_array *array)
{
    array->count = get_count(reader, 15);
    struct delivery_result *r = array->at = ARENA_ARRAY(reader->arena, struct delivery_result, array->count);
    for (size_t i = 0; i < array->count; i++, r++) {
        r->outcome = (enum client_outcome)get_u8(reader, OUTCOME_FAILED);
        r->step = (enum client_step)get_u8(reader, STEP_QUIT);
        r->code = get_u32(reader);
        r->enhanced = get_bytes(reader);
        r->text = get_bytes(reader);
        r->peer_reports = get_u8(reader, 1) != 0;
    }
}

static void get_chosen(struct ipc_reader *reader, struct ipc_array *array)
{
    array->count = get_count(reader, 12);
    struct chosen *c = array->at = ARENA_ARRAY(reader->arena, struct chosen, array->count);
    for (size_t i = 0; i < array->count; i++, c++) {
        get(reader, &c->id, sizeof c->id);
        c->number = get_u32(reader);
    }
}

static void get_destinations(struct ipc_reader *reader, struct ipc_array *array)
{
    array->count = get_count(reader, 37);
    struct destination_status *d = array->at = ARENA_ARRAY(reader->arena, struct destination_status,
                                                           array->count);
    for (size_t i = 0; i < array->count; i++, d++) {
        d->name = get_bytes(reader);
        d->deliveries = get_u32(reader);
        d->limit = get_u32(reader);
        d->failures = get_u32(reader);
        d->has_due = (uint8_t)get_u8(reader, 1);
        get(reader, &d->until_ms, sizeof d->until_ms);
        get(reader, &d->deferred_ms, sizeof d->deferred_ms);
        d->reason = get_bytes(reader);
    }
}

static void get_locks(struct ipc_reader *reader, struct ipc_array *array)
{
    array->count = get_count(reader, 20);
    struct lock_status *lock = array->at = ARENA_ARRAY(reader->arena, struct lock_status, array->count);
    for (size_t i = 0; i < array->count; i++, lock++) {
        lock->address = get_bytes(reader);
        lock->account = get_bytes(reader);
        lock->failures = get_u32(reader);
        get(reader, &lock->left_ms, sizeof lock->left_ms);
    }
}

static bool is_absent(struct ipc_reader *reader)
{
    static const uint32_t absent = (uint32_t)TEXT_ABSENT;
    bool is = reader->left.length >= sizeof absent && memcmp(reader->left.at, &absent, sizeof absent) == 0;
    if (is)
        reader->left = bytes_from(reader->left, sizeof absent);
    return is;
}

static void get_texts(struct ipc_reader *reader, struct ipc_array *array)
{
    array->count = get_count(reader, 4);
    struct bytes *text = array->at = ARENA_ARRAY(reader->arena, struct bytes, array->count);
    for (size_t i = 0; i < array->count; i++, text++)
        *text = is_absent(reader) ? bytes_none() : get_bytes(reader);
}

static void get_field(struct ipc_reader *reader, enum field_type type, void *at)
{
    switch (type) {
    case FIELD_U8: get(reader, at, 1); break;
    case FIELD_U32: get(reader, at, 4); break;
    case FIELD_U64: get(reader, at, 8); break;
    case FIELD_BYTES: *(struct bytes *)at = get_bytes(reader); break;
    case FIELD_ENVELOPE: get_envelope(reader, at); break;
    case FIELD_ORIGIN: get_origin(reader, at); break;
    case FIELD_RECIPIENTS: get_recipients(reader, at); break;
    case FIELD_TLS: get_tls(reader, at); break;
    case FIELD_RESULTS: get_results(reader, at); break;
    case FIELD_CHOSEN: get_chosen(reader, at); break;
    case FIELD_DESTINATIONS: get_destinations(reader, at); break;
    case FIELD_LOCKS: get_locks(reader, at); break;
    case FIELD_TEXTS: get_texts(reader, at); break;
    }
}

bool ipc_decode(struct bytes in, struct arena *arena, enum ipc_kind *kind, union ipc_message *message)
{
    struct ipc_reader reader = {.left = in, .arena = arena};
    unsigned number = get_u8(&reader, IPC_KINDS - 1);
    if (reader.bad)
        return false;
    *kind = (enum ipc_kind)number;
    memset(message, 0, sizeof *message);
    for (size_t i = 0; i < kinds[number].field_count; i++)
        get_field(&reader, kinds[number].fields[i].type, (char *)message + kinds[number].fields[i].offset);
    return !reader.bad && reader.left.length == 0;
}
