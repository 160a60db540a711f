/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_sniff: TLS detection on ports where STARTTLS is usual. A client configured for implicit TLS sends
 * its ClientHello immediately, or after a moment (PHP reads its CA certificates first). If the greeting is
 * sent before it arrives, the connection is lost; so the server first waits for an octet. The wait is
 * learned per address and port: none where all clients so far waited for the greeting, longer where a
 * ClientHello came late. The table is shared by all smtpd processes, has a fixed size, and expires.
 */
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/slots.h"
#include "io/clock.h"
#include "service/smtpd/smtpd.h"

/* The history of one address on one port, as the value of a slot (base/slots.h). */
struct tls_history {
    uint32_t late_ms; /* 10 bits: the latest ClientHello; 0: none came */
    uint32_t patient; /* 4 bits: sessions that waited for the greeting, up to TLS_SNIFF_PATIENT_SESSIONS */
    uint32_t since_h; /* 26 bits: hours since 1970 of the last update */
};

static uint64_t tls_history_pack(struct tls_history history)
{
    return (uint64_t)history.late_ms << 30 | (uint64_t)history.patient << 26 | history.since_h;
}

static struct tls_history tls_history_unpack(uint64_t value)
{
    return (struct tls_history){.late_ms = (uint32_t)(value >> 30) & 0x3ff,
                                .patient = (uint32_t)(value >> 26) & 0xf,
                                .since_h = (uint32_t)value & 0x3ffffff};
}

/* FNV-1a. Colliding addresses only gain a wait. */
static uint64_t mark_of(const struct listener *listener, struct bytes address)
{
    uint64_t hash = (14695981039346656037u ^ listener->port) * 1099511628211u;
    for (size_t i = 0; i < address.length; i++)
        hash = (hash ^ (unsigned char)address.at[i]) * 1099511628211u;
    return hash;
}

static uint32_t now_h(void)
{
    return (uint32_t)(clock_epoch_ms() / (3600 * 1000)) & 0x3ffffff;
}

enum { TLS_HISTORY_ROW = 4, TLS_HISTORY_BITS = 40 };

static struct slots table_of(const struct listener *listener)
{
    return (struct slots){.at = listener->smtpd->metrics->tls_history,
                          .count = METRICS_TLS_HISTORY,
                          .row = TLS_HISTORY_ROW,
                          .size = sizeof *listener->smtpd->metrics->tls_history,
                          .value_bits = TLS_HISTORY_BITS};
}

/* The most recently updated history stays longest. */
static uint64_t weigh(const struct slots *slots, const void *slot, const void *context)
{
    return tls_history_unpack(slots_value(slots, slot)).since_h;
}

/* Returns the recent history, or an empty one. */
static struct tls_history recall(const struct listener *listener, struct bytes address)
{
    struct slots slots = table_of(listener);
    const void *slot = slots_find(&slots, mark_of(listener, address));
    struct tls_history history = {0};
    if (slot != NULL)
        history = tls_history_unpack(slots_value(&slots, slot));
    return now_h() - history.since_h < TLS_HISTORY_H ? history : (struct tls_history){0};
}

static void remember(const struct listener *listener, struct bytes address, struct tls_history history)
{
    struct slots slots = table_of(listener);
    uint64_t mark = mark_of(listener, address);
    history.since_h = now_h();
    slots_put(&slots, slots_place(&slots, mark, weigh, NULL), mark, tls_history_pack(history));
}

void tls_sniff_record_early(const struct listener *listener, struct bytes address, uint64_t after_ms)
{
    struct tls_history history = recall(listener, address);
    uint32_t late_ms = after_ms < TLS_SNIFF_WAIT_MAX_MS ? (uint32_t)after_ms + 1 : TLS_SNIFF_WAIT_MAX_MS;
    if (late_ms > history.late_ms)
        history.late_ms = late_ms;
    remember(listener, address, history);
}

void tls_sniff_record_wait(const struct listener *listener, struct bytes address)
{
    struct tls_history history = recall(listener, address);
    if (history.patient >= TLS_SNIFF_PATIENT_SESSIONS)
        return; /* already minimal; it expires, and is then learned again */
    history.patient++;
    remember(listener, address, history);
}

/* True if the client has sent something already. */
static bool has_spoken(const struct accepted_connection *accepted)
{
    char first;
    return recv(accepted->descriptor, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

uint32_t tls_sniff_wait_ms(const struct listener *listener, const struct accepted_connection *accepted,
                           bool known)
{
    if (listener->policy.tls == TLS_IMPLICIT)
        return TLS_SNIFF_WAIT_IMPLICIT_MS;
    struct tls_history history = recall(listener, accepted->address);
    bool patient = history.patient >= (known ? 1 : TLS_SNIFF_PATIENT_SESSIONS);
    if (patient && history.late_ms == 0)
        return has_spoken(accepted) ? TLS_SNIFF_WAIT_MS : 0;
    bool loopback = connection_limit_factor(accepted->network) == 0;
    uint32_t wait_ms = patient && loopback ? TLS_SNIFF_WAIT_LOOPBACK_MS : TLS_SNIFF_WAIT_MS;
    while (wait_ms < TLS_SNIFF_WAIT_MAX_MS && wait_ms < 2 * history.late_ms)
        wait_ms *= 2; /* few lengths: see loop_common_timeout() */
    return wait_ms < TLS_SNIFF_WAIT_MAX_MS ? wait_ms : TLS_SNIFF_WAIT_MAX_MS;
}
