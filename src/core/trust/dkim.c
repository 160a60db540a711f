/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dkim.h"

#include <assert.h>

#include "core/dns/dns_name.h"
#include "core/dns/host.h"
#include "core/message/address_list.h"

static void settle(struct dkim_signature *signature, enum dkim_result result, const char *reason)
{
    signature->result = result;
    signature->reason = reason;
}

/* ---- begin: the header ---- */

static void add_author_domains(struct dkim *dkim, struct bytes list, struct arena *arena)
{
    struct buffer scratch = {0};
    struct address_list_entry mailbox;
    while (dkim->author_domain_count < DKIM_AUTHOR_DOMAINS_MAX &&
           address_list_next(&list, &scratch, &mailbox)) {
        size_t at = bytes_find_last(mailbox.address, '@');
        if (at != SIZE_MAX)
            dkim->author_domains[dkim->author_domain_count++] = arena_copy(
                arena, bytes_from(mailbox.address, at + 1));
    }
    buffer_free(&scratch);
}

/* Returns the last two labels: domains of one organization have these in common, and some others do. */
static struct bytes last_labels(struct bytes domain)
{
    size_t dots = 0, i = domain.length;
    while (i > 0 && (domain.at[i - 1] != '.' || ++dots < 2))
        i--;
    return bytes_from(domain, i);
}

static bool may_align(const struct dkim *dkim, struct bytes domain)
{
    for (size_t i = 0; i < dkim->author_domain_count; i++)
        if (dns_name_equal(last_labels(dkim->author_domains[i]), last_labels(domain)))
            return true;
    return false;
}

/* Notes which digest of the body the signature needs; false if there are too many. */
static bool need_body(struct dkim *dkim, struct dkim_signature *signature)
{
    struct dkim_body body = {signature->field.body_form, signature->field.limit};
    size_t i = 0;
    while (i < dkim->body_count && (dkim->bodies[i].form != body.form || dkim->bodies[i].limit != body.limit))
        i++;
    if (i == DKIM_BODIES_MAX)
        return false;
    if (i == dkim->body_count)
        dkim->bodies[dkim->body_count++] = body;
    signature->body = i;
    return true;
}

static void choose(struct dkim *dkim, bool aligned, size_t *left)
{
    for (size_t i = 0; i<dkim->count && * left> 0; i++) {
        struct dkim_signature *signature = &dkim->signatures[i];
        if (signature->result != DKIM_PENDING || may_align(dkim, signature->field.domain) != aligned)
            continue;
        if (need_body(dkim, signature)) {
            signature->looked_at = true;
            --*left;
        } else {
            settle(signature, DKIM_POLICY, "not looked at: too many forms of the body");
        }
    }
}

static void choose_signatures(struct dkim *dkim)
{
    size_t left = DKIM_LOOKED_AT_MAX;
    choose(dkim, true, &left);
    choose(dkim, false, &left);
    for (size_t i = 0; i < dkim->count; i++)
        if (dkim->signatures[i].result == DKIM_PENDING && !dkim->signatures[i].looked_at)
            settle(&dkim->signatures[i], DKIM_POLICY, "not looked at: too many signatures");
}

static void add_signature(struct dkim *dkim, uint16_t at, struct arena *arena)
{
    if (dkim->count == DKIM_SIGNATURES_MAX) {
        dkim->unseen++;
        return;
    }
    struct dkim_signature *signature = &dkim->signatures[dkim->count++];
    const char *reason = dkim_field_parse(&signature->field, &dkim->index, at, DKIM_FIELD_SIGNATURE, arena);
    if (reason != NULL)
        settle(signature, DKIM_PERMERROR, reason);
    else if (dkim->index.over)
        settle(signature, DKIM_POLICY, "not looked at: the header is too large");
}

static bool is_signature(const struct indexed_field *field)
{
    return bytes_is_nocase(field->name, "dkim-signature");
}

/* Returns how many are reported. */
static size_t signature_count(const struct field_index *index)
{
    size_t count = 0;
    for (size_t i = 0; i < index->count && count < DKIM_SIGNATURES_MAX; i++)
        count += is_signature(&index->fields[i]);
    return count;
}

void dkim_begin(struct dkim *dkim, struct bytes header, struct arena *arena)
{
    dkim->count = dkim->unseen = dkim->body_count = dkim->author_domain_count = 0;
    field_index_start(&dkim->index, header);
    dkim->signatures = ARENA_ARRAY(arena, struct dkim_signature, signature_count(&dkim->index));
    for (size_t i = 0; i < dkim->index.count; i++) {
        const struct indexed_field *field = &dkim->index.fields[i];
        if (is_signature(field))
            add_signature(dkim, (uint16_t)i, arena);
        else if (bytes_is_nocase(field->name, "from"))
            add_author_domains(dkim, field->value, arena);
    }
    choose_signatures(dkim);
    assert(dkim->body_count <= DKIM_BODIES_MAX);
}

void dkim_facts_start(struct dkim_facts *facts, struct dns_facts *dns, struct signature_facts *signatures)
{
    *facts = (struct dkim_facts){.dns = dns, .signatures = signatures};
}

/* ---- judge ---- */

static const struct dns_answer *look_up_key(struct dns_facts *dns, const struct dkim_field *field)
{
    struct buffer name = {0};
    buffer_add(&name, field->selector);
    buffer_add_text(&name, "._domainkey.");
    buffer_add(&name, dns_name_without_dot(field->domain));
    const struct dns_answer *answer = dns_facts_look_up(dns, DNS_TXT, buffer_bytes(&name));
    buffer_free(&name);
    return answer;
}

/* Keys that are too short or long are refused by our policy; the others are the domain's mistake. */
static enum dkim_result result_of_fault(enum dkim_key_fault fault)
{
    return fault == DKIM_KEY_TOO_SHORT || fault == DKIM_KEY_TOO_LONG ? DKIM_POLICY : DKIM_PERMERROR;
}

static enum dkim_result choose_key(const struct dns_answer *answer, const struct dkim_field *field,
                                   size_t nth, struct dkim_key *key, const char **reason, struct arena *arena)
{
    enum dkim_key_fault first = DKIM_KEY_FAULTS;
    for (size_t i = 0; i < answer->count && i < DKIM_KEYS_MAX; i++) {
        enum dkim_key_fault fault = dkim_key_parse(key, answer->records[i].data, field->algorithm, arena);
        if (fault == DKIM_KEY_FINE && nth-- == 0)
            return DKIM_PASS;
        first = first == DKIM_KEY_FAULTS && fault != DKIM_KEY_FINE ? fault : first;
    }
    *reason = first == DKIM_KEY_FAULTS ? "no key" : dkim_key_fault_reason(first);
    return first == DKIM_KEY_FAULTS ? DKIM_PERMERROR : result_of_fault(first);
}

enum dkim_result dkim_find_key(struct dns_facts *dns, const struct dkim_field *field, size_t nth,
                               struct dkim_key *key, const char **reason)
{
    if (!bytes_is_ascii(field->domain) || !bytes_is_ascii(field->selector))
        return *reason = "d= or s= is not a name", DKIM_PERMERROR;
    const struct dns_answer *answer = look_up_key(dns, field);
    switch (answer->status) {
    case DNS_UNKNOWN: return DKIM_PENDING;
    case DNS_FOUND: return choose_key(answer, field, nth, key, reason, dns->texts);
    case DNS_NO_DATA:
    case DNS_NXDOMAIN: *reason = "no key"; return DKIM_PERMERROR;
    case DNS_SERVER_FAILURE: *reason = "key: temporary failure of DNS"; return DKIM_TEMPERROR;
    case DNS_BOGUS: *reason = "key: DNSSEC validation failed"; return DKIM_TEMPERROR;
    }
    return DKIM_TEMPERROR;
}

static void lack(struct signature_facts *signatures, size_t number, const struct dkim_field *field,
                 dkim_input *input, const void *context, const struct dkim_key *key)
{
    struct buffer octets = {0};
    if (!signature_facts_have_room(signatures))
        return;
    input(context, field, &octets);
    struct signature_check check = {.number = number, .algorithm = key->algorithm, .key = key->octets};
    check.signature = field->signature;
    check.input = arena_copy(signatures->arena, buffer_bytes(&octets));
    signature_facts_lack(signatures, &check);
    buffer_free(&octets);
}

enum signature_fact dkim_try_keys(struct dns_facts *dns, struct signature_facts *signatures, size_t slot,
                                  const struct dkim_field *field, dkim_input *input, const void *context,
                                  struct dkim_key *key)
{
    const char *ignored;
    struct dkim_key next;
    for (size_t nth = 0; nth < DKIM_KEYS_MAX; nth++) {
        if (dkim_find_key(dns, field, nth, &next, &ignored) != DKIM_PASS)
            break;
        *key = next;
        size_t number = slot * DKIM_KEYS_MAX + nth;
        enum signature_fact fact = signature_facts_look_up(signatures, number);
        if (fact == SIGNATURE_UNKNOWN)
            lack(signatures, number, field, input, context, key);
        if (fact != SIGNATURE_BAD)
            return fact;
    }
    return SIGNATURE_BAD;
}

static void header_input(const void *context, const struct dkim_field *field, struct buffer *out)
{
    dkim_field_input(field, context, out);
}

static void judge_body(struct dkim_signature *signature, const struct dkim_body_fact *body)
{
    if (memcmp(body->digest, signature->field.body_digest.at, DKIM_DIGEST) != 0)
        settle(signature, DKIM_FAIL, "body hash did not verify");
    else if (signature->field.limit != CANON_WHOLE && signature->field.limit > body->length)
        settle(signature, DKIM_PERMERROR, "l= is larger than the body");
}

/* A valid signature that does not cover the whole body lets others add to it (RFC 6376 8.2). */
static void judge_cover(struct dkim_signature *signature, const struct dkim_body_fact *body)
{
    signature->covered = signature->field.limit;
    signature->body_length = body->length;
    if (signature->field.limit < body->length)
        settle(signature, DKIM_POLICY, "l= covers only a part of the body");
    else
        settle(signature, DKIM_PASS, NULL);
}

static void judge_signature(struct dkim *dkim, struct dkim_facts *facts, size_t i, uint64_t now_s)
{
    struct dkim_signature *signature = &dkim->signatures[i];
    const struct dkim_field *field = &signature->field;
    const struct dkim_body_fact *body = &facts->bodies[signature->body];
    struct dkim_key key;
    const char *reason = NULL;
    settle(signature, DKIM_PENDING, NULL);
    if (field->has_expiry && field->expiry_s + DKIM_EXPIRY_GRACE_S < now_s) {
        settle(signature, DKIM_POLICY, "signature expired");
        return;
    }
    if (!dkim_domain_is_under(field->identity_domain, field->domain)) { /* U-labels: known only now */
        settle(signature, DKIM_PERMERROR, "i= is not under d=");
        return;
    }
    enum dkim_result found = dkim_find_key(facts->dns, field, 0, &key, &reason);
    if (found == DKIM_PASS && key.strict && !dns_name_equal(field->identity_domain, field->domain))
        settle(signature, DKIM_PERMERROR, "key does not allow i= below d=");
    else if (found != DKIM_PASS)
        settle(signature, found, reason);
    if (found != DKIM_PASS || signature->result != DKIM_PENDING)
        return;
    enum signature_fact verified = dkim_try_keys(facts->dns, facts->signatures, i, field, header_input,
                                                 &dkim->index, &key);
    signature->key_bits = key.bits;
    signature->testing = key.testing;
    if (!facts->bodies_are_known)
        return;
    judge_body(signature, body);
    if (signature->result != DKIM_PENDING || verified == SIGNATURE_UNKNOWN)
        return;
    if (verified == SIGNATURE_BAD)
        settle(signature, DKIM_FAIL, "signature did not verify");
    else
        judge_cover(signature, body);
}

bool dkim_judge(struct dkim *dkim, struct dkim_facts *facts, uint64_t now_s)
{
    bool settled = true;
    dns_facts_begin(facts->dns);
    signature_facts_begin(facts->signatures);
    for (size_t i = 0; i < dkim->count; i++) {
        if (dkim->signatures[i].looked_at)
            judge_signature(dkim, facts, i, now_s);
        settled = settled && dkim->signatures[i].result != DKIM_PENDING;
    }
    return settled;
}

const char *dkim_result_word(enum dkim_result result)
{
    static const char *const words[DKIM_RESULTS] = {
        [DKIM_PENDING] = "pending", [DKIM_PASS] = "pass",           [DKIM_FAIL] = "fail",
        [DKIM_POLICY] = "policy",   [DKIM_TEMPERROR] = "temperror", [DKIM_PERMERROR] = "permerror",
    };
    assert(result < DKIM_RESULTS);
    return words[result];
}
