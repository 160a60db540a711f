/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake_limit: the rules for TLS handshakes (io/handshakes.h) of an smtpd process: a CPU budget per
 * address, shared by all smtpd processes (handshake_budget.h).
 */
#include "io/clock.h"
#include "service/smtpd/smtpd.h"

static void charge(struct smtpd *smtpd, const struct handshake_network *network, int64_t cpu_us)
{
    handshake_budget_charge(&smtpd->metrics->handshakes, network, clock_now_us(), cpu_us);
}

static uint64_t wait_ms(void *owner, const struct handshake_network *network, bool begun)
{
    struct smtpd *smtpd = owner;
    struct handshake_budget *budget = &smtpd->metrics->handshakes;
    uint64_t wait = handshake_budget_wait_ms(budget, network, clock_now_us(), begun);
    if (wait > 0 && log_throttle_is_due(&smtpd->handshaking, clock_now_ms()))
        handshake_budget_log(network, smtpd->handshaking.times);
    return wait;
}

static void spent(void *owner, const struct handshake_network *network, uint64_t cpu_us)
{
    charge(owner, network, (int64_t)(cpu_us < HANDSHAKE_STEP_MIN_US ? HANDSHAKE_STEP_MIN_US : cpu_us));
}

static void failed(void *owner, const struct handshake_network *network, uint64_t cpu_us)
{
    charge(owner, network, (int64_t)cpu_us * HANDSHAKE_FAILED_TIMES);
}

static const struct handshake_rules rules = {.wait_ms = wait_ms, .spent = spent, .failed = failed};

void handshake_limit_start(struct smtpd *smtpd)
{
    handshakes_start(&smtpd->handshakes, smtpd->child->loop, &rules, smtpd);
}

void handshake_limit_take(struct smtp_connection *connection)
{
    struct handshake_network network = {0};
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof from;
    if (getpeername(connection->conn.descriptor, (struct sockaddr *)&from, &length) == 0)
        handshake_network_of(&from, &network);
    conn_queue_handshakes(&connection->conn, &connection->smtpd->handshakes, &network);
}

void handshake_limit_refund(struct smtp_connection *connection)
{
    struct handshake_place *place = &connection->conn.handshake;
    charge(connection->smtpd, &place->network, -(int64_t)(place->cpu_us * HANDSHAKE_RETURN_PERCENT / 100));
    place->cpu_us = 0; /* only once */
}
