/* SPDX-License-Identifier: Apache-2.0 */
#include "service/local/quota_batch.h"

#include "core/message/quota_warning.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void ledger_start(struct ledger *ledger, int folder)
{
    *ledger = (struct ledger){.folder = folder, .pages = memory_new(MAILDIR_BATCH_MAX * sizeof *ledger->pages)};
}

void ledger_free(struct ledger *ledger)
{
    free(ledger->pages);
}

struct ledger_page *ledger_page(struct ledger *ledger, struct bytes address, uint64_t limit)
{
    char mailbox[MAILDIR_PATH_MAX];
    if (!maildir_path(address, mailbox, sizeof mailbox))
        return NULL;
    for (size_t i = 0; i < ledger->count; i++)
        if (strcmp(ledger->pages[i].mailbox, mailbox) == 0)
            return &ledger->pages[i];
    assert(ledger->count < MAILDIR_BATCH_MAX);
    struct ledger_page *page = &ledger->pages[ledger->count++];
    *page = (struct ledger_page){.limit = limit};
    memcpy(page->mailbox, mailbox, strlen(mailbox) + 1);
    memcpy(page->address, address.at, address.length); /* shorter than its path */
    if (limit > 0)
        page->error = maildirsize_read(ledger->folder, mailbox, limit, &page->had);
    return page;
}

static bool fits(const struct ledger_page *page, uint64_t octets)
{
    uint64_t wanted;
    return !__builtin_add_overflow(page->had.octets, page->promised, &wanted) && !__builtin_add_overflow(wanted, octets, &wanted) && wanted <= page->limit;
}

/* A file that says "full" is believed only when it is sure. */
bool ledger_admits(struct ledger *ledger, struct ledger_page *page, uint64_t octets)
{
    if (page->limit == 0)
        return true;
    if (!fits(page, octets) && !page->had.sure)
        page->error = maildirsize_count(ledger->folder, page->mailbox, page->limit, true, &page->had);
    if (page->error != 0 || !fits(page, octets))
        return false;
    page->promised += octets;
    return true;
}

bool ledger_is_full(const struct ledger_page *page)
{
    uint64_t part = page->limit / LEDGER_SMALL_PART, small = part < LEDGER_SMALL_OCTETS ? part : LEDGER_SMALL_OCTETS;
    return page->limit > 0 && page->error == 0 && page->had.sure && !fits(page, small);
}

void ledger_arrived(struct ledger_page *page, uint64_t octets, uint64_t id, uint64_t arrived_ms)
{
    page->last_id = id;
    page->last_ms = arrived_ms;
    page->arrived += octets;
    page->messages++;
}

static unsigned passed(const struct ledger_page *page)
{
    return fullness_passed(page->had.octets, page->had.octets + page->arrived, page->limit);
}

/* Nobody is warned by a file that may have missed what went. */
unsigned ledger_passed(struct ledger *ledger, struct ledger_page *page)
{
    struct maildirsize size;
    if (page->error != 0 || page->messages == 0 || passed(page) == 0)
        return 0;
    if (!page->had.sure && maildirsize_count(ledger->folder, page->mailbox, page->limit, false, &size) == 0) {
        page->had.octets = size.octets > page->arrived ? size.octets - page->arrived : 0;
        page->had.sure = true;
    }
    return passed(page);
}

void ledger_close(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->pages[i].messages > 0)
            maildirsize_add(ledger->folder, ledger->pages[i].mailbox, ledger->pages[i].arrived, ledger->pages[i].messages);
    ledger->count = 0;
}
