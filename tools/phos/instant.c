#include "instant.h"

#include <stdio.h>
#include <string.h>

#define US_PER_SECOND INT64_C(1000000)
#define SECONDS_PER_DAY INT64_C(86400)
#define US_MAX INT64_C(253402300799999999) /* the end of the year 9999 */

/* Days since 1970-01-01 of a day of the Gregorian calendar, counted in eras
 * of 400 years that begin on 1 March, so that a leap day ends its year. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t from_march = (month + 9) % 12;
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t era = march_year / 400;
    int64_t year_of_era = march_year % 400;
    int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 -
           year_of_era / 100 + day_of_year - 719468;
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const int64_t days[] = { 31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

struct reader {
    const char *data;
    size_t length, at;
    bool failed;
};

static bool take(struct reader *reader, char expected)
{
    if (reader->at >= reader->length || reader->data[reader->at] != expected)
        return false;
    reader->at++;
    return true;
}

static bool at_digit(const struct reader *reader)
{
    return reader->at < reader->length && reader->data[reader->at] >= '0' &&
           reader->data[reader->at] <= '9';
}

static int64_t number(struct reader *reader, unsigned digits, int64_t min,
                      int64_t max)
{
    int64_t value = 0;

    for (unsigned i = 0; i < digits; i++) {
        if (!at_digit(reader)) {
            reader->failed = true;
            return min;
        }
        value = value * 10 + (reader->data[reader->at++] - '0');
    }
    if (value < min || value > max) {
        reader->failed = true;
        return min;
    }
    return value;
}

static void require(struct reader *reader, char expected)
{
    if (!take(reader, expected))
        reader->failed = true;
}

static int64_t fraction_us(struct reader *reader)
{
    int64_t us = 0;
    int64_t unit = US_PER_SECOND / 10;

    if (!take(reader, '.') && !take(reader, ','))
        return 0;
    if (!at_digit(reader))
        reader->failed = true;
    for (; at_digit(reader); unit /= 10)
        us += (reader->data[reader->at++] - '0') * unit;
    return us;
}

/* Seconds east of Greenwich. */
static int64_t zone_seconds(struct reader *reader)
{
    int64_t sign;
    int64_t hours;
    int64_t minutes = 0;

    if (reader->at == reader->length || take(reader, 'Z') || take(reader, 'z'))
        return 0;
    if (take(reader, '+'))
        sign = 1;
    else if (take(reader, '-'))
        sign = -1;
    else {
        reader->failed = true;
        return 0;
    }
    hours = number(reader, 2, 0, 23);
    if (take(reader, ':') || at_digit(reader))
        minutes = number(reader, 2, 0, 59);
    return sign * (hours * 3600 + minutes * 60);
}

static int64_t time_of_day_us(struct reader *reader)
{
    int64_t hour = number(reader, 2, 0, 23);
    int64_t minute;
    int64_t second = 0;
    int64_t us = 0;

    require(reader, ':');
    minute = number(reader, 2, 0, 59);
    if (take(reader, ':')) {
        second = number(reader, 2, 0, 60);
        us = fraction_us(reader);
    }
    if (second == 60) {
        second = 59;
        us = US_PER_SECOND - 1;
    }
    us += (hour * 3600 + minute * 60 + second) * US_PER_SECOND;
    return us - zone_seconds(reader) * US_PER_SECOND;
}

bool instant_read(const char *text, size_t length, int64_t *ret_us)
{
    struct reader reader = { text, length, 0, false };
    int64_t year = number(&reader, 4, 1970, 9999);
    int64_t month;
    int64_t day;
    int64_t us;

    require(&reader, '-');
    month = number(&reader, 2, 1, 12);
    require(&reader, '-');
    day = number(&reader, 2, 1, 31);
    if (reader.failed || day > month_days(year, month))
        return false;

    us = days_of(year, month, day) * SECONDS_PER_DAY * US_PER_SECOND;
    if (reader.at < length) {
        if (!take(&reader, 'T') && !take(&reader, 't'))
            require(&reader, ' ');
        us += time_of_day_us(&reader);
    }
    if (reader.failed || reader.at != length || us < 0 || us > US_MAX)
        return false;
    *ret_us = us;
    return true;
}

/* The inverse of days_of(). */
static void date_of(int64_t days, int64_t *ret_year, int64_t *ret_month,
                    int64_t *ret_day)
{
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                           day_of_era / 146096) /
                          365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * from_march + 2) / 5 + 1;
    *ret_month = from_march < 10 ? from_march + 3 : from_march - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2 ? 1 : 0);
}

void instant_write(int64_t us, char text[INSTANT_TEXT_BYTES])
{
    int64_t year, month, day;
    int64_t seconds = us / US_PER_SECOND;
    int64_t of_day = seconds % SECONDS_PER_DAY;

    if (us < 0 || us > US_MAX) {
        memcpy(text, "-", 2);
        return;
    }
    date_of(seconds / SECONDS_PER_DAY, &year, &month, &day);
    /* The remainders tell the compiler what the check above guarantees. */
    snprintf(text, INSTANT_TEXT_BYTES, "%04u-%02u-%02u %02u:%02u:%02u",
             (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100,
             (unsigned)(of_day / 3600) % 100, (unsigned)(of_day / 60 % 60),
             (unsigned)(of_day % 60));
}
