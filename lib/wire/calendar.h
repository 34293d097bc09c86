/*
 * calendar - dates of the Gregorian calendar and days since 1970-01-01. No time
 * zones and no libc: its functions take locks and read the environment.
 */
#ifndef PHOS_WIRE_CALENDAR_H
#define PHOS_WIRE_CALENDAR_H

#include "phos/base.h"

enum { PHOS__DAY_SECONDS = 86400 };

struct phos__date {
    unsigned year;  /* 0 to 9999 */
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

/* Whether the month has that day in that year. */
bool phos__date_is_valid(const struct phos__date *date);
/* Days since 1970-01-01, negative before it; the date is a valid one. */
int64_t phos__date_to_days(const struct phos__date *date);
struct phos__date phos__date_from_days(uint32_t days);

/* Reads exactly `count` (1 to 9) decimal digits. */
bool phos__digits_read(const char *text, unsigned count, unsigned *ret_value);

#endif
