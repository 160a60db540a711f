/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/trust_deferrals.h"

#include "core/dns/host.h"
#include "core/route/ip.h"
#include "io/clock.h"
#include "service/smtpd/smtpd.h"

/* A value is the minute of the first deferral. */
enum { MINUTE_BITS = 20, MINUTE_MASK = (1 << MINUTE_BITS) - 1, ROW = 4 };

struct slots trust_deferrals_table(void *at, size_t count)
{
    return (struct slots){
        .at = at, .count = count, .row = ROW, .size = sizeof(uint64_t), .value_bits = MINUTE_BITS};
}

static uint32_t age_min(uint64_t value, uint32_t minute)
{
    return (minute - (uint32_t)value) & MINUTE_MASK;
}

/* The oldest is replaced first. */
static uint64_t weigh(const struct slots *slots, const void *slot, const void *context)
{
    uint32_t age = age_min(slots_value(slots, slot), *(const uint32_t *)context);
    return age < TRUST_DEFERRALS_FORGET_MIN ? TRUST_DEFERRALS_FORGET_MIN - age : 0;
}

bool trust_deferrals_has_enough(const struct slots *table, uint64_t key, uint32_t minute)
{
    const void *slot = slots_find(table, key);
    if (slot == NULL)
        return false;
    uint32_t age = age_min(slots_value(table, slot), minute);
    return age >= TRUST_DEFERRALS_DAY_MIN && age < TRUST_DEFERRALS_FORGET_MIN;
}

void trust_deferrals_add(const struct slots *table, uint64_t key, uint32_t minute)
{
    void *slot = slots_place(table, key, weigh, &minute);
    uint64_t word = slots_word(slot);
    bool known = slots_word_is_of(table, word, key) &&
                 age_min(slots_word_value(table, word), minute) < TRUST_DEFERRALS_FORGET_MIN;
    if (!known)
        slots_replace(table, slot, word, key, minute & MINUTE_MASK);
}

/* ---- of a connection ---- */

static uint64_t key_of(const struct smtpd *smtpd, const struct smtp_connection *connection)
{
    uint64_t secret;
    struct bytes address = connection->session.origin.client_address;
    memcpy(&secret, smtpd->metrics->ticket_secret, sizeof secret);
    uint64_t sender = bytes_hash(connection->message.submission.envelope->sender, secret);
    if (!host_is_ipv4(address) && !host_is_ipv6(address))
        return sender;
    struct route_address client = route_literal(address);
    return bytes_hash(bytes_of((const char *)client.octets, client.six ? 8 : 3), sender);
}

static uint32_t now_min(void)
{
    return (uint32_t)(clock_now_ms() / (60 * 1000) + 1) & MINUTE_MASK;
}

static struct slots table_of(const struct smtpd *smtpd)
{
    return trust_deferrals_table(smtpd->metrics->deferrals, METRICS_DEFERRALS);
}

bool trust_deferrals_is_enough(const struct smtpd *smtpd, const struct smtp_connection *connection)
{
    struct slots table = table_of(smtpd);
    return trust_deferrals_has_enough(&table, key_of(smtpd, connection), now_min());
}

void trust_deferrals_note(struct smtpd *smtpd, const struct smtp_connection *connection)
{
    struct slots table = table_of(smtpd);
    trust_deferrals_add(&table, key_of(smtpd, connection), now_min());
}
