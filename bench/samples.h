/*
 * samples - the events that the benchmarks log: four texts and three integers,
 * of a given size in all, taken in turn from 64 places in memory.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <phos/event.h>

enum { SAMPLE_COUNT = 64 };

struct samples {
    phos_event events[SAMPLE_COUNT];
    char *text;
};

/* event_bytes: of the texts and integers together, 128 or more. */
void samples_make(struct samples *samples, size_t event_bytes);
void samples_free(struct samples *samples);

#endif
