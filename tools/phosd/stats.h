/*
 * stats - sums and percentiles of events by time and by model.
 *
 * Pure: told a range, then what is in it, events or sums of them, in any order,
 * then asked for JSON. Of single events each latency is kept until the end, so
 * that percentiles are exact. Where sums come too, latencies are counted in
 * bins. That, and the tables of fixed size, bound the memory.
 */
#ifndef PHOSD_STATS_H
#define PHOSD_STATS_H

#include "bins.h"
#include "measure.h"
#include "store.h"

enum {
    PHOSD_STATS_EVENTS_MAX = 100000, /* looked at in one answer */
    PHOSD_STATS_BUCKETS_MAX = 60,    /* what a chart shows and an eye parts */
    PHOSD_STATS_MODELS_MAX = 32,     /* named ones; the rest is summed up */
    PHOSD_STATS_NAME_MAX = 200       /* bytes; a longer name is not named */
};

struct phosd_stats_group {
    struct phosd_sums sums;
    uint64_t latencies;    /* events that tell their latency */
    uint64_t passed;       /* of them, while percentiles are looked for */
    int64_t latency_ms[3]; /* the 50th, 95th and 99th percentile */
};

struct phosd_stats_model {
    char name[PHOSD_STATS_NAME_MAX];
    size_t name_bytes;
    bool unnamed; /* of events without a model */
    struct phosd_stats_group group;
};

struct phosd_stats_latency {
    int64_t ms;
    uint16_t bucket, model;
};

struct phosd_stats {
    struct phosd_stats_range range;
    int64_t first_us; /* where the first bucket begins */
    int64_t width_us;
    size_t bucket_count;
    struct phosd_stats_group total;
    struct phosd_stats_group buckets[PHOSD_STATS_BUCKETS_MAX + 1];
    struct phosd_stats_model models[PHOSD_STATS_MODELS_MAX + 1];
    size_t model_count; /* the last place is for all others */
    struct phosd_stats_latency *latencies; /* malloc */
    size_t latency_count, latency_capacity;
    size_t first_bin, last_bin; /* of those that are not empty */
    uint64_t *bins; /* calloc; for total, buckets, then models; NULL: exact */
    bool failed;    /* no memory */
};

void phosd_stats_init(struct phosd_stats *stats);
void phosd_stats_deinit(struct phosd_stats *stats);

/* The width of the buckets that a range is cut into: one that people count in,
 * and `least_us`, which is such a width or 0, at least. */
int64_t phosd_stats_width_us(const struct phosd_stats_range *range,
                             int64_t least_us);

void phosd_stats_begin(struct phosd_stats *stats,
                       const struct phosd_stats_range *range);
/* An event outside the range is left out. */
void phosd_stats_add(struct phosd_stats *stats,
                     const struct phosd_stats_row *row);
/* Of a stretch that lies in one bucket; only when the range said so. */
void phosd_stats_add_sum(struct phosd_stats *stats,
                         const struct phosd_stats_sum *sum);
/* Appends the JSON; after it the object is good for nothing but deinit. */
void phosd_stats_render(struct phosd_stats *stats, struct phos__buffer *body);

#endif
