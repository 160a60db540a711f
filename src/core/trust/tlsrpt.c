/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/tlsrpt.h"

#include "core/route/sts.h"
#include "core/trust/tags.h"

static bool add_uris(struct bytes value, struct report_uris *rua)
{
    struct bytes item;
    while (tags_next_item(&value, ',', &item)) {
        if (!report_uri_is_valid(item))
            return false;
        if (rua->count < REPORT_URIS_MAX)
            rua->uris[rua->count++] = item;
    }
    return true;
}

static bool read_field(struct bytes field, struct report_uris *rua)
{
    size_t equals = bytes_find(field, '=');
    if (equals == SIZE_MAX)
        return false;
    if (bytes_is(bytes_first(field, equals), "rua"))
        return add_uris(bytes_from(field, equals + 1), rua);
    return sts_is_extension(field);
}

bool tlsrpt_read(struct bytes text, struct report_uris *rua)
{
    struct bytes field;
    *rua = (struct report_uris){.count = 0};
    if (text.length > TLSRPT_RECORD_MAX || !tags_next_item(&text, ';', &field) ||
        !bytes_is(field, "v=TLSRPTv1"))
        return false;
    while (tags_next_item(&text, ';', &field)) {
        bool at_end = field.length == 0 && text.at == NULL; /* a final semicolon */
        if (!at_end && !read_field(field, rua))
            return false;
    }
    return rua->count > 0;
}

/* True if the record begins with the version and a semicolon: others do not count (RFC 8460 3). */
static bool is_record(struct bytes text)
{
    struct bytes version;
    return tags_next_item(&text, ';', &version) && text.at != NULL && bytes_is(version, "v=TLSRPTv1");
}

enum tlsrpt_state tlsrpt_look_up(struct bytes domain, struct dns_facts *facts, struct report_uris *rua)
{
    struct bytes record = bytes_none();
    size_t count = 0;
    char *name = arena_format(facts->texts, "_smtp._tls.%.*s", BYTES_ARG(domain));
    const struct dns_answer *answer = dns_facts_look_up_text(facts, bytes_of_text(name), TLSRPT_PREFIX);
    if (answer->status == DNS_UNKNOWN || !dns_status_is_told(answer->status))
        return TLSRPT_TEMPERROR;
    for (size_t i = 0; i < answer->count; i++)
        if (is_record(answer->records[i].data) && ++count == 1)
            record = answer->records[i].data;
    return count == 1 && tlsrpt_read(record, rua) ? TLSRPT_WANTED : TLSRPT_NONE;
}
