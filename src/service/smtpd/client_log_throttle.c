/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/client_log_throttle.h"

#include "base/bytes.h"
#include "base/slots.h"

static bool has_lines_left(struct client_log_throttle *client_log, uint64_t now_ms)
{
    if (now_ms - client_log->period_ms >= CLIENT_LOG_PERIOD_MS) {
        client_log->period_ms = now_ms;
        client_log->lines = 0;
    }
    return client_log->lines < CLIENT_LOG_LINES_MAX;
}

/* The most recently logged client stays longest. */
static uint64_t weigh(const struct slots *slots, const void *slot, const void *context)
{
    return ((const struct client_log_slot *)slot)->since_ms;
}

bool client_log_throttle_is_due(struct client_log_throttle *client_log, enum client_log_kind kind,
                                const uint64_t who[2], uint64_t now_ms, uint64_t *times)
{
    const struct slots slots = {.at = client_log->slots,
                                .count = CLIENT_LOG_SLOTS,
                                .row = CLIENT_LOG_ROW,
                                .size = sizeof *client_log->slots};
    uint64_t key = bytes_hash(bytes_of(who, 2 * sizeof *who), kind + 1);
    struct client_log_slot *notice = slots_claim(&slots, key, weigh, NULL);
    if (notice->times == 0 && notice->since_ms == 0) /* it is new */
        notice->since_ms = now_ms - CLIENT_LOG_PERIOD_MS;
    notice->times++;
    if (now_ms - notice->since_ms < CLIENT_LOG_PERIOD_MS || !has_lines_left(client_log, now_ms))
        return false;
    *times = notice->times;
    notice->since_ms = now_ms;
    notice->times = 0;
    client_log->lines++;
    return true;
}
