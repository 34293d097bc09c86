/*
 * measure - what one event adds to the statistics, read from its metadata. The
 * same numbers go into the sums that are kept and into answers that are made
 * from events, so that both agree.
 */
#ifndef PHOSD_MEASURE_H
#define PHOSD_MEASURE_H

#include "phos/base.h"

struct phosd_sums {
    uint64_t events, success, failure;
    uint64_t token_count_input, token_count_output; /* stop at 2^64 - 1 */
    double cost_cents;
};

struct phosd_measure {
    struct phosd_sums sums; /* of one event */
    bool has_latency;
    int64_t latency_ms;
};

/* `flag` is missing without feedback. */
void phosd_measure(phos_str metadata, phos_str flag,
                   struct phosd_measure *ret_measure);

void phosd_sums_add(struct phosd_sums *to, const struct phosd_sums *more);

#endif
