/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/due_page.h"

#include <assert.h>

void due_page_start(struct store_page *page, const struct store_due_question *question, size_t count,
                    struct arena *arena)
{
    assert(count <= question->deliveries_max);
    assert(question->deliveries_max <= STORE_PAGE_MAX && question->recipients_max <= STORE_READ_MAX);
    *page = (struct store_page){.deliveries = ARENA_ARRAY(arena, struct store_delivery, count),
                                .end = question->after};
}

bool due_page_has(const struct store_page *page, uint64_t id, uint32_t number)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct store_delivery *d = &page->deliveries[i];
        for (size_t k = 0; d->message.id == id && k < d->recipient_count; k++)
            if (d->recipients[k].number == number)
                return true;
    }
    return false;
}

/* True if both may be in one transaction: with the same sender, and the same fields of forwarders. */
static bool goes_alike(const struct recipient *one, const struct recipient *other)
{
    return bytes_equal(one->via, other->via) && bytes_equal(one->sent_as, other->sent_as);
}

struct store_delivery *due_page_gather(struct store_page *page, const struct store_due *place,
                                       const struct store_due_question *question,
                                       const struct store_recipient *found, size_t count, struct arena *arena)
{
    struct store_delivery *delivery = &page->deliveries[page->count];
    *delivery = (struct store_delivery){.place = *place,
                                        .recipients = ARENA_ARRAY(arena, struct store_recipient, count)};
    for (size_t i = 0; i < count; i++) {
        const struct store_recipient *r = &found[i];
        if (r->held || r->due_ms > question->now_ms || due_page_has(page, place->id, r->number))
            continue;
        if (delivery->recipient_count > 0 && !goes_alike(&r->recipient, &delivery->recipients[0].recipient))
            continue;
        delivery->recipients[delivery->recipient_count++] = *r;
    }
    return delivery;
}
