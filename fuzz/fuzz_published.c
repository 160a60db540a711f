/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever stands in an Outlook request or in an address: what is published
 * for it has no markup of the asker's, and is read back as it was meant. */
#include "autoconfig.h"
#include "choices.h"
#include "domain/published.h"

/* Octets that begin an element are ours alone: as many as without an address. */
static size_t elements(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += text.at[i] == '<';
    return count;
}

static size_t written(void (*form)(struct buffer *out, const struct published *p), struct published facts, struct bytes address)
{
    struct buffer out = {0};
    facts.address = address;
    form(&out, &facts);
    size_t count = elements(buffer_bytes(&out));
    buffer_free(&out);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct autoconfig read;
    static char room[PUBLISHED_ADDRESS_MAX + 1];
    struct bytes octets = bytes_of(data, size), address = bytes_first(octets, PUBLISHED_ADDRESS_MAX);
    struct published facts = {.domain = BYTES("example.org"), .hostname = BYTES("mx.example.org"), .starttls = {587, 2525}, .implicit = {465}, .imaps = 993};
    struct buffer out = {0};
    if (published_pox_address(octets, room)) {
        address = bytes_of_text(room);
        INSIST(address.length > 0 && !bytes_has_control(address));
    }
    INSIST(written(published_autodiscover, facts, address) == written(published_autodiscover, facts, BYTES("ada@example.org")));
    INSIST(written(published_mobileconfig, facts, address) == written(published_mobileconfig, facts, BYTES("ada@example.org")));
    facts.address = address;
    published_autoconfig(&out, &facts);
    INSIST(autoconfig_read(&read, buffer_bytes(&out)) && read.count == 3 && read.servers[0].port == 587 && read.servers[1].port == 465);
    buffer_free(&out);
    return 0;
}
