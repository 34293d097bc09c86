/*
 * text - text from files and services, made fit for a terminal: control bytes
 * are shown, never sent; what is cut is cut between characters; wide
 * characters count twice. Also numbers, sizes and durations as people read
 * them.
 */
#ifndef PHOS_TOOL_TEXT_H
#define PHOS_TOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXT_NUMBER_BYTES = 32 };

/*
 * Reads one code point and returns the bytes it takes, at least 1. What is
 * not UTF-8 reads as U+FFFD and takes the longest prefix that could have
 * begun a character. length > 0.
 *
 * Source: Unicode 15, section 3.9, "maximal subpart"; RFC 3629.
 */
size_t text_decode(const char *data, size_t length, uint32_t *ret_point);

/* Columns of a code point on a terminal: 0, 1 or 2. */
unsigned text_width(uint32_t point);

/* Whether a terminal would act on it instead of showing it: C0, DEL, C1, and
 * the marks that turn the direction of what follows. */
bool text_is_control(uint32_t point);

/*
 * Prints text on one line in at most `columns` columns: white space of any
 * kind as single blanks, controls as \x1b, cut with U+2026. Returns the
 * columns used.
 */
size_t text_line(FILE *out, const char *data, size_t length, size_t columns);

/* The same, then blanks up to `columns`. */
void text_cell(FILE *out, const char *data, size_t length, size_t columns);

/* Prints text with its line breaks, each new line behind `indent`. */
void text_block(FILE *out, const char *data, size_t length, const char *indent);

/*
 * Prints JSON as it came, but for controls beyond ASCII and DEL, which are
 * written as \u escapes; they can only stand inside strings.
 */
void text_json(FILE *out, const char *data, size_t length);

/* "12,345" */
const char *text_count(uint64_t count, char buffer[TEXT_NUMBER_BYTES]);
/* "12.3 MB" */
const char *text_bytes(uint64_t bytes, char buffer[TEXT_NUMBER_BYTES]);
/* "412 ms", "1.2 s", "3 min 05 s", "2 h 07 min" */
const char *text_duration(uint64_t ms, char buffer[TEXT_NUMBER_BYTES]);

#endif
