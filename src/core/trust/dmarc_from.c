/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dmarc_from.h"

#include "core/dns/dns_name.h"
#include "core/message/address_list.h"
#include "core/smtp/address.h"

static void add_domain(struct dmarc_from *from, struct bytes domain, struct arena *arena)
{
    domain = dns_name_without_dot(domain);
    for (size_t i = 0; i < from->count; i++)
        if (dns_name_equal(from->domains[i], domain))
            return;
    if (from->count == DMARC_FROM_DOMAINS_MAX) {
        from->malformed = true;
        return;
    }
    char *copy = arena_text(arena, domain);
    for (size_t i = 0; i < domain.length; i++)
        copy[i] = ascii_lower(copy[i]);
    from->domains[from->count++] = bytes_of(copy, domain.length);
}

/* True if each angle bracket outside of quotes and comments has its other one: where it has not, programs
 * guess, and not all the same. */
static bool brackets_close(struct bytes value)
{
    size_t comments = 0;
    bool quoted = false, open = false;
    for (size_t i = 0; i < value.length; i++) {
        char c = value.at[i];
        if (c == '\\' && (quoted || comments > 0)) {
            i++;
        } else if (c == '"' && comments == 0) {
            quoted = !quoted;
        } else if (!quoted && (c == '(' || (c == ')' && comments > 0))) {
            comments = c == '(' ? comments + 1 : comments - 1;
        } else if (!quoted && comments == 0 && (c == '<' || c == '>')) {
            if (open == (c == '<'))
                return false;
            open = c == '<';
        }
    }
    return !open && !quoted && comments == 0;
}

void dmarc_from_read(struct bytes value, struct arena *arena, struct dmarc_from *from)
{
    struct buffer scratch = {0};
    struct address_list_entry entry;
    struct address address;
    struct bytes whole = value;
    bool group = bytes_find(value, ':') != SIZE_MAX;
    *from = (struct dmarc_from){.count = 0};
    while (address_list_next(&value, &scratch, &entry)) {
        if (address_parse(dns_name_without_dot(entry.address), true, &address))
            add_domain(from, address.domain, arena);
        else
            from->malformed = true;
    }
    if ((from->count == 0 && !group) || !brackets_close(whole))
        from->malformed = true;
    buffer_free(&scratch);
}
