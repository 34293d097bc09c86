/*
 * json_text - strings between JSON and memory, both ways ending in the same
 * spelling: everything that needs no escape as it is, UTF-8 repaired.
 *
 *   "caf\u00e9 \ud800"  ──►  "café �"       raw JSON
 *    café \xff          ──►  "café �"       plain text
 *
 * So two keys are equal exactly when their bytes are, once written.
 */
#ifndef PHOS_WIRE_JSON_TEXT_H
#define PHOS_WIRE_JSON_TEXT_H

#include "base/buffer.h"

/* Appends a raw JSON string (with its quotes) that phos__json_is_object() has
 * accepted; of anything else it appends some string, and reads no further. */
void phos__json_raw_text(struct phos__buffer *buffer, phos_str raw);

/*
 * Copies the bytes up to the first that is not plain (control, quote,
 * backslash, DEL, not ASCII) and returns how many those are. Up to 16 bytes
 * behind them may be written as well. The second is the same without vector
 * instructions.
 */
size_t phos__json_copy_plain(const uint8_t *at, size_t left, uint8_t *to);
size_t phos__json_copy_plain_portable(const uint8_t *at, size_t left,
                                      uint8_t *to);

#endif
