/* SPDX-License-Identifier: Apache-2.0 */
#include "core/smtp/base64.h"

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

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct buffer *out, struct bytes text)
{
    if (text.length % 4 != 0)
        return false;
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
            buffer_add_octet(out, (char)(group >> (16 - 8 * k) & 0xff));
    }
    return true;
}
