/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any octets as the data of a record: what is read of a name is one line whose
 * labels are those of the wire, and nothing that is kept is longer than what came.
 */
#include "choices.h"
#include "core/dns/dns_name.h"
#include "core/dns/dns_record.h"
#include "core/dns/host.h"

/* Labels on the wire, before the empty one. */
static size_t count_labels(struct bytes wire)
{
    size_t count = 0;
    for (; wire.length > 0 && wire.at[0] != 0; count++)
        wire = bytes_from(wire, 1 + (size_t)(unsigned char)wire.at[0]);
    return count;
}

static void check_name(struct bytes name, struct bytes wire)
{
    size_t dots = 0;
    INSIST(!bytes_has_control(name) && bytes_find(name, ' ') == SIZE_MAX && name.length <= 4 * wire.length);
    for (size_t i = 0; i < name.length; i++)
        dots += name.at[i] == '.' ? 1 : 0;
    size_t labels = count_labels(wire);
    INSIST(labels == 0 ? name.length == 0 : dots == labels - 1);
    INSIST(dns_name_equal(name, name) && dns_name_without_dot(name).length == name.length);
    if (labels > 1 && host_is_name(name, false))
        INSIST(
            dns_name_matches(BYTES("*.example.org"), name) ==
            (labels == 3 && dns_name_equal(bytes_from(name, bytes_find(name, '.')), BYTES(".example.org"))));
}

/* Adds a record again and again: the list has its limits, and TXT the prefix that is wanted. */
static void check_list(enum dns_type type, struct bytes data, bool valid)
{
    struct arena arena = {0};
    struct dns_record_list list;
    static const char *const prefixes[] = {NULL, "v=spf1", "v=DMARC1"};
    for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
        dns_record_list_start(&list, 3, &arena);
        for (int k = 0; k < 4; k++)
            dns_record_list_add(&list, type, prefixes[i], data, &arena);
        bool wanted = valid && (type != DNS_TXT || prefixes[i] == NULL || list.count > 0);
        INSIST(list.count == (wanted ? 3 : 0) && list.cut == wanted);
        INSIST(list.octets <= DNS_RECORDS_OCTETS_MAX);
        for (size_t k = 0; k < list.count && type == DNS_TXT && prefixes[i] != NULL; k++)
            INSIST(dns_text_begins(list.records[k].data, prefixes[i]));
    }
    arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    static const enum dns_type types[] = {DNS_A,   DNS_CNAME, DNS_PTR, DNS_MX,
                                          DNS_TXT, DNS_AAAA,  DNS_SRV, DNS_TLSA};
    struct choices choices;
    struct arena arena = {0};
    struct dns_record record;
    struct bytes data = choices_start(&choices, octets, size);
    enum dns_type type = types[choose(&choices, ARRAY_LENGTH(types))];
    INSIST(dns_type_name(type)[0] != '?');
    bool valid = dns_record_read(&record, type, data, &arena);
    if (data.length < DNS_RECORDS_OCTETS_MAX / 8)
        check_list(type, data, valid);
    if (valid) {
        size_t before_name = type == DNS_SRV ? 6 : type == DNS_MX ? 2 : 0;
        bool has_name = type == DNS_SRV || type == DNS_MX || type == DNS_PTR || type == DNS_CNAME;
        INSIST(type != DNS_A || memcmp(record.address, data.at, 4) == 0);
        INSIST(type != DNS_AAAA || memcmp(record.address, data.at, 16) == 0);
        INSIST(record.data.length < data.length && (has_name || record.name.length == 0));
        if (has_name)
            check_name(record.name, bytes_from(data, before_name));
    }
    arena_clear(&arena);
    return 0;
}
