/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever DNS says of a domain, it is judged, and what is shown of it is fit for a terminal. */
#include "choices.h"
#include "domain/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t digest[TLSA_KEY_DIGEST] = {1};
    struct domain_facts facts = {.domain = BYTES("example.org"), .hostname = BYTES("mx.example.org"), .addresses = {{{192, 0, 2, 1}, false}, {{0x20, 1, 0xd, 0xb8}, true}},
                                 .address_count = 2, .starttls = {587, 2525}, .implicit = {465}, .imaps = 993, .key_digest = digest};
    struct domain_record wanted[DOMAIN_RECORDS_MAX];
    struct dns_record found[2] = {{.preference = 10, .port = 587}};
    struct arena arena = {0};
    if (size == 0)
        return 0;
    size_t count = domain_records(&facts, &arena, wanted);
    INSIST(count > 0 && count <= DOMAIN_RECORDS_MAX);
    struct bytes texts = bytes_of(data + 1, size - 1);
    found[0].data = found[0].name = bytes_split(&texts, '\0');
    found[1].data = found[1].name = texts;
    struct dns_facts said = {.status = DNS_FOUND, .records = found, .count = 2};
    struct domain_finding finding = domain_compare(&facts, &wanted[data[0] % count], &said, &arena);
    INSIST(finding.verdict < DOMAIN_VERDICTS && (finding.verdict != RECORD_RIGHT || finding.found.length == 0));
    INSIST(!bytes_has_control(finding.found));
    arena_clear(&arena);
    return 0;
}
