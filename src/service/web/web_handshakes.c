/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_handshakes: the rules for TLS handshakes (io/handshakes.h) of the web process: a CPU budget per address
 * (handshake_budget.h), which is not that of smtpd.
 */
#include "io/clock.h"
#include "service/handshake_budget.h"
#include "service/web/web.h"

static struct handshake_budget budget_here; /* one per process */

static void charge(const struct handshake_network *network, int64_t cpu_us)
{
    handshake_budget_charge(&budget_here, network, clock_now_us(), cpu_us);
}

static uint64_t wait_ms(void *owner, const struct handshake_network *network, bool begun)
{
    struct web *web = owner;
    uint64_t wait = handshake_budget_wait_ms(&budget_here, network, clock_now_us(), begun);
    if (wait > 0 && log_throttle_is_due(&web->delaying, clock_now_ms()))
        handshake_budget_log(network, web->delaying.times);
    return wait;
}

static void spent(void *owner, const struct handshake_network *network, uint64_t cpu_us)
{
    charge(network, (int64_t)(cpu_us < HANDSHAKE_STEP_MIN_US ? HANDSHAKE_STEP_MIN_US : cpu_us));
}

static void failed(void *owner, const struct handshake_network *network, uint64_t cpu_us)
{
    charge(network, (int64_t)cpu_us * HANDSHAKE_FAILED_TIMES);
}

static const struct handshake_rules rules = {.wait_ms = wait_ms, .spent = spent, .failed = failed};

void web_handshakes_start(struct web *web)
{
    handshake_budget_start(&budget_here);
    handshakes_start(&web->handshakes, web->child->loop, &rules, web);
}
