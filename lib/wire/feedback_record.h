/*
 * feedback_record - feedback on an event, as it lies in the ring between the
 * events: everything the call was told, copied once, in host byte order. And
 * the JSON that the service reads.
 *
 *   head (48 bytes, with the event's id) │ comment │ source
 *
 * Time stands first, as in an event's record. A mark in the word where an event
 * has its fields tells the two apart.
 */
#ifndef PHOS_WIRE_FEEDBACK_RECORD_H
#define PHOS_WIRE_FEEDBACK_RECORD_H

#include "base/buffer.h"
#include "phos/client.h"

enum {
    PHOS__FEEDBACK_RECORD_BYTES_MAX =
        48 + PHOS_FEEDBACK_COMMENT_BYTES_MAX + PHOS_FEEDBACK_SOURCE_BYTES_MAX
};

/* What is said of which event; texts are borrowed, data NULL: left out. */
struct phos__feedback_view {
    uint64_t time; /* as of an event's record, see record.h */
    uint8_t event_id[16];
    phos_flag flag;
    phos_str comment, source;
};

/*
 * Checks feedback against its documented shape and computes the size of its
 * record, a multiple of 8. Async-signal-safe.
 *
 * Returns PHOS_OK, PHOS_E_INVALID, or PHOS_E_TOO_LARGE when a text exceeds its
 * limit or the record bytes_max.
 */
phos_status phos__feedback_record_plan(const struct phos__feedback_view *view,
                                       size_t bytes_max, uint32_t *ret_bytes);
/* Writes `bytes` as planned at `to`, which is 8-byte aligned. Allocates
 * nothing; async-signal-safe. */
void phos__feedback_record_write(const struct phos__feedback_view *view,
                                 uint32_t bytes, uint8_t *to);

/* Whether a record that is published is feedback, and no event. */
bool phos__feedback_record_is(const uint8_t *record, size_t bytes);
/* Takes a record apart; false: damaged. Never reads outside `bytes`. */
bool phos__feedback_record_read(const uint8_t *record, size_t bytes,
                                struct phos__feedback_view *ret_view);

/* The bytes of a whole record, as planned. */
uint32_t phos__feedback_record_bytes(const uint8_t *record);

/* A word in the head that is the reader's, for lists through the ring. */
uint64_t phos__feedback_record_link(const uint8_t *record);
void phos__feedback_record_set_link(uint8_t *record, uint64_t link);

/* The body of a request. A comment that is left out is not sent; a source that
 * is left out is "user". */
void phos__feedback_record_json(struct phos__buffer *buffer,
                                const struct phos__feedback_view *view);

#endif
