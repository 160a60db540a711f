/* SPDX-License-Identifier: Apache-2.0 */
#include "service/local/quota_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/message/quota_warning.h"

void quota_batch_start(struct quota_batch *quota_batch, int folder)
{
    *quota_batch = (struct quota_batch){.folder = folder,
                                        .pages = memory_new(MAILDIR_BATCH_MAX * sizeof *quota_batch->pages)};
}

void quota_batch_free(struct quota_batch *quota_batch)
{
    free(quota_batch->pages);
}

struct quota_batch_page *quota_batch_page(struct quota_batch *quota_batch, struct bytes address,
                                          uint64_t limit)
{
    char mailbox[MAILDIR_PATH_MAX];
    if (!maildir_path(address, mailbox, sizeof mailbox))
        return NULL;
    for (size_t i = 0; i < quota_batch->count; i++)
        if (strcmp(quota_batch->pages[i].mailbox, mailbox) == 0)
            return &quota_batch->pages[i];
    assert(quota_batch->count < MAILDIR_BATCH_MAX);
    struct quota_batch_page *page = &quota_batch->pages[quota_batch->count++];
    *page = (struct quota_batch_page){.limit = limit};
    memcpy(page->mailbox, mailbox, strlen(mailbox) + 1);
    memcpy(page->address, address.at, address.length); /* shorter than its path */
    if (limit > 0)
        page->error = maildirsize_read(quota_batch->folder, mailbox, limit, &page->had);
    return page;
}

static bool fits(const struct quota_batch_page *page, uint64_t octets)
{
    uint64_t wanted;
    return !__builtin_add_overflow(page->had.octets, page->promised, &wanted) &&
           !__builtin_add_overflow(wanted, octets, &wanted) && wanted <= page->limit;
}

/* A file that says "full" is trusted only if it is sure. */
bool quota_batch_admits(struct quota_batch *quota_batch, struct quota_batch_page *page, uint64_t octets)
{
    if (page->limit == 0)
        return true;
    if (!fits(page, octets) && !page->had.sure)
        page->error = maildirsize_count(quota_batch->folder, page->mailbox, page->limit, true, &page->had);
    if (page->error != 0 || !fits(page, octets))
        return false;
    page->promised += octets;
    return true;
}

bool quota_batch_is_full(const struct quota_batch_page *page)
{
    uint64_t part = page->limit / QUOTA_BATCH_SMALL_PART,
             small = part < QUOTA_BATCH_SMALL_OCTETS ? part : QUOTA_BATCH_SMALL_OCTETS;
    return page->limit > 0 && page->error == 0 && page->had.sure && !fits(page, small);
}

void quota_batch_arrived(struct quota_batch_page *page, uint64_t octets, uint64_t id, uint64_t arrived_ms)
{
    page->last_id = id;
    page->last_ms = arrived_ms;
    page->arrived += octets;
    page->messages++;
}

static unsigned passed(const struct quota_batch_page *page)
{
    return quota_warning_passed(page->had.octets, page->had.octets + page->arrived, page->limit);
}

/* No warning is based on a file that may have missed deletions. */
unsigned quota_batch_passed(struct quota_batch *quota_batch, struct quota_batch_page *page)
{
    struct maildirsize size;
    if (page->error != 0 || page->messages == 0 || passed(page) == 0)
        return 0;
    if (!page->had.sure &&
        maildirsize_count(quota_batch->folder, page->mailbox, page->limit, false, &size) == 0) {
        page->had.octets = size.octets > page->arrived ? size.octets - page->arrived : 0;
        page->had.sure = true;
    }
    return passed(page);
}

void quota_batch_close(struct quota_batch *quota_batch)
{
    for (size_t i = 0; i < quota_batch->count; i++)
        if (quota_batch->pages[i].messages > 0)
            maildirsize_add(quota_batch->folder, quota_batch->pages[i].mailbox, quota_batch->pages[i].arrived,
                            quota_batch->pages[i].messages);
    quota_batch->count = 0;
}
