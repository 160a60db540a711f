/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/bytes.h"

#include <assert.h>

struct bytes bytes_from(struct bytes b, size_t count)
{
    assert(count <= b.length);
    return count == 0 ? b : bytes_of(b.at + count, b.length - count);
}

struct bytes bytes_first(struct bytes b, size_t count)
{
    return bytes_of(b.at, count < b.length ? count : b.length);
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
            return false;
    return true;
}

bool bytes_is(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_of_text(text));
}

bool bytes_is_nocase(struct bytes a, const char *text)
{
    return bytes_equal_nocase(a, bytes_of_text(text));
}

bool bytes_starts_nocase(struct bytes b, const char *prefix)
{
    struct bytes p = bytes_of_text(prefix);
    return b.length >= p.length && bytes_equal_nocase(bytes_first(b, p.length), p);
}

bool bytes_ends_nocase(struct bytes b, const char *suffix)
{
    struct bytes s = bytes_of_text(suffix);
    return b.length >= s.length && bytes_equal_nocase(bytes_from(b, b.length - s.length), s);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.at, b.at, shorter);
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

size_t bytes_find(struct bytes b, char octet)
{
    const char *hit = b.length == 0 ? NULL : memchr(b.at, octet, b.length);
    return hit == NULL ? SIZE_MAX : (size_t)(hit - b.at);
}

size_t bytes_find_last(struct bytes b, char octet)
{
    const char *hit = b.length == 0 ? NULL : memrchr(b.at, octet, b.length);
    return hit == NULL ? SIZE_MAX : (size_t)(hit - b.at);
}

size_t bytes_search(struct bytes b, struct bytes needle)
{
    if (needle.length == 0)
        return 0;
    const char *hit = b.length == 0 ? NULL : memmem(b.at, b.length, needle.at, needle.length);
    return hit == NULL ? SIZE_MAX : (size_t)(hit - b.at);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.length > 0 && is_blank(b.at[0]))
        b = bytes_from(b, 1);
    while (b.length > 0 && is_blank(b.at[b.length - 1]))
        b.length--;
    return b;
}

struct bytes bytes_split(struct bytes *rest, char separator)
{
    struct bytes all = *rest;
    size_t at = bytes_find(all, separator);
    if (at == SIZE_MAX) {
        *rest = bytes_of(all.at == NULL ? NULL : all.at + all.length, 0);
        return all;
    }
    *rest = bytes_from(all, at + 1);
    return bytes_first(all, at);
}

bool bytes_to_u64(struct bytes b, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    if (b.length == 0 || b.length > 20)
        return false;
    for (size_t i = 0; i < b.length; i++) {
        if (!ascii_is_digit(b.at[i]))
            return false;
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(b.at[i] - '0'), &sum))
            return false;
    }
    if (sum > max)
        return false;
    *value = sum;
    return true;
}

/* Returns the octets of the UTF-8 sequence at `s` (RFC 3629 4), 0 if malformed. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < length)
        return 0;
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second octet */
    switch (s[0]) {
    case 0xe0: low = 0xa0; break;  /* no overlong form */
    case 0xed: high = 0x9f; break; /* no surrogate */
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break; /* nothing above U+10FFFF */
    }
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool bytes_is_utf8(struct bytes b)
{
    for (size_t i = 0; i < b.length;) {
        size_t step = utf8_sequence((const unsigned char *)b.at + i, b.length - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

bool bytes_is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.length; i++)
        if ((unsigned char)b.at[i] > 127)
            return false;
    return true;
}

bool bytes_has_control(struct bytes b)
{
    for (size_t i = 0; i < b.length; i++)
        if ((unsigned char)b.at[i] < 32 || b.at[i] == 127)
            return true;
    return false;
}

size_t bytes_control_length(struct bytes b)
{
    const unsigned char *s = (const unsigned char *)b.at;
    if (b.length == 0)
        return 0;
    if (s[0] < 32 || s[0] == 127)
        return 1;
    if (b.length >= 2 && s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f)
        return 2;
    if (b.length < 3 || s[0] != 0xe2)
        return 0;
    bool acts = (s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
    return acts ? 3 : 0;
}

bool bytes_has_control_character(struct bytes b)
{
    for (; b.length > 0; b = bytes_from(b, 1))
        if (bytes_control_length(b) > 0)
            return true;
    return false;
}

uint64_t bytes_hash(struct bytes b, uint64_t seed)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t i = 0; i < b.length; i++)
        hash = (hash ^ (unsigned char)b.at[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}
