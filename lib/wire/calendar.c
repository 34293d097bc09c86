#include "wire/calendar.h"

/*
 * Years are counted from March here, so that the leap day is the last day of a
 * year and the lengths of the months before a month follow one line:
 * 0, 31, 61, 92, 122, 153 … = (153 * month + 2) / 5.
 *
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */
enum {
    ERA_YEARS = 400, /* after which the calendar repeats to the day */
    ERA_DAYS = 146097,
    EPOCH_DAYS = 719468 /* from March 1st of year 0 to 1970-01-01 */
};

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool phos__date_is_valid(const struct phos__date *date)
{
    static const unsigned char lengths[12] = { 31, 28, 31, 30, 31, 30,
                                               31, 31, 30, 31, 30, 31 };
    unsigned length;

    if (date->year > 9999 || date->month < 1 || date->month > 12)
        return false;
    length = lengths[date->month - 1];
    if (date->month == 2 && is_leap(date->year))
        length = 29;
    return date->day >= 1 && date->day <= length;
}

int64_t phos__date_to_days(const struct phos__date *date)
{
    /* One era more, so that January of the year 0 is not negative. */
    unsigned year = date->year + ERA_YEARS - (date->month <= 2 ? 1 : 0);
    unsigned month = (date->month + 9) % 12;
    unsigned day_of_year = (153 * month + 2) / 5 + date->day - 1;
    int64_t days = (int64_t)year * 365 + year / 4 - year / 100 + year / 400;

    return days + day_of_year - ERA_DAYS - EPOCH_DAYS;
}

struct phos__date phos__date_from_days(uint32_t days)
{
    uint64_t since = (uint64_t)days + EPOCH_DAYS;
    unsigned era = (unsigned)(since / ERA_DAYS);
    unsigned of_era = (unsigned)(since % ERA_DAYS);
    /* Leap days passed are taken out, centuries put back in. */
    unsigned year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    struct phos__date date;

    date.day = of_year - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = era * ERA_YEARS + year + (date.month <= 2 ? 1 : 0);
    return date;
}

bool phos__digits_read(const char *text, unsigned count, unsigned *ret_value)
{
    unsigned value = 0;

    for (unsigned i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *ret_value = value;
    return true;
}
