/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/queue_id.h"

#include <assert.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

uint64_t queue_id_next(struct queue_id_maker *maker, uint64_t epoch_us)
{
    uint64_t unit = epoch_us / QUEUE_ID_NODES;
    assert(maker->node < QUEUE_ID_NODES);
    maker->last_unit = unit > maker->last_unit ? unit : maker->last_unit + 1;
    return (maker->last_unit * QUEUE_ID_NODES + maker->node) * QUEUE_ID_SLOTS + maker->slot;
}

void queue_id_text(uint64_t id, char text[QUEUE_ID_TEXT_LENGTH + 1])
{
    for (int i = QUEUE_ID_TEXT_LENGTH - 1; i >= 0; i--, id >>= 5)
        text[i] = digits[id & 31];
    text[QUEUE_ID_TEXT_LENGTH] = '\0';
}

bool queue_id_parse(struct bytes text, uint64_t *id)
{
    uint64_t value = 0;
    if (text.length != QUEUE_ID_TEXT_LENGTH)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        size_t digit = bytes_find(bytes_of(digits, sizeof digits - 1), ascii_lower(text.at[i]));
        if (digit == SIZE_MAX)
            return false;
        value = value << 5 | digit;
    }
    *id = value;
    return true;
}
