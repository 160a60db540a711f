/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For any DNS answers a domain's records are checked, and the output is safe for a terminal. Each record
 * that this server proposes matches when DNS returns it; an SPF record is interpreted as by a second
 * parser of networks; and the published MTA-STS policy is accepted by the client side.
 */
#include <arpa/inet.h>

#include "choices.h"
#include "core/domain/dns_records.h"
#include "core/route/sts.h"

enum { FOUND_MAX = 4 };

static const uint8_t digest[TLSA_KEY_DIGEST] = {1, 2, 3};
static const struct route_address addresses[] = {
    {{192, 0, 2, 1}, false}, {{0x20, 1, 0xd, 0xb8, [15] = 1}, true},
    {{10, 1, 2, 3}, false},  {{100, 64}, false},
    {{0xfe, 0x80}, true},    {{198, 51, 100, 77}, false},
};

static struct domain_facts choose_facts(struct choices *choices)
{
    struct domain_facts facts = {.domain = BYTES("example.org"),
                                 .hostname = choose(choices, 4) == 0 ? BYTES("example.org")
                                                                     : BYTES("mx.example.org"),
                                 .address_count = choose(choices, 4),
                                 .starttls = {587},
                                 .implicit = {465},
                                 .imaps = 993};
    size_t first = choose(choices, ARRAY_LENGTH(addresses));
    for (size_t i = 0; i < facts.address_count; i++)
        facts.addresses[i] = addresses[(first + i) % ARRAY_LENGTH(addresses)];
    facts.starttls[1] = choose(choices, 4) == 0 ? 2525 : 0;
    facts.pop3s = choose(choices, 4) == 0 ? 995 : 0;
    facts.key_digest = choose(choices, 4) == 0 ? NULL : digest;
    return facts;
}

/* As the answer of a server that publishes just this. */
static struct dns_record said_back(const struct domain_record *record, const struct domain_facts *facts)
{
    /* without its quotes */
    struct bytes text = record->value.length < 2 ? record->value
                                                 : bytes_of(record->value.at + 1, record->value.length - 2);
    struct dns_record said = {.name = facts->hostname,
                              .data = record->type == DNS_TLSA ? bytes_of(digest, sizeof digest) : text,
                              .port = record->port,
                              .usage = 3,
                              .selector = 1,
                              .matching = 1};
    memcpy(said.address, record->address.octets, sizeof said.address);
    return said;
}

static enum domain_verdict judged_alone(const struct domain_facts *facts, const struct domain_record *record,
                                        struct dns_record said, struct arena *arena)
{
    struct dns_answer answer = {.status = DNS_FOUND, .records = &said, .count = 1};
    return domain_compare(facts, record, &answer, arena).verdict;
}

/* ---- a stranger's answer ---- */

static void check_answer(struct choices *choices, const struct domain_facts *facts,
                         const struct domain_record *record, struct bytes stream, struct arena *arena)
{
    static const enum dns_status statuses[] = {DNS_FOUND,          DNS_FOUND,   DNS_FOUND,
                                               DNS_FOUND,          DNS_NO_DATA, DNS_NXDOMAIN,
                                               DNS_SERVER_FAILURE, DNS_BOGUS,   DNS_UNKNOWN};
    struct dns_record found[FOUND_MAX];
    struct dns_answer said = {.status = statuses[choose(choices, ARRAY_LENGTH(statuses))],
                              .records = found,
                              .count = choose(choices, FOUND_MAX + 1),
                              .secure = choose(choices, 2) == 0};
    for (size_t i = 0; i < said.count; i++) {
        unsigned how = choose(choices, 32);
        struct bytes text = bytes_split(&stream, '\n');
        found[i] = said_back(record, facts);
        if ((how & 1) != 0)
            found[i].name = text;
        if ((how & 2) != 0)
            found[i].data = text;
        found[i].port = (uint16_t)(found[i].port + (how >> 2 & 1));
        found[i].usage = (uint8_t)(how >> 3 & 3);
        memcpy(found[i].address, addresses[how % ARRAY_LENGTH(addresses)].octets, sizeof found[i].address);
    }
    struct domain_finding finding = domain_compare(facts, record, &said, arena);
    INSIST(finding.verdict < DOMAIN_VERDICTS &&
           (finding.verdict != RECORD_RIGHT || finding.found.length == 0));
    INSIST(!bytes_has_control_character(finding.found) && bytes_is_utf8(finding.found));
    INSIST(finding.verdict == RECORD_UNKNOWN ||
           (said.status != DNS_BOGUS && said.status != DNS_SERVER_FAILURE && said.status != DNS_UNKNOWN));
    INSIST(finding.verdict == RECORD_RIGHT || finding.verdict == RECORD_MISSING || finding.hint.length > 0);
    INSIST(domain_verdict_name(finding.verdict) != NULL && domain_subject_name(record->subject) != NULL &&
           domain_subject_use(record->subject) != NULL && dns_type_name(record->type)[0] != '?');
}

/* ---- SPF ---- */

/* The second reader: does "192.0.2.0/24" hold an address of ours? */
static bool network_holds(const struct domain_facts *facts, struct bytes network, bool six)
{
    char text[64];
    uint8_t base[16];
    uint64_t bits = six ? 128 : 32;
    struct bytes address = bytes_split(&network, '/');
    if (address.length >= sizeof text || bytes_find(address, '\0') != SIZE_MAX ||
        (network.length > 0 && !bytes_to_u64(network, bits, &bits)))
        return false;
    memcpy(text, address.at, address.length);
    text[address.length] = '\0';
    if (inet_pton(six ? AF_INET6 : AF_INET, text, base) != 1)
        return false;
    for (size_t i = 0; i < facts->address_count; i++) {
        uint64_t same = 0;
        while (facts->addresses[i].six == six && same < bits &&
               ((base[same / 8] ^ facts->addresses[i].octets[same / 8]) >> (7 - same % 8) & 1) == 0)
            same++;
        if (facts->addresses[i].six == six && same == bits)
            return true;
    }
    return false;
}

static void check_spf(const struct domain_facts *facts, const struct domain_record *spf, struct bytes text,
                      bool six, struct arena *arena)
{
    const char *leading = arena_format(arena, "v=spf1 mx %.*s", BYTES_ARG(text));
    INSIST(judged_alone(facts, spf, (struct dns_record){.data = bytes_of_text(leading)}, arena) ==
           RECORD_RIGHT);
    struct bytes network = bytes_split(&text, ' ');
    if (bytes_find(network, '\0') != SIZE_MAX)
        return;
    const char *alone = arena_format(arena, "v=spf1 %s:%.*s -all", six ? "ip6" : "ip4", BYTES_ARG(network));
    enum domain_verdict wanted = network_holds(facts, network, six) ? RECORD_RIGHT : RECORD_DIFFERENT;
    INSIST(judged_alone(facts, spf, (struct dns_record){.data = bytes_of_text(alone)}, arena) == wanted);
}

/* ---- what we publish ---- */

static void check_own(const struct domain_facts *facts, const struct domain_record *record,
                      struct arena *arena)
{
    struct sts_policy policy;
    INSIST(!bytes_has_control_character(record->name) && record->value.length > 0 && record->name.length > 0);
    INSIST(judged_alone(facts, record, said_back(record, facts), arena) == RECORD_RIGHT);
    if (record->subject == SUBJECT_MTA_STS)
        INSIST(sts_read_policy(domain_sts_policy(facts, arena), &policy) &&
               sts_lists(&policy, facts->hostname));
    if (record->subject == SUBJECT_ADDRESS) { /* its text is that address again */
        struct route_address again = route_literal(domain_address_text(&record->address, arena));
        INSIST(again.six == record->address.six &&
               memcmp(again.octets, record->address.octets, again.six ? 16 : 4) == 0);
        domain_address_is_public(&record->address);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices;
    struct domain_record records[DOMAIN_RECORDS_MAX];
    struct arena arena = {0};
    struct bytes stream = choices_start(&choices, data, size);
    struct domain_facts facts = choose_facts(&choices);
    size_t count = domain_records(&facts, &arena, records);
    INSIST(count > 0 && count <= DOMAIN_RECORDS_MAX);
    const struct domain_record *record = &records[choose(&choices, (unsigned)count)];
    check_own(&facts, record, &arena);
    check_answer(&choices, &facts, record, stream, &arena);
    if (record->subject == SUBJECT_SPF)
        check_spf(&facts, record, stream, choose(&choices, 2) == 0, &arena);
    arena_clear(&arena);
    return 0;
}
