/*
 * sse - takes a stream of server-sent events apart, however its bytes are cut
 * into pieces. The caller pulls, so that a slow one holds the bytes back.
 *
 *   event: token\r\n          ──►  { "token", "{...}", last id }
 *   data: {...}\r\n
 *   \r\n
 *
 * Bytes are handed on as they came: what is in `data` has rules of its own.
 *
 * Source: WHATWG HTML Living Standard, section 9.2 (server-sent events).
 */
#ifndef PHOS_WIRE_SSE_H
#define PHOS_WIRE_SSE_H

#include "base/buffer.h"

/* One event; valid until the parser is called again. */
struct phos__sse_event {
    phos_str name; /* of its kind; "message" when the stream gives none */
    phos_str data; /* lines joined by LF, without one at the end */
    phos_str id;   /* the last that the stream gave; empty: none */
};

enum phos__sse_step {
    PHOS__SSE_MORE,  /* all is read, and no event is complete */
    PHOS__SSE_EVENT, /* one event; what is left of the input comes next */
    PHOS__SSE_FAILED /* for good: see status */
};

struct phos__sse {
    size_t line_bytes_max;  /* of one line, without its end; > 0 */
    size_t event_bytes_max; /* of one event's data; > 0 */
    phos_status status; /* PHOS_E_TOO_LARGE, PHOS_E_NO_MEMORY; PHOS_OK so far */

    bool has_retry;
    uint64_t retry_ms; /* wait before a reconnection, as the stream wishes */

    /* private */
    struct phos__buffer line; /* the beginning of one whose end is not here */
    struct phos__buffer name, data, id;
    bool has_data; /* also if that is empty */
    bool
        was_handed_out; /* name and data are the caller's until its next call */
    bool is_after_cr;   /* an LF that follows belongs to it */
    bool is_past_line_one; /* a byte order mark is one no more */
};

void phos__sse_init(struct phos__sse *sse, const phos_allocator *allocator,
                    size_t line_bytes_max, size_t event_bytes_max);
void phos__sse_deinit(struct phos__sse *sse);

/* Reads up to the end of the next event and takes what it has read off the
 * front of *input. Called again with the rest, it gives the event after. */
enum phos__sse_step phos__sse_read(struct phos__sse *sse, phos_str *input,
                                   struct phos__sse_event *ret_event);

/*
 * After the last byte: the event that lacks only the blank line behind it, or
 * PHOS__SSE_MORE. The standard would throw it away; services that forget that
 * line mean it.
 */
enum phos__sse_step phos__sse_finish(struct phos__sse *sse,
                                     struct phos__sse_event *ret_event);

#endif
