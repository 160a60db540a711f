/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any sender: rewritten it is an address, and comes back as it was; rewritten once more it comes back to the
 * first. Any text as a rewritten sender: it comes back only with its own hash, and then as one line.
 */
#include "choices.h"
#include "core/smtp/address.h"
#include "core/trust/srs.h"

enum { NOW_S = 1795435200 };

static void hash_of(const struct srs_signed *text, uint8_t mac[SRS_MAC_OCTETS])
{
    uint64_t hash = bytes_hash(bytes_of(text->at, text->length), 1);
    for (size_t i = 0; i < SRS_MAC_OCTETS; i++)
        mac[i] = (uint8_t)(hash >> (8 * i));
}

static bool rewrite(struct bytes sender, struct buffer *out)
{
    struct srs_plan plan;
    uint8_t mac[SRS_MAC_OCTETS];
    if (!srs_plan(&plan, sender, NOW_S))
        return false;
    hash_of(&plan.signed_text, mac);
    srs_write(&plan, mac, BYTES("us.example"), out);
    return true;
}

static enum srs_result come_back(struct bytes local, struct buffer *out)
{
    struct srs_reading reading;
    uint8_t mac[SRS_MAC_OCTETS];
    if (!srs_read(&reading, local))
        return SRS_FORGED;
    hash_of(&reading.signed_text, mac);
    return srs_open(&reading, mac, NOW_S, out);
}

static void check_sender(struct bytes sender)
{
    struct buffer there = {0}, back = {0};
    struct address address;
    if (address_parse(sender, true, &address) && rewrite(sender, &there)) {
        INSIST(address_parse(buffer_bytes(&there), true, &address));
        INSIST(address.local.length <= SRS_LOCAL_MAX);
        INSIST(come_back(address.local, &back) == SRS_OPENED);
        if (!bytes_starts_nocase(sender, "SRS") && !bytes_starts_nocase(sender, "\"SRS"))
            INSIST(bytes_equal(buffer_bytes(&back), sender));
    }
    buffer_free(&there);
    buffer_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer back = {0};
    struct address address;
    struct bytes text = bytes_of(data, size);
    check_sender(text);
    if (address_parse(text, true, &address) && come_back(address.local, &back) == SRS_OPENED)
        INSIST(!bytes_has_control(buffer_bytes(&back)));
    INSIST(come_back(text, &back) == SRS_FORGED || back.length > 0);
    buffer_free(&back);
    return 0;
}
