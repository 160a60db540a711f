/* SPDX-License-Identifier: Apache-2.0 */
#include "core/smtp/base64.h"

#include <limits.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buffer *out, struct bytes octets)
{
    char *buffer = buffer_reserve(out, (octets.length + 2) / 3 * 4);
    size_t written = 0;
    for (size_t i = 0; i < octets.length; i += 3) {
        size_t count = octets.length - i < 3 ? octets.length - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < count ? (unsigned char)octets.at[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            buffer[written++] = k <= count ? alphabet[group >> (18 - 6 * k) & 63] : '=';
    }
    buffer_written(out, written);
}

/* Value of each octet, plus one; 0: it is not in the alphabet. */
// clang-format off
static const unsigned char values[UCHAR_MAX + 1] = {
    ['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50,
    51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    ['+'] = 63,
    ['/'] = 64,
};
// clang-format on

static int value_of(char c)
{
    return values[(unsigned char)c] - 1;
}

bool base64_decode(struct buffer *out, struct bytes text)
{
    if (text.length % 4 != 0)
        return false;
    char *to = buffer_reserve(out, text.length / 4 * 3);
    size_t written = 0;
    for (size_t i = 0; i < text.length; i += 4) {
        bool last = i + 4 == text.length;
        size_t padding = last && text.at[i + 3] == '=' ? (text.at[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = k < 4 - padding ? value_of(text.at[i + k]) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        if ((padding == 1 && (group & 0xff) != 0) || (padding == 2 && (group & 0xffff) != 0))
            return false; /* nonzero bits after the end: each value has one encoding */
        for (size_t k = 0; k < 3 - padding; k++)
            to[written++] = (char)(group >> (16 - 8 * k) & 0xff);
    }
    buffer_written(out, written);
    return true;
}
