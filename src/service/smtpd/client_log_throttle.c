/* SPDX-License-Identifier: Apache-2.0 */
#include "service/smtpd/client_log_throttle.h"

#include "base/bytes.h"

static bool has_lines_left(struct notices *notices, uint64_t now_ms)
{
    if (now_ms - notices->period_ms >= NOTICE_PERIOD_MS) {
        notices->period_ms = now_ms;
        notices->lines = 0;
    }
    return notices->lines < NOTICES_A_PERIOD_MAX;
}

bool notice_is_due(struct notices *notices, enum notice_kind kind, const uint64_t who[2], uint64_t now_ms,
                   uint64_t *times)
{
    uint64_t key = bytes_hash(bytes_of(who, 2 * sizeof *who), kind + 1) | 1;
    struct notice *notice = &notices->slots[(key >> 1) % NOTICES];
    if (notice->key != key)
        *notice = (struct notice){.key = key, .since_ms = now_ms - NOTICE_PERIOD_MS};
    notice->times++;
    if (now_ms - notice->since_ms < NOTICE_PERIOD_MS || !has_lines_left(notices, now_ms))
        return false;
    *times = notice->times;
    notice->since_ms = now_ms;
    notice->times = 0;
    notices->lines++;
    return true;
}
