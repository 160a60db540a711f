/* SPDX-License-Identifier: Apache-2.0 */
#include "service/local/over_quota_list.h"

#include "io/clock.h"
#include "service/local/quota_batch.h"

#include <string.h>

static struct watched_mailbox *find(struct watched *watched, struct bytes address)
{
    for (size_t i = 0; i < watched->count; i++)
        if (bytes_is(address, watched->mailboxes[i].address))
            return &watched->mailboxes[i];
    return NULL;
}

static void forget(struct watched *watched, struct watched_mailbox *mailbox)
{
    *mailbox = watched->mailboxes[--watched->count];
}

/* As maildirsize says; what cannot be told has none. */
static bool has_room(const struct watched *watched, struct bytes address)
{
    char path[MAILDIR_PATH_MAX];
    struct ledger_page page = {.limit = quotas_of(watched->quotas, address)};
    if (page.limit == 0 || !maildir_path(address, path, sizeof path) || !maildirsize_peek(watched->folder, path, page.limit, &page.had))
        return false;
    page.had.sure = true;
    return !ledger_is_full(&page);
}

static void look(void *owner)
{
    struct watched *watched = owner;
    uint64_t now_ms = clock_now_ms();
    for (size_t i = watched->count; i-- > 0;) {
        struct watched_mailbox *mailbox = &watched->mailboxes[i];
        struct bytes address = bytes_of_text(mailbox->address);
        bool room = has_room(watched, address);
        if (room)
            full_mailboxes_remove(watched->full, address);
        if (room || now_ms >= mailbox->until_ms)
            forget(watched, mailbox);
    }
    if (watched->count > 0)
        timer_set(&watched->look, WATCHED_LOOK_MS);
}

void watched_start(struct watched *watched, struct loop *loop, struct full_mailboxes *full, const struct quotas *quotas, int folder)
{
    *watched = (struct watched){.full = full, .quotas = quotas, .folder = folder};
    timer_start(&watched->look, loop, look, watched);
}

void watched_full(struct watched *watched, struct bytes address)
{
    uint64_t now_ms = clock_now_ms();
    struct watched_mailbox *mailbox = find(watched, address);
    full_mailboxes_add(watched->full, address, watched->version, now_ms);
    if (mailbox == NULL && watched->count < WATCHED_MAX && address.length < MAILDIR_PATH_MAX) {
        mailbox = &watched->mailboxes[watched->count++];
        memcpy(mailbox->address, address.at, address.length);
        mailbox->address[address.length] = '\0';
        if (watched->count == 1)
            timer_set(&watched->look, WATCHED_LOOK_MS);
    }
    if (mailbox != NULL)
        mailbox->until_ms = now_ms + FULL_BELIEVED_S * 1000;
}

void watched_room(struct watched *watched, struct bytes address)
{
    struct watched_mailbox *mailbox = find(watched, address);
    full_mailboxes_remove(watched->full, address);
    if (mailbox != NULL)
        forget(watched, mailbox);
}
