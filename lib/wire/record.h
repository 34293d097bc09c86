/*
 * record - an event as it lies in the ring, and later in the spool: everything
 * the log call was told, copied once, in host byte order.
 *
 *   head (40 bytes) │ event id? │ integers, cost? │ lengths │ texts, tags,
 * pairs
 *
 * The ring's stamp stands in front of it and is not part of it.
 */
#ifndef PHOS_WIRE_RECORD_H
#define PHOS_WIRE_RECORD_H

#include "phos/event.h"

/*
 * The time of the log call, one word, so that converting it in place is one
 * store: bit 63 set, a reading of the log clock (io/clock.h); clear, Unix time
 * in microseconds, as the worker leaves it before the first send.
 */
#define PHOS__TIME_RAW (UINT64_C(1) << 63)

/* What the log call learns while it checks an event. */
struct phos__record_plan {
    size_t bytes; /* of the whole record, a multiple of 8 */
    uint32_t fields;
    uint32_t fixed_bytes; /* in front of the texts */
    uint32_t tag_bytes;   /* of the packed tags */
    uint32_t pair_bytes;  /* of the packed pairs */
    /* Only of an event that is cut: the bytes that are kept of its texts, and
     * those that they had. */
    uint32_t input_bytes, output_bytes;
    uint64_t input_was, output_was;
};

/*
 * Checks an event against its documented shape and computes its size. Pure: no
 * allocation, no system call, async-signal-safe, no floating-point library.
 *
 * Returns PHOS_OK, PHOS_E_INVALID, or PHOS_E_TOO_LARGE when bytes would exceed
 * bytes_max. What is broken is PHOS_E_INVALID even if it is too large as well;
 * only metadata_json is not looked into then, because reading it takes time
 * that grows with its length.
 */
phos_status phos__record_plan(const phos_event *event, size_t bytes_max,
                              struct phos__record_plan *ret_plan);

/*
 * The same for an event for which that is PHOS_E_TOO_LARGE: cuts its input and
 * output so that it fits, and notes their lengths before. PHOS_E_TOO_LARGE:
 * what else it has exceeds bytes_max already.
 */
phos_status phos__record_plan_cut(const phos_event *event, size_t bytes_max,
                                  struct phos__record_plan *ret_plan);

/*
 * Writes plan->bytes bytes at `to`, which is 8-byte aligned. `time` as above.
 * Allocates nothing; async-signal-safe. Bytes of texts that another thread
 * changes meanwhile may come out mixed, but never more of them than planned.
 */
void phos__record_write(const phos_event *event,
                        const struct phos__record_plan *plan, uint64_t time,
                        uint8_t *to);

struct phos__record_view;

/*
 * The plan of an event that was made of another record and is to take its
 * place: marks of a cut in `before` are kept. may_cut: an event that is too
 * large is cut, else it is PHOS_E_TOO_LARGE.
 */
phos_status phos__record_plan_edited(const phos_event *event,
                                     const struct phos__record_view *before,
                                     size_t bytes_max, bool may_cut,
                                     struct phos__record_plan *ret_plan);

/* A record taken apart; texts point into it. Tags and pairs stay packed. */
struct phos__record_view {
    uint64_t time;
    uint64_t cookie;
    bool has_event_id;
    uint8_t event_id[16];
    bool has_latency_ms, has_token_count_input, has_token_count_output;
    bool has_cost_cents, has_timestamp;
    bool has_input_was, has_output_was; /* cut; the lengths before */
    int64_t input_was, output_was;
    int64_t latency_ms, token_count_input, token_count_output;
    int64_t timestamp_us;
    double cost_cents;
    /* data NULL: left out */
    phos_str input, output, session_id, project_id, model, provider, user_id;
    phos_str metadata_json, traceparent;
    phos_str tags;  /* packed, see phos__record_next_tag() */
    phos_str pairs; /* packed, see phos__record_next_pair() */
};

/*
 * Takes a record apart, checking every length against `bytes`: a damaged
 * record gives false and never a read outside it. What is read keeps the rules
 * of phos__record_plan(), but for metadata_json, which is not looked into; a
 * traceparent that breaks them is left out.
 */
bool phos__record_read(const uint8_t *record, size_t bytes,
                       struct phos__record_view *ret_view);

/* Walks the packed tags or pairs; false at the end. *cursor starts at 0. */
bool phos__record_next_tag(phos_str tags, size_t *cursor, phos_str *ret_tag);
bool phos__record_next_pair(phos_str pairs, size_t *cursor,
                            phos_pair *ret_pair);

/* The first word of a record is its time. */
static inline uint64_t phos__record_time(const uint8_t *record)
{
    uint64_t time;

    __builtin_memcpy(&time, record, sizeof(time));
    return time;
}

#endif
