#include "wire/retry_after.h"

#include <string.h>

#include "wire/calendar.h"

#define NOW_S_MAX INT64_C(253402300799) /* the last second of the year 9999 */

enum { WINDOW_S = 1577847600 }; /* 50 years of 365.2425 days */

static const char day_names[7][10] = { "Monday",   "Tuesday", "Wednesday",
                                       "Thursday", "Friday",  "Saturday",
                                       "Sunday" };
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static phos_str trim(phos_str text)
{
    while (text.length > 0 && is_blank(text.data[0])) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}

/* "08:49:37" to seconds of the day; a leap second is the next minute's first.
 */
static bool read_clock(const char *text, unsigned *ret_seconds)
{
    unsigned hour, minute, second;

    if (text[2] != ':' || text[5] != ':' ||
        !phos__digits_read(text, 2, &hour) || hour > 23 ||
        !phos__digits_read(text + 3, 2, &minute) || minute > 59 ||
        !phos__digits_read(text + 6, 2, &second) || second > 60)
        return false;
    *ret_seconds = hour * 3600 + minute * 60 + second;
    return true;
}

static bool read_month(const char *text, unsigned *ret_month)
{
    for (unsigned i = 0; i < 12; i++) {
        if (memcmp(text, month_names + (size_t)i * 3, 3) == 0) {
            *ret_month = i + 1;
            return true;
        }
    }
    return false;
}

/* Whether the first `length` bytes name a day of the week; the date decides
 * which day it is, so a wrong name is not looked for. */
static bool is_day_name(const char *text, size_t length, bool is_long)
{
    for (unsigned i = 0; i < 7; i++) {
        size_t name_length = is_long ? strlen(day_names[i]) : 3;

        if (length == name_length && memcmp(text, day_names[i], length) == 0)
            return true;
    }
    return false;
}

static bool to_unix(const struct phos__date *date, unsigned seconds,
                    int64_t *ret_unix_s)
{
    if (!phos__date_is_valid(date))
        return false;
    *ret_unix_s = phos__date_to_days(date) * PHOS__DAY_SECONDS + seconds;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf_fixdate(phos_str text, int64_t *ret_unix_s)
{
    const char *at = text.data;
    struct phos__date date;
    unsigned seconds;

    if (text.length != 29 || !is_day_name(at, 3, false) ||
        memcmp(at + 3, ", ", 2) != 0 || at[7] != ' ' || at[11] != ' ' ||
        at[16] != ' ' || memcmp(at + 25, " GMT", 4) != 0)
        return false;
    return phos__digits_read(at + 5, 2, &date.day) &&
           read_month(at + 8, &date.month) &&
           phos__digits_read(at + 12, 4, &date.year) &&
           read_clock(at + 17, &seconds) && to_unix(&date, seconds, ret_unix_s);
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(phos_str text, int64_t *ret_unix_s)
{
    const char *at = text.data;
    struct phos__date date;
    unsigned seconds;

    if (text.length != 24 || !is_day_name(at, 3, false) || at[3] != ' ' ||
        at[7] != ' ' || at[10] != ' ' || at[19] != ' ')
        return false;
    if (at[8] == ' ' ? !phos__digits_read(at + 9, 1, &date.day)
                     : !phos__digits_read(at + 8, 2, &date.day))
        return false;
    return read_month(at + 4, &date.month) && read_clock(at + 11, &seconds) &&
           phos__digits_read(at + 20, 4, &date.year) &&
           to_unix(&date, seconds, ret_unix_s);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool read_rfc850(phos_str text, int64_t now_s, int64_t *ret_unix_s)
{
    const char *at = memchr(text.data, ',', text.length);
    struct phos__date date, now;
    unsigned seconds;
    int64_t unix_s;

    if (at == NULL || !is_day_name(text.data, (size_t)(at - text.data), true))
        return false;
    if (text.data + text.length - at != 24 || memcmp(at, ", ", 2) != 0 ||
        at[4] != '-' || at[8] != '-' || at[11] != ' ' ||
        memcmp(at + 20, " GMT", 4) != 0)
        return false;
    if (!phos__digits_read(at + 2, 2, &date.day) ||
        !read_month(at + 5, &date.month) ||
        !phos__digits_read(at + 9, 2, &date.year) ||
        !read_clock(at + 12, &seconds))
        return false;

    /* Of all years that end so, the last that is at most 50 years ahead. */
    now = phos__date_from_days((uint32_t)(now_s / PHOS__DAY_SECONDS));
    date.year += (now.year / 100 + 1) * 100;
    for (unsigned century = 0; century < 3; century++, date.year -= 100) {
        if (to_unix(&date, seconds, &unix_s) && unix_s <= now_s + WINDOW_S) {
            *ret_unix_s = unix_s;
            return true;
        }
    }
    return false;
}

static int64_t clamp_now(int64_t now_s)
{
    if (now_s < 0)
        return 0;
    return now_s < NOW_S_MAX ? now_s : NOW_S_MAX;
}

bool phos__http_date_read(phos_str text, int64_t now_s, int64_t *ret_unix_s)
{
    text = trim(text);
    if (text.length == 0)
        return false;
    return read_imf_fixdate(text, ret_unix_s) ||
           read_asctime(text, ret_unix_s) ||
           read_rfc850(text, clamp_now(now_s), ret_unix_s);
}

/*
 * "120", and "1.5", which no standard allows but servers send. Rounded up, for
 * coming back sooner than asked would only be refused again.
 */
static bool read_seconds(phos_str text, uint64_t *ret_wait_ms)
{
    uint64_t wait_ms = 0;
    unsigned scale = 1000; /* of the next digit of the fraction, times ten */
    bool has_rest = false;
    size_t i = 0;

    for (; i < text.length && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        wait_ms = wait_ms * 10 + (uint64_t)(text.data[i] - '0') * 1000;
        if (wait_ms > PHOS__RETRY_AFTER_MS_MAX)
            wait_ms = PHOS__RETRY_AFTER_MS_MAX; /* and stays, at least */
    }
    if (i == 0)
        return false;
    if (i < text.length) {
        if (text.data[i] != '.' || ++i == text.length)
            return false;
        for (; i < text.length; i++) {
            if (text.data[i] < '0' || text.data[i] > '9')
                return false;
            scale /= 10;
            wait_ms += (uint64_t)(text.data[i] - '0') * scale;
            has_rest = has_rest || (scale == 0 && text.data[i] != '0');
        }
    }
    wait_ms += has_rest ? 1 : 0;
    *ret_wait_ms =
        wait_ms < PHOS__RETRY_AFTER_MS_MAX ? wait_ms : PHOS__RETRY_AFTER_MS_MAX;
    return true;
}

bool phos__retry_after_read(phos_str value, phos_str date, int64_t now_s,
                            uint64_t *ret_wait_ms)
{
    int64_t until_s, since_s, wait_s;

    value = trim(value);
    if (read_seconds(value, ret_wait_ms))
        return true;
    if (!phos__http_date_read(value, now_s, &until_s))
        return false;
    /* The server's clock, not ours, is the one that the date was read from. */
    if (!phos__http_date_read(date, now_s, &since_s))
        since_s = clamp_now(now_s);

    wait_s = until_s - since_s;
    if (wait_s < 0)
        wait_s = 0;
    if (wait_s > PHOS__RETRY_AFTER_MS_MAX / 1000)
        wait_s = PHOS__RETRY_AFTER_MS_MAX / 1000;
    *ret_wait_ms = (uint64_t)wait_s * 1000;
    return true;
}
