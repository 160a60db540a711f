/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/dns_records.h"

#include <assert.h>

#include "base/buffer.h"
#include "core/dns/dns_name.h"
#include "core/trust/dmarc_walk.h"
#include "core/trust/report_address.h"

static const struct {
    const char *name, *use;
} subjects[] = {
    [SUBJECT_ADDRESS] = {"address", "where this server is"},
    [SUBJECT_PTR] = {"PTR", "the name of the address: servers reject mail from addresses without one; the "
                            "provider of the address sets it"},
    [SUBJECT_MX] = {"MX", "where other servers deliver mail for the domain"},
    [SUBJECT_SPF] = {"SPF", "who may send for the domain"},
    [SUBJECT_HELO_SPF] = {"HELO SPF", "the same for the server's own name, from which its reports are sent"},
    [SUBJECT_DKIM] = {"DKIM", "the key with which receivers verify the signatures of the domain's mail"},
    [SUBJECT_DMARC] = {"DMARC", "what receivers do with mail that fails the checks"},
    [SUBJECT_STS_HOST] = {"MTA-STS host", "where this server serves the domain's MTA-STS policy; its "
                                          "certificate must name it, too"},
    [SUBJECT_MTA_STS] = {"MTA-STS", "other servers deliver only over verified TLS; the policy is served at "
                                    "https://mta-sts.DOMAIN/.well-known/mta-sts.txt"},
    [SUBJECT_TLS_RPT] = {"TLS-RPT", "where other servers report TLS failures"},
    [SUBJECT_TLSA] =
        {"TLSA", "DANE: other servers check this server's certificate against it; only in zones with DNSSEC. "
                 "A certificate with a new key makes it wrong, and mail stops: keep the key when the "
                 "certificate is renewed (certbot: --reuse-key), or publish the record of the new key beside "
                 "this one and wait for its TTL before the new certificate is installed"},
    [SUBJECT_SRV] = {"SRV", "mail programs find the server and its ports automatically"},
};
static_assert(ARRAY_LENGTH(subjects) == DOMAIN_SUBJECTS, "a word for each subject");

const char *domain_subject_name(enum domain_subject subject)
{
    return subjects[subject].name;
}

const char *domain_subject_use(enum domain_subject subject)
{
    return subjects[subject].use;
}

/* ---- addresses ---- */

struct bytes domain_address_text(const struct route_address *address, struct arena *arena)
{
    struct buffer text = {0};
    route_address_text(&text, address);
    struct bytes copy = arena_copy(arena, buffer_bytes(&text));
    buffer_free(&text);
    return copy;
}

/* True if the first `bits` agree. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool domain_address_is_public(const struct route_address *address)
{
    static const struct {
        uint8_t octets[16];
        unsigned bits;
        bool six;
    } others[] = {
        {{10}, 8, false},         {{172, 16}, 12, false}, {{192, 168}, 16, false}, {{127}, 8, false},
        {{169, 254}, 16, false},  {{100, 64}, 10, false}, {{0}, 8, false},         {{0xfc}, 7, true},
        {{0xfe, 0x80}, 10, true}, {{0}, 96, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (others[i].six == address->six && same_prefix(address->octets, others[i].octets, others[i].bits))
            return false;
    return true;
}

/* ---- the records of a domain ---- */

struct record_list {
    const struct domain_facts *facts;
    struct arena *arena;
    struct domain_record *records;
    size_t count;
};

static struct domain_record *add(struct record_list *l, enum domain_subject subject, bool needed,
                                 enum dns_type type, const char *name, const char *value)
{
    assert(l->count < DOMAIN_RECORDS_MAX);
    struct domain_record *record = &l->records[l->count++];
    *record = (struct domain_record){.subject = subject,
                                     .needed = needed,
                                     .type = type,
                                     .name = bytes_of_text(name),
                                     .value = bytes_of_text(value),
                                     .text = bytes_of_text(value)};
    return record;
}

/* Adds a TXT record of this text. */
static struct domain_record *add_text(struct record_list *l, enum domain_subject subject, bool needed,
                                      const char *name, struct bytes text)
{
    struct buffer strings = {0};
    key_record_strings(text, &strings);
    struct domain_record *record = add(l, subject, needed, DNS_TXT, name,
                                       arena_text(l->arena, buffer_bytes(&strings)));
    record->text = text;
    buffer_free(&strings);
    return record;
}

static const char *under(struct record_list *l, const char *prefix, struct bytes name)
{
    return arena_format(l->arena, "%s%.*s", prefix, BYTES_ARG(name));
}

static void add_addresses(struct record_list *l)
{
    const struct domain_facts *facts = l->facts;
    for (size_t i = 0; i < facts->address_count; i++) {
        const struct route_address *address = &facts->addresses[i];
        struct bytes text = domain_address_text(address, l->arena);
        add(l, SUBJECT_ADDRESS, true, address->six ? DNS_AAAA : DNS_A, under(l, "", facts->hostname),
            arena_text(l->arena, text))
            ->address = *address;
        struct domain_record *reverse = add(l, SUBJECT_PTR, facts->smarthost.length == 0, DNS_PTR,
                                            arena_text(l->arena, route_reverse_name(address, l->arena)),
                                            arena_format(l->arena, "%.*s.", BYTES_ARG(facts->hostname)));
        reverse->address = *address;
        reverse->text = facts->hostname;
    }
}

static void add_mx(struct record_list *l)
{
    struct domain_record *mx = add(l, SUBJECT_MX, true, DNS_MX, under(l, "", l->facts->domain),
                                   arena_format(l->arena, "10 %.*s.", BYTES_ARG(l->facts->hostname)));
    mx->priority = 10;
    mx->text = l->facts->hostname;
}

static void add_service(struct record_list *l, const char *service, uint16_t port, unsigned priority)
{
    if (port == 0)
        return;
    struct domain_record *record = add(
        l, SUBJECT_SRV, false, DNS_SRV, under(l, service, l->facts->domain),
        arena_format(l->arena, "%u 1 %u %.*s.", priority, (unsigned)port, BYTES_ARG(l->facts->hostname)));
    record->text = l->facts->hostname;
    record->priority = (uint16_t)priority;
    record->weight = 1;
    record->port = port;
}

static void add_services(struct record_list *l)
{
    const struct domain_facts *f = l->facts;
    for (size_t i = 0; i < ARRAY_LENGTH(f->starttls); i++)
        add_service(l, "_submission._tcp.", f->starttls[i], (unsigned)(10 * i));
    for (size_t i = 0; i < ARRAY_LENGTH(f->implicit); i++)
        add_service(l, "_submissions._tcp.", f->implicit[i], (unsigned)(10 * i));
    add_service(l, "_imaps._tcp.", f->imaps, 0);
    add_service(l, "_imap._tcp.", f->imap, 10);
    add_service(l, "_pop3s._tcp.", f->pop3s, 20);
    add_service(l, "_pop3._tcp.", f->pop3, 30);
}

static const char *tlsa_text(struct record_list *l)
{
    char hex[2 * TLSA_KEY_DIGEST + 1];
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < TLSA_KEY_DIGEST; i++) {
        hex[2 * i] = digits[l->facts->key_digest[i] >> 4];
        hex[2 * i + 1] = digits[l->facts->key_digest[i] & 15];
    }
    hex[2 * TLSA_KEY_DIGEST] = '\0';
    return arena_format(l->arena, "3 1 1 %s", hex);
}

/* The servers of a smarthost send with names of their own. */
static void add_spf(struct record_list *l)
{
    const struct domain_facts *facts = l->facts;
    add_text(l, SUBJECT_SPF, true, under(l, "", facts->domain),
             bytes_of_text(arena_format(l->arena, "v=spf1 mx a:%.*s ~all", BYTES_ARG(facts->hostname))));
    if (facts->smarthost.length == 0 && !dns_name_equal(facts->hostname, facts->domain))
        add_text(l, SUBJECT_HELO_SPF, true, under(l, "", facts->hostname), BYTES("v=spf1 a -all"));
}

static void add_keys(struct record_list *l)
{
    struct buffer name = {0}, value = {0};
    assert(l->facts->key_count <= DOMAIN_KEYS_MAX);
    for (size_t i = 0; i < l->facts->key_count; i++) {
        const struct domain_key *key = &l->facts->keys[i];
        buffer_clear(&name);
        buffer_clear(&value);
        key_record_name(&key->record, &name);
        key_record_value(&key->record, &value);
        add_text(l, SUBJECT_DKIM, key->stage < KEY_RETIRED, arena_text(l->arena, buffer_bytes(&name)),
                 arena_copy(l->arena, buffer_bytes(&value)))
            ->key = key;
    }
    buffer_free(&name);
    buffer_free(&value);
}

static void add_sts(struct record_list *l)
{
    const struct domain_facts *facts = l->facts;
    if (facts->web && facts->sts.mode != STS_SETTING_OFF) {
        struct domain_record *host = add(l, SUBJECT_STS_HOST, false, DNS_CNAME,
                                         under(l, "mta-sts.", facts->domain),
                                         arena_format(l->arena, "%.*s.", BYTES_ARG(facts->hostname)));
        host->text = facts->hostname;
    }
    if (facts->sts_served.length > 0)
        add_text(l, SUBJECT_MTA_STS, false, under(l, "_mta-sts.", facts->domain),
                 bytes_of_text(arena_format(l->arena, "v=STSv1; id=%.*s",
                                            BYTES_ARG(sts_settings_id(facts->sts_served, l->arena)))));
}

/* Where the domain's mail goes on to its own server, that server has the address. */
static struct bytes report_record(const struct record_list *l, const char *beginning,
                                  enum report_address which)
{
    return bytes_of_text(arena_format(l->arena, "%s; rua=mailto:%s@%.*s", beginning,
                                      l->facts->passed_on ? "postmaster" : report_address_name(which),
                                      BYTES_ARG(l->facts->domain)));
}

size_t domain_records(const struct domain_facts *facts, struct arena *arena, struct domain_record *records)
{
    struct record_list l = {.facts = facts, .arena = arena, .records = records};
    add_addresses(&l);
    add_mx(&l);
    add_spf(&l);
    add_keys(&l);
    add_text(&l, SUBJECT_DMARC, true, under(&l, "_dmarc.", facts->domain),
             report_record(&l, "v=DMARC1; p=none", REPORT_ADDRESS_DMARC));
    add_sts(&l);
    add_text(&l, SUBJECT_TLS_RPT, false, under(&l, "_smtp._tls.", facts->domain),
             report_record(&l, "v=TLSRPTv1", REPORT_ADDRESS_TLS));
    if (facts->key_digest != NULL)
        add(&l, SUBJECT_TLSA, false, DNS_TLSA, under(&l, "_25._tcp.", facts->hostname), tlsa_text(&l));
    add_services(&l);
    return l.count;
}

struct bytes domain_record_form_name(const struct domain_facts *facts, const struct domain_record *record,
                                     struct arena *arena)
{
    if (dns_name_equal(record->name, facts->domain))
        return BYTES("@");
    if (dmarc_walk_is_below(record->name, facts->domain))
        return bytes_first(record->name, record->name.length - facts->domain.length - 1);
    return bytes_of_text(arena_format(arena, "%.*s.", BYTES_ARG(record->name)));
}
