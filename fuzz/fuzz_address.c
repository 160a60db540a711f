/* SPDX-License-Identifier: Apache-2.0 */
/* An address stays valid in its canonical form, which is stable. */
#include "choices.h"
#include "core/smtp/address.h"

static void check_address(struct bytes text, bool utf8)
{
    struct address address, again;
    struct buffer canonical = {0}, twice = {0};
    if (!address_parse(text, utf8, &address))
        return;
    INSIST(address.local.length > 0 && address.local.length <= LOCAL_PART_MAX &&
           address.domain.length <= DOMAIN_MAX);
    INSIST(text.length <= ADDRESS_MAX && !bytes_has_control(text) && (utf8 || bytes_is_ascii(text)));
    address_canonical(&canonical, &address);
    INSIST(address_parse(buffer_bytes(&canonical), utf8, &again));
    INSIST(again.literal == address.literal && again.smtputf8 == address.smtputf8);
    address_canonical(&twice, &again);
    INSIST(bytes_equal(buffer_bytes(&canonical), buffer_bytes(&twice)));
    struct bytes local, domain;
    INSIST(address_split(text, &local, &domain) && (address.literal || bytes_equal(domain, address.domain)));
    buffer_free(&canonical);
    buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size), address;
    size_t used;
    for (int utf8 = 0; utf8 <= 1; utf8++) {
        struct address parsed;
        check_address(text, utf8);
        switch (address_parse_path(text, utf8, &address, &used)) {
        case PATH_MALFORMED: continue;
        case PATH_NULL: INSIST(address.length == 0); break;
        case PATH_POSTMASTER: INSIST(bytes_is_nocase(address, "postmaster")); break;
        case PATH_LOCAL: INSIST(address.length > 0 && bytes_is_utf8(address)); break;
        case PATH_ADDRESS: INSIST(address_parse(address, utf8, &parsed)); break;
        }
        INSIST(used > 0 && used <= size && (text.at[0] == '<') == (text.at[used - 1] == '>'));
    }
    return 0;
}
