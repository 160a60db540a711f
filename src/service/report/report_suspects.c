/* SPDX-License-Identifier: Apache-2.0 */
#include "service/report/report_suspects.h"

#include <stddef.h>

static struct report_suspect *find(struct report_suspects *suspects, uint64_t id)
{
    for (size_t i = 0; i < REPORT_SUSPECTS_MAX; i++)
        if (suspects->at[i].id == id)
            return &suspects->at[i];
    return NULL;
}

void report_suspects_take(struct report_suspects *suspects)
{
    uint64_t id = suspects->reading;
    suspects->reading = 0;
    if (id == 0)
        return;
    struct report_suspect *known = find(suspects, id);
    if (known != NULL)
        known->crashes++;
    else
        suspects->at[suspects->next++ % REPORT_SUSPECTS_MAX] = (struct report_suspect){id, 1};
}

bool report_suspects_has(const struct report_suspects *suspects, uint64_t id)
{
    for (size_t i = 0; i < REPORT_SUSPECTS_MAX; i++)
        if (suspects->at[i].id == id && suspects->at[i].crashes >= REPORT_CRASHES_MAX)
            return true;
    return false;
}
