/*
 * reply - what an ingestion answer's body says.
 *
 * The service's reply to a batch is not documented. A body with an array
 * `results` (or `events`) of objects is read entry by entry: an entry belongs
 * to the event that its `event_id` names or, without one and in a list as long
 * as the batch, to the event of the same place. It speaks through `status`:
 *
 *     2xx, ok, accepted, created, delivered, stored …   delivered
 *     409, duplicate, exists, already_exists, conflict  duplicate
 *     408, 425, 429, 5xx, retry, throttled …            again
 *     other 4xx, error, rejected, invalid, failed …     refused
 *
 * and where that says nothing, an `error` means refused. Entries that
 * contradict each other mean again. Events that no entry speaks of follow the
 * answer's HTTP status.
 */
#ifndef PHOS_WIRE_REPLY_H
#define PHOS_WIRE_REPLY_H

#include "phos/base.h"

enum phos__body_kind {
    PHOS__BODY_EMPTY,
    PHOS__BODY_JSON, /* or began as JSON and was cut */
    PHOS__BODY_HTML, /* by Content-Type, or it begins with '<' */
    PHOS__BODY_OTHER
};

enum phos__event_result {
    PHOS__RESULT_NONE = 0, /* follows the answer */
    PHOS__RESULT_DELIVERED,
    PHOS__RESULT_DUPLICATE,
    PHOS__RESULT_REFUSED,
    PHOS__RESULT_AGAIN
};

enum phos__body_kind phos__reply_kind(phos_str content_type, phos_str body);

/*
 * Fills results[0..count) for the events whose ids are given, in the order
 * sent. Everything is NONE when the body says nothing of single events, is
 * cut, not JSON, or more than 32 deep. Uses jansson, so it allocates; without
 * memory everything is NONE too. Threads: any.
 */
void phos__reply_results(phos_str body, const uint8_t (*ids)[16],
                         uint32_t count, uint8_t *results);

/* The service's own words of an error answer (`error`, `message` or `detail`,
 * as text or inside an object or list), NUL-terminated, cut between characters,
 * controls replaced by '?'; empty when it has none. */
void phos__reply_error_text(phos_str body, char *text, size_t text_bytes);

#endif
