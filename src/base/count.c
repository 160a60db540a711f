/* SPDX-License-Identifier: Apache-2.0 */
#include "base/count.h"

#include <assert.h>
#include <stdio.h>

#include "base/bytes.h"

static bool ends_with(struct bytes text, const char *end)
{
    size_t length = strlen(end);
    return text.length > length && bytes_is(bytes_from(text, text.length - length), end);
}

/* Returns the end of the plural; *kept: octets of the noun before it. */
static const char *plural_end(struct bytes noun, size_t *kept)
{
    size_t last = noun.length - 1;
    bool is_y = noun.at[last] == 'y' && last > 0 && strchr("aeiou", noun.at[last - 1]) == NULL;
    bool hisses = ends_with(noun, "s") || ends_with(noun, "x") || ends_with(noun, "ch") ||
                  ends_with(noun, "sh");
    *kept = is_y ? last : noun.length;
    return is_y ? "ies" : hisses ? "es" : "s";
}

const char *count_text(uint64_t count, const char *noun, char text[COUNT_SIZE])
{
    struct bytes all = bytes_of_text(noun);
    size_t kept = all.length;
    assert(all.length > 0 && all.length <= COUNT_NOUN_MAX);
    const char *end = count == 1 ? "" : plural_end(all, &kept);
    snprintf(text, COUNT_SIZE, "%llu %.*s%s", (unsigned long long)count, (int)kept, noun, end);
    return text;
}
