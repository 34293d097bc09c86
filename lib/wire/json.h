/*
 * json - writes what the ingestion API reads: text, numbers, events. Written
 * for the worker's hot path; reading replies is jansson's work (reply.h).
 */
#ifndef PHOS_WIRE_JSON_H
#define PHOS_WIRE_JSON_H

#include "base/buffer.h"
#include "wire/record.h"

/* Text in quotes: controls, quotes, backslash, DEL, U+2028 and U+2029 escaped,
 * broken UTF-8 replaced by U+FFFD, one for each maximal broken part. */
void phos__json_text(struct phos__buffer *buffer, phos_str text);
void phos__json_i64(struct phos__buffer *buffer, int64_t value);
/* The shortest decimal that reads back as the same double; finite only. See
 * number.h for its form. */
void phos__json_double(struct phos__buffer *buffer, double value);

/*
 * One event object. `event_id` is the id that is sent; `time_us` the Unix time
 * used when the record has no time stamp of its own; `project_id` is used when
 * the record has none, and left out when its data is NULL.
 *
 * metadata is left out when it has no member. No key stands in it twice: typed
 * fields that are in use win over pairs, pairs over members of metadata_json,
 * and among equals the first one wins. Keys are equal when they read the same,
 * however they are spelled. Objects inside metadata stay as they are given.
 * metadata_json that is no object after all (it changed while the log call
 * copied it) is left out.
 */
void phos__json_event(struct phos__buffer *buffer,
                      const struct phos__record_view *view,
                      const uint8_t event_id[16], uint64_t time_us,
                      phos_str project_id);

#endif
