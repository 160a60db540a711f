/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a tag list, in both readings: names and values are of the text and in its order; the list
 * written from its tags reads the same; what is strict is the same when read with tolerance, unless the case
 * of names makes two of them one.
 */
#include "base/white_space.h"
#include "choices.h"
#include "core/trust/tags.h"

static void check(const struct tags *tags, struct bytes text)
{
    const char *at = text.at;
    for (size_t i = 0; i < tags->count; i++) {
        const struct tag *tag = &tags->list[i];
        INSIST(tag->name.at >= at && tag->raw.at > tag->name.at);
        INSIST(tag->value.length <= tag->raw.length && bytes_find(tag->raw, ';') == SIZE_MAX);
        INSIST(bytes_equal(white_space_trim(tag->value), tag->value));
        at = tag->raw.at + tag->raw.length;
        INSIST(at <= text.at + text.length);
        struct bytes item, rest = tag->value;
        size_t items = 0;
        while (tags_next_item(&rest, ':', &item))
            items++;
        INSIST(items > 0 && items <= tag->value.length + 1);
    }
}

static void write(const struct tags *tags, struct buffer *out)
{
    for (size_t i = 0; i < tags->count; i++) {
        buffer_add(out, tags->list[i].name);
        buffer_add_octet(out, '=');
        buffer_add(out, tags->list[i].raw);
        buffer_add_octet(out, ';');
    }
}

static void check_again(const struct tags *tags)
{
    struct buffer text = {0};
    static struct tags again;
    write(tags, &text);
    INSIST(tags_parse(&again, buffer_bytes(&text), tags->reading) == TAGS_FINE ||
           text.length > TAGS_OCTETS_MAX);
    INSIST(again.count == tags->count || text.length > TAGS_OCTETS_MAX);
    for (size_t i = 0; i < again.count; i++)
        INSIST(bytes_equal(again.list[i].value, tags->list[i].value));
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tags strict, tolerant;
    struct bytes text = bytes_of(data, size);
    enum tags_fault fault = tags_parse(&strict, text, TAGS_STRICT);
    enum tags_fault other = tags_parse(&tolerant, text, TAGS_SKIP_MALFORMED);
    INSIST(other != TAGS_MALFORMED);
    if (fault == TAGS_FINE) {
        INSIST(other == TAGS_FINE || other == TAGS_DUPLICATE);
        INSIST(other == TAGS_DUPLICATE || (tolerant.count == strict.count && tolerant.skipped == 0));
    }
    check(&strict, text);
    check(&tolerant, text);
    if (strict.count > 0)
        check_again(&strict);
    check_again(&tolerant);
    return 0;
}
