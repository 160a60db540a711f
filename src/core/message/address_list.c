/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/address_list.h"

#include <assert.h>

#include "core/smtp/address.h"

/* State while one mailbox is read. */
struct address_list_reader {
    struct buffer *address;
    const char *end;
    bool angle;  /* inside the angle brackets */
    bool angled; /* brackets were seen: text outside of them is a name */
    bool space;  /* a space followed the last kept octet */
    bool any;
};

static void keep(struct address_list_reader *r, const char *at)
{
    if (r->angled && !r->angle) /* words after the brackets */
        return;
    /* Spaces around dots and @ are ignored; between two words they show that this is not an address. */
    bool glued = r->address->length == 0 || strchr(".@", *at) != NULL ||
                 strchr(".@", buffer_text(r->address)[r->address->length - 1]) != NULL;
    if (r->space && !glued)
        buffer_add_octet(r->address, ' ');
    r->space = false;
    r->any = true;
    buffer_add_octet(r->address, *at);
    r->end = at + 1;
}

/* Returns where the construct opened at list[i] ends: its closing octet, or the end of the list. Comments
 * nest. */
static size_t closing(struct bytes list, size_t i, char opens, char closes)
{
    size_t depth = 1;
    for (i++; i < list.length; i++) {
        if (list.at[i] == '\\')
            i++;
        else if (list.at[i] == closes && --depth == 0)
            break;
        else if (list.at[i] == opens && opens == '(')
            depth++;
    }
    return i < list.length ? i : list.length - 1;
}

static size_t keep_until(struct address_list_reader *r, struct bytes list, size_t i, char closes)
{
    size_t last = closing(list, i, list.at[i], closes);
    for (; i <= last; i++) {
        bool line_end = list.at[i] == '\r' || list.at[i] == '\n';
        r->space = false;
        if (!line_end)
            keep(r, list.at + i);
    }
    return last;
}

static void forget(struct address_list_reader *r)
{
    buffer_clear(r->address);
    r->space = false;
}

/* Consumes one octet or one quoted construct; true if the mailbox ends with it. */
static bool step(struct address_list_reader *r, struct bytes list, size_t *i)
{
    char c = list.at[*i];
    switch (c) {
    case '(':
        *i = closing(list, *i, '(', ')');
        r->space = true;
        return false;
    case '"': *i = keep_until(r, list, *i, '"'); return false;
    case '[': *i = keep_until(r, list, *i, ']'); return false;
    case '<':
        forget(r);
        r->angle = r->angled = r->any = true;
        r->end = list.at + *i + 1;
        return false;
    case '>': r->angle = false; return false;
    case ':': /* the text before it is a group's name, or a route */
        forget(r);
        r->any = r->angled;
        return false;
    case ',': return !r->angle; /* a route contains commas */
    case ';': return true;
    case ' ':
    case '\t':
    case '\r':
    case '\n': r->space = true; return false;
    default: keep(r, list.at + *i); return false;
    }
}

bool address_list_next(struct bytes *list, struct buffer *scratch, struct address_list_entry *mailbox)
{
    while (list->length > 0) {
        struct address_list_reader r = {.address = scratch};
        size_t i = 0;
        buffer_clear(scratch);
        while (i < list->length && !step(&r, *list, &i))
            i++;
        *list = bytes_from(*list, i < list->length ? i + 1 : i);
        if (!r.any)
            continue;
        *mailbox = (struct address_list_entry){buffer_bytes(scratch), r.end};
        return true;
    }
    return false;
}

bool address_list_is_bare(struct bytes address)
{
    bool quoted = address.length > 0 && address.at[address.length - 1] == '"';
    return address.length > 0 && (quoted || bytes_find(address, '@') == SIZE_MAX);
}

void address_list_complete(struct buffer *out, struct bytes value, struct bytes domain)
{
    struct buffer scratch = {0};
    struct address_list_entry mailbox;
    const char *from = value.at, *end = value.at + value.length;
    for (struct bytes list = value; address_list_next(&list, &scratch, &mailbox);) {
        struct address checked;
        bool bare = address_list_is_bare(mailbox.address);
        buffer_add_format(&scratch, "@%.*s", BYTES_ARG(domain));
        if (!bare || !address_parse(buffer_bytes(&scratch), true, &checked))
            continue;
        assert(mailbox.end >= from && mailbox.end <= end);
        buffer_add(out, bytes_of(from, (size_t)(mailbox.end - from)));
        buffer_add_format(out, "@%.*s", BYTES_ARG(domain));
        from = mailbox.end;
    }
    buffer_add(out, bytes_of(from, (size_t)(end - from)));
    buffer_free(&scratch);
}
