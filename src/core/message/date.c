/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/date.h"

enum { DAY_S = 86400, DAYS_OF_400_YEARS = 146097 };

/* Computes the civil date of a day since 1970-01-01 (proleptic Gregorian calendar), in years that begin in
 * March, so that leap days come last. */
static void civil_date(uint64_t day, uint64_t *year, unsigned *month, unsigned *day_of_month)
{
    uint64_t shifted = day + 719468; /* days since 0000-03-01 */
    uint64_t era = shifted / DAYS_OF_400_YEARS, of_era = shifted % DAYS_OF_400_YEARS;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (unsigned)((5 * of_year + 2) / 153);
    *day_of_month = (unsigned)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

void date_add_month(struct buffer *out, uint64_t epoch_ms)
{
    uint64_t year;
    unsigned month, day_of_month;
    civil_date(epoch_ms / 1000 / DAY_S, &year, &month, &day_of_month);
    buffer_add_format(out, "%04u%02u", (unsigned)year, month);
}

void date_add_day(struct buffer *out, uint64_t epoch_ms)
{
    uint64_t year;
    unsigned month, day_of_month;
    civil_date(epoch_ms / 1000 / DAY_S, &year, &month, &day_of_month);
    buffer_add_format(out, "%u %s %u", day_of_month, months[month - 1], (unsigned)year);
}

void date_add_iso_day(struct buffer *out, uint64_t epoch_ms)
{
    uint64_t year;
    unsigned month, day_of_month;
    civil_date(epoch_ms / 1000 / DAY_S, &year, &month, &day_of_month);
    buffer_add_format(out, "%04u-%02u-%02u", (unsigned)year, month, day_of_month);
}

bool date_read_iso_day(struct bytes text, uint32_t *day)
{
    enum { FIRST_YEAR = 1970, LAST_YEAR = 2199 };
    uint64_t year, month, day_of_month, found_year;
    unsigned found_month, found_day;
    if (text.length != 10 || text.at[4] != '-' || text.at[7] != '-' ||
        !bytes_to_u64(bytes_first(text, 4), LAST_YEAR, &year) || year < FIRST_YEAR ||
        !bytes_to_u64(bytes_of(text.at + 5, 2), 12, &month) || month == 0 ||
        !bytes_to_u64(bytes_from(text, 8), 31, &day_of_month) || day_of_month == 0)
        return false;
    uint64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day_of_month - 1;
    uint64_t from_march = month > 2 ? year : year - 1;
    uint64_t found = 365 * from_march + from_march / 4 - from_march / 100 + from_march / 400 + of_year -
                     719468;
    civil_date(found, &found_year, &found_month, &found_day);
    *day = (uint32_t)found;
    return found_year == year && found_month == month && found_day == day_of_month;
}

void date_add(struct buffer *out, uint64_t epoch_ms)
{
    uint64_t seconds = epoch_ms / 1000, day = seconds / DAY_S, of_day = seconds % DAY_S, year;
    unsigned month, day_of_month;
    civil_date(day, &year, &month, &day_of_month);
    buffer_add_format(out, "%s, %u %s %04u %02u:%02u:%02u +0000", days[day % 7], day_of_month,
                      months[month - 1], (unsigned)year, (unsigned)(of_day / 3600),
                      (unsigned)(of_day / 60 % 60), (unsigned)(of_day % 60));
}

void date_add_http(struct buffer *out, uint64_t epoch_ms)
{
    uint64_t seconds = epoch_ms / 1000, day = seconds / DAY_S, of_day = seconds % DAY_S, year;
    unsigned month, day_of_month;
    civil_date(day, &year, &month, &day_of_month);
    buffer_add_format(out, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[day % 7], day_of_month,
                      months[month - 1], (unsigned)year, (unsigned)(of_day / 3600),
                      (unsigned)(of_day / 60 % 60), (unsigned)(of_day % 60));
}
