/* SPDX-License-Identifier: Apache-2.0 */
/* Which provider's host a mistyped name was meant to be (provider.h). */
#include <assert.h>

#include "core/dns/dns_name.h"
#include "core/port/provider.h"

enum {
    LABEL_MAX = 63,    /* octets (RFC 1035 2.3.4) */
    LONG_LABEL = 7,    /* from this length on, one slip is recognised */
    LONGEST_LABEL = 9, /* from this length on, two are */
};

/* Common wrong names for a provider's outgoing host, which are not typing errors. */
static const struct {
    const char *name, *host;
} mistaken[] = {
    {"mail.google.com", "smtp.gmail.com"},
    {"mail.gmail.com", "smtp.gmail.com"},
    {"outlook.office365.com", "smtp.office365.com"},
    {"mail.office365.com", "smtp.office365.com"},
    {"smtp.icloud.com", "smtp.mail.me.com"},
    {"imap.gmx.net", "mail.gmx.net"},
    {"smtp.gmx.net", "mail.gmx.net"},
};

/* Short but well-known labels, exempt from the minimum length. */
static const char *const familiar[] = {"gmail", "yahoo"};

/* Typing errors of ".com" and ".net", except domains of other countries. */
static const struct {
    const char *top, *slips;
} tops[] = {
    {"com", "co,cm,om,con,cim,comm,vom,xom,cpm,ocm,cmo,coms,comn,ccom"},
    {"net", "ne,nt,et,ner,nte,neet,nett,met"},
};

/* ---- the distance of two labels ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Omitted, added, substituted and transposed letters count one each (optimal string alignment). Labels
 * that are too long have the maximum distance. */
static size_t distance(struct bytes a, struct bytes b)
{
    size_t rows[3][LABEL_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    if (a.length > LABEL_MAX || b.length > LABEL_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.length; j++)
        last[j] = j;
    assert(a.length <= LABEL_MAX && b.length <= LABEL_MAX);
    for (size_t i = 1; i <= a.length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            char x = ascii_lower(a.at[i - 1]), y = ascii_lower(b.at[j - 1]);
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == ascii_lower(b.at[j - 2]) && y == ascii_lower(a.at[i - 2]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b.length];
}

static bool in_list(struct bytes name, const char *list)
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;)
        if (bytes_equal_nocase(name, bytes_split(&rest, ',')))
            return true;
    return false;
}

/* ---- the parts of a name ---- */

/* "smtp.mail", "yahoo" and "com" of smtp.mail.yahoo.com; "co.uk" is one top. */
struct near_name {
    struct bytes below, label, top;
};

static bool is_second_level(struct bytes label)
{
    return in_list(label, "ac,co,com,edu,go,gov,ne,net,or,org");
}

static bool take_apart(struct bytes host, struct near_name *name)
{
    size_t dot = bytes_find_last(host, '.');
    if (dot == SIZE_MAX)
        return false;
    size_t above = bytes_find_last(bytes_first(host, dot), '.');
    if (above == SIZE_MAX)
        return false;
    if (host.length - dot - 1 == 2 && is_second_level(bytes_of(host.at + above + 1, dot - above - 1))) {
        dot = above;
        above = bytes_find_last(bytes_first(host, dot), '.');
        if (above == SIZE_MAX)
            return false;
    }
    *name = (struct near_name){.below = bytes_first(host, above),
                               .label = bytes_of(host.at + above + 1, dot - above - 1),
                               .top = bytes_from(host, dot + 1)};
    return name->below.length > 0 && name->label.length > 0 && name->top.length > 0;
}

/* ---- one part at a time ---- */

static bool is_slip_of_top(struct bytes typed, struct bytes meant)
{
    for (size_t i = 0; i < ARRAY_LENGTH(tops); i++)
        if (bytes_is_nocase(meant, tops[i].top))
            return in_list(typed, tops[i].slips);
    return false;
}

static bool is_familiar(struct bytes label)
{
    for (size_t i = 0; i < ARRAY_LENGTH(familiar); i++)
        if (bytes_is_nocase(label, familiar[i]))
            return true;
    return label.length >= LONG_LABEL;
}

static bool is_slip_of_label(struct bytes typed, struct bytes meant)
{
    size_t slips = distance(typed, meant);
    return slips > 0 && slips <= (meant.length >= LONGEST_LABEL ? 2 : 1) &&
           ascii_lower(typed.at[0]) == ascii_lower(meant.at[0]);
}

/* True for the letters of "smtp" in another order: stmp, smpt. */
static bool is_shuffled_smtp(struct bytes label)
{
    bool all = label.length == 4;
    for (const char *c = "smtp"; *c != '\0'; c++)
        all = all &&
              (bytes_find(label, *c) != SIZE_MAX || bytes_find(label, (char)(*c - 'a' + 'A')) != SIZE_MAX);
    return all && !bytes_is_nocase(label, "smtp");
}

static bool is_for_reading(struct bytes label)
{
    return in_list(label, "imap,imap4,pop,pop3");
}

/* True if the labels below the domain are equal, or a mistyped "smtp". */
static bool is_like_below(struct bytes typed, struct bytes meant)
{
    struct bytes typed_rest = typed, meant_rest = meant;
    struct bytes typed_first = bytes_split(&typed_rest, '.'), meant_first = bytes_split(&meant_rest, '.');
    return bytes_equal_nocase(typed, meant) ||
           (bytes_equal_nocase(typed_rest, meant_rest) && bytes_is_nocase(meant_first, "smtp") &&
            (is_for_reading(typed_first) || is_shuffled_smtp(typed_first)));
}

/* Exactly one part may be wrong, and "smtp" besides it. */
static bool is_near(struct bytes typed, struct bytes meant)
{
    struct near_name a, b;
    if (!take_apart(typed, &a) || !take_apart(meant, &b) || !is_like_below(a.below, b.below))
        return false;
    bool same_label = bytes_equal_nocase(a.label, b.label), same_top = bytes_equal_nocase(a.top, b.top);
    if (same_label && same_top)
        return !bytes_equal_nocase(a.below, b.below);
    if (!is_familiar(b.label))
        return false;
    return same_label ? is_slip_of_top(a.top, b.top) : same_top && is_slip_of_label(a.label, b.label);
}

/* ---- the public function ---- */

struct bytes provider_near(struct bytes host)
{
    host = dns_name_without_dot(host);
    if (provider_by_host(host) != NULL || provider_by_domain(host) != NULL)
        return bytes_none();
    for (size_t i = 0; i < ARRAY_LENGTH(mistaken); i++)
        if (bytes_is_nocase(host, mistaken[i].name))
            return bytes_of_text(mistaken[i].host);
    for (size_t i = 0; i < provider_count; i++)
        for (struct bytes rest = bytes_of_text(providers[i].hosts); rest.length > 0;) {
            struct bytes meant = bytes_split(&rest, ',');
            if (bytes_find(meant, '*') == SIZE_MAX && is_near(host, meant))
                return meant;
        }
    return bytes_none();
}
