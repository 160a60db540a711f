/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_clients: addresses from which a client authenticated within the last weeks (IPv6: their /64). A
 * part of the connections is reserved for them. The table has a fixed size and is shared by all smtpd
 * processes (base/slots.h); only a right password adds an entry. In a full row the client whose last
 * authentication is oldest is replaced, and counts as a stranger until it authenticates again.
 */
#include "base/slots.h"
#include "io/clock.h"
#include "service/smtpd/smtpd.h"

enum {
    /* hours since the last authentication; as long as auth remembers (LOGIN_THROTTLE_TRUSTED_MS) */
    KNOWN_CLIENTS_H = 30 * 24,
    HOURS_BITS = 24,
    KNOWN_CLIENTS_ROW = 4,
};

static const uint64_t hours_mask = (UINT64_C(1) << HOURS_BITS) - 1;

static uint64_t now_h(void)
{
    return clock_epoch_ms() / (3600 * 1000) & hours_mask;
}

static struct slots table_of(const struct smtpd *smtpd)
{
    return (struct slots){.at = smtpd->metrics->known_clients,
                          .count = METRICS_KNOWN_CLIENTS,
                          .row = KNOWN_CLIENTS_ROW,
                          .size = sizeof *smtpd->metrics->known_clients,
                          .value_bits = HOURS_BITS};
}

static uint64_t age_h(const struct slots *slots, const void *slot)
{
    return (now_h() - slots_value(slots, slot)) & hours_mask;
}

static uint64_t weigh(const struct slots *slots, const void *slot, const void *context)
{
    uint64_t age = age_h(slots, slot);
    return age > KNOWN_CLIENTS_H ? 0 : hours_mask - age;
}

bool known_clients_has(const struct smtpd *smtpd, const struct counted_network *network)
{
    struct slots slots = table_of(smtpd);
    const void *slot = slots_find(&slots, connection_limit_mark(smtpd, network));
    return slot != NULL && age_h(&slots, slot) <= KNOWN_CLIENTS_H;
}

void known_clients_add(struct smtpd *smtpd, const struct counted_network *network)
{
    struct slots slots = table_of(smtpd);
    uint64_t mark = connection_limit_mark(smtpd, network);
    slots_put(&slots, slots_place(&slots, mark, weigh, NULL), mark, now_h());
}
