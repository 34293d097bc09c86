/*
 * instant - ISO 8601 date-times to Unix microseconds and back.
 */
#ifndef PHOS_TOOL_INSTANT_H
#define PHOS_TOOL_INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INSTANT_TEXT_BYTES = 24 };

/*
 * Reads a date-time of the years 1970 to 9999: date, 'T' or a blank, time, a
 * fraction of any length (cut to microseconds), 'Z' or an offset; without one
 * it is UTC. The date alone is its midnight. A leap second reads as the last
 * microsecond before it.
 *
 * Source: RFC 3339, section 5.6.
 */
bool instant_read(const char *text, size_t length, int64_t *ret_us);

/* Writes "2025-01-31 09:30:00", UTC; "-" for what lies outside those years. */
void instant_write(int64_t us, char text[INSTANT_TEXT_BYTES]);

#endif
