/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/accept_share.h"

#include <sched.h>
#include <stdatomic.h>

#include "io/clock.h"
#include "service/smtpd/smtpd.h"

void accept_share_publish(const struct smtpd *smtpd)
{
    uint32_t told = smtpd->accept_share.ended ? 0 : 1 + (uint32_t)smtpd->connection_count;
    atomic_store_explicit(&smtpd->metrics->accepting[smtpd->child->number], told, memory_order_relaxed);
}

void accept_share_end(struct smtpd *smtpd)
{
    smtpd->accept_share.ended = true;
    accept_share_publish(smtpd);
}

static void open_window(struct accept_share *share, uint64_t now_us)
{
    uint64_t window = now_us / (ACCEPT_SHARE_WINDOW_MS * 1000);
    if (window == share->window)
        return;
    share->ends[1] = window == share->window + 1 ? share->ends[0] : 0;
    share->ends[0] = 0;
    share->window = window;
}

void accept_share_count_end(struct smtpd *smtpd, uint64_t after_ms)
{
    if (after_ms >= ACCEPT_SHARE_WINDOW_MS)
        return;
    open_window(&smtpd->accept_share, clock_now_us());
    smtpd->accept_share.ends[0]++;
}

/* Returns the smallest number of connections of a process that accepts. */
static size_t least_connections(const struct smtpd *smtpd)
{
    size_t least = smtpd->connection_count;
    for (size_t i = 0; i < METRICS_SLOTS && least > 0; i++) {
        uint32_t told = atomic_load_explicit(&smtpd->metrics->accepting[i], memory_order_relaxed);
        if (told > 0 && told - 1 < least)
            least = told - 1;
    }
    return least;
}

bool accept_share_leaves(struct smtpd *smtpd)
{
    struct accept_share *share = &smtpd->accept_share;
    if (share->accepts > 0) {
        share->accepts--;
        return false;
    }
    size_t least = least_connections(smtpd);
    uint64_t now_us = clock_now_us();
    open_window(share, now_us);
    if (smtpd->connection_count <= least + least / 4 + ACCEPT_SHARE_SLACK ||
        share->ends[0] + share->ends[1] >= ACCEPT_SHARE_ENDS_MAX) {
        share->since_us = 0;
        return false;
    }
    if (share->since_us == 0 || least != share->least) { /* it has come: there may be more for it */
        share->since_us = now_us;
        share->least = least;
    }
    if (now_us - share->since_us >= ACCEPT_SHARE_US) {
        share->since_us = 0;
        share->accepts = ACCEPT_SHARE_BUSY - 1;
        return false;
    }
    sched_yield();
    return true;
}
