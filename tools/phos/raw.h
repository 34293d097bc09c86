/*
 * raw - finds the text of a value inside JSON that a parser has accepted, for
 * values that a parser could not hold exactly.
 */
#ifndef PHOS_TOOL_RAW_H
#define PHOS_TOOL_RAW_H

#include "phos/base.h"

/*
 * The text of the member `key` of the object `text`, which must be valid JSON.
 * When the key stands there more than once, the last one, as parsers take it.
 * { NULL, 0 } without one.
 */
phos_str raw_member(phos_str text, const char *key);

/*
 * The elements of the array `text`, which must be valid JSON, one a call:
 * *at is 0 at first and moves behind each. { NULL, 0 } after the last one.
 */
phos_str raw_element(phos_str text, size_t *at);

#endif
