/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_codec: messages as octets, field by field as the table of ipc_message.c has them. */
#include <assert.h>

#include "ipc/ipc_fields.h"

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
        put_u8(out, r->reports);
        put_u8(out, r->expands);
        put_bytes(out, r->via);
        put_bytes(out, r->forwarder);
        put_bytes(out, r->sent_as);
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

static void put_trust(struct buffer *out, const struct trust_record *record)
{
    put_u32(out, trust_record_code(record));
    put_bytes(out, record->author);
    put_bytes(out, record->story);
    put_bytes(out, record->evidence);
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
    case FIELD_TRUST: put_trust(out, at); break;
    }
}

void ipc_encode(struct buffer *out, enum ipc_kind kind, const void *message)
{
    size_t count;
    const struct ipc_field *fields = ipc_kind_fields(kind, &count);
    put_u8(out, kind);
    for (size_t i = 0; i < count; i++)
        put_field(out, fields[i].type, (const char *)message + fields[i].offset);
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
    array->count = get_count(reader, 24);
    struct recipient *r = array->at = ARENA_ARRAY(reader->arena, struct recipient, array->count);
    for (size_t i = 0; i < array->count; i++, r++) {
        r->address = get_bytes(reader);
        r->original = get_bytes(reader);
        r->orcpt = get_bytes(reader);
        r->notify = (uint8_t)get_u8(reader, NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
        r->local = get_u8(reader, 1) != 0;
        r->away = get_u8(reader, 1) != 0;
        r->reports = get_u8(reader, 1) != 0;
        r->expands = (uint8_t)get_u8(reader, EXPANDS_KINDS - 1);
        r->via = get_bytes(reader);
        r->forwarder = get_bytes(reader);
        r->sent_as = get_bytes(reader);
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

static void get_trust(struct ipc_reader *reader, struct trust_record *record)
{
    uint32_t code = get_u32(reader);
    bool known = trust_record_decode(code, record);
    record->author = get_bytes(reader);
    record->story = get_bytes(reader);
    record->evidence = get_bytes(reader);
    if (!known || !trust_record_is_sound(record))
        reader->bad = true;
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
    case FIELD_TRUST: get_trust(reader, at); break;
    }
}

bool ipc_decode(struct bytes in, struct arena *arena, enum ipc_kind *kind, union ipc_message *message)
{
    struct ipc_reader reader = {.left = in, .arena = arena};
    unsigned number = get_u8(&reader, IPC_KINDS - 1);
    if (reader.bad)
        return false;
    size_t count;
    const struct ipc_field *fields = ipc_kind_fields((enum ipc_kind)number, &count);
    *kind = (enum ipc_kind)number;
    memset(message, 0, sizeof *message);
    for (size_t i = 0; i < count; i++)
        get_field(&reader, fields[i].type, (char *)message + fields[i].offset);
    return !reader.bad && reader.left.length == 0;
}
