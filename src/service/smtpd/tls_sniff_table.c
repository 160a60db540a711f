/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_sniff_table: the histories of core/server/tls_sniff.h, per client address (IPv6: its /64) and port. The
 * table is shared by all smtpd processes and outlives them (run/shared_memory.h), has a fixed size, and
 * expires (base/slots.h). After a restart of the server it is empty: each address is waited for once more.
 */
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/slots.h"
#include "core/server/tls_sniff.h"
#include "io/clock.h"
#include "service/smtpd/smtpd.h"

enum {
    TLS_SNIFF_ROW = 4,
    TLS_SNIFF_REPEATS_MAX = 4, /* if other processes change the same slot; then the change is dropped */
};

static uint32_t today(void)
{
    return (uint32_t)(clock_epoch_ms() / (24 * 3600 * 1000));
}

static struct slots table_of(const struct smtpd *smtpd)
{
    return (struct slots){.at = smtpd->metrics->tls_sniffs,
                          .count = METRICS_TLS_SNIFFS,
                          .row = TLS_SNIFF_ROW,
                          .size = sizeof *smtpd->metrics->tls_sniffs,
                          .value_bits = TLS_SNIFF_WORD_BITS};
}

/* Colliding addresses only gain or lose a wait. */
static uint64_t mark_of(const struct listener *listener, const struct counted_network *network)
{
    return connection_limit_mark(listener->smtpd, network) ^ listener->port * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t weigh(const struct slots *slots, const void *slot, const void *day)
{
    return tls_sniff_weight((uint32_t)slots_value(slots, slot), *(const uint32_t *)day);
}

static struct tls_sniff history_of(const struct slots *slots, uint64_t word, uint64_t mark, uint32_t day)
{
    bool own = word != 0 && slots_word_is_of(slots, word, mark);
    return own ? tls_sniff_unpack((uint32_t)slots_word_value(slots, word), day) : (struct tls_sniff){0};
}

/* True if the slot is another address's, and that one is worth more. */
static bool displaces_more(const struct slots *slots, uint64_t word, uint64_t mark,
                           const struct tls_sniff *history, uint32_t day)
{
    return word != 0 && !slots_word_is_of(slots, word, mark) &&
           tls_sniff_weight((uint32_t)slots_word_value(slots, word), day) >
               tls_sniff_weight(tls_sniff_pack(history), day);
}

typedef bool tls_sniff_change(struct tls_sniff *history, uint64_t after_ms, uint32_t day);

static void change(const struct smtp_connection *connection, tls_sniff_change *make, uint64_t after_ms)
{
    const struct listener *listener = connection->listener;
    struct slots slots = table_of(listener->smtpd);
    uint64_t mark = mark_of(listener, connection->network);
    uint32_t day = today();
    for (int i = 0; i < TLS_SNIFF_REPEATS_MAX; i++) {
        void *slot = slots_place(&slots, mark, weigh, &day);
        uint64_t word = slots_word(slot);
        struct tls_sniff history = history_of(&slots, word, mark, day);
        if (!make(&history, after_ms, day) || displaces_more(&slots, word, mark, &history, day) ||
            slots_replace(&slots, slot, word, mark, tls_sniff_pack(&history)))
            return;
    }
}

static bool begins_without_tls(const struct smtp_connection *connection)
{
    const struct listener *listener = connection->listener;
    return listener->either_way && listener->policy.tls != TLS_IMPLICIT && !connection->tls_mismatch;
}

void tls_sniff_table_hello(const struct smtp_connection *connection)
{
    change(connection, tls_sniff_hello, clock_now_ms() - connection->since_ms);
}

static bool waited(struct tls_sniff *history, uint64_t after_ms, uint32_t day)
{
    return tls_sniff_waited(history, day);
}

void tls_sniff_table_waited(const struct smtp_connection *connection)
{
    if (begins_without_tls(connection))
        change(connection, waited, 0);
}

static bool signed_in(struct tls_sniff *history, uint64_t after_ms, uint32_t day)
{
    return tls_sniff_signed_in(history, day);
}

void tls_sniff_table_signed_in(const struct smtp_connection *connection)
{
    if (begins_without_tls(connection))
        change(connection, signed_in, 0);
}

/* True if the client has sent something already. */
static bool has_spoken(const struct accepted_connection *accepted)
{
    char first;
    return recv(accepted->descriptor, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Returns what TCP measured while the connection was made; 0 if unknown. */
static uint32_t round_trip_us(const struct accepted_connection *accepted)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    return getsockopt(accepted->descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_rtt : 0;
}

uint32_t tls_sniff_table_wait_ms(const struct listener *listener, const struct accepted_connection *accepted)
{
    if (listener->policy.tls == TLS_IMPLICIT)
        return TLS_SNIFF_WAIT_IMPLICIT_MS;
    struct slots slots = table_of(listener->smtpd);
    uint64_t mark = mark_of(listener, accepted->network);
    const void *slot = slots_find(&slots, mark);
    uint32_t day = today();
    struct tls_sniff history = history_of(&slots, slot == NULL ? 0 : slots_word(slot), mark, day);
    if (tls_sniff_wait_ms(&history, 0, day) == 0)
        return has_spoken(accepted) ? TLS_SNIFF_WAIT_MS : 0;
    return tls_sniff_wait_ms(&history, round_trip_us(accepted), day);
}
