/*
 * timestamp - Unix microseconds and ISO 8601 UTC text, years 1970 to 9999.
 */
#ifndef PHOS_WIRE_TIMESTAMP_H
#define PHOS_WIRE_TIMESTAMP_H

#include "phos/base.h"

enum { PHOS__TIMESTAMP_LENGTH = 27 }; /* 2025-01-31T09:30:00.123456Z */

#define PHOS__TIMESTAMP_US_MAX INT64_C(253402300799999999)

/* Writes exactly PHOS__TIMESTAMP_LENGTH bytes, no NUL. Later than the year
 * 9999 is written as its last microsecond. */
void phos__timestamp_write(uint64_t time_us, char *text);

/*
 * Reads an ISO 8601 date-time as RFC 3339 profiles it: date, 'T' or blank,
 * time, optional fraction of any length (cut to microseconds), 'Z' or offset;
 * a date-time without zone is taken as UTC. Leap second 60 becomes 59.999999.
 */
bool phos__timestamp_read(phos_str text, int64_t *ret_time_us);

#endif
