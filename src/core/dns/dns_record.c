/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dns/dns_record.h"

#include <assert.h>

#include "core/dns/dns_name.h"

static uint16_t read_u16(struct bytes data, size_t at)
{
    return (uint16_t)((unsigned char)data.at[at] << 8 | (unsigned char)data.at[at + 1]);
}

/* Numbers, then a name. `numbers`: octets of them before it: 6 in SRV, 2 in MX, 0 in PTR, CNAME and NS. */
static bool read_host(struct dns_record *record, struct arena *arena, size_t numbers, struct bytes data)
{
    struct buffer name = {0};
    bool srv = numbers == 6, fine = data.length > numbers && dns_name_read(bytes_from(data, numbers), &name);
    record->preference = fine && numbers > 0 ? read_u16(data, 0) : 0;
    record->weight = fine && srv ? read_u16(data, 2) : 0;
    record->port = fine && srv ? read_u16(data, 4) : 0;
    record->name = arena_copy(arena, buffer_bytes(&name));
    buffer_free(&name);
    return fine;
}

static bool read_strings(struct dns_record *record, struct arena *arena, struct bytes data)
{
    struct buffer text = {0};
    bool fine = data.length > 0;
    while (fine && data.length > 0) {
        size_t length = (unsigned char)data.at[0];
        fine = data.length > length;
        if (fine)
            buffer_add(&text, bytes_of(data.at + 1, length));
        data = fine ? bytes_from(data, length + 1) : data;
    }
    record->data = arena_copy(arena, buffer_bytes(&text));
    buffer_free(&text);
    return fine;
}

static bool read_tlsa(struct dns_record *record, struct bytes data)
{
    if (data.length <= 3)
        return false;
    record->usage = (uint8_t)data.at[0];
    record->selector = (uint8_t)data.at[1];
    record->matching = (uint8_t)data.at[2];
    record->data = bytes_from(data, 3); /* lives as long as the answer */
    return true;
}

static bool read_address(struct dns_record *record, size_t length, struct bytes data)
{
    if (data.length != length)
        return false;
    memcpy(record->address, data.at, data.length);
    return true;
}

bool dns_record_read(struct dns_record *record, enum dns_type type, struct bytes data, struct arena *arena)
{
    bool fine = false;
    *record = (struct dns_record){0};
    switch (type) {
    case DNS_A: fine = read_address(record, 4, data); break;
    case DNS_AAAA: fine = read_address(record, 16, data); break;
    case DNS_MX: fine = read_host(record, arena, 2, data); break;
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR: fine = read_host(record, arena, 0, data); break;
    case DNS_SRV: fine = read_host(record, arena, 6, data); break;
    case DNS_TXT: fine = read_strings(record, arena, data); break;
    case DNS_TLSA: fine = read_tlsa(record, data); break;
    }
    return fine;
}

/* ---- the records of an answer ---- */

static void assert_list(const struct dns_record_list *list)
{
    assert(list->count <= list->room && list->room <= DNS_RECORDS_MAX);
    assert(list->octets <= DNS_RECORDS_OCTETS_MAX);
    assert(list->records != NULL);
}

bool dns_text_begins(struct bytes text, const char *prefix)
{
    struct bytes wanted = bytes_of_text(prefix);
    size_t equals = bytes_find(wanted, '=');
    if (equals == SIZE_MAX)
        return bytes_starts_nocase(text, prefix);
    size_t at = bytes_find(text, '=');
    return at != SIZE_MAX &&
           bytes_equal_nocase(bytes_trim(bytes_first(text, at)), bytes_first(wanted, equals)) &&
           bytes_starts_nocase(bytes_trim(bytes_from(text, at + 1)), prefix + equals + 1);
}

void dns_record_list_start(struct dns_record_list *list, size_t count, struct arena *arena)
{
    size_t room = count < DNS_RECORDS_MAX ? count : DNS_RECORDS_MAX;
    *list = (struct dns_record_list){.records = ARENA_ARRAY(arena, struct dns_record, room + 1),
                                     .room = room};
    assert_list(list);
}

void dns_record_list_add(struct dns_record_list *list, enum dns_type type, const char *prefix,
                         struct bytes data, struct arena *arena)
{
    struct dns_record record;
    assert_list(list);
    if (!dns_record_read(&record, type, data, arena) ||
        (prefix != NULL && type == DNS_TXT && !dns_text_begins(record.data, prefix)))
        return;
    size_t octets = record.name.length + record.data.length;
    if (list->count == list->room || list->octets + octets > DNS_RECORDS_OCTETS_MAX) {
        list->cut = true;
        return;
    }
    list->records[list->count++] = record;
    list->octets += octets;
    assert_list(list);
}
