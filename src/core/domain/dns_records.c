/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/dns_records.h"

#include <assert.h>

#include "base/buffer.h"
#include "core/dns/dns_name.h"
#include "core/dns/host.h"

static const struct {
    const char *name, *use;
} subjects[] = {
    [SUBJECT_ADDRESS] = {"address", "where this server is"},
    [SUBJECT_PTR] = {"PTR", "the name of the address: servers reject mail from addresses without one; the "
                            "provider of the address sets it"},
    [SUBJECT_MX] = {"MX", "where other servers deliver mail for the domain"},
    [SUBJECT_SPF] = {"SPF", "who may send for the domain"},
    [SUBJECT_DMARC] = {"DMARC", "what receivers do with mail that fails the checks"},
    [SUBJECT_MTA_STS] = {"MTA-STS", "other servers deliver only over verified TLS; the policy is served at "
                                    "https://mta-sts.DOMAIN/.well-known/mta-sts.txt"},
    [SUBJECT_TLS_RPT] = {"TLS-RPT", "where other servers report TLS failures"},
    [SUBJECT_TLSA] =
        {"TLSA", "DANE: other servers check this server's certificate against it; only in zones with DNSSEC"},
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

const char *domain_verdict_name(enum domain_verdict verdict)
{
    static const char *const names[DOMAIN_VERDICTS] = {"right", "missing", "different", "unsure", "unknown"};
    return names[verdict];
}

/* ---- addresses ---- */

struct bytes domain_address_text(const struct route_address *address, struct arena *arena)
{
    const uint8_t *o = address->octets;
    if (!address->six)
        return bytes_of_text(arena_format(arena, "%u.%u.%u.%u", o[0], o[1], o[2], o[3]));
    struct buffer text = {0};
    for (size_t i = 0; i < 8; i++)
        buffer_add_format(&text, "%s%x", i == 0 ? "" : ":", (unsigned)(o[2 * i] << 8 | o[2 * i + 1]));
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

static bool same_address(const struct route_address *a, const struct route_address *b)
{
    return a->six == b->six && memcmp(a->octets, b->octets, a->six ? 16 : 4) == 0;
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
    struct domain_record *record = &l->records[l->count++];
    *record = (struct domain_record){.subject = subject,
                                     .needed = needed,
                                     .type = type,
                                     .name = bytes_of_text(name),
                                     .value = bytes_of_text(value)};
    return record;
}

static const char *under(struct record_list *l, const char *prefix, struct bytes name)
{
    return arena_format(l->arena, "%s%.*s", prefix, BYTES_ARG(name));
}

static void add_addresses(struct record_list *l)
{
    for (size_t i = 0; i < l->facts->address_count; i++) {
        const struct route_address *address = &l->facts->addresses[i];
        struct bytes text = domain_address_text(address, l->arena);
        add(l, SUBJECT_ADDRESS, true, address->six ? DNS_AAAA : DNS_A, under(l, "", l->facts->hostname),
            arena_text(l->arena, text))
            ->address = *address;
        add(l, SUBJECT_PTR, true, DNS_PTR, arena_text(l->arena, route_reverse_name(address, l->arena)),
            arena_format(l->arena, "%.*s.", BYTES_ARG(l->facts->hostname)))
            ->address = *address;
    }
}

static void add_service(struct record_list *l, const char *service, uint16_t port, unsigned priority)
{
    if (port != 0)
        add(l, SUBJECT_SRV, false, DNS_SRV, under(l, service, l->facts->domain),
            arena_format(l->arena, "%u 1 %u %.*s.", priority, (unsigned)port, BYTES_ARG(l->facts->hostname)))
            ->port = port;
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

struct bytes domain_sts_policy(const struct domain_facts *facts, struct arena *arena)
{
    return bytes_of_text(arena_format(arena, "version: STSv1\nmode: enforce\nmx: %.*s\nmax_age: 604800\n",
                                      BYTES_ARG(facts->hostname)));
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

size_t domain_records(const struct domain_facts *facts, struct arena *arena, struct domain_record *records)
{
    struct record_list l = {.facts = facts, .arena = arena, .records = records};
    add_addresses(&l);
    add(&l, SUBJECT_MX, true, DNS_MX, under(&l, "", facts->domain),
        arena_format(arena, "10 %.*s.", BYTES_ARG(facts->hostname)));
    add(&l, SUBJECT_SPF, true, DNS_TXT, under(&l, "", facts->domain),
        arena_format(arena, "\"v=spf1 mx a:%.*s ~all\"", BYTES_ARG(facts->hostname)));
    add(&l, SUBJECT_DMARC, false, DNS_TXT, under(&l, "_dmarc.", facts->domain),
        arena_format(arena, "\"v=DMARC1; p=none; rua=mailto:postmaster@%.*s\"", BYTES_ARG(facts->domain)));
    add(&l, SUBJECT_MTA_STS, false, DNS_TXT, under(&l, "_mta-sts.", facts->domain),
        arena_format(arena, "\"v=STSv1; id=%08x\"",
                     (unsigned)bytes_hash(domain_sts_policy(facts, arena), 1)));
    add(&l, SUBJECT_TLS_RPT, false, DNS_TXT, under(&l, "_smtp._tls.", facts->domain),
        arena_format(arena, "\"v=TLSRPTv1; rua=mailto:postmaster@%.*s\"", BYTES_ARG(facts->domain)));
    if (facts->key_digest != NULL)
        add(&l, SUBJECT_TLSA, false, DNS_TLSA, under(&l, "_25._tcp.", facts->hostname), tlsa_text(&l));
    add_services(&l);
    return l.count;
}

/* ---- comparison with DNS ---- */

struct record_comparison {
    const struct domain_facts *facts;
    const struct domain_record *record;
    const struct dns_answer *said;
    struct arena *arena;
};

/* Appends the found value in readable form. */
static void show(const struct record_comparison *c, const struct dns_record *r, struct buffer *out)
{
    struct route_address address = {.six = c->record->type == DNS_AAAA};
    if (out->length > 0)
        buffer_add_text(out, ", ");
    switch (c->record->type) {
    case DNS_A:
    case DNS_AAAA:
        memcpy(address.octets, r->address, sizeof address.octets);
        buffer_add(out, domain_address_text(&address, c->arena));
        break;
    case DNS_MX: buffer_add_format(out, "%u %.*s", (unsigned)r->preference, BYTES_ARG(r->name)); break;
    case DNS_SRV:
        buffer_add_format(out, "%u %u %u %.*s", (unsigned)r->preference, (unsigned)r->weight,
                          (unsigned)r->port, BYTES_ARG(r->name));
        break;
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR: buffer_add(out, r->name); break;
    case DNS_TXT:
        buffer_add_format(out, "\"%.*s\"", (int)(r->data.length < 200 ? r->data.length : 200), r->data.at);
        break;
    case DNS_TLSA: buffer_add_format(out, "%u %u %u ...", r->usage, r->selector, r->matching); break;
    }
}

static struct bytes shown(const struct record_comparison *c)
{
    struct buffer text = {0}, clean = {0};
    for (size_t i = 0; i < c->said->count; i++)
        show(c, &c->said->records[i], &text);
    buffer_add_clean(&clean, buffer_bytes(&text), true); /* untrusted octets for a terminal */
    struct bytes copy = arena_copy(c->arena, buffer_bytes(&clean));
    buffer_free(&text);
    buffer_free(&clean);
    return copy;
}

static struct domain_finding finding(const struct record_comparison *c, enum domain_verdict verdict,
                                     const char *hint)
{
    return (struct domain_finding){verdict, verdict == RECORD_RIGHT ? bytes_none() : shown(c),
                                   hint == NULL ? bytes_none() : bytes_of_text(hint)};
}

static bool is_host(const struct record_comparison *c, struct bytes name)
{
    return dns_name_equal(name, c->facts->hostname);
}

static struct domain_finding compare_address(const struct record_comparison *c)
{
    for (size_t i = 0; i < c->said->count; i++) {
        struct route_address address = {.six = c->record->type == DNS_AAAA};
        memcpy(address.octets, c->said->records[i].address, sizeof address.octets);
        if (same_address(&address, &c->record->address))
            return finding(c, RECORD_RIGHT, NULL);
    }
    return finding(c, RECORD_UNSURE,
                   "the name resolves to an address that this machine does not have; correct behind NAT, "
                   "otherwise fix the record");
}

static struct domain_finding compare_ptr(const struct record_comparison *c)
{
    for (size_t i = 0; i < c->said->count; i++)
        if (is_host(c, c->said->records[i].name))
            return finding(c, RECORD_RIGHT, NULL);
    return finding(c, RECORD_DIFFERENT,
                   "ask the provider of the address to set it to the server's host name");
}

static struct domain_finding compare_mx(const struct record_comparison *c)
{
    for (size_t i = 0; i < c->said->count; i++)
        if (is_host(c, c->said->records[i].name))
            return finding(c, RECORD_RIGHT, NULL);
    return finding(c, RECORD_DIFFERENT,
                   "mail for the domain goes to another server; set the MX record to receive it here");
}

static struct domain_finding compare_srv(const struct record_comparison *c)
{
    for (size_t i = 0; i < c->said->count; i++)
        if (is_host(c, c->said->records[i].name) && c->said->records[i].port == c->record->port)
            return finding(c, RECORD_RIGHT, NULL);
    return finding(c, RECORD_DIFFERENT, "mail programs are directed to another server or port");
}

static struct domain_finding compare_tlsa(const struct record_comparison *c)
{
    for (size_t i = 0; i < c->said->count; i++) {
        const struct dns_record *r = &c->said->records[i];
        if (r->usage == 3 && r->selector == 1 && r->matching == 1 &&
            bytes_equal(r->data, bytes_of(c->facts->key_digest, TLSA_KEY_DIGEST)))
            return finding(c, RECORD_RIGHT,
                           c->said->secure
                               ? NULL
                               : "it takes effect only in a zone with DNSSEC, and this zone is not signed");
    }
    return finding(c, RECORD_DIFFERENT,
                   "it does not match this server's certificate, so senders that check DANE will not "
                   "deliver; publish the new record beside it, then remove the old one");
}

/* Compares a text record chosen by its prefix: exactly one must exist. */
static struct domain_finding compare_text(const struct record_comparison *c, const char *version)
{
    size_t count = 0;
    for (size_t i = 0; i < c->said->count; i++)
        count += bytes_starts_nocase(c->said->records[i].data, version);
    if (count == 0)
        return (struct domain_finding){RECORD_MISSING, bytes_none(), bytes_none()};
    return count == 1 ? finding(c, RECORD_RIGHT, NULL)
                      : finding(c, RECORD_DIFFERENT,
                                "there are several, which makes all of them invalid; keep exactly one");
}

/* ---- SPF (RFC 7208), as far as the record alone decides ---- */

/* True if the network "192.0.2.0/24" contains one of the addresses. */
static bool network_holds(const struct domain_facts *facts, struct bytes network, bool six)
{
    struct bytes text = bytes_split(&network, '/');
    struct route_address base;
    uint64_t bits = six ? 128 : 32;
    if (network.length > 0 && !bytes_to_u64(network, six ? 128 : 32, &bits))
        return false;
    if (!(six ? host_is_ipv6(text) : host_is_ipv4(text)))
        return false;
    base = route_literal(text);
    for (size_t i = 0; i < facts->address_count; i++)
        if (facts->addresses[i].six == six &&
            same_prefix(facts->addresses[i].octets, base.octets, (unsigned)bits))
            return true;
    return false;
}

enum spf { SPF_LETS, SPF_REFUSES, SPF_MAYBE };

static enum spf check_spf(const struct domain_facts *facts, struct bytes text)
{
    bool maybe = false;
    bytes_split(&text, ' ');
    while (text.length > 0) {
        struct bytes word = bytes_split(&text, ' ');
        bool passes = word.length > 0 && strchr("-~?", word.at[0]) == NULL;
        if (word.length > 0 && strchr("+-~?", word.at[0]) != NULL)
            word = bytes_from(word, 1);
        struct bytes value = word, name = bytes_split(&value, ':');
        bool matches = bytes_is_nocase(name, "all") ||
                       (bytes_is_nocase(name, "ip4") && network_holds(facts, value, false)) ||
                       (bytes_is_nocase(name, "ip6") && network_holds(facts, value, true)) ||
                       ((bytes_is_nocase(name, "a") || bytes_is_nocase(name, "mx")) &&
                        bytes_equal_nocase(value,
                                           bytes_is_nocase(name, "a") ? facts->hostname : facts->domain)) ||
                       (bytes_is_nocase(name, "mx") && value.length == 0); /* its MX is compared separately */
        if (matches)
            return passes  ? (maybe && bytes_is_nocase(name, "all") ? SPF_MAYBE : SPF_LETS)
                   : maybe ? SPF_MAYBE
                           : SPF_REFUSES;
        maybe = maybe || bytes_is_nocase(name, "include") || bytes_is_nocase(name, "a") ||
                bytes_is_nocase(name, "mx") || bytes_is_nocase(name, "exists") ||
                bytes_is_nocase(name, "ptr") || bytes_starts_nocase(word, "redirect=");
    }
    return maybe ? SPF_MAYBE : SPF_REFUSES;
}

static struct domain_finding compare_spf(const struct record_comparison *c)
{
    struct domain_finding found = compare_text(c, "v=spf1");
    if (found.verdict != RECORD_RIGHT)
        return found;
    for (size_t i = 0; i < c->said->count; i++) {
        if (!bytes_starts_nocase(c->said->records[i].data, "v=spf1"))
            continue;
        enum spf spf = check_spf(c->facts, c->said->records[i].data);
        if (spf == SPF_REFUSES)
            return finding(c, RECORD_DIFFERENT,
                           "it does not allow this server to send: add mx, or a: with the server's name, "
                           "before its \"all\"");
        if (spf == SPF_MAYBE)
            return finding(c, RECORD_UNSURE,
                           "whether it allows this server to send is in another record that it includes");
    }
    return found;
}

struct domain_finding domain_compare(const struct domain_facts *facts, const struct domain_record *record,
                                     const struct dns_answer *said, struct arena *arena)
{
    struct record_comparison c = {facts, record, said, arena};
    if (said->status == DNS_BOGUS)
        return (struct domain_finding){RECORD_UNKNOWN, bytes_none(),
                                       BYTES("DNSSEC validation failed: fix the zone's signatures")};
    if (said->status == DNS_SERVER_FAILURE || said->status == DNS_UNKNOWN)
        return (struct domain_finding){RECORD_UNKNOWN, bytes_none(),
                                       BYTES("the domain's DNS servers did not answer")};
    if (said->count == 0)
        return (struct domain_finding){RECORD_MISSING, bytes_none(), bytes_none()};
    switch (record->subject) {
    case SUBJECT_ADDRESS: return compare_address(&c);
    case SUBJECT_PTR: return compare_ptr(&c);
    case SUBJECT_MX: return compare_mx(&c);
    case SUBJECT_SPF: return compare_spf(&c);
    case SUBJECT_DMARC: return compare_text(&c, "v=DMARC1");
    case SUBJECT_MTA_STS: return compare_text(&c, "v=STSv1");
    case SUBJECT_TLS_RPT: return compare_text(&c, "v=TLSRPTv1");
    case SUBJECT_TLSA: return compare_tlsa(&c);
    case SUBJECT_SRV: return compare_srv(&c);
    case DOMAIN_SUBJECTS: break;
    }
    return finding(&c, RECORD_UNKNOWN, NULL);
}
