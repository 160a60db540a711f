/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/quantity.h"

/* ---- reading ---- */

static bool read_unit(struct bytes text, const char *const *units, const uint64_t *factors, uint64_t *value)
{
    size_t digits = 0;
    while (digits < text.length && ascii_is_digit(text.at[digits]))
        digits++;
    struct bytes unit = bytes_from(text, digits);
    uint64_t number;
    if (!bytes_to_u64(bytes_first(text, digits), UINT64_MAX, &number))
        return false;
    for (size_t i = 0; units[i] != NULL; i++)
        if (bytes_is_nocase(unit, units[i]))
            return !__builtin_mul_overflow(number, factors[i], value);
    return false;
}

bool quantity_size(struct bytes text, uint64_t *value)
{
    static const char *const units[] = {"",  "B",   "K",  "KiB", "KB",  "M",  "MiB", "MB",
                                        "G", "GiB", "GB", "T",   "TiB", "TB", NULL};
    static const uint64_t factors[] = {
        1,       1,          1024,       1024,       1000,          1048576,       1048576,
        1000000, 1073741824, 1073741824, 1000000000, 1099511627776, 1099511627776, 1000000000000};
    return read_unit(text, units, factors, value);
}

bool quantity_duration(struct bytes text, uint64_t *value)
{
    static const char *const units[] = {"ms", "s", "m", "h", "d", "w", NULL};
    static const uint64_t factors[] = {1, 1000, 60000, 3600000, 86400000, 604800000};
    return read_unit(text, units, factors, value);
}

/* ---- writing ---- */

const char *quantity_age(uint64_t from_ms, uint64_t to_ms, char buffer[QUANTITY_AGE_SIZE])
{
    static const struct {
        uint64_t below_s, unit_s;
        char name;
    } units[] = {{120, 1, 's'}, {2 * 3600, 60, 'm'}, {48 * 3600, 3600, 'h'}, {UINT64_MAX, 86400, 'd'}};
    uint64_t seconds = to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0;
    size_t i = 0, at = QUANTITY_AGE_SIZE;
    while (seconds >= units[i].below_s)
        i++;
    buffer[--at] = '\0';
    buffer[--at] = units[i].name;
    for (uint64_t left = seconds / units[i].unit_s; at + 2 == QUANTITY_AGE_SIZE || left > 0; left /= 10)
        buffer[--at] = (char)('0' + left % 10);
    memmove(buffer, buffer + at, QUANTITY_AGE_SIZE - at);
    return buffer;
}
