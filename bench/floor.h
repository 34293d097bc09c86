/*
 * floor - the least that a shared queue can cost its producers: the same texts
 * and integers copied into memory of a ring's size, one atomic addition to
 * reserve the place, the coarse clock, one release store. No check, no
 * consumer, no answer for a full queue. The library's call is measured beside
 * it, and the ratio is what can be compared between machines.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <phos/event.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

struct floor_ring {
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) uint8_t *data;
    uint64_t mask;
};

/* `bytes`: a power of two, as the library's ring has. Pre-faulted. */
void floor_make(struct floor_ring *ring, size_t bytes);
void floor_free(struct floor_ring *ring);

static inline uint8_t *floor_text(uint8_t *to, phos_str text)
{
    uint32_t length = (uint32_t)text.length;

    memcpy(to, &length, sizeof(length));
    memcpy(to + sizeof(length), text.data, text.length);
    return to + sizeof(length) + text.length;
}

static inline uint8_t *floor_integer(uint8_t *to, int64_t value)
{
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static inline void floor_push(struct floor_ring *ring, const phos_event *event)
{
    struct timespec now;
    uint64_t bytes =
        (8 + 8 + 3 * 8 + 4 * 4 + event->input.length + event->output.length +
         event->session_id.length + event->model.length + 7) &
        ~UINT64_C(7);
    uint64_t position =
        atomic_fetch_add_explicit(&ring->tail, bytes, memory_order_acq_rel);
    uint8_t *record = ring->data + (position & ring->mask);
    uint8_t *to = record + 8;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    to = floor_integer(to, now.tv_sec * 1000000 + now.tv_nsec / 1000);
    to = floor_integer(to, event->latency_ms);
    to = floor_integer(to, event->token_count_input);
    to = floor_integer(to, event->token_count_output);
    to = floor_text(to, event->session_id);
    to = floor_text(to, event->model);
    to = floor_text(to, event->input);
    floor_text(to, event->output);
    atomic_store_explicit((_Atomic uint64_t *)(void *)record, position | 1,
                          memory_order_release);
}

#endif
