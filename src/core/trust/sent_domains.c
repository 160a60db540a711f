/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/sent_domains.h"

#include <assert.h>
#include <string.h>

#include "core/dns/host.h"

static size_t labels_of(struct bytes domain)
{
    size_t labels = 1;
    for (size_t i = 0; i < domain.length; i++)
        labels += domain.at[i] == '.';
    return labels;
}

static bool is_domain(struct bytes domain)
{
    return host_is_name(domain, false) && labels_of(domain) <= SENT_DOMAINS_LABELS_MAX;
}

/* ---- writing ---- */

static void assert_sent(const struct sent_domains *sent)
{
    assert(sent->names.count <= SENT_DOMAINS_MAX && sent->text.length <= SENT_DOMAINS_OCTETS_MAX);
}

void sent_domains_start(struct sent_domains *sent, uint64_t seed)
{
    *sent = (struct sent_domains){.day = 0};
    map_start(&sent->names, seed);
}

void sent_domains_free(struct sent_domains *sent)
{
    map_free(&sent->names);
    buffer_free(&sent->text);
}

void sent_domains_note_name(uint32_t day, char name[SENT_DOMAINS_NAME_MAX])
{
    uint32_t number = day % SENT_DOMAINS_NOTES;
    static_assert(SENT_DOMAINS_NOTES <= 100, "two digits");
    memcpy(name, "sent-", 5);
    name[5] = (char)('0' + number / 10);
    name[6] = (char)('0' + number % 10);
    name[7] = '\0';
}

static bool read_day(struct bytes *note, uint32_t *day)
{
    uint64_t number = 0;
    bool read = bytes_to_u64(bytes_split(note, '\n'), UINT32_MAX, &number);
    *day = (uint32_t)number;
    return read;
}

void sent_domains_begin(struct sent_domains *sent, uint32_t day, struct bytes note)
{
    uint64_t seed = sent->names.seed;
    uint32_t of_note;
    sent_domains_free(sent);
    sent_domains_start(sent, seed);
    sent->day = day;
    buffer_add_format(&sent->text, "%u\n", (unsigned)day);
    if (!read_day(&note, &of_note) || of_note != day)
        return;
    while (note.length > 0)
        sent_domains_add(sent, bytes_split(&note, '\n'));
}

bool sent_domains_add(struct sent_domains *sent, struct bytes domain)
{
    char lower[DOMAIN_NAME_MAX];
    assert_sent(sent);
    if (!is_domain(domain) || sent->names.count >= SENT_DOMAINS_MAX ||
        sent->text.length + domain.length + 1 > SENT_DOMAINS_OCTETS_MAX)
        return false;
    for (size_t i = 0; i < domain.length; i++)
        lower[i] = ascii_lower(domain.at[i]);
    domain = bytes_of(lower, domain.length);
    if (map_get(&sent->names, domain) != NULL)
        return false;
    map_put(&sent->names, domain, sent);
    buffer_add(&sent->text, domain);
    buffer_add_octet(&sent->text, '\n');
    assert_sent(sent);
    return true;
}

/* ---- reading ---- */

void sent_since_start(struct sent_since *since, uint32_t today, uint64_t seed)
{
    *since = (struct sent_since){.today = today};
    map_start(&since->names, seed);
}

void sent_since_free(struct sent_since *since)
{
    map_free(&since->names);
}

/* Returns the domain above; empty if that is a top-level domain. */
static struct bytes above(struct bytes domain)
{
    size_t dot = bytes_find(domain, '.');
    struct bytes parent = dot == SIZE_MAX ? bytes_none() : bytes_from(domain, dot + 1);
    return bytes_find(parent, '.') == SIZE_MAX ? bytes_none() : parent;
}

void sent_since_take(struct sent_since *since, struct bytes note)
{
    uint32_t day;
    if (!read_day(&note, &day) || day > since->today || day + SENT_DOMAINS_DAYS < since->today)
        return;
    while (note.length > 0) {
        struct bytes domain = bytes_split(&note, '\n');
        if (!is_domain(domain))
            continue;
        map_put(&since->names, domain, &since->itself);
        for (struct bytes parent = above(domain); parent.length > 0; parent = above(parent))
            if (map_get(&since->names, parent) == NULL)
                map_put(&since->names, parent, &since->below);
    }
}

bool sent_since_has(const struct sent_since *since, struct bytes domain)
{
    if (map_get(&since->names, domain) != NULL)
        return true;
    for (struct bytes parent = above(domain); parent.length > 0; parent = above(parent))
        if (map_get(&since->names, parent) == (const void *)&since->itself)
            return true;
    return false;
}
