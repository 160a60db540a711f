/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event/mail_event.h"

#include <assert.h>

#include "core/smtp/envelope.h"

/* Tags are stored on disk: a new field gets a new tag, and no tag is reused. */
enum event_tag {
    TAG_ID = 1,
    TAG_AT = 2,
    TAG_MESSAGE = 3,
    TAG_NUMBER = 4,
    TAG_SENDER = 5,
    TAG_RECIPIENT = 6,
    TAG_DESTINATION = 7,
    TAG_RECIPIENTS = 8,
    TAG_SIZE = 9,
    TAG_OTHER = 10,
    TAG_CLIENT = 11,
    TAG_PROTOCOL = 12,
    TAG_ACCOUNT = 13,
    TAG_PORT = 14,
    TAG_OWN = 15,
    TAG_PEER = 16,
    TAG_TLS = 17,
    TAG_TLS_POLICY = 18,
    TAG_TLS_REASON = 19,
    TAG_ATTEMPT = 20,
    TAG_CODE = 21,
    TAG_ENHANCED = 22,
    TAG_TEXT = 23,
    TAG_STEP = 24,
    TAG_MAILBOX = 25,
    TAG_DELAY = 26,
    TAG_RETRY_IN = 27,
    TAG_MEMBERS = 28,
    TAG_KNOWN_ALREADY = 29,
    TAG_MISSING = 30,
    TAG_MORE = 31,
    TAG_HELO = 32,
    TAG_TRUST = 33,
    TAG_AUTHOR = 34,
    TAG_STORY = 35,
    TAG_SENT_AS = 36,
    TAG_CLASS = 37,
    TAG_ABOUT = 38,
    TAG_EVIDENCE = 39,
    TAGS
};

struct event_field {
    const char *name;
    enum event_type type;
    size_t offset;
};

#define FIELD(name, type, member)                                    \
    {                                                                \
        name, EVENT_TYPE_##type, offsetof(struct mail_event, member) \
    }
static const struct event_field fields[TAGS] = {
    [TAG_ID] = FIELD("event_id", NUMBER, id),
    [TAG_AT] = FIELD("at_ms", NUMBER, at_ms),
    [TAG_MESSAGE] = FIELD("id", QUEUE_ID, message),
    [TAG_NUMBER] = FIELD("number", NUMBER, number),
    [TAG_SENDER] = FIELD("from", TEXT, sender),
    [TAG_RECIPIENT] = FIELD("to", TEXT, recipient),
    [TAG_DESTINATION] = FIELD("destination", TEXT, destination),
    [TAG_RECIPIENTS] = FIELD("recipients", COUNT, recipients),
    [TAG_SIZE] = FIELD("size", COUNT, size),
    [TAG_OTHER] = FIELD("new_id", QUEUE_ID, other),
    [TAG_CLIENT] = FIELD("client", TEXT, client),
    [TAG_PROTOCOL] = FIELD("protocol", TEXT, protocol),
    [TAG_ACCOUNT] = FIELD("account", TEXT, account),
    [TAG_PORT] = FIELD("port", NUMBER, port),
    [TAG_OWN] = FIELD("own", FLAG, own),
    [TAG_PEER] = FIELD("peer", TEXT, peer),
    [TAG_TLS] = FIELD("tls", TEXT, tls),
    [TAG_TLS_POLICY] = FIELD("tls_policy", TEXT, tls_policy),
    [TAG_TLS_REASON] = FIELD("tls_reason", TEXT, tls_reason),
    [TAG_ATTEMPT] = FIELD("attempt", COUNT, attempt),
    [TAG_CODE] = FIELD("code", COUNT, code),
    [TAG_ENHANCED] = FIELD("status", TEXT, enhanced),
    [TAG_TEXT] = FIELD("reason", TEXT, text),
    [TAG_STEP] = FIELD("step", TEXT, step),
    [TAG_MAILBOX] = FIELD("mailbox", FLAG, mailbox),
    [TAG_DELAY] = FIELD("delay_ms", COUNT, delay_ms),
    [TAG_RETRY_IN] = FIELD("retry_in_ms", COUNT, retry_in_ms),
    [TAG_MEMBERS] = FIELD("members", COUNT, members),
    [TAG_KNOWN_ALREADY] = FIELD("known_already", COUNT, known_already),
    [TAG_MISSING] = FIELD("missing", COUNT, missing),
    [TAG_MORE] = FIELD("more", FLAG, more),
    [TAG_HELO] = FIELD("helo", TEXT, helo),
    [TAG_TRUST] = FIELD("trust", TRUST, trust),
    [TAG_AUTHOR] = FIELD("author", TEXT, author),
    [TAG_STORY] = FIELD("story", TEXT, story),

    [TAG_SENT_AS] = FIELD("sent_as", TEXT, sent_as),
    [TAG_CLASS] = FIELD("class", TEXT, reply_class),
    [TAG_ABOUT] = FIELD("about", TEXT, reply_about),
    [TAG_EVIDENCE] = FIELD("evidence", TEXT, evidence),
};

struct event_kind_facts {
    const char *name, *log_name;
    enum event_class class;
    bool warning;
    uint8_t shown[EVENT_SHOWN_MAX]; /* tags; 0 ends the list */
};

#define SHOWN_ATTEMPT                                                                                        \
    TAG_MESSAGE, TAG_RECIPIENT, TAG_SENT_AS, TAG_PEER, TAG_TLS, TAG_TLS_POLICY, TAG_TLS_REASON, TAG_ATTEMPT, \
        TAG_CODE, TAG_ENHANCED, TAG_TEXT, TAG_CLASS, TAG_ABOUT
/* client and account: of a message that was never in the queue */
#define SHOWN_FAILURE SHOWN_ATTEMPT, TAG_DELAY, TAG_SENDER, TAG_CLIENT, TAG_ACCOUNT
#define SHOWN_TRUST TAG_TRUST, TAG_AUTHOR, TAG_STORY
#define SHOWN_ACTION TAG_MESSAGE, TAG_RECIPIENT, TAG_RECIPIENTS
// clang-format off
static const struct event_kind_facts kinds[] = {
    /*                   name         in the log   what it means          warning  what its line shows */
    [EVENT_RECEIVED]  = {"received",  "accepted",  EVENT_CLASS_NONE,      false, {TAG_MESSAGE, TAG_SENDER,
                         TAG_RECIPIENT, TAG_RECIPIENTS, TAG_SIZE, TAG_CLIENT, TAG_PORT, TAG_PROTOCOL,
                         TAG_TLS, TAG_ACCOUNT, SHOWN_TRUST}},
    [EVENT_REFUSED]   = {"refused",   "reply_rejected",   EVENT_CLASS_NONE, false, {TAG_CODE,
                         TAG_ENHANCED, TAG_TEXT, TAG_SENDER, TAG_RECIPIENT, TAG_CLIENT, TAG_HELO, TAG_PORT,
                         TAG_ACCOUNT, SHOWN_TRUST}},
    [EVENT_DEFERRED]  = {"deferred",  "deferred",  EVENT_CLASS_DEFERRED,  false, {SHOWN_ATTEMPT, TAG_STEP,
                         TAG_DELAY, TAG_RETRY_IN}},
    [EVENT_DELIVERED] = {"delivered", "delivered", EVENT_CLASS_DELIVERED, false, {SHOWN_ATTEMPT, TAG_DELAY}},
    [EVENT_FORWARDED] = {"forwarded", "delivered", EVENT_CLASS_DELIVERED, false, {SHOWN_ATTEMPT, TAG_DELAY}},
    [EVENT_BOUNCED]   = {"bounced",   "bounced",   EVENT_CLASS_FAILED,    true,  {SHOWN_FAILURE}},
    [EVENT_EXPIRED]   = {"expired",   "expired",   EVENT_CLASS_FAILED,    true,  {SHOWN_FAILURE}},
    [EVENT_LOOPED]    = {"looped",    "looped",    EVENT_CLASS_FAILED,    true,  {SHOWN_FAILURE}},
    [EVENT_DISCARDED] = {"discarded", "report_discarded", EVENT_CLASS_GONE, true, {SHOWN_ATTEMPT,
                         TAG_DELAY}},
    [EVENT_REQUEUED]  = {"requeued",  "report_requeued", EVENT_CLASS_GONE, false, {TAG_MESSAGE,
                         TAG_RECIPIENT, TAG_OTHER}},
    [EVENT_EXPANDED]  = {"expanded",  "expanded",  EVENT_CLASS_NONE,      false, {TAG_MESSAGE, TAG_RECIPIENT,
                         TAG_MEMBERS, TAG_KNOWN_ALREADY, TAG_MISSING, TAG_MORE}},
    [EVENT_RETRIED]   = {"retried",   "retried",   EVENT_CLASS_NONE,      false, {SHOWN_ACTION}},
    [EVENT_HELD]      = {"held",      "held",      EVENT_CLASS_NONE,      false, {SHOWN_ACTION}},
    [EVENT_RELEASED]  = {"released",  "released",  EVENT_CLASS_NONE,      false, {SHOWN_ACTION}},
    [EVENT_REMOVED]   = {"removed",   "removed",   EVENT_CLASS_GONE,      false, {SHOWN_ACTION}},
    [EVENT_NOT_STORED] = {"not_stored", "queue_write_failed", EVENT_CLASS_NONE, true, {TAG_MESSAGE,
                         TAG_SENDER, TAG_RECIPIENT, TAG_RECIPIENTS, TAG_SIZE, TAG_TEXT, TAG_CLIENT, TAG_PORT,
                         TAG_PROTOCOL, TAG_TLS, TAG_ACCOUNT}},
};
// clang-format on

struct mail_event mail_event_of_message(enum event_kind kind, uint64_t id, const struct envelope *envelope,
                                        const struct origin *origin)
{
    bool report = origin->kind == ORIGIN_REPORT || origin->kind == ORIGIN_VACATION ||
                  origin->kind == ORIGIN_TLS_REPORT || origin->kind == ORIGIN_DMARC_REPORT;
    assert(kind == EVENT_RECEIVED || kind == EVENT_NOT_STORED);
    return (struct mail_event){.kind = kind,
                               .message = id,
                               .sender = report ? BYTES("<>") : envelope->sender,
                               .recipient = envelope->recipient_count == 1 ? envelope->recipients[0].address
                                                                           : bytes_none(),
                               .recipients = envelope->recipient_count,
                               .size = envelope->size,
                               .client = origin->client_address,
                               .port = origin->port,
                               .protocol = origin->protocol,
                               .tls = origin->tls,
                               .account = origin->account};
}

void mail_event_set_trust(struct mail_event *event, const struct trust_record *record)
{
    event->trust = trust_record_code(record);
    event->author = record->author;
    event->story = record->story;
    event->evidence = record->evidence;
}

struct trust_record mail_event_trust(const struct mail_event *event)
{
    struct trust_record record = {.disposition = DISPOSITION_DELIVER};
    if (event->trust == 0 || event->trust > TRUST_CODE_MAX ||
        !trust_record_decode((unsigned)event->trust, &record))
        return record;
    record.author = bytes_first(event->author, TRUST_AUTHOR_MAX);
    record.story = bytes_first(event->story, TRUST_STORY_MAX);
    if (event->evidence.length <= TRUST_EVIDENCE_MAX)
        record.evidence = event->evidence;
    return record;
}

bool mail_event_is_sound(const struct mail_event *event)
{
    return event->kind > 0 && event->kind < ARRAY_LENGTH(kinds) && kinds[event->kind].name != NULL &&
           event->id != 0 && event->at_ms != 0;
}

static const struct event_kind_facts *facts_of(enum event_kind kind)
{
    assert(kind > 0 && kind < ARRAY_LENGTH(kinds) && kinds[kind].name != NULL);
    return &kinds[kind];
}

const char *mail_event_kind_name(enum event_kind kind)
{
    return facts_of(kind)->name;
}

enum event_class mail_event_class(enum event_kind kind)
{
    return facts_of(kind)->class;
}

/* ---- as a line of the log ---- */

const char *mail_event_log_name(enum event_kind kind)
{
    return facts_of(kind)->log_name;
}

bool mail_event_is_warning(enum event_kind kind)
{
    return facts_of(kind)->warning;
}

static struct event_value value_of(const struct mail_event *event, const struct event_field *field)
{
    const void *at = (const char *)event + field->offset;
    struct event_value value = {.name = field->name, .type = field->type};
    if (field->type == EVENT_TYPE_TEXT)
        value.text = *(const struct bytes *)at;
    else
        value.number = *(const uint64_t *)at;
    return value;
}

/* A peer's reply is shown as `reply`, a sentence of ours as `reason`. */
static const char *text_name(const struct mail_event *event)
{
    return event->code != 0 && event->kind != EVENT_REFUSED ? "reply" : fields[TAG_TEXT].name;
}

static bool is_something(const struct event_value *value)
{
    return value->type == EVENT_TYPE_TEXT ? value->text.length > 0 : value->number != 0;
}

/* Adds the outcome, that of mode enforce if it differs, and the reason. */
static size_t add_trust(const struct mail_event *event, struct event_value *values)
{
    struct trust_record record = mail_event_trust(event);
    size_t count = 0;
    if (record.finding == FINDING_NOT_CHECKED)
        return 0;
    values[count++] = (struct event_value){"trust", EVENT_TYPE_TEXT,
                                           bytes_of_text(verdict_disposition_name(record.disposition)), 0};
    if (record.proposed != record.disposition)
        values[count++] = (struct event_value){"enforced", EVENT_TYPE_TEXT,
                                               bytes_of_text(verdict_disposition_name(record.proposed)), 0};
    values[count++] = (struct event_value){"finding", EVENT_TYPE_TEXT,
                                           bytes_of_text(verdict_finding_sentence(record.finding)), 0};
    return count;
}

size_t mail_event_shown(const struct mail_event *event, struct event_value values[EVENT_SHOWN_MAX])
{
    const struct event_kind_facts *facts = facts_of(event->kind);
    size_t count = 0;
    for (size_t i = 0; i < EVENT_SHOWN_MAX && facts->shown[i] != 0; i++) {
        if (facts->shown[i] == TAG_TRUST) {
            count += add_trust(event, &values[count]);
            continue;
        }
        values[count] = value_of(event, &fields[facts->shown[i]]);
        if (facts->shown[i] == TAG_TEXT)
            values[count].name = text_name(event);
        count += values[count].type == EVENT_TYPE_COUNT || is_something(&values[count]);
    }
    return count;
}

/* ---- as octets ---- */

enum {
    HEAD_OCTETS = 6,
    NUMBER_OCTETS_MAX = 10
}; /* version, kind, length; a number of 64 bits, 7 at a time */

static void put_number(struct buffer *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        buffer_add_octet(out, (char)(0x80 | (number & 0x7f)));
    buffer_add_octet(out, (char)number);
}

static void put_length(char at[4], size_t length)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(length >> 8 * i & 0xff);
}

void mail_event_encode(struct buffer *out, const struct mail_event *event)
{
    size_t before = out->length;
    assert(mail_event_is_sound(event));
    buffer_add_octet(out, EVENT_VERSION);
    buffer_add_octet(out, (char)event->kind);
    buffer_add(out, bytes_of("\0\0\0", 4));
    for (size_t tag = 1; tag < TAGS; tag++) {
        struct event_value value = value_of(event, &fields[tag]);
        if (!is_something(&value))
            continue;
        buffer_add_octet(out, (char)tag);
        value.text = bytes_first(value.text, EVENT_TEXT_MAX);
        put_number(out, value.type == EVENT_TYPE_TEXT ? value.text.length : value.number);
        if (value.type == EVENT_TYPE_TEXT)
            buffer_add(out, value.text);
    }
    put_length(out->at + out->start + before + 2, out->length - before - HEAD_OCTETS);
}

/* Accepts only the shortest form, so that decoding and encoding agree. */
static bool take_number(struct bytes *in, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < in->length && i < NUMBER_OCTETS_MAX; i++) {
        uint64_t bits = (unsigned char)in->at[i] & 0x7f;
        if (bits << 7 * i >> 7 * i != bits)
            return false;
        *number |= bits << 7 * i;
        if (((unsigned char)in->at[i] & 0x80) != 0)
            continue;
        *in = bytes_from(*in, i + 1);
        return i == 0 || bits != 0;
    }
    return false;
}

static bool take_field(struct bytes *in, const struct event_field *field, struct mail_event *event)
{
    void *at = (char *)event + field->offset;
    uint64_t number;
    if (!take_number(in, &number) || number == 0)
        return false;
    if (field->type != EVENT_TYPE_TEXT) {
        *(uint64_t *)at = number;
        return true;
    }
    if (number > EVENT_TEXT_MAX || number > in->length)
        return false;
    *(struct bytes *)at = bytes_first(*in, (size_t)number);
    *in = bytes_from(*in, (size_t)number);
    return true;
}

static size_t length_in(struct bytes head)
{
    size_t length = 0;
    for (size_t i = 0; i < 4; i++)
        length |= (size_t)(unsigned char)head.at[2 + i] << 8 * i;
    return length;
}

bool mail_event_decode(struct bytes *in, struct mail_event *event)
{
    *event = (struct mail_event){0};
    if (in->length < HEAD_OCTETS || in->at[0] != EVENT_VERSION || length_in(*in) > in->length - HEAD_OCTETS)
        return false;
    struct bytes left = bytes_first(bytes_from(*in, HEAD_OCTETS), length_in(*in));
    event->kind = (enum event_kind)(unsigned char)in->at[1];
    for (size_t last = 0; left.length > 0;) {
        size_t tag = (unsigned char)left.at[0];
        left = bytes_from(left, 1);
        if (tag <= last || tag >= TAGS || !take_field(&left, &fields[tag], event))
            return false;
        last = tag;
    }
    if (!mail_event_is_sound(event))
        return false;
    *in = bytes_from(*in, HEAD_OCTETS + length_in(*in));
    return true;
}
