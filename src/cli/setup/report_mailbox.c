/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup/report_mailbox.h"

#include "cli/accounts/account_client.h"
#include "cli/listing.h"
#include "core/trust/report_address.h"
#include "store/accounts.h"

/* The addresses that are looked for. */
struct mailbox_search {
    struct domain_mailbox *mailboxes;
    size_t count;
    struct arena arena;
};

static struct bytes domain_of(struct bytes address)
{
    size_t at = bytes_find_last(address, '@');
    return at == SIZE_MAX ? bytes_none() : bytes_from(address, at + 1);
}

/* True if a user, an alias or a catch-all ("@example.org") takes the address, with a tag or without. */
static bool takes(struct mailbox_search *search, struct bytes name, struct bytes address)
{
    struct bytes plain = accounts_without_tag(address, &search->arena);
    if (name.length > 0 && name.at[0] == '@')
        return bytes_equal_nocase(bytes_from(name, 1), domain_of(address));
    return bytes_equal_nocase(name, address) || (plain.length > 0 && bytes_equal_nocase(name, plain));
}

static void look_at(void *owner, const char *const *columns, size_t count)
{
    struct mailbox_search *search = owner;
    for (size_t i = 0; i < search->count; i++) {
        struct domain_mailbox *mailbox = &search->mailboxes[i];
        if (mailbox->state == MAILBOX_NOWHERE && takes(search, bytes_of_text(columns[0]), mailbox->address))
            mailbox->state = MAILBOX_HERE;
    }
}

/* All hosted addresses are NOWHERE until a row takes them. */
static void search_accounts(const struct config *config, struct mailbox_search *search)
{
    struct error error = {0};
    bool read = account_client_look(config, LIST_USERS, look_at, search, &error) &&
                account_client_look(config, LIST_ALIASES, look_at, search, &error);
    for (size_t i = 0; !read && i < search->count; i++)
        if (search->mailboxes[i].state == MAILBOX_NOWHERE)
            search->mailboxes[i].state = MAILBOX_UNKNOWN;
}

/* True for postmaster (RFC 5321 4.5.1), and the addresses for reports, of any hosted domain. */
static bool is_always_here(struct bytes address)
{
    struct bytes local, domain;
    return bytes_starts_nocase(address, "postmaster@") ||
           (address_split(address, &local, &domain) && report_address_is(local));
}

void report_mailbox_answer(const struct config *config, struct domain_mailbox *mailboxes, size_t count)
{
    struct mailbox_search search = {.mailboxes = mailboxes, .count = count};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct domain_mailbox *mailbox = &mailboxes[i];
        if (mailbox->state != MAILBOX_UNASKED)
            continue;
        struct bytes domain = domain_of(mailbox->address);
        const char *name = arena_text(&search.arena, domain);
        bool hosted = listing_is_configured(config, name) || account_client_is_hosted(config, domain);
        mailbox->state = !hosted                            ? MAILBOX_ELSEWHERE
                         : is_always_here(mailbox->address) ? MAILBOX_HERE
                                                            : MAILBOX_NOWHERE;
        any = any || mailbox->state == MAILBOX_NOWHERE;
    }
    if (any)
        search_accounts(config, &search);
    arena_clear(&search.arena);
}
