/* SPDX-License-Identifier: Apache-2.0 */
#include "io/log_throttle.h"

bool log_throttle_is_due(struct log_throttle *throttle, uint64_t now_ms)
{
    bool tell = !throttle->lasts || now_ms - throttle->logged_ms >= LOG_THROTTLE_REPEAT_MS;
    throttle->times = throttle->lasts ? throttle->times + 1 : 1;
    throttle->lasts = true;
    throttle->met_ms = now_ms;
    if (tell)
        throttle->logged_ms = now_ms;
    return tell;
}

bool log_throttle_recovered(struct log_throttle *throttle, uint64_t now_ms)
{
    if (!throttle->lasts || now_ms - throttle->met_ms < LOG_THROTTLE_CALM_MS)
        return false;
    throttle->lasts = false;
    return true;
}
