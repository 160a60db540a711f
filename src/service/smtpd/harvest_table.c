/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "base/slots.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/smtpd/harvest_entry.h"
#include "service/smtpd/smtpd.h"

/* ---- the table ---- */

/* Returns minutes since boot; never 0. */
static uint32_t now_min(void)
{
    return (uint32_t)(clock_now_ms() / (60 * 1000) + 1) & HARVEST_ENTRY_MINUTE_MAX;
}

static struct slots table_of(const struct smtpd *smtpd)
{
    return harvest_entry_table(smtpd->metrics->harvests, METRICS_HARVESTS);
}

/* ---- named recipients ---- */

/* The value of a slot is the minute. */
enum { NAMED_MINUTE_BITS = 12, NAMED_MINUTE_MASK = (1 << NAMED_MINUTE_BITS) - 1, NAMED_ROW = 4 };

static uint32_t named_age_min(uint64_t minute)
{
    return (now_min() - (uint32_t)minute) & NAMED_MINUTE_MASK;
}

static uint64_t weigh_named(const struct slots *slots, const void *slot, const void *context)
{
    uint32_t age_min = named_age_min(slots_value(slots, slot));
    return age_min < HARVEST_NAMED_MIN ? HARVEST_NAMED_MIN - age_min : 0;
}

/* True the first time within a while that a client names a recipient. An evicted one counts again. */
static bool is_news(const struct smtpd *smtpd, uint64_t mark, struct bytes address)
{
    struct slots slots = {.at = smtpd->metrics->named,
                          .count = METRICS_NAMED,
                          .row = NAMED_ROW,
                          .size = sizeof *smtpd->metrics->named,
                          .value_bits = NAMED_MINUTE_BITS};
    uint64_t hash = bytes_hash(address, mark);
    void *slot = slots_place(&slots, hash, weigh_named, NULL);
    uint64_t word = slots_word(slot);
    if (slots_word_is_of(&slots, word, hash) &&
        named_age_min(slots_word_value(&slots, word)) < HARVEST_NAMED_MIN)
        return false;
    /* if another process has just put it, that one counts it */
    return slots_replace(&slots, slot, word, hash, now_min()) || !slots_is_of(&slots, slot, hash);
}

/* ---- clients ---- */

static uint32_t free_of(const struct smtpd *smtpd, uint32_t factor)
{
    uint32_t free = smtpd->child->config->limits.unknown_recipients * factor;
    return free < HARVEST_FREE_MAX ? free : HARVEST_FREE_MAX;
}

static bool is_counted(const struct smtpd *smtpd, const struct counted_network *network)
{
    return smtpd->child->config->limits.unknown_recipients > 0 && connection_limit_factor(network) > 0;
}

static uint64_t mark_of_account(const struct smtp_connection *connection)
{
    uint64_t secret;
    memcpy(&secret, connection->smtpd->metrics->ticket_secret, sizeof secret);
    return bytes_hash(connection->session.origin.account, secret);
}

/* The keys that a connection's recipients count for: an account, or an address with its networks. */
struct harvest_counts {
    uint64_t marks[4];
    uint32_t frees[4];
    size_t count;
};

static struct harvest_counts counted_by_address(const struct smtpd *smtpd,
                                                const struct counted_network *network)
{
    struct harvest_counts counted = {.count = 0};
    for (; network != NULL && is_counted(smtpd, network) && counted.count < ARRAY_LENGTH(counted.marks);
         network = network->wider) {
        counted.marks[counted.count] = connection_limit_mark(smtpd, network);
        counted.frees[counted.count++] = free_of(smtpd, connection_limit_factor(network));
    }
    return counted;
}

static struct harvest_counts counted_for(const struct smtp_connection *connection)
{
    const struct smtpd *smtpd = connection->smtpd;
    enum server_role role = connection->session.policy->role;
    if (role == ROLE_MX)
        return counted_by_address(smtpd, connection->network);
    if (role != ROLE_SUBMISSION || smtpd->child->config->limits.unknown_recipients == 0)
        return (struct harvest_counts){.count = 0};
    return (struct harvest_counts){.marks = {mark_of_account(connection)},
                                   .frees = {free_of(smtpd, HARVEST_ACCOUNT_FACTOR)},
                                   .count = 1};
}

/* ---- consequences ---- */

/* A client with a good record is not affected by its network, unless all of the network's guesses came
 * from such clients. */
static uint32_t blocked_min_of(const struct smtpd *smtpd, const struct harvest_counts *counted)
{
    uint32_t longest = 0, minute = now_min();
    struct slots slots = table_of(smtpd);
    bool good = false;
    for (size_t i = 0; i < counted->count; i++) {
        struct harvest harvest = harvest_entry_read(&slots, counted->marks[i], minute);
        uint32_t minutes = harvest_blocked_min(&harvest, minute);
        bool excused = good && !harvest_is_hopeless(&harvest, counted->frees[i]);
        if (!excused && minutes > longest)
            longest = minutes;
        good = good || (i == 0 && harvest_is_good(&harvest));
    }
    return longest;
}

uint32_t harvest_table_blocked_min(const struct smtpd *smtpd, const struct counted_network *network)
{
    struct harvest_counts counted = counted_by_address(smtpd, network);
    return blocked_min_of(smtpd, &counted);
}

bool harvest_table_is_blocked(const struct smtp_connection *connection)
{
    struct harvest_counts counted = counted_for(connection);
    return blocked_min_of(connection->smtpd, &counted) > 0;
}

static void log_news(const struct smtp_connection *connection, enum harvest_news news)
{
    bool blocked = news == HARVEST_BLOCKED;
    uint64_t times;
    if (!blocked && !client_log_throttle_is_due(&connection->smtpd->client_log, CLIENT_LOG_SLOWED,
                                                connection->network->key, clock_now_ms(), &times))
        return;
    log_event(LOG_EVENT_WARN, blocked ? "client_blocked" : "client_slowed",
              LOG_TEXT("reason", "the client names mostly recipients that do not exist"),
              LOG_TEXT("client", connection->address), LOG_U64("port", connection->listener->port),
              LOG_BYTES("account", connection->session.origin.account),
              LOG_TEXT("hint", "if this client is one of yours: limits.unknown_recipients"));
}

/* Returns the delay of its rejection; UINT32_MAX if the client is disconnected. */
static uint32_t count_refusal(const struct smtp_connection *connection, struct bytes address)
{
    const struct smtpd *smtpd = connection->smtpd;
    struct harvest_counts counted = counted_for(connection);
    uint32_t longest_ms = 0, minute = now_min(), fresh = server_session_progress(&connection->session).fresh;
    struct slots slots = table_of(smtpd);
    bool good = false;
    for (size_t i = 0; i < counted.count; i++) {
        struct harvest harvest;
        uint32_t free = counted.frees[i], delay_ms = 0;
        if (!is_news(smtpd, counted.marks[i], address)) {
            harvest = harvest_entry_read(&slots, counted.marks[i], minute);
        } else {
            enum harvest_news news = harvest_entry_refused(&slots, counted.marks[i], free, fresh, minute,
                                                           &harvest);
            if (news != HARVEST_NOTHING_NEW)
                log_news(connection, news);
            delay_ms = harvest_delay_ms(&harvest, free, fresh);
        }
        if (harvest_blocked_min(&harvest, minute) > 0)
            delay_ms = UINT32_MAX;
        bool excused = good && !harvest_is_hopeless(&harvest, free);
        if (!excused && delay_ms > longest_ms)
            longest_ms = delay_ms;
        good = good || (i == 0 && harvest_is_good(&harvest));
    }
    return longest_ms;
}

/* ---- delayed replies ---- */

static bool can_hold(const struct smtpd *smtpd)
{
    const struct config *config = smtpd->child->config;
    uint32_t most = config->limits.connections / (HELD_PART * config->smtpd_count);
    return smtpd->held_count <= most &&
           atomic_load_explicit(&smtpd->metrics->pressed, memory_order_relaxed) == 0;
}

bool harvest_table_refused(struct smtp_connection *connection, struct bytes address)
{
    struct smtpd *smtpd = connection->smtpd;
    uint32_t delay_ms = count_refusal(connection, address);
    if (delay_ms == 0)
        return false;
    if (delay_ms == UINT32_MAX || !can_hold(smtpd) || connection->stage != SMTP_TALKING) {
        server_session_answer_guessed(&connection->session);
        return true;
    }
    connection->stage = SMTP_HELD;
    smtpd->held_count++;
    conn_set_deadline(&connection->conn, delay_ms);
    return true;
}

void harvest_table_release(struct smtp_connection *connection)
{
    if (connection->stage != SMTP_HELD)
        return;
    connection->stage = SMTP_TALKING;
    connection->smtpd->held_count--;
}

/* Counts recipients that recently got mail of this client as repeats. An alias is one, however many
 * members it has. */
static void count_accepted(const struct smtp_connection *connection, const struct envelope *envelope,
                           uint64_t mark, uint32_t free)
{
    uint32_t all = server_session_progress(&connection->session).fresh, fresh = 0;
    for (size_t i = 0; i < envelope->recipient_count; i++)
        fresh += is_news(connection->smtpd, mark, envelope->recipients[i].address);
    fresh = fresh < all ? fresh : all;
    struct slots slots = table_of(connection->smtpd);
    harvest_entry_accepted(&slots, mark, free, fresh, all - fresh, now_min());
}

void harvest_table_accepted(struct smtp_connection *connection, const struct envelope *envelope)
{
    struct harvest_counts counted = counted_for(connection);
    for (size_t i = 0; i < counted.count; i++)
        count_accepted(connection, envelope, counted.marks[i], counted.frees[i]);
}
