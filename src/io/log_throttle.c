/* SPDX-License-Identifier: Apache-2.0 */
#include "io/log_throttle.h"

bool trouble_met(struct trouble *trouble, uint64_t now_ms)
{
    bool tell = !trouble->lasts || now_ms - trouble->told_ms >= TROUBLE_TOLD_MS;
    trouble->times = trouble->lasts ? trouble->times + 1 : 1;
    trouble->lasts = true;
    trouble->met_ms = now_ms;
    if (tell)
        trouble->told_ms = now_ms;
    return tell;
}

bool trouble_is_over(struct trouble *trouble, uint64_t now_ms)
{
    if (!trouble->lasts || now_ms - trouble->met_ms < TROUBLE_CALM_MS)
        return false;
    trouble->lasts = false;
    return true;
}
