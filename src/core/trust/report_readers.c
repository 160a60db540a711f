/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/report_readers.h"

#include "core/trust/dmarc.h"
#include "core/trust/report_ledger.h"
#include "core/trust/tlsrpt.h"

/* Finds the one usable DMARC record of the name itself. */
static enum report_wanted find_dmarc(struct bytes domain, struct dns_facts *facts, struct report_uris *rua)
{
    struct dmarc_record record;
    size_t count = 0;
    char *name = arena_format(facts->arena, "_dmarc.%.*s", BYTES_ARG(domain));
    const struct dns_answer *answer = dns_facts_look_up_text(facts, bytes_of_text(name), DMARC_PREFIX);
    rua->count = 0;
    if (answer->status == DNS_UNKNOWN || !dns_status_is_told(answer->status))
        return REPORT_UNKNOWN;
    for (size_t i = 0; i < answer->count; i++)
        if (dmarc_record_read(answer->records[i].data, &record) && ++count == 1 && record.usable)
            *rua = record.rua;
    return count == 1 && rua->count > 0 ? REPORT_WANTED : REPORT_UNWANTED;
}

static enum report_wanted find_uris(enum report_kind kind, struct bytes domain, struct dns_facts *facts,
                                    struct report_uris *rua)
{
    static const enum report_wanted of_tls[] = {[TLSRPT_NONE] = REPORT_UNWANTED,
                                                [TLSRPT_WANTED] = REPORT_WANTED,
                                                [TLSRPT_TEMPERROR] = REPORT_UNKNOWN};
    return kind == REPORT_KIND_TLS ? of_tls[tlsrpt_look_up(domain, facts, rua)]
                                   : find_dmarc(domain, facts, rua);
}

/* Returns the address, or nothing: https: is not supported. */
static struct bytes address_of(struct bytes uri, struct arena *arena)
{
    struct buffer text = {0};
    struct bytes address = bytes_none();
    if (report_uri_address(uri, &text) && bytes_is_ascii(buffer_bytes(&text)) &&
        text.length <= REPORT_ADDRESS_MAX)
        address = arena_copy(arena, buffer_bytes(&text));
    buffer_free(&text);
    return address;
}

static enum dmarc_external is_allowed(enum report_kind kind, struct bytes domain, struct bytes address,
                                      struct dns_facts *facts)
{
    struct bytes host = bytes_from(address, bytes_find_last(address, '@') + 1);
    return kind == REPORT_KIND_TLS ? DMARC_EXTERNAL_YES : dmarc_external_allowed(domain, host, facts);
}

enum report_wanted report_readers_find(enum report_kind kind, struct bytes domain, struct dns_facts *facts,
                                       struct report_readers *readers)
{
    struct report_uris rua;
    bool unknown = false;
    readers->address_count = 0;
    enum report_wanted wanted = find_uris(kind, domain, facts, &rua);
    if (wanted != REPORT_WANTED)
        return wanted;
    for (size_t i = 0; i < rua.count; i++) {
        struct bytes address = address_of(rua.uris[i], facts->arena);
        if (address.length == 0)
            continue;
        switch (is_allowed(kind, domain, address, facts)) {
        case DMARC_EXTERNAL_YES: readers->addresses[readers->address_count++] = address; break;
        case DMARC_EXTERNAL_TEMPERROR: unknown = true; break;
        case DMARC_EXTERNAL_NO: break;
        }
    }
    return readers->address_count > 0 ? REPORT_WANTED : unknown ? REPORT_UNKNOWN : REPORT_UNWANTED;
}
