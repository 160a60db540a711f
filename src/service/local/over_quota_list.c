/* SPDX-License-Identifier: Apache-2.0 */
#include "service/local/over_quota_list.h"

#include <string.h>

#include "io/clock.h"
#include "service/local/quota_batch.h"

static struct over_quota_mailbox *find(struct over_quota_list *over_quota_list, struct bytes address)
{
    for (size_t i = 0; i < over_quota_list->count; i++)
        if (bytes_is(address, over_quota_list->mailboxes[i].address))
            return &over_quota_list->mailboxes[i];
    return NULL;
}

static void forget(struct over_quota_list *over_quota_list, struct over_quota_mailbox *mailbox)
{
    *mailbox = over_quota_list->mailboxes[--over_quota_list->count];
}

/* True if maildirsize shows free space; false if unknown. */
static bool has_room(const struct over_quota_list *over_quota_list, struct bytes address)
{
    char path[MAILDIR_PATH_MAX];
    struct quota_batch_page page = {.limit = quotas_of(over_quota_list->quotas, address)};
    if (page.limit == 0 || !maildir_path(address, path, sizeof path) ||
        !maildirsize_peek(over_quota_list->folder, path, page.limit, &page.had))
        return false;
    page.had.sure = true;
    return !quota_batch_is_full(&page);
}

static void look(void *owner)
{
    struct over_quota_list *over_quota_list = owner;
    uint64_t now_ms = clock_now_ms();
    for (size_t i = over_quota_list->count; i-- > 0;) {
        struct over_quota_mailbox *mailbox = &over_quota_list->mailboxes[i];
        struct bytes address = bytes_of_text(mailbox->address);
        bool room = has_room(over_quota_list, address);
        if (room)
            over_quota_table_remove(over_quota_list->full, address);
        if (room || now_ms >= mailbox->until_ms)
            forget(over_quota_list, mailbox);
    }
    if (over_quota_list->count > 0)
        timer_set(&over_quota_list->look, OVER_QUOTA_LIST_LOOK_MS);
}

void over_quota_list_start(struct over_quota_list *over_quota_list, struct loop *loop,
                           struct over_quota_table *full, const struct quotas *quotas, int folder)
{
    *over_quota_list = (struct over_quota_list){.full = full, .quotas = quotas, .folder = folder};
    timer_start(&over_quota_list->look, loop, look, over_quota_list);
}

void over_quota_list_add(struct over_quota_list *over_quota_list, struct bytes address)
{
    uint64_t now_ms = clock_now_ms();
    struct over_quota_mailbox *mailbox = find(over_quota_list, address);
    over_quota_table_add(over_quota_list->full, address, over_quota_list->version, now_ms);
    if (mailbox == NULL && over_quota_list->count < OVER_QUOTA_LIST_MAX &&
        address.length < MAILDIR_PATH_MAX) {
        mailbox = &over_quota_list->mailboxes[over_quota_list->count++];
        memcpy(mailbox->address, address.at, address.length);
        mailbox->address[address.length] = '\0';
        if (over_quota_list->count == 1)
            timer_set(&over_quota_list->look, OVER_QUOTA_LIST_LOOK_MS);
    }
    if (mailbox != NULL)
        mailbox->until_ms = now_ms + OVER_QUOTA_BELIEVED_S * 1000;
}

void over_quota_list_remove(struct over_quota_list *over_quota_list, struct bytes address)
{
    struct over_quota_mailbox *mailbox = find(over_quota_list, address);
    over_quota_table_remove(over_quota_list->full, address);
    if (mailbox != NULL)
        forget(over_quota_list, mailbox);
}
