/* SPDX-License-Identifier: Apache-2.0 */
#include "core/domain/row_check.h"

struct bytes found_text_clean(struct bytes text, struct arena *arena)
{
    struct buffer clean = {0};
    buffer_add_clean(&clean, bytes_first(text, DOMAIN_FOUND_MAX), true);
    struct bytes copy = arena_copy(arena, buffer_bytes(&clean));
    buffer_free(&clean);
    return copy;
}

static void add_record(const struct dns_record *r, enum dns_type type, struct buffer *out)
{
    struct route_address address = {.six = type == DNS_AAAA};
    if (out->length > 0)
        buffer_add_text(out, ", ");
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        memcpy(address.octets, r->address, sizeof address.octets);
        route_address_text(out, &address);
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
        buffer_add_octet(out, '"');
        buffer_add(out, bytes_first(r->data, DOMAIN_FOUND_MAX));
        buffer_add_octet(out, '"');
        break;
    case DNS_TLSA: buffer_add_format(out, "%u %u %u ...", r->usage, r->selector, r->matching); break;
    }
}

static struct bytes records_text(const struct dns_answer *answer, enum dns_type type, const char *word,
                                 struct arena *arena)
{
    struct buffer text = {0};
    for (size_t i = 0; i < answer->count && text.length < DOMAIN_FOUND_MAX; i++)
        if (word == NULL || bytes_starts_nocase(answer->records[i].data, word))
            add_record(&answer->records[i], type, &text);
    struct bytes clean = found_text_clean(buffer_bytes(&text), arena);
    buffer_free(&text);
    return clean;
}

struct bytes found_text_of(const struct dns_answer *answer, enum dns_type type, struct arena *arena)
{
    return records_text(answer, type, NULL, arena);
}

struct bytes found_text_with(const struct dns_answer *answer, const char *word, struct arena *arena)
{
    return records_text(answer, DNS_TXT, word, arena);
}
