/*
 * json_scan - checks raw JSON in place: no allocation, no recursion, nothing
 * kept. Used inside the log call and by the JSON writer.
 */
#ifndef PHOS_WIRE_JSON_SCAN_H
#define PHOS_WIRE_JSON_SCAN_H

#include "base/buffer.h"

enum { PHOS__JSON_DEPTH_MAX = 64 };

/*
 * Whether `text` is exactly one JSON object (RFC 8259, white space around it
 * allowed), at most PHOS__JSON_DEPTH_MAX deep. Strings may hold broken UTF-8
 * (it is repaired when written) but no raw control bytes; a lone surrogate
 * escape is allowed. Linear in time, async-signal-safe.
 */
bool phos__json_is_object(phos_str text);

/*
 * Walks the members of an object that phos__json_is_object() accepts. key and
 * value are raw JSON (key with its quotes). false at the end.
 * *cursor starts at 0.
 */
bool phos__json_next_member(phos_str object, size_t *cursor, phos_str *ret_key,
                            phos_str *ret_value);

/* Appends raw JSON that phos__json_is_object() has accepted, or a value out of
 * it, without white space between tokens. Numbers stay as they are spelled,
 * strings are spelled as phos__json_text() does: UTF-8 repaired, escapes only
 * where needed, lone surrogates replaced by U+FFFD. */
void phos__json_minify(struct phos__buffer *buffer, phos_str value);

#endif
