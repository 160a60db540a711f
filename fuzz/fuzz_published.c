/* SPDX-License-Identifier: Apache-2.0 */
/* For any Outlook request or address: the published settings contain no markup of the requester, and read
 * back as intended. */
#include "choices.h"
#include "core/domain/published.h"
#include "io/autoconfig.h"

/* Octets that begin an element are ours alone: as many as without an address. */
static size_t elements(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += text.at[i] == '<';
    return count;
}

static size_t written(void (*form)(struct buffer *out, const struct published *p), struct published facts,
                      struct bytes address)
{
    struct buffer out = {0};
    facts.address = address;
    form(&out, &facts);
    size_t count = elements(buffer_bytes(&out));
    buffer_free(&out);
    return count;
}

/* How many of them are published. */
static size_t choose_ports(struct choices *choices, uint16_t *served, size_t count)
{
    static const uint16_t ports[] = {587, 465, 2525, 0, 25, 8587};
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        served[i] = ports[choose(choices, ARRAY_LENGTH(ports))];
        wanted += served[i] != 0 && served[i] != 25;
    }
    return wanted;
}

/* Read back by our own reader: the ports of submission, the best first; never 25. */
static void check_settings(struct choices *choices)
{
    static struct autoconfig read;
    struct published facts = {
        .domain = BYTES("example.org"), .hostname = BYTES("mx.example.org"), .imaps = 993};
    struct buffer out = {0};
    size_t wanted = choose_ports(choices, facts.starttls, ARRAY_LENGTH(facts.starttls)), found = 0;
    wanted += choose_ports(choices, facts.implicit, ARRAY_LENGTH(facts.implicit));
    published_autoconfig(&out, &facts);
    INSIST(autoconfig_read(&read, buffer_bytes(&out)) || wanted == 0);
    for (size_t i = 0; wanted > 0 && i < read.count; i++) {
        INSIST(read.servers[i].port != 25 && bytes_is(read.servers[i].host, "mx.example.org"));
        found += read.servers[i].port != 993;
    }
    INSIST(wanted == 0 || found == wanted);
    buffer_free(&out);
}

/* Formats without an address are written in any configuration. */
static void check_page(struct choices *choices, struct published facts)
{
    struct buffer out = {0};
    facts.imap = choose(choices, 2) == 0 ? 143 : 0;
    facts.pop3s = choose(choices, 2) == 0 ? 995 : 0;
    facts.imaps = choose(choices, 2) == 0 ? 993 : 0;
    published_page(&out, &facts);
    facts.domain = bytes_none();
    published_page(&out, &facts);
    facts.domain = BYTES("example.org");
    published_autodiscover_json(&out, &facts);
    published_autodiscover_error(&out);
    INSIST(bytes_is_utf8(buffer_bytes(&out)) &&
           bytes_search(buffer_bytes(&out), BYTES("mx.example.org")) != SIZE_MAX);
    INSIST(published_is_read_here(&facts) == (facts.imap + facts.pop3s + facts.imaps > 0));
    INSIST(written(published_autodiscover, facts, BYTES("ada@example.org")) > 0 &&
           written(published_mobileconfig, facts, BYTES("ada@example.org")) > 0);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static size_t elements_discovered, elements_mobile; /* with an address that has none of its own */
    static char room[PUBLISHED_ADDRESS_MAX + 1];
    struct choices choices;
    struct bytes octets = choices_start(&choices, data, size),
                 address = bytes_first(octets, PUBLISHED_ADDRESS_MAX);
    struct published facts = {.domain = BYTES("example.org"),
                              .hostname = BYTES("mx.example.org"),
                              .starttls = {587, 2525},
                              .implicit = {465},
                              .imaps = 993};
    if (elements_discovered == 0) {
        elements_discovered = written(published_autodiscover, facts, BYTES("ada@example.org"));
        elements_mobile = written(published_mobileconfig, facts, BYTES("ada@example.org"));
    }
    if (published_pox_address(octets, room)) {
        address = bytes_of_text(room);
        INSIST(address.length > 0 && !bytes_has_control(address));
    }
    unsigned form = choose(&choices, 8); /* one a run: they are long */
    if (form % 2 == 0)
        INSIST(written(published_autodiscover, facts, address) == elements_discovered);
    else
        INSIST(written(published_mobileconfig, facts, address) == elements_mobile);
    if (form == 1) {
        check_settings(&choices);
        check_page(&choices, facts);
    }
    return 0;
}
