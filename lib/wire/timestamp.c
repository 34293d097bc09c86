#include "wire/timestamp.h"

#include "wire/calendar.h"

enum {
    SECOND_US = 1000000,
    DATE_TIME_LENGTH = 19, /* 2025-01-31T09:30:00 */
    OFFSET_LENGTH = 6      /* +01:00 */
};

static char *write_digits(char *to, unsigned value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        to[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + count;
}

void phos__timestamp_write(uint64_t time_us, char *text)
{
    unsigned micros, second;
    uint64_t time_s;
    struct phos__date date;

    if (time_us > (uint64_t)PHOS__TIMESTAMP_US_MAX)
        time_us = (uint64_t)PHOS__TIMESTAMP_US_MAX;
    time_s = time_us / SECOND_US;
    micros = (unsigned)(time_us % SECOND_US);
    second = (unsigned)(time_s % PHOS__DAY_SECONDS);
    date = phos__date_from_days((uint32_t)(time_s / PHOS__DAY_SECONDS));

    text = write_digits(text, date.year, 4);
    *text++ = '-';
    text = write_digits(text, date.month, 2);
    *text++ = '-';
    text = write_digits(text, date.day, 2);
    *text++ = 'T';
    text = write_digits(text, second / 3600, 2);
    *text++ = ':';
    text = write_digits(text, second / 60 % 60, 2);
    *text++ = ':';
    text = write_digits(text, second % 60, 2);
    *text++ = '.';
    text = write_digits(text, micros, 6);
    *text = 'Z';
}

/* The fixed part, 19 characters; the second is 0 to 60. */
static bool read_date_time(const char *text, int64_t *ret_minute_s,
                           unsigned *ret_second)
{
    struct phos__date date;
    unsigned hour, minute, second;

    if (text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
        return false;
    if (text[10] != 'T' && text[10] != 't' && text[10] != ' ')
        return false;
    if (!phos__digits_read(text, 4, &date.year) ||
        !phos__digits_read(text + 5, 2, &date.month) ||
        !phos__digits_read(text + 8, 2, &date.day) ||
        !phos__digits_read(text + 11, 2, &hour) ||
        !phos__digits_read(text + 14, 2, &minute) ||
        !phos__digits_read(text + 17, 2, &second))
        return false;
    if (!phos__date_is_valid(&date) || hour > 23 || minute > 59 || second > 60)
        return false;

    *ret_minute_s = phos__date_to_days(&date) * PHOS__DAY_SECONDS +
                    (int64_t)(hour * 3600 + minute * 60);
    *ret_second = second;
    return true;
}

/* ".5" and longer at *at, to microseconds, cut; moves *at behind it. */
static bool read_fraction(phos_str text, size_t *at, int64_t *ret_micros)
{
    unsigned digits = 0;
    int64_t micros = 0;
    size_t i = *at + 1;

    for (; i < text.length && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        if (digits == 6)
            continue;
        micros = micros * 10 + (text.data[i] - '0');
        digits++;
    }
    if (digits == 0)
        return false;
    for (; digits < 6; digits++)
        micros *= 10;
    *at = i;
    *ret_micros = micros;
    return true;
}

/* What follows the fraction: nothing, 'Z', or an offset from UTC. */
static bool read_zone(phos_str zone, int64_t *ret_offset_us)
{
    unsigned hour, minute;

    if (zone.length == 0 ||
        (zone.length == 1 && (zone.data[0] == 'Z' || zone.data[0] == 'z'))) {
        *ret_offset_us = 0;
        return true;
    }
    if (zone.length != OFFSET_LENGTH || zone.data[3] != ':' ||
        (zone.data[0] != '+' && zone.data[0] != '-'))
        return false;
    if (!phos__digits_read(zone.data + 1, 2, &hour) || hour > 23 ||
        !phos__digits_read(zone.data + 4, 2, &minute) || minute > 59)
        return false;
    *ret_offset_us = (int64_t)(hour * 3600 + minute * 60) * SECOND_US;
    if (zone.data[0] == '-')
        *ret_offset_us = -*ret_offset_us;
    return true;
}

bool phos__timestamp_read(phos_str text, int64_t *ret_time_us)
{
    size_t at = DATE_TIME_LENGTH;
    int64_t minute_s, time_us, micros = 0, offset_us;
    unsigned second;

    if (text.length < DATE_TIME_LENGTH ||
        !read_date_time(text.data, &minute_s, &second))
        return false;
    if (at < text.length && text.data[at] == '.' &&
        !read_fraction(text, &at, &micros))
        return false;
    if (!read_zone(phos_str_make(text.data + at, text.length - at), &offset_us))
        return false;

    /* Unix time has no leap second; its neighbour's end stands for it. */
    if (second == 60) {
        second = 59;
        micros = SECOND_US - 1;
    }
    time_us = (minute_s + second) * SECOND_US + micros - offset_us;
    if (time_us < 0 || time_us > PHOS__TIMESTAMP_US_MAX)
        return false;
    *ret_time_us = time_us;
    return true;
}
